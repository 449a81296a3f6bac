"""Ways in and out: policies, Ingress, routes, certificates, and who is told where the metrics are."""

from collections.abc import Callable, Mapping
from typing import Any

import helm_python
import pytest

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]

SERVICES = ("gateway", "provisioner", "binder", "syncer")
WORKERS = SERVICES[1:]
BROKERS = [{"ipBlock": {"cidr": "10.20.0.0/16"}}]
MONITORING = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
SHUT: dict[str, Any] = {"networkPolicies": {"enabled": True, "brokers": {"to": BROKERS, "ports": [443]}}}
ISSUED = {"gateway": {"tls": {"certManager": {"enabled": True, "issuerRef": {"name": "company"}}}}}
ROUTE = {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["catalog.example.com"]}


def policy(objects: Objects, component: str) -> dict[str, Any]:
    spec: dict[str, Any] = objects["NetworkPolicy", f"demo-chandlery-{component}"]["spec"]
    return spec


def ports_out(objects: Objects, component: str) -> set[int | str]:
    return {port["port"] for rule in policy(objects, component)["egress"] for port in rule["ports"]}


def labels_of_pods(objects: Objects) -> dict[str, Mapping[str, str]]:
    """Labels by name of the object that makes the pods."""
    made = {name: body["spec"]["template"] for (_, name), body in objects.items() if "template" in body.get("spec", {})}
    made |= {name: body for (kind, name), body in objects.items() if kind == "Pod"}
    return {name: body["metadata"]["labels"] for name, body in made.items()}


@pytest.mark.parametrize("platform", ["standalone", "kubernetes"])
def test_every_pod_is_shut_in_both_directions_by_one_policy(
    render: Render, required: dict[str, Any], in_cluster: dict[str, Any], platform: str
) -> None:
    objects = render({**(required if platform == "standalone" else in_cluster), **SHUT})
    policies = [body["spec"] for (kind, _), body in objects.items() if kind == "NetworkPolicy"]
    assert all(each["policyTypes"] == ["Ingress", "Egress"] for each in policies)
    for name, labels in labels_of_pods(objects).items():
        selecting = [each for each in policies if each["podSelector"]["matchLabels"].items() <= labels.items()]
        assert len(selecting) == 1, name


def test_each_reaches_what_it_needs_and_nothing_else(render: Render, required: dict[str, Any]) -> None:
    objects = render({**required, **SHUT})
    assert ports_out(objects, "gateway") == {53, 5432, 5671, 5672}
    assert all(ports_out(objects, worker) == {53, 5432, 5671, 5672, 443, 8082} for worker in WORKERS)
    assert ports_out(objects, "migrate") == ports_out(objects, "uninstall") == {53, 5432}
    assert ports_out(objects, "test") == {53, "http"}
    [to_brokers] = [rule for rule in policy(objects, "binder")["egress"] if rule.get("to") == BROKERS]
    assert to_brokers["ports"] == [{"protocol": "TCP", "port": 443}]


def test_what_is_in_use_besides_is_reached_as_well(
    render: Render, required: dict[str, Any], in_cluster: dict[str, Any]
) -> None:
    more = {
        "encryption": {**required["encryption"], "providers": ["aws-kms"], "awsKms": {"keyId": "alias/a"}},
        "auth": {**required["auth"], "oidc": {"issuerUrl": "https://id.example.com", "clientId": "c"}},
        "tracing": {"endpoint": "http://collector:4318"},
    }
    places = {"keyService": {"ports": [4430]}, "identityProvider": {"ports": [4431]}, "telemetry": {"ports": [4318]}}
    shut = {"networkPolicies": {**SHUT["networkPolicies"], **places}}
    objects = render({**required, **shut, **more})
    assert ports_out(objects, "gateway") == {53, 5432, 5671, 5672, 4430, 4431, 4318}
    assert ports_out(objects, "syncer") == {53, 5432, 5671, 5672, 443, 8082, 4430, 4318}
    inside = render({**in_cluster, **SHUT})
    assert all({443, 6443} <= ports_out(inside, service) for service in SERVICES)
    assert 6443 not in ports_out(inside, "migrate")


def test_migration_has_its_policy_before_it_runs(render: Render, required: dict[str, Any]) -> None:
    objects = render({**required, **SHUT})
    notes = objects["NetworkPolicy", "demo-chandlery-migrate"]["metadata"]["annotations"]
    job = objects["Job", "demo-chandlery-migrate"]["metadata"]["annotations"]
    assert notes["helm.sh/hook"] == job["helm.sh/hook"]
    assert int(notes["helm.sh/hook-weight"]) < int(job["helm.sh/hook-weight"])


