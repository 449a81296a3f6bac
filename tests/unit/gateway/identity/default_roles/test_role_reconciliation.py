"""What comes with Chandlery is added to what is there, and nothing is taken away."""

from typing import Any

import pytest

from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.rbac import (
    AggregationRule,
    ClusterRole,
    ClusterRoleBinding,
    LabelSelector,
    PolicyRule,
    RoleRef,
    Subject,
)
from chandlery_gateway.identity.default_roles.coming_roles import AUTOUPDATE, DEFAULT_BINDINGS, DEFAULT_ROLES
from chandlery_gateway.identity.default_roles.role_reconciliation import (
    must_be_made_anew,
    reconciled_binding,
    reconciled_role,
)
from chandlery_gateway.identity.rbac.rule_cover import covers

WANTED = {role.metadata.name: role for role in DEFAULT_ROLES}
BINDINGS = {binding.metadata.name: binding for binding in DEFAULT_BINDINGS}
OWN = PolicyRule(verbs=("get",), api_groups=("example.com",), resources=("things",))
PROTECTED = {AUTOUPDATE: "false"}


def changed(role: Any, **metadata: Any) -> Any:
    return role.model_copy(update={"metadata": role.metadata.model_copy(update=metadata)})


@pytest.mark.parametrize("role", DEFAULT_ROLES, ids=lambda role: str(role.metadata.name))
def test_what_is_as_it_should_be_is_left_alone(role: ClusterRole) -> None:
    stored = changed(role, uid="u", resource_version="7")
    assert reconciled_role(stored, role) is stored


def test_rules_that_are_missing_are_added_and_an_operators_stay() -> None:
    wanted = WANTED["chandlery:broker-admin"]
    stored = wanted.model_copy(update={"rules": (OWN, wanted.rules[0])})
    found = reconciled_role(stored, wanted)
    assert found.rules[:2] == stored.rules
    assert covers(found.rules, wanted.rules)
    assert reconciled_role(found, wanted) is found


def test_rules_that_say_the_same_in_other_words_are_enough() -> None:
    everything = PolicyRule(verbs=("*",), api_groups=("*",), resources=("*",))
    stored = WANTED["chandlery:broker-admin"].model_copy(update={"rules": (everything,)})
    assert reconciled_role(stored, WANTED["chandlery:broker-admin"]) is stored


def test_labels_and_annotations_of_an_operator_have_precedence() -> None:
    label = next(iter(WANTED["edit"].metadata.labels or {}))
    stored = changed(WANTED["edit"], labels={label: "mine", "team": "a"}, annotations={"note": "x"})
    found = reconciled_role(stored, WANTED["edit"])
    assert (found.metadata.labels or {})[label] == "mine"
    assert (found.metadata.labels or {})["team"] == "a"
    assert found.metadata.annotations == {AUTOUPDATE: "true", "note": "x"}


def test_a_role_that_gathers_keeps_its_rules_and_further_selectors() -> None:
    own = LabelSelector(match_labels={"mine": "true"})
    stored = WANTED["admin"].model_copy(
        update={"rules": (OWN,), "aggregation_rule": AggregationRule(cluster_role_selectors=(own,))}
    )
    found = reconciled_role(stored, WANTED["admin"])
    assert found.rules == (OWN,)
    assert found.aggregation_rule is not None
    assert found.aggregation_rule.cluster_role_selectors is not None
    assert found.aggregation_rule.cluster_role_selectors[0] == own
    assert len(found.aggregation_rule.cluster_role_selectors) == 2


def test_who_has_been_left_out_is_given_the_role_again_and_others_keep_it() -> None:
    ann = Subject(kind="User", api_group="rbac.authorization.k8s.io", name="ann")
    stored = BINDINGS["cluster-admin"].model_copy(update={"subjects": (ann,)})
    found = reconciled_binding(stored, BINDINGS["cluster-admin"])
    assert found.subjects == (ann, *(BINDINGS["cluster-admin"].subjects or ()))
    assert reconciled_binding(found, BINDINGS["cluster-admin"]) is found


def test_what_an_operator_keeps_is_left_alone() -> None:
    bare = ClusterRole(metadata=ObjectMeta(name="cluster-admin", annotations=PROTECTED))
    assert reconciled_role(bare, WANTED["cluster-admin"]) is bare
    binding = ClusterRoleBinding(
        metadata=ObjectMeta(name="cluster-admin", annotations=PROTECTED), role_ref=RoleRef(kind="ClusterRole", name="x")
    )
    assert reconciled_binding(binding, BINDINGS["cluster-admin"]) is binding
    assert not must_be_made_anew(binding, BINDINGS["cluster-admin"])


def test_a_binding_that_gives_another_role_is_made_anew() -> None:
    other = BINDINGS["cluster-admin"].model_copy(update={"role_ref": RoleRef(kind="ClusterRole", name="view")})
    assert must_be_made_anew(other, BINDINGS["cluster-admin"])
    assert not must_be_made_anew(BINDINGS["cluster-admin"], BINDINGS["cluster-admin"])
