"""What an operator installs for Chandlery in a cluster: roles, and the Service and APIServices that lead to it."""

from collections.abc import Iterator
from typing import Any, Final

from tests.e2e.stacks.api_client import JsonObject

NAMESPACE: Final = "chandlery"
SERVICE: Final = "chandlery-gateway"
SERVING_SECRET: Final = "chandlery-serving-cert"
GROUP_VERSIONS: Final = (
    ("servicecatalog.k8s.io", "v1beta1"),
    ("history.chandlery.io", "v1"),
    ("audit.chandlery.io", "v1"),
)
_RBAC: Final = "rbac.authorization.k8s.io"
_AGGREGATE: Final = f"{_RBAC}/aggregate-to-"
_CATALOG: Final = "servicecatalog.k8s.io"
_OFFERED: Final = [f"{scope}service{kind}" for scope in ("cluster", "") for kind in ("brokers", "classes", "plans")]
_ORDERED: Final = ["serviceinstances", "servicebindings"]
_READ: Final = ["get", "list", "watch"]
_CHANGE: Final = ["create", "update", "patch", "delete", "deletecollection"]

Manifest = tuple[str, JsonObject]
"""The collection that it is created in, and the object."""


def account(service: str) -> str:
    """The service account of a service."""
    return f"chandlery-{service}"


def user_of(service: str) -> str:
    """Who the service is for RBAC."""
    return f"system:serviceaccount:{NAMESPACE}:{account(service)}"


def roles() -> Iterator[Manifest]:
    """What the services may do, and what the cluster's admin, edit and view may do with our kinds."""
    yield _cluster_role(
        "chandlery:gateway",
        _rule("", ["namespaces"], _READ),
        _rule("apiregistration.k8s.io", ["apiservices"], [*_READ, "patch", "update"]),
    )
    yield _cluster_role(
        "chandlery:worker",
        _rule("", ["namespaces"], _READ),
        _rule("", ["events"], ["create", "patch", "update"]),
        _rule("", ["secrets"], [*_READ, "create", "patch", "update", "delete"]),
        # For blockOwnerDeletion.
        _rule(_CATALOG, ["servicebindings/finalizers"], ["update"]),
    )
    yield _role(
        "chandlery-gateway",
        _rule("", ["secrets"], [*_READ, "create", "patch", "update"]),
        _rule("", ["events"], ["create", "patch", "update"]),
    )
    status = [f"{resource}/status" for resource in (*_OFFERED, *_ORDERED)]
    history = _rule("history.chandlery.io", ["*"], ["get", "list"])
    yield _cluster_role("chandlery:view", _rule(_CATALOG, [*_OFFERED, *_ORDERED, *status], _READ), history, to="view")
    yield _cluster_role("chandlery:edit", _rule(_CATALOG, _ORDERED, _CHANGE), to="edit")
    local = ["servicebrokers", "serviceclasses", "serviceplans"]
    yield _cluster_role("chandlery:admin", _rule(_CATALOG, local, _CHANGE), to="admin")


def service() -> Manifest:
    """It leads to this machine: endpoints may not be on loopback, but a name may."""
    spec = {"type": "ExternalName", "externalName": "localhost"}
    return f"/api/v1/namespaces/{NAMESPACE}/services", _object("v1", "Service", SERVICE, spec=spec)


def api_services(port: int, *, ca_bundle: str | None) -> Iterator[Manifest]:
    """Of all our groups; without a `ca_bundle` (base64 of PEM) the gateway has to put its own there."""
    for group, version in GROUP_VERSIONS:
        reference = {"namespace": NAMESPACE, "name": SERVICE, "port": port}
        spec: JsonObject = {
            "group": group,
            "version": version,
            "service": reference,
            "groupPriorityMinimum": 1000,
            "versionPriority": 10,
        }
        if ca_bundle is not None:
            spec["caBundle"] = ca_bundle
        document = _object("apiregistration.k8s.io/v1", "APIService", f"{version}.{group}", spec=spec)
        yield "/apis/apiregistration.k8s.io/v1/apiservices", document


def _rule(group: str, resources: list[str], verbs: list[str]) -> JsonObject:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def _cluster_role(name: str, *rules: JsonObject, to: str = "") -> Manifest:
    document = _object(f"{_RBAC}/v1", "ClusterRole", name, rules=list(rules))
    if to:
        document["metadata"]["labels"] = {f"{_AGGREGATE}{to}": "true"}
    return f"/apis/{_RBAC}/v1/clusterroles", document


def _role(name: str, *rules: JsonObject) -> Manifest:
    document = _object(f"{_RBAC}/v1", "Role", name, rules=list(rules))
    return f"/apis/{_RBAC}/v1/namespaces/{NAMESPACE}/roles", document


def _object(api_version: str, kind: str, name: str, **parts: Any) -> JsonObject:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **parts}
