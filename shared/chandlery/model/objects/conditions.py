"""Kubernetes conditions, and the one function that changes them."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from chandlery.model.objects.metadata import Timestamp
from chandlery.model.objects.wire import WireModel
from chandlery.model.text.said import Said


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionType(StrEnum):
    """What a condition speaks of."""

    READY = "Ready"
    FAILED = "Failed"
    ORPHAN_MITIGATION = "OrphanMitigation"
    CIRCUIT_OPEN = "CircuitOpen"
    RECONCILING = "Reconciling"
    """Another state is wanted than the one that serves, and is not there yet. The word, and that it goes when there is
    nothing more to do, are kstatus', by which tools such as Flux wait (github.com/kubernetes-sigs/cli-utils)."""


INFORMATIVE = frozenset({ConditionType.CIRCUIT_OPEN, ConditionType.RECONCILING})
"""These come first in the list: the last condition is the one that the STATUS column and svcat show."""


class Condition(WireModel):
    """One observation of an object's state."""

    type: ConditionType = Field(
        description="What is observed: Ready, Failed, OrphanMitigation, Reconciling or CircuitOpen."
    )
    status: ConditionStatus = Field(description="True, False or Unknown.")
    last_transition_time: Timestamp | None = Field(default=None, description="When the status last changed.")
    reason: str = Field(default="", description="One CamelCase word for machines.")
    message: Said = Field(default="", description="A sentence for people.")
    observed_generation: int | None = Field(
        default=None, description="The generation that the condition refers to; kubectl wait uses it."
    )


Conditions = tuple[Condition, ...]


def with_condition(
    conditions: Conditions,
    kind: ConditionType,
    *,
    status: ConditionStatus,
    reason: str,
    message: str,
    now: datetime,
) -> Conditions:
    """Replace the condition of this type, or append it, or put it first if it only informs.

    `lastTransitionTime` moves only when the status flips.
    """
    before = find_condition(conditions, kind)
    since = before.last_transition_time if before and before.status == status else now
    after = Condition(type=kind, status=status, reason=reason, message=message, last_transition_time=since)
    if before is None:
        return (after, *conditions) if kind in INFORMATIVE else (*conditions, after)
    return tuple(after if condition.type == kind else condition for condition in conditions)


def of_generation(conditions: Conditions, kind: ConditionType, generation: int) -> Conditions:
    """Say of which generation the condition of this type speaks."""
    return tuple(
        condition.model_copy(update={"observed_generation": generation}) if condition.type == kind else condition
        for condition in conditions
    )


def without_condition(conditions: Conditions, kind: ConditionType) -> Conditions:
    """Drop the condition of this type."""
    return tuple(condition for condition in conditions if condition.type != kind)


def find_condition(conditions: Iterable[Condition], kind: ConditionType) -> Condition | None:
    """The condition of this type, if there is one."""
    for condition in conditions:
        if condition.type == kind:
            return condition
    return None


def is_true(conditions: Iterable[Condition], kind: ConditionType) -> bool:
    """Whether the condition exists and holds."""
    condition = find_condition(conditions, kind)
    return condition is not None and condition.status == ConditionStatus.TRUE


def last_condition_state(conditions: Conditions) -> str:
    """What the STATUS column shows: the last condition's type when it is True, else its reason."""
    if not conditions:
        return ""
    last = conditions[-1]
    return str(last.type) if last.status == ConditionStatus.TRUE else last.reason
