"""What the roles that come with Chandlery allow, and what they do not."""

from collections.abc import Sequence

import pytest

from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import KINDS
from chandlery.model.objects.rbac import ClusterRole, PolicyRule
from chandlery.reconcile.policies.aggregated_rules import with_gathered_rules
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission
from chandlery_gateway.identity.default_roles.coming_roles import DEFAULT_BINDINGS, DEFAULT_ROLES
from chandlery_gateway.identity.rbac.rule_cover import covers

CATALOG = "servicecatalog.k8s.io"
ROLES = {role.metadata.name: with_gathered_rules(role, DEFAULT_ROLES) for role in DEFAULT_ROLES}


def may(role: str, verb: str, resource: str, group: str = "") -> bool:
    wanted = PolicyRule(verbs=(verb,), api_groups=(group,), resources=(resource,))
    return covers(ROLES[role].rules, [wanted])


def test_roles_are_those_that_are_documented() -> None:
    assert list(ROLES) == [
        "cluster-admin",
        "chandlery:admin",
        "chandlery:broker-admin",
        "chandlery:catalog-viewer",
        "system:discovery",
        "system:public-info-viewer",
        "system:monitoring",
        "system:basic-user",
        "admin",
        "edit",
        "view",
        "system:aggregate-to-admin",
        "system:aggregate-to-edit",
        "system:aggregate-to-view",
        "chandlery:aggregate-to-admin",
        "chandlery:aggregate-to-edit",
        "chandlery:aggregate-to-view",
    ]


@pytest.mark.parametrize("document", [*DEFAULT_ROLES, *DEFAULT_BINDINGS], ids=lambda each: str(each.metadata.name))
def test_what_comes_along_is_what_admission_lets_in(document: ClusterRole) -> None:
    prepared = ObjectAdmission().prepare(document, UserInfo(username="x"))
    assert prepared.document == document
    assert [warning for warning in prepared.warnings if "audit.chandlery.io" not in warning] == []


def test_everybody_is_let_do_next_to_nothing() -> None:
    given = {
        (binding.role_ref.name, subject.name) for binding in DEFAULT_BINDINGS for subject in binding.subjects or ()
    }
    assert given == {
        ("cluster-admin", "system:masters"),
        ("system:discovery", "system:authenticated"),
        ("system:basic-user", "system:authenticated"),
        ("system:public-info-viewer", "system:authenticated"),
        ("system:public-info-viewer", "system:unauthenticated"),
        ("system:monitoring", "system:monitoring"),
    }
    for role in ("system:discovery", "system:public-info-viewer", "system:monitoring"):
        assert all(not rule.resources and rule.verbs == ("get",) for rule in ROLES[role].rules)


@pytest.mark.parametrize("role", ["view", "chandlery:catalog-viewer", "chandlery:broker-admin", "system:basic-user"])
@pytest.mark.parametrize("verb", ["get", "list", "watch", "create", "*"])
def test_secrets_are_not_for_everybody(role: str, verb: str) -> None:
    assert not may(role, verb, "secrets")


@pytest.mark.parametrize(
    ("role", "verb", "resource", "group", "is_allowed"),
    [
        ("view", "watch", "serviceinstances", CATALOG, True),
        ("view", "get", "serviceinstances/status", CATALOG, True),
        ("view", "create", "serviceinstances", CATALOG, False),
        ("view", "list", "events", "", True),
        ("view", "get", "roles", "rbac.authorization.k8s.io", False),
        ("view", "list", "clusterserviceclasses", CATALOG, False),
        ("edit", "get", "secrets", "", True),
        ("edit", "create", "servicebindings", CATALOG, True),
        ("edit", "update", "servicebindings/status", CATALOG, False),
        ("edit", "create", "servicebrokers", CATALOG, False),
        ("edit", "create", "serviceaccounts/token", "", False),
        ("edit", "impersonate", "serviceaccounts", "", False),
        ("edit", "adopt", "serviceinstances", CATALOG, False),
        ("admin", "adopt", "serviceinstances", CATALOG, False),
        ("admin", "create", "servicebrokers", CATALOG, True),
        ("admin", "create", "serviceaccounts/token", "", True),
        ("admin", "create", "rolebindings", "rbac.authorization.k8s.io", True),
        ("admin", "bind", "roles", "rbac.authorization.k8s.io", False),
        ("admin", "escalate", "roles", "rbac.authorization.k8s.io", False),
        ("admin", "delete", "namespaces", "", False),
        ("admin", "create", "clusterservicebrokers", CATALOG, False),
        ("chandlery:catalog-viewer", "list", "clusterserviceplans", CATALOG, True),
        ("chandlery:catalog-viewer", "list", "clusterservicebrokers", CATALOG, False),
        ("chandlery:broker-admin", "create", "clusterservicebrokers", CATALOG, True),
        ("chandlery:broker-admin", "update", "clusterservicebrokers/status", CATALOG, False),
        ("chandlery:broker-admin", "list", "serviceinstances", CATALOG, False),
        ("chandlery:admin", "adopt", "serviceinstances", CATALOG, True),
        ("chandlery:admin", "escalate", "clusterroles", "rbac.authorization.k8s.io", False),
        ("chandlery:admin", "impersonate", "users", "", False),
        ("chandlery:admin", "list", "auditevents", "audit.chandlery.io", True),
        ("cluster-admin", "impersonate", "users", "", True),
    ],
)
def test_role_allows_what_it_should(role: str, verb: str, resource: str, group: str, *, is_allowed: bool) -> None:
    assert may(role, verb, resource, group) is is_allowed


@pytest.mark.parametrize(
    ("holder", "granted"),
    [
        ("admin", "edit"),
        ("edit", "view"),
        *(("chandlery:admin", role) for role in ("admin", "chandlery:broker-admin", "chandlery:catalog-viewer")),
        ("cluster-admin", "chandlery:admin"),
    ],
)
def test_who_has_the_larger_role_may_give_the_smaller_one(holder: str, granted: str) -> None:
    assert covers(ROLES[holder].rules, ROLES[granted].rules)
    assert not covers(ROLES[granted].rules, ROLES[holder].rules)


def test_every_kind_that_is_stored_can_be_read_by_the_administrator_of_chandlery() -> None:
    hidden = [kind.kind for kind in KINDS.values() if not may("chandlery:admin", "list", kind.plural, kind.group)]
    assert hidden == []


def resources_of(rules: Sequence[PolicyRule]) -> set[str]:
    return {resource for rule in rules for resource in rule.resources or ()}


def test_every_resource_that_a_namespaced_role_speaks_of_lies_in_namespaces() -> None:
    cluster_wide = {kind.plural for kind in KINDS.values() if not kind.namespaced} - {"namespaces"}
    for role in ("admin", "edit", "view"):
        assert resources_of(ROLES[role].rules).isdisjoint(cluster_wide)
