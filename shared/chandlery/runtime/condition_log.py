"""One log line for each change of a condition, once it is committed. `rounds.py` asks, for every kind."""

import structlog

from chandlery.model.conditions import Condition, ConditionStatus
from chandlery.model.kinds import AnyObject

log = structlog.get_logger()


def say_conditions(before: AnyObject, after: AnyObject) -> None:
    """Tell what is said of the object now and was not before; nothing if only messages have changed."""
    known = {each.type: (each.status, each.reason) for each in _conditions(before)}
    for each in _conditions(after):
        if known.get(each.type) != (each.status, each.reason):
            _say(after, each)


def _say(document: AnyObject, condition: Condition) -> None:
    meta = document.metadata
    place = {"namespace": meta.namespace} if meta.namespace else {}
    why = {} if condition.status == ConditionStatus.TRUE else {"message": condition.message}
    log.info(
        f"{document.kind} {'/'.join((*place.values(), meta.name))}: {condition.type} is {condition.status}, "
        f"{condition.reason}",
        action="change_condition",
        kind=document.kind,
        name=meta.name,
        uid=meta.uid,
        condition=str(condition.type),
        status=str(condition.status),
        reason=condition.reason,
        **place,
        **why,
    )


def _conditions(document: AnyObject) -> tuple[Condition, ...]:
    return tuple(getattr(getattr(document, "status", None), "conditions", None) or ())
