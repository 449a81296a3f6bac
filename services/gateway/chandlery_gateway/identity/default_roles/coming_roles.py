"""The cluster roles and bindings that come with Chandlery, as they are in a new database. Pure; `role_keeping` writes.

Names, labels and what they allow are Kubernetes' where Kubernetes has them. `admin`, `edit` and `view` are for one
namespace each: they gather the rules of cluster roles with the labels `…/aggregate-to-admin`, `-edit` and `-view`, so
that anybody may add to them. None of them lets choose the id that an instance has at its service broker (`adopt`): who
may could take over what another namespace has there. `view` reads no Secrets.

Only members of `system:masters` are let do something that others are not, and those of `system:monitoring` read the
metrics: everybody else has to be given a role first.
"""

from collections.abc import Iterator
from typing import Final

from chandlery.model.objects.brokers import GROUP as CATALOG
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.rbac import (
    EVERYTHING,
    RBAC_GROUP,
    AggregationRule,
    ClusterRole,
    ClusterRoleBinding,
    LabelSelector,
    PolicyRule,
    RoleRef,
    Subject,
)

AUTOUPDATE: Final = "rbac.authorization.kubernetes.io/autoupdate"
"""An annotation: whoever sets it to "false" keeps the object as it is."""
BOOTSTRAPPING: Final = "kubernetes.io/bootstrapping"
_DEFAULTS: Final = {BOOTSTRAPPING: "rbac-defaults"}
_AGGREGATE: Final = "rbac.authorization.k8s.io/aggregate-to-"

MASTERS: Final = "system:masters"
MONITORING: Final = "system:monitoring"
AUTHENTICATED: Final = "system:authenticated"
UNAUTHENTICATED: Final = "system:unauthenticated"

_CORE: Final = ""
_AUDIT: Final = "audit.chandlery.io"
_HISTORY: Final = "history.chandlery.io"
_AUTHORIZATION, _AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"
_READ: Final = ("get", "list", "watch")
_LOOK: Final = ("get", "list")
"""What has been cannot be watched."""
_CHANGE: Final = ("create", "delete", "deletecollection", "patch", "update")
_BOTH: Final = (*_CHANGE, *_READ)

_OF_CLUSTER: Final = ("clusterservicebrokers", "clusterserviceclasses", "clusterserviceplans")
_OFFERED: Final = ("servicebrokers", "serviceclasses", "serviceplans")
_ORDERED: Final = ("servicebindings", "serviceinstances")
_OPERATIONS: Final = ("servicebindingoperations", "serviceinstanceoperations")
_PUBLIC: Final = (
    "/.well-known/chandlery/*",
    "/docs",
    "/docs/*",
    "/healthz",
    "/livez",
    "/readyz",
    "/version",
    "/version/",
)
_MONITORING: Final = (*("/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/readyz", "/readyz/*"),)
_DISCOVERY: Final = (
    *("/", "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz"),
    *("/version", "/version/"),
)


def _may(verbs: tuple[str, ...], group: str, *resources: str) -> PolicyRule:
    return PolicyRule(verbs=verbs, api_groups=(group,), resources=resources)


def _paths(verbs: tuple[str, ...], *paths: str) -> PolicyRule:
    return PolicyRule(verbs=verbs, non_resource_urls=paths)


def _status_of(*resources: str) -> tuple[str, ...]:
    return tuple(f"{resource}/status" for resource in resources)


def _metadata(name: str, *aggregate_to: str) -> ObjectMeta:
    labels = {**_DEFAULTS, **{_AGGREGATE + each: "true" for each in aggregate_to}}
    return ObjectMeta(name=name, labels=labels, annotations={AUTOUPDATE: "true"})


def _role(name: str, *rules: PolicyRule, aggregate_to: str = "") -> ClusterRole:
    return ClusterRole(metadata=_metadata(name, *filter(None, [aggregate_to])), rules=rules)


def _gathering(name: str, *, aggregate_to: str = "") -> ClusterRole:
    selector = LabelSelector(match_labels={_AGGREGATE + name: "true"})
    return ClusterRole(
        metadata=_metadata(name, *filter(None, [aggregate_to])),
        aggregation_rule=AggregationRule(cluster_role_selectors=(selector,)),
    )


