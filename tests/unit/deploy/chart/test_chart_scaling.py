"""How many pods there are when the chart does not say it: who decides, and by what."""

from collections.abc import Callable
from typing import Any

import helm_python
import pytest

from chandlery.model.objects.kinds import (
    CLUSTER_SERVICE_BROKER,
    NAMESPACE,
    SERVICE_BINDING,
    SERVICE_BROKER,
    SERVICE_INSTANCE,
)
from chandlery.store.schema import WORK_QUEUE
from chandlery.store.work.work_counts import MOST_DUE
from chandlery.store.work.work_queue import CLOCK_TOLERANCE, LONGEST_PAUSE
from tests.support.measured.promql import declared, parsed, result_labels

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]

SERVICES = ("gateway", "provisioner", "binder", "syncer")
KINDS = {
    "provisioner": {SERVICE_INSTANCE.kind},
    "binder": {SERVICE_BINDING.kind},
    "syncer": {CLUSTER_SERVICE_BROKER.kind, SERVICE_BROKER.kind, NAMESPACE.kind},
}
SCALED = {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 9}}
BY_CPU = {"autoscaling": {"enabled": True, "by": "cpu"}}
PROMETHEUS = {"source": "prometheus", "prometheus": {"serverAddress": "http://prometheus:9090"}}
POSTGRESQL = {"source": "postgresql", "postgresql": {"secret": {"name": "keda", "key": "uri"}}}


def scaled(required: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Everything scaled, workers by their backlog in Prometheus."""
    return {**required, "metrics": {"enabled": True}, "keda": PROMETHEUS, **dict.fromkeys(SERVICES, SCALED), **changes}


def trigger(objects: Objects, worker: str) -> dict[str, Any]:
    [only] = objects["ScaledObject", f"demo-chandlery-{worker}"]["spec"]["triggers"]
    assert isinstance(only, dict)
    return only


def test_nothing_is_scaled_unless_asked(render: Render, required: dict[str, Any]) -> None:
    objects = render(required)
    assert {kind for kind, _ in objects}.isdisjoint(
        {"HorizontalPodAutoscaler", "ScaledObject", "TriggerAuthentication"}
    )
    assert all(objects["Deployment", f"demo-chandlery-{each}"]["spec"]["replicas"] == 2 for each in SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_deployment_does_not_say_how_many_when_somebody_else_does(
    render: Render, required: dict[str, Any], service: str
) -> None:
    objects = render(scaled(required))
    assert "replicas" not in objects["Deployment", f"demo-chandlery-{service}"]["spec"]


def test_gateways_are_scaled_by_the_cpu_of_their_own_container(render: Render, required: dict[str, Any]) -> None:
    autoscaler = render(scaled(required))["HorizontalPodAutoscaler", "demo-chandlery-gateway"]
    spec = autoscaler["spec"]
    assert autoscaler["apiVersion"] == "autoscaling/v2"
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo-chandlery-gateway"}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 9)
    [metric] = spec["metrics"]
    assert metric["containerResource"]["container"] == "gateway"
    assert metric["containerResource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300


@pytest.mark.parametrize("worker", KINDS)
def test_worker_is_scaled_by_all_of_its_backlog(render: Render, required: dict[str, Any], worker: str) -> None:
    objects = render(scaled(required))
    spec = objects["ScaledObject", f"demo-chandlery-{worker}"]["spec"]
    assert spec["scaleTargetRef"]["name"] == f"demo-chandlery-{worker}"
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (3, 9)
    told = trigger(objects, worker)
    assert told["metadata"]["ignoreNullValues"] == "false"
    query = told["metadata"]["query"]
    assert query == f'sum(max by (worker, kind, broker) (chandlery_backlog{{worker="{worker}"}}))'
    # One number: whatever had a label would be refused by KEDA, and whatever is not declared has no value.
    assert result_labels(parsed(query), declared()) == frozenset()


def test_backlog_can_be_that_of_one_installation(render: Render, required: dict[str, Any]) -> None:
    given = {"source": "prometheus", "prometheus": {**PROMETHEUS["prometheus"], "selector": 'namespace="prod",'}}  # type: ignore[dict-item]
    query = trigger(render(scaled(required, keda=given)), "binder")["metadata"]["query"]
    assert '{worker="binder",namespace="prod"}' in query
    parsed(query)


@pytest.mark.parametrize("worker", KINDS)
def test_backlog_in_the_database_is_that_of_the_metric(render: Render, required: dict[str, Any], worker: str) -> None:
    objects = render(scaled(required, keda=POSTGRESQL, metrics={"enabled": False}))
    told = trigger(objects, worker)
    query = told["metadata"]["query"]
    assert {kind for kind in set().union(*KINDS.values()) if f"'{kind}'" in query} == KINDS[worker]
    columns = {"kind", "enqueue_after", "due_at", "lease_until"}
    assert columns <= set(WORK_QUEUE.c.keys())
    assert all(column in query for column in columns)
    seconds = int((LONGEST_PAUSE + CLOCK_TOLERANCE).total_seconds())
    assert f"interval '{seconds} seconds'" in query
    assert f"LIMIT {MOST_DUE}" in query
    assert f"FROM {WORK_QUEUE.name} " in query
    login = objects["TriggerAuthentication", told["authenticationRef"]["name"]]["spec"]["secretTargetRef"]
    assert login == [{"parameter": "connection", "name": "keda", "key": "uri"}]


@pytest.mark.parametrize("worker", KINDS)
def test_worker_is_scaled_by_cpu_where_there_is_no_keda(render: Render, required: dict[str, Any], worker: str) -> None:
    objects = render({**required, worker: BY_CPU})
    assert ("HorizontalPodAutoscaler", f"demo-chandlery-{worker}") in objects
    assert "ScaledObject" not in {kind for kind, _ in objects}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keda": {"source": "prometheus"}}, "keda.prometheus.serverAddress is missing"),
        ({"metrics": {"enabled": False}}, "metrics.enabled has to be true"),
        ({"keda": {"source": "postgresql"}}, "keda.postgresql.secret.name is missing"),
        (
            {"keda": {"prometheus": {"serverAddress": "http://p", "metadata": {"query": "1"}}}},
            "metadata.query must not",
        ),
        ({"binder": {"autoscaling": {"enabled": True, "minReplicas": 4, "maxReplicas": 3}}}, "minReplicas is 4, more"),
        ({"gateway": {**SCALED, "resources": {"requests": {"cpu": None}}}}, "gateway.resources.requests.cpu"),
        ({"gateway": {"autoscaling": {"minReplicas": 0}}}, "minReplicas"),
        ({"syncer": {"autoscaling": {"behavior": {"scaleDown": {"policies": [{"type": "Cores"}]}}}}}, "policies/0"),
    ],
    ids=["no-prometheus", "no-metrics", "no-secret", "own-query", "fewer", "no-request", "none", "behavior"],
)
def test_chart_refuses_to_scale_by_what_nobody_can_tell(
    render: Render, required: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(helm_python.HelmError, match=message):
        render(scaled(required, **change))
