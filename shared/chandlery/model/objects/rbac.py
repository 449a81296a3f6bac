"""Roles and who has them: `rbac.authorization.k8s.io/v1` as Kubernetes has it, field by field.

A rule grants verbs on resources, or on paths that are none. A `Role` has rules for its namespace, a `ClusterRole` for
all of them or for wherever it is bound; a binding gives either to users, groups and service accounts. What is granted
adds up, and nothing takes away.

Comes in: JSON from clients and from the store. Goes out: frozen values; whoever decides reads them as they are. Empty
lists of a rule are absent (`None`); `rules` itself is always there, empty if there are none.
Source: `k8s.io/api/rbac/v1/types.go` and `apimachinery/pkg/apis/meta/v1` (LabelSelector).
"""

from typing import Final, Literal

from pydantic import Field

from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.wire import WireModel

RBAC_GROUP: Final = "rbac.authorization.k8s.io"

EVERYTHING: Final = "*"
"""Every verb, API group or resource. Of paths it is a pattern: `/docs/*` is whatever begins with `/docs/`."""

ApiVersion = Literal["rbac.authorization.k8s.io/v1"]


class PolicyRule(WireModel):
    """Verbs, and what they are allowed on: resources of API groups, or paths that are no resources.

    A resource is a plural (`secrets`), one with a subresource (`serviceinstances/status`), `*` for all with all their
    subresources, or `*/status` for that subresource of all. Without names a rule holds for all objects.
    """

    verbs: tuple[str, ...] = Field(default=(), description="What is allowed: get, list, create and so on, or *.")
    api_groups: tuple[str, ...] | None = Field(
        default=None, description='API groups of the resources; "" is the core group, * all of them.'
    )
    resources: tuple[str, ...] | None = Field(
        default=None, description="Plurals, with a subresource after a slash; * for all, */status for one of all."
    )
    resource_names: tuple[str, ...] | None = Field(
        default=None, description="Names of objects; empty for all. Creating objects cannot be limited by name."
    )
    non_resource_urls: tuple[str, ...] | None = Field(
        default=None, description="Paths; a * at the end stands for anything. Cluster roles."
    )


class LabelSelectorRequirement(WireModel):
    """One term of a selector."""

    key: str = Field(default="", description="Key of the label.")
    operator: str = Field(default="", description="In, NotIn, Exists or DoesNotExist.")
    values: tuple[str, ...] | None = Field(default=None, description="Values of In and NotIn.")


class LabelSelector(WireModel):
    """Labels that an object must have, every one of them; without any it selects everything."""

    match_labels: dict[str, str] | None = Field(default=None, description="Labels with their values.")
    match_expressions: tuple[LabelSelectorRequirement, ...] | None = Field(
        default=None, description="Further terms, all of which must hold."
    )


class AggregationRule(WireModel):
    """Whose rules a cluster role gathers."""

    cluster_role_selectors: tuple[LabelSelector, ...] | None = Field(
        default=None, description="Cluster roles that match any of these give their rules."
    )


class Subject(WireModel):
    """Somebody to whom a role is given."""

    kind: str = Field(default="", description="User, Group or ServiceAccount.")
    api_group: str | None = Field(
        default=None, description="rbac.authorization.k8s.io for users and groups, absent for service accounts."
    )
    name: str = Field(default="", description="Name of the user, the group or the service account.")
    namespace: str | None = Field(default=None, description="Namespace of the service account; of nobody else.")


class RoleRef(WireModel):
    """The role that a binding gives. It cannot be changed."""

    api_group: str = Field(default="", description="Always rbac.authorization.k8s.io.")
    kind: str = Field(default="", description="ClusterRole, or Role (of the binding's namespace).")
    name: str = Field(default="", description="Name of the role.")


class Role(WireModel):
    """Rules for one namespace."""

    api_version: ApiVersion = "rbac.authorization.k8s.io/v1"
    kind: Literal["Role"] = "Role"
    metadata: ObjectMeta = ObjectMeta()
    rules: tuple[PolicyRule, ...] = Field(default=(), description="All that the role allows.")


class ClusterRole(WireModel):
    """Rules for all namespaces, for what is in none, for paths; or for the namespace in which a binding gives it."""

    api_version: ApiVersion = "rbac.authorization.k8s.io/v1"
    kind: Literal["ClusterRole"] = "ClusterRole"
    metadata: ObjectMeta = ObjectMeta()
    rules: tuple[PolicyRule, ...] = Field(
        default=(), description="All that the role allows; filled in by the server if it has an aggregationRule."
    )
    aggregation_rule: AggregationRule | None = Field(
        default=None, description="Gathers the rules of other cluster roles; what is written into rules is replaced."
    )


class RoleBinding(WireModel):
    """Gives a role to somebody within one namespace."""

    api_version: ApiVersion = "rbac.authorization.k8s.io/v1"
    kind: Literal["RoleBinding"] = "RoleBinding"
    metadata: ObjectMeta = ObjectMeta()
    subjects: tuple[Subject, ...] | None = Field(default=None, description="Who gets the role.")
    role_ref: RoleRef = Field(default=RoleRef(), description="The role: a Role of this namespace, or a ClusterRole.")


class ClusterRoleBinding(WireModel):
    """Gives a cluster role to somebody, everywhere."""

    api_version: ApiVersion = "rbac.authorization.k8s.io/v1"
    kind: Literal["ClusterRoleBinding"] = "ClusterRoleBinding"
    metadata: ObjectMeta = ObjectMeta()
    subjects: tuple[Subject, ...] | None = Field(default=None, description="Who gets the role.")
    role_ref: RoleRef = Field(default=RoleRef(), description="The role: always a ClusterRole.")


AnyRole = Role | ClusterRole
AnyBinding = RoleBinding | ClusterRoleBinding
