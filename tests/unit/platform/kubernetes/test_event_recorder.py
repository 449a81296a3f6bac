"""Events of a cluster: counted when they repeat, bounded for each object, and no hindrance to anybody."""

import asyncio
from typing import Any

import pytest

from chandlery.model.faults import FieldProblem, Forbidden, Unavailable
from chandlery.model.objects.core import RecordedFact
from chandlery.model.objects.instances import ServiceInstance
from chandlery.platform.kubernetes.event_recorder import BURST, REFILL_SECONDS, EventRecorder
from chandlery.platform.kubernetes.faults import NAMESPACE_TERMINATING
from chandlery.reconcile.reconcile_result import RecordEvent
from tests.support.clusters.plain_cluster import PlainCluster


def told(reason: str = "Provisioning", *, uid: str = "uid", namespace: str | None = "ship") -> RecordEvent:
    metadata = {"name": "db", "uid": uid} | ({"namespace": namespace} if namespace else {})
    about = ServiceInstance.model_validate({"metadata": metadata, "spec": {}})
    return RecordEvent(about, RecordedFact(reason, "it is being made"))


def events(cluster: PlainCluster) -> list[dict[str, Any]]:
    return list(cluster.objects.values())


async def test_what_repeats_is_counted_by_one_process_and_by_another() -> None:
    cluster = PlainCluster()
    recorder = EventRecorder(cluster.client)
    await recorder.record(told())
    await recorder.record(told())
    await EventRecorder(cluster.client).record(told())
    (event,) = events(cluster)
    assert event["count"] == 3


async def test_event_that_the_cluster_has_forgotten_is_told_anew() -> None:
    cluster = PlainCluster()
    recorder = EventRecorder(cluster.client)
    await recorder.record(told())
    cluster.objects.clear()
    await recorder.record(told())
    (event,) = events(cluster)
    assert event["count"] == 1


async def test_object_about_which_too_much_is_told_is_told_about_more_rarely() -> None:
    cluster, now = PlainCluster(), [0.0]
    recorder = EventRecorder(cluster.client, clock=lambda: now[0])
    for number in range(2 * BURST):
        await recorder.record(told(f"Storm{number}"))
    await recorder.record(told("Other", uid="another"))
    assert len(events(cluster)) == BURST + 1
    now[0] += REFILL_SECONDS
    await recorder.record(told("Later"))
    await recorder.record(told("TooEarly"))
    assert len(events(cluster)) == BURST + 2


async def test_event_about_what_has_no_namespace_is_in_default() -> None:
    cluster = PlainCluster()
    await EventRecorder(cluster.client).record(told(namespace=None))
    (path,) = cluster.objects
    assert path.startswith("/api/v1/namespaces/default/events/db.")


async def test_namespace_that_goes_is_told_nothing_and_any_other_refusal_is() -> None:
    cluster, recorded = PlainCluster(), told()
    recorder = EventRecorder(cluster.client)
    await recorder.record(recorded)
    (path,) = cluster.objects
    cluster.objects.clear()
    cause = FieldProblem("metadata.namespace", NAMESPACE_TERMINATING, "namespace ship is being terminated")
    cluster.refuses = {f"create {path}": Forbidden("it goes", problems=(cause,))}
    await recorder.record(recorded)
    cluster.refuses = {f"create {path}": Forbidden("no right")}
    with pytest.raises(Forbidden):
        await recorder.record(recorded)


async def test_cluster_that_hangs_holds_nobody_up_for_long() -> None:
    cluster = PlainCluster()

    async def hang(*_: object) -> dict[str, Any]:
        await asyncio.get_running_loop().create_future()
        return {}

    cluster.create = hang  # type: ignore[method-assign,assignment]
    with pytest.raises(Unavailable, match="has not taken it"):
        await EventRecorder(cluster.client, timeout_seconds=0.01).record(told())
