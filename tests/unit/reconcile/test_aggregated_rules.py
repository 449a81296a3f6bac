"""Cluster roles that gather the rules of others."""

from typing import Any

import pytest

from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.rbac import AggregationRule, ClusterRole, LabelSelector, PolicyRule
from chandlery.reconcile.policies.aggregated_rules import MOST_WORDS, is_full, with_gathered_rules


def rules(*resources: str) -> tuple[PolicyRule, ...]:
    return tuple(PolicyRule(verbs=("get",), api_groups=("",), resources=(each,)) for each in resources)


def role(name: str, *resources: str, labels: str = "", gathers: Any = None) -> ClusterRole:
    """`labels` is one key, `gathers` the key that it looks for, or whole selectors."""
    selectors = [{"matchLabels": {gathers: "true"}}] if isinstance(gathers, str) else gathers
    return ClusterRole(
        metadata=ObjectMeta(name=name, labels={labels: "true"} if labels else None),
        rules=rules(*resources),
        aggregation_rule=AggregationRule(
            cluster_role_selectors=tuple(LabelSelector.model_validate(each) for each in selectors)
        )
        if selectors
        else None,
    )


def gathered(name: str, *roles: ClusterRole) -> list[str]:
    wanted = next(each for each in roles if each.metadata.name == name)
    found = with_gathered_rules(wanted, roles)
    return [resource for rule in found.rules for resource in rule.resources or ()]


def test_a_role_that_gathers_nothing_is_left_as_it_is() -> None:
    plain = role("a", "x", labels="l")
    assert with_gathered_rules(plain, (plain, role("b", "y", labels="l"))) is plain


def test_rules_come_in_the_order_of_names_and_once() -> None:
    roles = (role("c", "z", "x", labels="l"), role("all", gathers="l"), role("b", "x", labels="l"), role("d", "no"))
    assert gathered("all", *roles) == ["x", "z"]


def test_what_was_written_into_the_rules_is_replaced() -> None:
    assert gathered("all", role("all", "mine", gathers="l"), role("b", "x", labels="l")) == ["x"]
    assert gathered("all", role("all", "mine", gathers="l")) == []


def test_a_role_that_gathers_too_gives_what_it_gathers_and_not_what_stands_in_it() -> None:
    roles = (role("admin", gathers="a"), role("edit", "stale", labels="a", gathers="e"), role("x", "fresh", labels="e"))
    assert gathered("admin", *roles) == ["fresh"]


def test_roles_that_gather_each_other_come_to_rest() -> None:
    roles = (
        role("a", "old", labels="l", gathers="l"),
        role("b", "old", labels="l", gathers="l"),
        role("c", "x", labels="l"),
    )
    assert gathered("a", *roles) == gathered("b", *roles) == ["x"]


def test_a_role_gathers_no_more_than_a_role_may_have() -> None:
    many = [f"r{number}" for number in range(3_000)]
    roles = (
        role("all", gathers="l"),
        role("b", *many, labels="l"),
        role("a", *(f"a{each}" for each in many), labels="l"),
    )
    found = with_gathered_rules(roles[0], roles)
    assert len(found.rules) == MOST_WORDS // 4
    assert is_full(found)
    assert not is_full(with_gathered_rules(roles[0], (roles[0], role("c", "x", labels="l"))))


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, ["x", "y"]),
        ({"matchLabels": {"l": "true"}}, ["x"]),
        ({"matchLabels": {"l": "false"}}, []),
        ({"matchExpressions": [{"key": "l", "operator": "In", "values": ["true", "maybe"]}]}, ["x"]),
        ({"matchExpressions": [{"key": "l", "operator": "NotIn", "values": ["true"]}]}, ["y"]),
        ({"matchExpressions": [{"key": "l", "operator": "Exists"}]}, ["x"]),
        ({"matchExpressions": [{"key": "l", "operator": "DoesNotExist"}]}, ["y"]),
        ({"matchLabels": {"l": "true"}, "matchExpressions": [{"key": "l", "operator": "DoesNotExist"}]}, []),
    ],
)
def test_selectors_are_kubernetes(selector: dict[str, Any], expected: list[str]) -> None:
    roles = (role("all", gathers=[selector]), role("a", "x", labels="l"), role("b", "y", labels="other"))
    assert gathered("all", *roles) == expected


def test_any_of_the_selectors_is_enough() -> None:
    selectors = [{"matchLabels": {"l": "true"}}, {"matchLabels": {"other": "true"}}]
    roles = (role("all", gathers=selectors), role("a", "x", labels="l"), role("b", "y", labels="other"))
    assert gathered("all", *roles) == ["x", "y"]
