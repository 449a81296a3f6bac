"""The registry of kinds: what discovery, routing, storage and documents are generated from.

Comes in: the models of the kinds, from the modules beside this one.
Goes out: `KINDS` by kind and by plural, each a `Kind` with its names, its scope, its subresources and its verbs.
Called by: everybody. The gateway has a route and an entry of admission for each kind, the store a table, kubectl a
document.

Whoever adds a kind begins here: CONTRIBUTING.md has the recipe. Kinds that are seen or answered but not stored (views
of events, reviews) are the gateway's: `kube/kinds/`.
"""

from dataclasses import dataclass
from typing import Any

from chandlery.model.objects import bindings, brokers, core, instances, offerings, rbac

AnyObject = (
    brokers.ClusterServiceBroker
    | brokers.ServiceBroker
    | offerings.ClusterServiceClass
    | offerings.ServiceClass
    | offerings.ClusterServicePlan
    | offerings.ServicePlan
    | instances.ServiceInstance
    | bindings.ServiceBinding
    | core.Namespace
    | core.Secret
    | core.Event
    | core.ServiceAccount
    | rbac.Role
    | rbac.ClusterRole
    | rbac.RoleBinding
    | rbac.ClusterRoleBinding
)

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
"""What can be done with objects that are stored."""


@dataclass(frozen=True)
class Kind:
    """One kind of object and the rules that hold for all objects of it."""

    kind: str
    plural: str
    model: type[Any]
    namespaced: bool = True
    group: str = brokers.GROUP
    version: str = "v1beta1"
    has_status: bool = True
    """Status is a subresource: main writes ignore it, status writes ignore everything else."""
    has_finalizer: bool = False
    """A worker has to agree before an object of this kind goes."""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ("all", "svcat")
    body_fields: tuple[str, ...] = ("spec", "status")
    """The top-level fields beside apiVersion, kind and metadata."""
    verbs: tuple[str, ...] = VERBS
    """What the gateway lets clients do with it."""

    @property
    def api_version(self) -> str:
        """`v1` for the core group, `group/version` otherwise."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The lower-cased kind."""
        return self.kind.lower()

    @property
    def qualified_plural(self) -> str:
        """`serviceinstances.servicecatalog.k8s.io`; the plural alone in the core group. As in Status messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


CLUSTER_SERVICE_BROKER = Kind(
    "ClusterServiceBroker", "clusterservicebrokers", brokers.ClusterServiceBroker, namespaced=False, has_finalizer=True
)
SERVICE_BROKER = Kind("ServiceBroker", "servicebrokers", brokers.ServiceBroker, has_finalizer=True)
CLUSTER_SERVICE_CLASS = Kind(
    "ClusterServiceClass", "clusterserviceclasses", offerings.ClusterServiceClass, namespaced=False
)
SERVICE_CLASS = Kind("ServiceClass", "serviceclasses", offerings.ServiceClass)
CLUSTER_SERVICE_PLAN = Kind("ClusterServicePlan", "clusterserviceplans", offerings.ClusterServicePlan, namespaced=False)
SERVICE_PLAN = Kind("ServicePlan", "serviceplans", offerings.ServicePlan)
SERVICE_INSTANCE = Kind("ServiceInstance", "serviceinstances", instances.ServiceInstance, has_finalizer=True)
SERVICE_BINDING = Kind("ServiceBinding", "servicebindings", bindings.ServiceBinding, has_finalizer=True)

NAMESPACE = Kind(
    "Namespace",
    "namespaces",
    core.Namespace,
    namespaced=False,
    group="",
    version="v1",
    short_names=("ns",),
    categories=(),
)
SECRET = Kind(
    "Secret",
    "secrets",
    core.Secret,
    group="",
    version="v1",
    has_status=False,
    categories=(),
    body_fields=("data", "stringData", "type", "immutable"),
)
EVENT = Kind(
    "Event",
    "events",
    core.Event,
    group="",
    version="v1",
    has_status=False,
    short_names=("ev",),
    categories=(),
    body_fields=(
        "involvedObject",
        "reason",
        "message",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "type",
        "eventTime",
        "reportingComponent",
        "reportingInstance",
        "action",
        "related",
        "series",
    ),
)

SERVICE_ACCOUNT = Kind(
    "ServiceAccount",
    "serviceaccounts",
    core.ServiceAccount,
    group="",
    version="v1",
    has_status=False,
    short_names=("sa",),
    categories=(),
    body_fields=("secrets", "imagePullSecrets", "automountServiceAccountToken"),
)


def _rbac(name: str, model: type[Any], *body_fields: str, namespaced: bool = True) -> Kind:
    return Kind(
        name,
        f"{name.lower()}s",
        model,
        namespaced=namespaced,
        group=rbac.RBAC_GROUP,
        version="v1",
        has_status=False,
        categories=(),
        body_fields=body_fields,
    )


CLUSTER_ROLE_BINDING = _rbac("ClusterRoleBinding", rbac.ClusterRoleBinding, "subjects", "roleRef", namespaced=False)
CLUSTER_ROLE = _rbac("ClusterRole", rbac.ClusterRole, "rules", "aggregationRule", namespaced=False)
ROLE_BINDING = _rbac("RoleBinding", rbac.RoleBinding, "subjects", "roleRef")
ROLE = _rbac("Role", rbac.Role, "rules")

CATALOG_KINDS = (
    CLUSTER_SERVICE_BROKER,
    SERVICE_BROKER,
    CLUSTER_SERVICE_CLASS,
    SERVICE_CLASS,
    CLUSTER_SERVICE_PLAN,
    SERVICE_PLAN,
    SERVICE_INSTANCE,
    SERVICE_BINDING,
)
CORE_KINDS = (NAMESPACE, SECRET, EVENT, SERVICE_ACCOUNT)
RBAC_KINDS = (CLUSTER_ROLE_BINDING, CLUSTER_ROLE, ROLE_BINDING, ROLE)
KINDS = {kind.kind: kind for kind in (*CATALOG_KINDS, *CORE_KINDS, *RBAC_KINDS)}
BROKER_KINDS = (CLUSTER_SERVICE_BROKER, SERVICE_BROKER)
CLASS_KINDS = (CLUSTER_SERVICE_CLASS, SERVICE_CLASS)
PLAN_KINDS = (CLUSTER_SERVICE_PLAN, SERVICE_PLAN)


def kind_of(document: AnyObject) -> Kind:
    """The registry entry of an object."""
    return KINDS[document.kind]
