"""Rules for Role and ClusterRole: `pkg/apis/rbac/validation` of Kubernetes, with its words.

Whether somebody may grant what a role says is not decided here but asked (`role_grants`): these rules are about the
object alone.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.rbac import AnyRole, ClusterRole, LabelSelector, LabelSelectorRequirement, PolicyRule, Role
from chandlery.model.text.names import path_segment_problem
from chandlery_gateway.admission.access.granted_rights import Grant, granted_by_role, hands_out_nothing_new
from chandlery_gateway.admission.access.known_resources import unknown_resources
from chandlery_gateway.admission.field_checks import invalid, required
from chandlery_gateway.admission.kind_rules import KindRules, NewId
from chandlery_gateway.kube.query.selectors import label_key_problem, label_value_problem

_LISTS: Final = ("api_groups", "resources", "resource_names", "non_resource_urls")
_WITH_VALUES: Final = ("In", "NotIn")
_WITHOUT_VALUES: Final = ("Exists", "DoesNotExist")


class _AnyRoleRules(KindRules[Any]):
    """What roles of both kinds have in common."""

    def name_problem(self, name: str) -> str | None:
        return path_segment_problem(name)

    def default_new(self, document: AnyRole, user: UserInfo, *, new_id: NewId) -> AnyRole:
        return _tidied(document)

    def default_changed(self, old: AnyRole, new: AnyRole, *, user: UserInfo) -> AnyRole:
        return _tidied(new)

    def grant(self, document: AnyRole) -> Grant | None:
        return granted_by_role(document)

    def changed_grant(self, old: AnyRole, new: AnyRole) -> Grant | None:
        return None if hands_out_nothing_new(old, new) else granted_by_role(new, old=old)

    def new_warnings(self, document: AnyRole) -> tuple[str, ...]:
        return unknown_resources(document.rules)

    def changed_warnings(self, old: AnyRole, new: AnyRole) -> tuple[str, ...]:
        return () if old.rules == new.rules else unknown_resources(new.rules)

    def changed_problems(self, old: AnyRole, new: AnyRole) -> Iterable[FieldProblem]:
        # Whatever older rules let in can still be labelled.
        return () if _says_the_same(old, new) else self.new_problems(new)


class RoleRules(_AnyRoleRules):
    """The rules of roles."""

    def new_problems(self, document: Role) -> Iterable[FieldProblem]:
        return _rules_problems(document.rules, is_namespaced=True)


class ClusterRoleRules(_AnyRoleRules):
    """The rules of cluster roles."""

    def new_problems(self, document: ClusterRole) -> Iterable[FieldProblem]:
        yield from _rules_problems(document.rules, is_namespaced=False)
        if document.aggregation_rule is None:
            return
        field = "aggregationRule.clusterRoleSelectors"
        selectors = document.aggregation_rule.cluster_role_selectors or ()
        if not selectors:
            yield required(field, "at least one clusterRoleSelector required if aggregationRule is non-nil")
        for position, selector in enumerate(selectors):
            yield from _selector_problems(f"{field}[{position}]", selector)


def _tidied(role: AnyRole) -> AnyRole:
    """Empty lists are absent, as Kubernetes stores them; `kubectl apply` would find a difference each time."""
    rules = tuple(_without_empty_lists(rule) for rule in role.rules)
    return role if rules == role.rules else role.model_copy(update={"rules": rules})


def _without_empty_lists(rule: PolicyRule) -> PolicyRule:
    empty = {field: None for field in _LISTS if getattr(rule, field) == ()}
    return rule.model_copy(update=empty) if empty else rule


def _says_the_same(old: AnyRole, new: AnyRole) -> bool:
    return old.rules == new.rules and getattr(old, "aggregation_rule", None) == getattr(new, "aggregation_rule", None)


def _rules_problems(rules: tuple[PolicyRule, ...], *, is_namespaced: bool) -> Iterator[FieldProblem]:
    for position, rule in enumerate(rules):
        yield from _rule_problems(f"rules[{position}]", rule, is_namespaced=is_namespaced)


def _rule_problems(field: str, rule: PolicyRule, *, is_namespaced: bool) -> Iterator[FieldProblem]:
    if not rule.verbs:
        yield required(f"{field}.verbs", "verbs must contain at least one value")
    if rule.non_resource_urls:
        if is_namespaced:
            yield invalid(f"{field}.nonResourceURLs", "namespaced rules cannot apply to non-resource URLs")
        if rule.api_groups or rule.resources or rule.resource_names:
            message = "rules cannot apply to both regular resources and non-resource URLs"
            yield invalid(f"{field}.nonResourceURLs", message)
        return
    if not rule.api_groups:
        yield required(f"{field}.apiGroups", "resource rules must supply at least one api group")
    if not rule.resources:
        yield required(f"{field}.resources", "resource rules must supply at least one resource")


def _selector_problems(field: str, selector: LabelSelector) -> Iterator[FieldProblem]:
    """As apimachinery's `ValidateLabelSelector`."""
    for key, value in (selector.match_labels or {}).items():
        if problem := label_key_problem(key):
            yield invalid(f"{field}.matchLabels", problem, given=key)
        if problem := label_value_problem(value):
            yield invalid(f"{field}.matchLabels[{key}]", problem, given=value)
    for position, term in enumerate(selector.match_expressions or ()):
        yield from _term_problems(f"{field}.matchExpressions[{position}]", term)


def _term_problems(at: str, term: LabelSelectorRequirement) -> Iterator[FieldProblem]:
    if term.operator in _WITH_VALUES:
        if not term.values:
            yield required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif term.operator in _WITHOUT_VALUES:
        if term.values:
            message = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield FieldProblem(f"{at}.values", "FieldValueForbidden", message)
    else:
        yield invalid(f"{at}.operator", "not a valid selector operator", given=term.operator)
    if problem := label_key_problem(term.key):
        yield invalid(f"{at}.key", problem, given=term.key)
    for index, value in enumerate(term.values or ()):
        if problem := label_value_problem(value):
            yield invalid(f"{at}.values[{index}]", problem, given=value)
