"""From stored roles and bindings to what decides. Pure.

What is not what a role or a binding should be allows nothing: it is left out as a whole, and whoever reads it says so.
"""

from collections.abc import Iterator
from typing import Any

from chandlery.model.objects import kinds
from chandlery.model.objects.rbac import RBAC_GROUP
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.identity.rbac.policy_rules import PolicyRule, Role
from chandlery_gateway.identity.rbac.rule_index import CLUSTER, GROUP, SERVICE_ACCOUNT, USER, Binding, Subject

ROLE_KINDS = frozenset({kinds.ROLE.kind, kinds.CLUSTER_ROLE.kind})
_GROUP_OF_SUBJECT = {USER: RBAC_GROUP, GROUP: RBAC_GROUP, SERVICE_ACCOUNT: ""}


class Unreadable(ValueError):
    """It is stored in a form that no role or binding has; the message says where, and quotes nothing."""


def read_role(body: JsonObject) -> Role:
    """The role with these fields. Raises Unreadable."""
    return Role([_rule(each, f"rules[{at}]") for at, each in enumerate(_items(body, "rules", ""))])


def read_binding(kind: str, namespace: str, name: str, body: JsonObject) -> Binding:
    """The binding with these fields. Raises Unreadable."""
    ref = body.get("roleRef")
    if not isinstance(ref, dict) or ref.get("apiGroup") != RBAC_GROUP:
        raise Unreadable("roleRef")
    role_kind = _text(ref, "kind", "roleRef")
    allowed = (kinds.CLUSTER_ROLE.kind,) if kind == kinds.CLUSTER_ROLE_BINDING.kind else tuple(ROLE_KINDS)
    if role_kind not in allowed:
        raise Unreadable("roleRef.kind")
    return Binding(
        namespace=CLUSTER if kind == kinds.CLUSTER_ROLE_BINDING.kind else namespace,
        name=name,
        role_kind=role_kind,
        role_name=_text(ref, "name", "roleRef"),
        subjects=tuple(_subjects(body)),
    )


def _rule(rule: Any, where: str) -> PolicyRule:
    if not isinstance(rule, dict):
        raise Unreadable(where)
    return PolicyRule(
        verbs=_words(rule, "verbs", where),
        groups=_words(rule, "apiGroups", where),
        resources=_words(rule, "resources", where),
        names=_words(rule, "resourceNames", where),
        paths=_words(rule, "nonResourceURLs", where),
    )


def _subjects(body: JsonObject) -> Iterator[Subject]:
    for at, each in enumerate(_items(body, "subjects", "")):
        where = f"subjects[{at}]"
        if not isinstance(each, dict):
            raise Unreadable(where)
        kind = _text(each, "kind", where)
        if (each.get("apiGroup") or "") != _GROUP_OF_SUBJECT.get(kind):
            raise Unreadable(f"{where}.apiGroup")
        yield Subject(kind, _text(each, "name", where), _text(each, "namespace", where, is_needed=False))


def _words(rule: JsonObject, field: str, where: str) -> tuple[str, ...]:
    words = tuple(_items(rule, field, where))
    if not all(isinstance(word, str) for word in words):
        raise Unreadable(f"{where}.{field}")
    return words


def _items(body: JsonObject, field: str, where: str) -> list[Any]:
    items = body.get(field) or []
    if not isinstance(items, list):
        raise Unreadable(f"{where}.{field}".strip("."))
    return items


def _text(body: JsonObject, field: str, where: str, *, is_needed: bool = True) -> str:
    value = body.get(field) or ""
    if not isinstance(value, str) or (is_needed and not value):
        raise Unreadable(f"{where}.{field}")
    return value