def test_gateway_and_metrics_are_open_to_those_who_are_named(render: Render, required: dict[str, Any]) -> None:
    ingress = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]
    shut = {"networkPolicies": {**SHUT["networkPolicies"], "gatewayFrom": ingress}}
    objects = render({**required, **shut, "metrics": {"enabled": True, "allowFrom": MONITORING}})
    rules = {rule["ports"][0]["port"]: rule.get("from") for rule in policy(objects, "gateway")["ingress"]}
    assert rules["probes"] is None
    assert rules["metrics"] == MONITORING
    # `helm test` orders by the gateway, too.
    assert rules["http"][0] == ingress[0]
    assert rules["http"][1]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"
    assert {rule["ports"][0]["port"] for rule in policy(objects, "binder")["ingress"]} == {"probes", "metrics"}


def test_certificate_of_the_gateways_is_made_where_they_look_for_it(render: Render, required: dict[str, Any]) -> None:
    issued = {"tls": {"certManager": {**ISSUED["gateway"]["tls"]["certManager"], "dnsNames": ["catalog.example.com"]}}}
    objects = render({**required, "gateway": issued})
    made = objects["Certificate", "demo-chandlery-gateway"]["spec"]
    assert made["dnsNames"][0] == "catalog.example.com"
    assert "demo-chandlery-gateway.prod.svc" in made["dnsNames"]
    for pod in (
        objects["Deployment", "demo-chandlery-gateway"]["spec"]["template"],
        objects["Pod", "demo-chandlery-test"],
    ):
        [secret] = [each["secret"]["secretName"] for each in pod["spec"]["volumes"] if each["name"] == "tls"]
        assert secret == made["secretName"]


def test_ways_in_lead_to_the_port_of_the_service(render: Render, required: dict[str, Any]) -> None:
    ingress = {"enabled": True, "className": "true", "hosts": [{"host": "catalog.example.com"}]}
    routes = {"httpRoute": ROUTE, "tlsRoute": ROUTE}
    objects = render({**required, **ISSUED, "ingress": ingress, "gatewayApi": routes})
    [port] = objects["Service", "demo-chandlery-gateway"]["spec"]["ports"]
    made = objects["Ingress", "demo-chandlery-gateway"]["spec"]
    assert made["ingressClassName"] == "true"
    [path] = made["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": "demo-chandlery-gateway", "port": {"name": port["name"]}}
    for kind in ("HTTPRoute", "TLSRoute"):
        spec = objects[kind, "demo-chandlery-gateway"]["spec"]
        assert spec["rules"][0]["backendRefs"] == [{"name": "demo-chandlery-gateway", "port": port["port"]}]
        assert (spec["parentRefs"], spec["hostnames"]) == (ROUTE["parentRefs"], ROUTE["hostnames"])


@pytest.mark.parametrize("kind", ["PodMonitor", "ServiceMonitor"])
def test_operator_of_prometheus_finds_the_metrics_of_all_pods(
    render: Render, required: dict[str, Any], kind: str
) -> None:
    monitor = {"enabled": True, "kind": kind, "interval": "30s", "labels": {"release": "prometheus"}}
    objects = render({**required, "metrics": {"enabled": True, "monitor": monitor}})
    made = objects[kind, "demo-chandlery-metrics"]
    assert made["metadata"]["labels"]["release"] == "prometheus"
    [endpoint] = made["spec"]["endpoints" if kind == "ServiceMonitor" else "podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["interval"]) == ("metrics", "30s")
    selector = made["spec"]["selector"]["matchLabels"]
    pods = labels_of_pods(objects)
    for service in SERVICES:
        selecting = selector
        if kind == "ServiceMonitor":
            told = objects["Service", f"demo-chandlery-{service}-metrics"]
            assert selector.items() <= told["metadata"]["labels"].items()
            selecting = told["spec"]["selector"]
        assert selecting.items() <= pods[f"demo-chandlery-{service}"].items()
    # Not twice, for a Prometheus that goes by annotations as well.
    annotations = objects["Deployment", "demo-chandlery-gateway"]["spec"]["template"]["metadata"]["annotations"]
    assert "prometheus.io/scrape" not in annotations


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"networkPolicies": {"enabled": True}}, "networkPolicies.brokers.to is missing"),
        ({**SHUT, "metrics": {"enabled": True}}, "metrics.allowFrom is missing"),
        ({"networkPolicies": {"brokers": {"to": [{"ipBlock": {"cidr": "10.20.0.0"}}]}}}, "brokers/to/0/ipBlock/cidr"),
        ({"ingress": {"enabled": True}}, "ingress.hosts is missing"),
        ({"ingress": {"hosts": [{"host": "a b"}]}}, "/ingress/hosts/0/host"),
        ({"gatewayApi": {"httpRoute": {"enabled": True}}}, "gatewayApi.httpRoute.parentRefs is missing"),
        ({"gatewayApi": {"tlsRoute": ROUTE}}, "the gateways have no certificate"),
        ({"gateway": {"tls": {"certManager": {"enabled": True}}}}, "issuerRef.name is missing"),
        ({"metrics": {"monitor": {"enabled": True}}}, "metrics.monitor.enabled needs metrics.enabled"),
    ],
)
def test_chart_refuses_ways_that_lead_nowhere(
    render: Render, required: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(helm_python.HelmError, match=message):
        render({**required, **change})
