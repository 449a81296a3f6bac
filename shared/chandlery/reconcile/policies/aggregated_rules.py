"""The rules of cluster roles that gather those of others (`aggregationRule`). Pure; the store asks when one changes.

As Kubernetes' controller: rules of the roles that match, in the order of their names, each rule once. A role that
matches may gather rules itself: then what counts are the roles that it gathers them from, not what happens to stand in
it, so that the outcome depends on nothing but what people have written, and rings of roles come to rest.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from chandlery.model.objects.rbac import ClusterRole, LabelSelector, PolicyRule
from chandlery.reconcile.policies.label_selectors import Operator, Requirement, Selector

MOST_WORDS: Final = 10_000
"""Words in all rules of a role that gathers: as many values as an object may have that somebody writes."""

_OPERATORS = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.DOES_NOT_EXIST,
}


def is_news(before: ClusterRole | None, after: ClusterRole | None) -> bool:
    """Whether rules that others gather, or that one of the two gathers itself, may have become other ones."""
    if before is None or after is None:
        return True
    return (before.rules, before.metadata.labels, before.aggregation_rule) != (
        after.rules,
        after.metadata.labels,
        after.aggregation_rule,
    )


def with_gathered_rules(role: ClusterRole, roles: Sequence[ClusterRole]) -> ClusterRole:
    """The role as it should be, if `roles` are all that are stored; itself if it gathers nothing, or nothing new.

    It is never larger than a role that somebody writes: rules beyond that are left out, and so grant nothing.
    """
    if role.aggregation_rule is None:
        return role
    sources = {each.metadata.name: each for each in roles if each.metadata.name != role.metadata.name}
    gathered: dict[PolicyRule, None] = {}
    words = 0
    for rule in _gathered(role, sources, {role.metadata.name}):
        words += 1 + _words(rule)
        if words > MOST_WORDS:
            break
        gathered[rule] = None
    rules = tuple(gathered)
    return role if rules == role.rules else role.model_copy(update={"rules": rules})


def is_full(role: ClusterRole) -> bool:
    """Whether a role has gathered about as much as it can hold, so that something may be missing."""
    return role.aggregation_rule is not None and sum(1 + _words(rule) for rule in role.rules) > MOST_WORDS * 9 // 10


def _words(rule: PolicyRule) -> int:
    lists = (rule.verbs, rule.api_groups, rule.resources, rule.resource_names, rule.non_resource_urls)
    return sum(len(each) for each in lists if each)


def _gathered(role: ClusterRole, roles: Mapping[str, ClusterRole], seen: set[str]) -> Iterator[PolicyRule]:
    selectors = _selectors(role)
    for name in sorted(roles):
        labels = roles[name].metadata.labels or {}
        if name in seen or not any(selector.matches(labels) for selector in selectors):
            continue
        seen.add(name)
        if roles[name].aggregation_rule is None:
            yield from roles[name].rules
        else:
            yield from _gathered(roles[name], roles, seen)


def _selectors(role: ClusterRole) -> Sequence[Selector]:
    rule = role.aggregation_rule
    return [_selector(each) for each in (rule.cluster_role_selectors if rule else None) or ()]


def _selector(selector: LabelSelector) -> Selector:
    labels = (selector.match_labels or {}).items()
    equalities = (Requirement(key, Operator.EQUALS, frozenset({value})) for key, value in labels)
    terms = (
        Requirement(term.key, _OPERATORS[term.operator], frozenset(term.values or ()))
        for term in selector.match_expressions or ()
    )
    return Selector((*equalities, *terms))
