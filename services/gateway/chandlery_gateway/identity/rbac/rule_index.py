"""Roles and bindings in memory, found by whom they are given to. Pure; `rule_keeper` keeps it in step.

Comes in: roles and bindings as they are written and removed. Goes out: the grants of a user.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from chandlery_gateway.identity.rbac.policy_rules import Role

CLUSTER: Final = ""
"""In place of a namespace."""
USER, GROUP, SERVICE_ACCOUNT = "User", "Group", "ServiceAccount"

Place = tuple[str, str]
"""Namespace (`CLUSTER` for what is in none) and name."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a binding gives its role to."""

    kind: str
    name: str
    namespace: str = ""
    """Of a service account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A role for some subjects, in one namespace or everywhere."""

    namespace: str
    """`CLUSTER` for a ClusterRoleBinding."""
    name: str
    role_kind: str
    role_name: str
    subjects: tuple[Subject, ...]

    @property
    def role(self) -> Place:
        """Where the role is; there may be none."""
        return (self.namespace if self.role_kind == "Role" else CLUSTER), self.role_name


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that somebody has, and by which binding."""

    binding: Binding
    subject: Subject

    def __str__(self) -> str:
        """As Kubernetes says it: `RoleBinding "x/team" of Role "y" to User "z"`."""
        binding, subject = self.binding, self.subject
        kind, called = ("RoleBinding", f"{binding.name}/{binding.namespace}")
        if binding.namespace == CLUSTER:
            kind, called = "ClusterRoleBinding", binding.name
        whom = subject.name
        if subject.kind == SERVICE_ACCOUNT:
            whom = f"{subject.name}/{subject.namespace or binding.namespace}"
        return f'{kind} "{called}" of {binding.role_kind} "{binding.role_name}" to {subject.kind} "{whom}"'


Grants = Mapping[str, Mapping[str, Grant]]
"""Of one subject: namespace -> name of the binding -> grant."""


@dataclass(slots=True)
class RuleIndex:
    """All roles and bindings."""

    roles: dict[Place, Role] = field(default_factory=dict)
    _bindings: dict[Place, Binding] = field(default_factory=dict)
    _grants: dict[tuple[str, str], dict[str, dict[str, Grant]]] = field(default_factory=dict)
    """By what kind of subject, and what it is called as a user or group."""

    def put_role(self, place: Place, role: Role) -> None:
        """The role is this one from now on."""
        self.roles[place] = role

    def remove_role(self, place: Place) -> None:
        """There is no such role any more; its bindings give nothing."""
        self.roles.pop(place, None)

    def put_binding(self, binding: Binding) -> None:
        """The binding is this one from now on."""
        place = (binding.namespace, binding.name)
        self.remove_binding(place)
        self._bindings[place] = binding
        for key, subject in _keys(binding):
            self._grants.setdefault(key, {}).setdefault(binding.namespace, {})[binding.name] = Grant(binding, subject)

    def remove_binding(self, place: Place) -> None:
        """There is no such binding any more."""
        binding = self._bindings.pop(place, None)
        for key, _ in _keys(binding) if binding else ():
            by_namespace = self._grants.get(key, {})
            by_name = by_namespace.get(binding.namespace, {}) if binding else {}
            by_name.pop(place[1], None)
            if not by_name:
                by_namespace.pop(place[0], None)
            if not by_namespace:
                self._grants.pop(key, None)

    def grants_of(self, username: str, groups: Iterable[str]) -> list[Grants]:
        """What is given to the user, and to each of the groups."""
        keys = [(USER, username), *((GROUP, group) for group in dict.fromkeys(groups))]
        return [found for key in keys if (found := self._grants.get(key))]

    def __len__(self) -> int:
        """How many roles and bindings there are."""
        return len(self.roles) + len(self._bindings)


def _keys(binding: Binding) -> Iterator[tuple[tuple[str, str], Subject]]:
    for subject in binding.subjects:
        if subject.kind in (USER, GROUP):
            yield (subject.kind, subject.name), subject
        elif subject.kind == SERVICE_ACCOUNT and (namespace := subject.namespace or binding.namespace):
            # Its user name says which one it is.
            yield (USER, f"system:serviceaccount:{namespace}:{subject.name}"), subject
