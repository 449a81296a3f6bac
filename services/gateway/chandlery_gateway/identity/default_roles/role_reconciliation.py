"""What is missing of a role or binding that comes with Chandlery: added, and nothing taken away. Pure.

As Kubernetes' reconciliation at its start (`pkg/registry/rbac/reconciliation`): rules, subjects, selectors, labels and
annotations that are not there are added; those that an operator has added or changed stay. An object whose annotation
`rbac.authorization.kubernetes.io/autoupdate` is "false" is left alone.
"""

from collections.abc import Mapping

from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.rbac import AggregationRule, AnyBinding, ClusterRole, ClusterRoleBinding, PolicyRule
from chandlery_gateway.identity.default_roles.coming_roles import AUTOUPDATE
from chandlery_gateway.identity.rbac.rule_cover import TooManyCombinations, missing_rules


def reconciled_role(stored: ClusterRole, wanted: ClusterRole) -> ClusterRole:
    """The stored role with what it lacks; the very same if it lacks nothing, or is to be left alone."""
    if _is_protected(stored.metadata):
        return stored
    metadata = _with_words(stored.metadata, wanted.metadata)
    # Of roles that gather, the rules are the store's.
    gathers = wanted.aggregation_rule is not None or stored.aggregation_rule is not None
    rules = stored.rules if gathers else (*stored.rules, *_missing(stored, wanted))
    aggregation = _with_selectors(stored.aggregation_rule, wanted.aggregation_rule)
    changed = {"metadata": metadata, "rules": rules, "aggregation_rule": aggregation}
    role = stored.model_copy(update=changed)
    return stored if role == stored else role


def reconciled_binding(stored: ClusterRoleBinding, wanted: ClusterRoleBinding) -> ClusterRoleBinding:
    """The same of a binding. One that gives another role cannot be mended: see `must_be_made_anew`."""
    if _is_protected(stored.metadata):
        return stored
    lacking = tuple(each for each in wanted.subjects or () if each not in (stored.subjects or ()))
    changed = {
        "metadata": _with_words(stored.metadata, wanted.metadata),
        "subjects": (*(stored.subjects or ()), *lacking) or None,
    }
    binding = stored.model_copy(update=changed)
    return stored if binding == stored else binding


def must_be_made_anew(stored: AnyBinding, wanted: AnyBinding) -> bool:
    """Whether the stored binding gives another role, which nobody can change: it has to go first."""
    return not _is_protected(stored.metadata) and stored.role_ref != wanted.role_ref


def _is_protected(metadata: ObjectMeta) -> bool:
    return (metadata.annotations or {}).get(AUTOUPDATE) == "false"


def _missing(stored: ClusterRole, wanted: ClusterRole) -> tuple[PolicyRule, ...]:
    try:
        return missing_rules(stored.rules, wanted.rules)
    except TooManyCombinations:
        # An operator has added so much that it cannot be told: theirs, and to be left alone.
        return tuple(rule for rule in wanted.rules if rule not in stored.rules)


def _with_selectors(stored: AggregationRule | None, wanted: AggregationRule | None) -> AggregationRule | None:
    if wanted is None:
        return stored
    there = (stored.cluster_role_selectors if stored else None) or ()
    lacking = tuple(each for each in wanted.cluster_role_selectors or () if each not in there)
    return AggregationRule(cluster_role_selectors=(*there, *lacking)) if lacking else stored


def _with_words(stored: ObjectMeta, wanted: ObjectMeta) -> ObjectMeta:
    words = {
        "labels": _merged(wanted.labels, stored.labels),
        "annotations": _merged(wanted.annotations, stored.annotations),
    }
    return stored.model_copy(update=words)


def _merged(wanted: Mapping[str, str] | None, stored: Mapping[str, str] | None) -> dict[str, str] | None:
    return {**(wanted or {}), **(stored or {})} or None
