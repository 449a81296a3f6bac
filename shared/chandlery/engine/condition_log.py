"""One log line for each change of a condition, once it is committed. `reconcile_loop.py` asks, for every kind.

The round's span has it, too: the last one of an operation that came to its end says `Ready is True`.
"""

import structlog

from chandlery.model.objects.conditions import Condition, ConditionStatus
from chandlery.model.objects.kinds import AnyObject
from chandlery.telemetry.tracing.spans import note

log = structlog.get_logger(__name__)

_GONE = "Gone"
"""Where a condition's status stands: the object has no such condition any more."""


def say_conditions(before: AnyObject, after: AnyObject) -> None:
    """Tell what is said of the object now and was not before, and what no longer is; of changed messages nothing."""
    known = {each.type: (each.status, each.reason) for each in _conditions(before)}
    for each in _conditions(after):
        if known.pop(each.type, None) != (each.status, each.reason):
            _say_is(after, each)
    for gone, (_status, reason) in known.items():
        _say(after, f"{gone} is gone", condition=str(gone), condition_status=_GONE, condition_reason=reason)


def _say_is(document: AnyObject, condition: Condition) -> None:
    note(f"{condition.type} is {condition.status}", reason=condition.reason)
    why = {} if condition.status == ConditionStatus.TRUE else {"condition_message": condition.message}
    _say(
        document,
        f"{condition.type} is {condition.status}, {condition.reason}",
        condition=str(condition.type),
        condition_status=str(condition.status),
        condition_reason=condition.reason,
        **why,
    )


def _say(document: AnyObject, what: str, **facts: str) -> None:
    meta = document.metadata
    place = {"namespace": meta.namespace} if meta.namespace else {}
    log.info(
        f"{document.kind} {'/'.join((*place.values(), meta.name))}: {what}",
        action="change_condition",
        kind=document.kind,
        name=meta.name,
        uid=meta.uid,
        **place,
        **facts,
    )


def _conditions(document: AnyObject) -> tuple[Condition, ...]:
    return tuple(getattr(getattr(document, "status", None), "conditions", None) or ())
