"""What users may say of the pods of one service, and what is refused before Kubernetes would."""

from collections.abc import Callable
from typing import Any

import helm_python
import pytest

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]

SERVICES = ("gateway", "provisioner", "binder", "syncer")
LIFECYCLE = {"preStop": {"exec": {"command": ["sleep", "3"]}}}
EVERYTHING: dict[str, Any] = {
    "labels": {"team": "catalog"},
    "annotations": {"example.com/owner": "true"},
    "podLabels": {"tier": "1"},
    "podAnnotations": {"example.com/note": "a: b"},
    "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "envFrom": [{"secretRef": {"name": "more"}}],
    "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "volumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    "initContainers": [{"name": "wait", "image": "registry.example.com:5000/tools/wait:1"}],
    "sidecars": [{"name": "proxy", "image": "proxy:2", "securityContext": {"runAsUser": 7}}],
    "lifecycle": LIFECYCLE,
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "dedicated", "value": "catalog", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "topologySpreadConstraints": [
        {"maxSkew": 2, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "priorityClassName": "true",
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.10"]},
    "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["broker.local"]}],
    "revisionHistoryLimit": 0,
    "strategy": {"type": "Recreate"},
    "terminationGracePeriodSeconds": 90,
}


def template_of(objects: Objects, service: str) -> dict[str, Any]:
    template: dict[str, Any] = objects["Deployment", f"demo-chandlery-{service}"]["spec"]["template"]
    return template


@pytest.mark.parametrize("service", SERVICES)
def test_pods_of_one_service_have_what_is_said_of_them(render: Render, required: dict[str, Any], service: str) -> None:
    before, objects = render(required), render({**required, service: EVERYTHING})
    deployment = objects["Deployment", f"demo-chandlery-{service}"]
    template, spec = template_of(objects, service), template_of(objects, service)["spec"]
    [own, sidecar], [first] = spec["containers"], spec["initContainers"]
    assert deployment["metadata"]["labels"]["team"] == "catalog"
    assert deployment["metadata"]["annotations"] == {"example.com/owner": "true"}
    assert (deployment["spec"]["revisionHistoryLimit"], deployment["spec"]["strategy"]) == (0, {"type": "Recreate"})
    assert template["metadata"]["labels"]["tier"] == "1"
    assert template["metadata"]["annotations"]["example.com/note"] == "a: b"
    assert own["env"][-1] == EVERYTHING["env"][0]
    assert own["envFrom"][-1] == EVERYTHING["envFrom"][0]
    assert own["volumeMounts"][-1] == EVERYTHING["volumeMounts"][0]
    assert own["lifecycle"] == LIFECYCLE
    assert spec["volumes"][-1] == EVERYTHING["volumes"][0]
    assert first["securityContext"]["allowPrivilegeEscalation"] is False
    assert sidecar["securityContext"] == {**first["securityContext"], "runAsUser": 7}
    decided = ("nodeSelector", "tolerations", "affinity", "priorityClassName", "dnsPolicy", "dnsConfig", "hostAliases")
    assert {name: spec[name] for name in decided} == {name: EVERYTHING[name] for name in decided}
    assert spec["terminationGracePeriodSeconds"] == 90
    [spread] = spec["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == deployment["spec"]["selector"]["matchLabels"]
    assert spread.items() >= EVERYTHING["topologySpreadConstraints"][0].items()
    others = [each for each in SERVICES if each != service]
    assert all(template_of(before, each) == template_of(objects, each) for each in others)


def test_what_is_said_of_one_service_comes_after_or_instead_of_what_is_said_of_all(
    render: Render, required: dict[str, Any]
) -> None:
    of_all = {
        "podLabels": {"tier": "all", "cost": "1"},
        "extraEnv": [{"name": "A", "value": "1"}],
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"disk": "slow"},
    }
    own = {"podLabels": {"tier": "1"}, "env": [{"name": "B", "value": "2"}], "nodeSelector": {"disk": "fast"}}
    template = template_of(render({**required, **of_all, "binder": own}), "binder")
    assert template["metadata"]["labels"].items() >= {("tier", "1"), ("cost", "1")}
    assert [each["name"] for each in template["spec"]["containers"][0]["env"]][-2:] == ["A", "B"]
    assert template["spec"]["tolerations"] == [{"operator": "Exists"}]
    assert template["spec"]["nodeSelector"] == {"disk": "fast"}


def test_other_objects_come_along_as_they_are_or_as_templates(render: Render, required: dict[str, Any]) -> None:
    plain = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "own"},
        "data": {"a": "{{ not a template }}"},
    }
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: '{{ .Release.Name }}-own'}\n"
    objects = render({**required, "extraObjects": [plain, text]})
    assert objects["ConfigMap", "own"] == plain
    assert ("Secret", "demo-own") in objects


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tolerations": [{"junk": True}]}, "/tolerations/0"),
        ({"tolerations": [{"effect": "NoSchedul", "operator": "Exists"}]}, "/tolerations/0/effect"),
        ({"tolerations": [{"operator": "Exists", "value": "x"}]}, "/tolerations/0"),
        ({"tolerations": [{"operator": "Exists", "tolerationSeconds": 3}]}, "/tolerations/0"),
        ({"binder": {"resources": {"limits": {"memory": "lots"}}}}, "/binder/resources/limits/memory"),
        ({"podSecurityContext": {"seccompProfile": {"type": "Default"}}}, "/podSecurityContext/seccompProfile/type"),
        ({"podSecurityContext": {"runAsUSer": 1000}}, "runAsUSer"),
        ({"podSecurityContext": {"fsGroup": "1000"}}, "/podSecurityContext/fsGroup"),
        ({"podLabels": {"team": "a b"}}, "/podLabels/team"),
        ({"nodeSelector": {"a b": "x"}}, "invalid propertyName .a b."),
        ({"image": {"repository": "foo/bar:1"}}, "/image/repository"),
        ({"image": {"repository": "foo/bar@sha256:00"}}, "/image/repository"),
        ({"extraVolumes": [{"name": "tmp", "emptyDir": {}}]}, "/extraVolumes/0/name"),
        ({"extraVolumes": [{"name": "a"}]}, "/extraVolumes/0"),
        ({"extraVolumes": [{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]}, "volumes of gateway: a is"),
        ({"extraVolumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}, "/extraVolumeMounts/0/mountPath"),
        ({"extraVolumeMounts": [{"name": "gone", "mountPath": "/gone"}]}, "there is no volume gone"),
        ({"gateway": {"podAnnotations": {"checksum/settings": "x"}}}, "/gateway/podAnnotations"),
        ({"gateway": {"podAnnotations": {"prometheus.io/port": "1"}}}, "/gateway/podAnnotations"),
        ({"extraEnv": [{"name": "A"}], "syncer": {"env": [{"name": "A"}]}}, "environment variables of syncer: A is"),
        ({"extraEnv": [{"name": "CHANDLERY_PORT", "value": "1"}]}, "/extraEnv/0/name"),
        ({"extraEnv": [{"name": "A", "value": 1}]}, "/extraEnv/0/value"),
        ({"binder": {"sidecars": [{"name": "binder", "image": "x:1"}]}}, "containers of binder: binder is there twice"),
        ({"binder": {"hostAliases": [{"ip": "nowhere", "hostnames": ["a"]}]}}, "/binder/hostAliases/0/ip"),
        (
            {"terminationGracePeriodSeconds": 31, "gateway": {"shutdownDelaySeconds": 6}},
            "of gateway is 31, and has to be",
        ),
        ({"settings": {"extra": {"CHANDLERY_SHUTDOWN_SECONDS": "60"}}}, "of gateway is 40, and has to be more than 70"),
        ({"settings": {"extra": {"CHANDLERY_SHUTDOWN_SECONDS": "soon"}}}, "has to be a number of seconds"),
        ({"binder": {"terminationGracePeriodSeconds": 25}}, "of binder is 25, and has to be more than 25"),
        ({"serviceAccounts": {"create": False, "name": "a b"}}, "/serviceAccounts/name"),
        ({"priorityClassName": "Not A Name"}, "/priorityClassName"),
        ({"affinity": {"nodeAfinity": {}}}, "/affinity"),
        ({"extraObjects": [{"kind": "ConfigMap"}]}, "/extraObjects/0"),
        ({"gateway": {"service": {"nodePort": 30080}}}, "gateway.service.nodePort must not be set with type ClusterIP"),
        ({"gateway": {"service": {"type": "NodePort", "loadBalancerIP": "10.0.0.1"}}}, "only a LoadBalancer has it"),
        ({"gateway": {"service": {"loadBalancerSourceRanges": ["10.0.0.0"]}}}, "loadBalancerSourceRanges/0"),
    ],
)
def test_chart_refuses_what_kubernetes_would_refuse_later(
    render: Render, required: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(helm_python.HelmError, match=message):
        render({**required, **change})


@pytest.mark.parametrize("name", ["true", "123", "null", "1e3", "0x1f"])
def test_names_that_look_like_something_else_stay_texts(render: Render, required: dict[str, Any], name: str) -> None:
    given = {"priorityClassName": name, "serviceAccounts": {"create": False, "name": name}}
    tls = {"gateway": {"tls": {"secretName": name}}, "migration": {"serviceAccountName": name}}
    objects = render({**required, **given, **tls})
    spec = template_of(objects, "gateway")["spec"]
    assert (spec["priorityClassName"], spec["serviceAccountName"]) == (name, name)
    assert name in [each.get("secret", {}).get("secretName") for each in spec["volumes"]]


def test_service_has_what_is_said_of_it(render: Render, required: dict[str, Any]) -> None:
    given = {
        "type": "LoadBalancer",
        "nodePort": 30443,
        "loadBalancerClass": "example.com/internal",
        "loadBalancerSourceRanges": ["10.0.0.0/8", "fd00::/8"],
        "externalTrafficPolicy": "Local",
        "ipFamilies": ["IPv4"],
        "annotations": {"example.com/internal": "true"},
        "labels": {"team": "catalog"},
    }
    service = render({**required, "gateway": {"service": given}})["Service", "demo-chandlery-gateway"]
    plain = {name: value for name, value in given.items() if name not in ("nodePort", "annotations", "labels")}
    assert service["spec"].items() >= plain.items()
    assert service["spec"]["ports"][0]["nodePort"] == 30443
    assert service["metadata"]["annotations"] == given["annotations"]
    assert service["metadata"]["labels"]["team"] == "catalog"
