"""What of the rules of a role somebody holds already: Kubernetes' `Covers`, in bounded time."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.model.objects.rbac import PolicyRule
from chandlery_gateway.identity.rbac.rule_cover import (
    FULL_AUTHORITY,
    TooManyCombinations,
    covers,
    described,
    missing_rules,
)


def rule(verbs: str = "get", resources: str = "", groups: str = "", names: str = "", paths: str = "") -> PolicyRule:
    """Words are given in one text; the core group is written `core`."""
    fields: dict[str, Any] = {"verbs": tuple(verbs.split())}
    if resources:
        fields["resources"] = tuple(resources.split())
        fields["api_groups"] = tuple(each.replace("core", "") for each in (groups or "core").split())
        fields["resource_names"] = tuple(names.split()) or None
    if paths:
        fields["non_resource_urls"] = tuple(paths.split())
    return PolicyRule(**fields)


@pytest.mark.parametrize(
    ("held", "granted", "is_covered"),
    [
        pytest.param([], [], True, id="nothing"),
        pytest.param([], [rule(resources="secrets")], False, id="something by nobody"),
        pytest.param([rule("get list", "secrets")], [rule("list get", "secrets")], True, id="the same"),
        pytest.param([rule("get", "secrets"), rule("list", "secrets")], [rule("get list", "secrets")], True, id="sum"),
        pytest.param([rule("get", "a"), rule("list", "b")], [rule("get list", "a b")], False, id="only two corners"),
        pytest.param(
            [rule("get", "a b"), rule("list", "a"), rule("list", "b")], [rule("get list", "a b")], True, id="in parts"
        ),
        pytest.param([rule("*", "a")], [rule("get", "a")], True, id="all verbs"),
        pytest.param([rule("get list watch", "a")], [rule("*", "a")], False, id="a star needs a star"),
        pytest.param([rule("get", "*")], [rule("get", "a a/status")], True, id="all resources with subresources"),
        pytest.param([rule("get", "a")], [rule("get", "a/status")], False, id="a resource is not its subresource"),
        pytest.param([rule("get", "*/status")], [rule("get", "a/status b/status")], True, id="a subresource of all"),
        pytest.param([rule("get", "*/status")], [rule("get", "a")], False, id="a subresource is not the resource"),
        pytest.param([rule("get", "*/status")], [rule("get", "*/status")], True, id="the pattern itself"),
        pytest.param([rule("get", "*/")], [rule("get", "a *")], False, id="a subresource without a name is nothing"),
        pytest.param([rule("get", "a", "*")], [rule("get", "a", "core apps")], True, id="all groups"),
        pytest.param([rule("get", "a", "apps")], [rule("get", "a", "core apps")], False, id="one group of two"),
        pytest.param([rule("get", "a")], [rule("get", "a", names="x")], True, id="all objects cover one"),
        pytest.param([rule("get", "a", names="x")], [rule("get", "a")], False, id="one object does not cover all"),
        pytest.param(
            [rule("get", "a", names="x"), rule("get", "a", names="y")],
            [rule("get", "a", names="x y")],
            True,
            id="two",
        ),
        pytest.param([rule(paths="/docs/*")], [rule(paths="/docs/a /docs/b/*")], True, id="paths below"),
        pytest.param([rule(paths="/docs/*")], [rule(paths="/docs")], False, id="not the path above"),
        pytest.param([rule(paths="*")], [rule(paths="/docs")], True, id="all paths"),
        pytest.param([rule(paths="/docs")], [rule(paths="*")], False, id="one path is not all"),
        pytest.param([rule("*", "*", "*")], [rule(paths="/docs")], False, id="resources are no paths"),
        pytest.param(FULL_AUTHORITY, [rule("*", "*", "*"), rule("*", paths="*")], True, id="everything"),
        pytest.param([rule("*", "*", "*")], FULL_AUTHORITY, False, id="everything but paths"),
    ],
)
def test_rules_are_covered_as_kubernetes_says(
    held: list[PolicyRule], granted: list[PolicyRule], *, is_covered: bool
) -> None:
    assert covers(held, granted) is is_covered


def test_what_is_missing_is_said_in_kubernetes_words() -> None:
    held = [rule("get", "secrets")]
    missing = missing_rules(held, [rule("get list", "secrets"), rule("get", "a", "apps", names="x"), rule(paths="/x")])
    assert described(missing) == (
        '{APIGroups:[""], Resources:["secrets"], Verbs:["list"]}',
        '{APIGroups:["apps"], Resources:["a"], ResourceNames:["x"], Verbs:["get"]}',
        '{NonResourceURLs:["/x"], Verbs:["get"]}',
    )


def test_a_long_list_of_what_is_missing_is_cut() -> None:
    missing = missing_rules([], [rule("get", " ".join(f"r{number}" for number in range(1_000)))])
    assert len(described(missing)) == 101
    assert described(missing)[-1] == "and more"


def _many(prefix: str, count: int = 3_000) -> str:
    return " ".join(f"{prefix}{number}" for number in range(count))


def test_a_rule_with_billions_of_combinations_is_compared_all_the_same() -> None:
    vast = rule(_many("v"), _many("r"), _many("g"), _many("n"))
    assert covers(FULL_AUTHORITY, [vast])
    assert covers([rule("*", _many("r"), "*")], [vast])
    assert len(missing_rules([rule("v1", "r1", "*")], [vast])) == 2


def test_what_would_take_too_long_is_not_compared() -> None:
    held = [rule(f"v{number}", f"r{number}", names=f"n{number}") for number in range(3_000)]
    with pytest.raises(TooManyCombinations):
        covers(held, [rule(_many("v"), _many("r"), names=_many("n"))])


_WORDS = st.sampled_from(["*", "a", "b", "a/s", "*/s"])
_LISTS = st.lists(_WORDS, min_size=1, max_size=3).map(tuple)
_RULES = st.builds(
    lambda verbs, groups, resources, names: PolicyRule(
        verbs=verbs, api_groups=groups, resources=resources, resource_names=names
    ),
    _LISTS,
    _LISTS,
    _LISTS,
    st.none() | _LISTS,
)


def _is_held(held: list[PolicyRule], one: tuple[str, str, str, str | None]) -> bool:
    """One combination, looked up as Kubernetes does."""
    verb, group, resource, name = one
    return any(
        (verb in owner.verbs or "*" in owner.verbs)
        and (group in (owner.api_groups or ()) or "*" in (owner.api_groups or ()))
        and (
            resource in (owner.resources or ())
            or "*" in (owner.resources or ())
            or ("/" in resource and f"*/{resource.partition('/')[2]}" in (owner.resources or ()))
        )
        and (not owner.resource_names or name in owner.resource_names)
        for owner in held
    )


def _combinations(rules: tuple[PolicyRule, ...] | list[PolicyRule]) -> set[tuple[str, str, str, str | None]]:
    return {
        each
        for one in rules
        for each in product(one.verbs, one.api_groups or (), one.resources or (), one.resource_names or (None,))
    }


@given(st.lists(_RULES, max_size=4), st.lists(_RULES, max_size=3))
def test_what_is_missing_are_the_combinations_that_kubernetes_would_find(
    held: list[PolicyRule], granted: list[PolicyRule]
) -> None:
    expected = {each for each in _combinations(granted) if not _is_held(held, each)}
    assert _combinations(missing_rules(held, granted)) == expected
