"""What a namespace that is to go still waits for, in Kubernetes' words and by name. Pure; for `namespace_machine.py`.

Types, reasons and the first sentence of each message are those of Kubernetes' namespace controller
(`pkg/controller/namespace/deletion/status_condition_utils.go`); what is waited for and why is ours.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

from chandlery.model.objects.conditions import ConditionStatus, ConditionType, find_condition
from chandlery.model.objects.core import NamespaceCondition
from chandlery.model.objects.kinds import AnyObject, Kind, kind_of
from chandlery.model.text.clean_text import CUT

MOST_NAMES: Final = 5
_LONGEST_REASON: Final = 500
"""Characters of what one object says of itself."""

Conditions = tuple[NamespaceCondition, ...]


def waiting_conditions(
    before: Conditions, *, remaining: Mapping[Kind, int], held: Sequence[AnyObject], now: datetime
) -> Conditions:
    """The conditions while something is left.

    `remaining` counts what the namespace holds, by kind; `held` are the objects that have been asked to go and have not
    gone, of the kinds whose turn it is.
    """
    content = _remaining_message(remaining, held)
    finalizers = _finalizers_message(held)
    return (
        _condition(before, "NamespaceContentRemaining", "SomeResourcesRemain", content, now),
        _condition(before, "NamespaceFinalizersRemaining", "SomeFinalizersRemain", finalizers, now)
        if finalizers
        else _condition(
            before,
            "NamespaceFinalizersRemaining",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
            now,
            status=ConditionStatus.FALSE,
        ),
    )


def _remaining_message(remaining: Mapping[Kind, int], held: Sequence[AnyObject]) -> str:
    counts = ", ".join(
        f"{_resource(kind)} has {count} resource instances" for kind, count in remaining.items() if count
    )
    said = f"Some resources are remaining: {counts}."
    if not held:
        return said
    first = held[0]
    names = [f"{_resource(kind_of(each))} {each.metadata.name}{_why(each)}" for each in held[:MOST_NAMES]]
    more = f" and {len(held) - MOST_NAMES} more" if len(held) > MOST_NAMES else ""
    look = f"kubectl describe {kind_of(first).plural} -n {first.metadata.namespace}"
    return f"{said} Remaining: {', '.join(names)}{more}. To see what each of them waits for: {look}"


def _finalizers_message(held: Sequence[AnyObject]) -> str:
    counts = Counter(finalizer for each in held for finalizer in each.metadata.finalizers or ())
    listed = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(counts.items()))
    return f"Some content in the namespace has finalizers remaining: {listed}" if listed else ""


def _why(document: AnyObject) -> str:
    """What the object says of its own deletion; nothing where it has not begun, or has no conditions, as a Secret."""
    status = getattr(document, "status", None)
    ready = find_condition(getattr(status, "conditions", ()) or (), ConditionType.READY)
    if ready is None or ready.status == ConditionStatus.TRUE or not ready.reason:
        return ""
    message = ready.message if len(ready.message) <= _LONGEST_REASON else ready.message[:_LONGEST_REASON] + CUT
    return f" ({ready.reason}: {message})" if message else f" ({ready.reason})"


def _resource(kind: Kind) -> str:
    return f"{kind.plural}.{kind.group}" if kind.group else kind.plural


def _condition(
    before: Conditions,
    kind: Literal["NamespaceContentRemaining", "NamespaceFinalizersRemaining"],
    reason: str,
    message: str,
    now: datetime,
    *,
    status: ConditionStatus = ConditionStatus.TRUE,
) -> NamespaceCondition:
    old = next((each for each in before if each.type == kind), None)
    since = old.last_transition_time if old is not None and old.status == status else now
    return NamespaceCondition(type=kind, status=status, last_transition_time=since, reason=reason, message=message)