def _given(role: str, *groups: str) -> ClusterRoleBinding:
    subjects = tuple(Subject(kind="Group", api_group=RBAC_GROUP, name=group) for group in groups)
    role_ref = RoleRef(api_group=RBAC_GROUP, kind="ClusterRole", name=role)
    return ClusterRoleBinding(metadata=_metadata(role), subjects=subjects, role_ref=role_ref)


def _for_the_cluster() -> Iterator[ClusterRole]:
    everything = (EVERYTHING,)
    yield _role("cluster-admin", _may(everything, EVERYTHING, EVERYTHING), _paths(everything, EVERYTHING))
    yield _role(
        "chandlery:admin",
        _may(everything, CATALOG, EVERYTHING),
        _may(_BOTH, _CORE, "events", "namespaces", "namespaces/status", "secrets", "serviceaccounts"),
        _may(("create",), _CORE, "serviceaccounts/token"),
        _may(_BOTH, "events.k8s.io", "events"),
        _may(_BOTH, RBAC_GROUP, "clusterrolebindings", "clusterroles", "rolebindings", "roles"),
        _may(("create",), _AUTHORIZATION, "localsubjectaccessreviews", "subjectaccessreviews"),
        _may(_READ, _AUDIT, EVERYTHING),
        _may(_LOOK, _HISTORY, EVERYTHING),
        _paths(("get",), EVERYTHING),
    )
    yield _role(
        "chandlery:broker-admin",
        _may(_BOTH, CATALOG, *_OF_CLUSTER),
        _may(_READ, CATALOG, *_status_of(*_OF_CLUSTER)),
    )
    yield _role("chandlery:catalog-viewer", _may(_READ, CATALOG, *_OF_CLUSTER[1:], *_status_of(*_OF_CLUSTER[1:])))
    yield _role("system:discovery", _paths(("get",), *_DISCOVERY))
    yield _role("system:public-info-viewer", _paths(("get",), *_PUBLIC))
    yield _role("system:monitoring", _paths(("get",), *_MONITORING))
    yield _role(
        "system:basic-user",
        _may(("create",), _AUTHORIZATION, "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
        _may(("create",), _AUTHENTICATION, "selfsubjectreviews"),
    )


def _for_namespaces() -> Iterator[ClusterRole]:
    yield _gathering("admin")
    yield _gathering("edit", aggregate_to="admin")
    yield _gathering("view", aggregate_to="edit")
    yield _role(
        "system:aggregate-to-admin",
        _may(_BOTH, RBAC_GROUP, "rolebindings", "roles"),
        _may(("create",), _AUTHORIZATION, "localsubjectaccessreviews"),
        _may(("create",), _CORE, "serviceaccounts/token"),
        aggregate_to="admin",
    )
    yield _role(
        "system:aggregate-to-edit",
        _may(_BOTH, _CORE, "secrets"),
        _may(_CHANGE, _CORE, "events", "serviceaccounts"),
        aggregate_to="edit",
    )
    yield _role(
        "system:aggregate-to-view",
        _may(_READ, _CORE, "events", "namespaces", "namespaces/status", "serviceaccounts"),
        _may(_READ, "events.k8s.io", "events"),
        aggregate_to="view",
    )
    yield _role("chandlery:aggregate-to-admin", _may(_CHANGE, CATALOG, *_OFFERED), aggregate_to="admin")
    yield _role("chandlery:aggregate-to-edit", _may(_CHANGE, CATALOG, *_ORDERED), aggregate_to="edit")
    yield _role(
        "chandlery:aggregate-to-view",
        _may(_READ, CATALOG, *_OFFERED, *_ORDERED, *_status_of(*_OFFERED, *_ORDERED)),
        _may(_LOOK, _HISTORY, *_OPERATIONS),
        aggregate_to="view",
    )


DEFAULT_ROLES: Final = (*_for_the_cluster(), *_for_namespaces())
"""The cluster roles. Those that gather have no rules here: the store gathers them."""

DEFAULT_BINDINGS: Final = (
    _given("cluster-admin", MASTERS),
    _given("system:discovery", AUTHENTICATED),
    _given("system:basic-user", AUTHENTICATED),
    _given("system:public-info-viewer", AUTHENTICATED, UNAUTHENTICATED),
    _given("system:monitoring", MONITORING),
)
"""Who has what from the start: nobody but `system:masters` has more than to ask who they are and what there is, and
members of `system:monitoring`, who read the metrics."""
