"""Rules for the annotations by which people request an action, such as another try: see `model.objects.annotations`.

What was stored before is never complained about, so that an object can always be changed and can always go.
"""

from collections.abc import Iterator
from typing import Final

from chandlery.model.faults import FieldProblem
from chandlery.model.objects import kinds
from chandlery.model.objects.annotations import (
    ABANDON,
    FORCE_DELETE,
    ORPHAN_MITIGATION,
    RETRY,
    ROTATE,
    Mitigation,
    requested_actions_in,
    requested_actions_of,
)
from chandlery.model.objects.kinds import AnyObject
from chandlery_gateway.admission.field_checks import invalid

_OF_BROKERS: Final = (RETRY, FORCE_DELETE)
_ORDERS: Final[dict[str, tuple[str, ...]]] = {
    kinds.SERVICE_INSTANCE.kind: (RETRY, ABANDON, FORCE_DELETE, ORPHAN_MITIGATION),
    kinds.SERVICE_BINDING.kind: (RETRY, ROTATE, ABANDON, FORCE_DELETE, ORPHAN_MITIGATION),
    kinds.CLUSTER_SERVICE_BROKER.kind: _OF_BROKERS,
    kinds.SERVICE_BROKER.kind: _OF_BROKERS,
}
"""What can be ordered of which kind. Objects that no worker looks after take no orders and are not checked."""
_OF_A_BROKER: Final = frozenset({kinds.SERVICE_INSTANCE.kind, kinds.SERVICE_BINDING.kind})
_MARKS: Final = frozenset({RETRY, ROTATE})
_SWITCHES: Final = frozenset({ABANDON, FORCE_DELETE})
_LONGEST_MARK: Final = 253


def orders_changed(old: AnyObject, new: AnyObject) -> bool:
    """Whether the worker has to look because of a new order, or of one that was taken back."""
    if new.kind not in _ORDERS or old.metadata.annotations == new.metadata.annotations:
        return False
    return requested_actions_in(old.metadata.annotations) != requested_actions_in(new.metadata.annotations)


def order_problems(document: AnyObject, *, old: AnyObject | None = None) -> Iterator[FieldProblem]:
    """Orders that are unknown for the kind, or have a value that means nothing."""
    known = _ORDERS.get(document.kind)
    if known is None or not document.metadata.annotations:
        return
    before = requested_actions_in(old.metadata.annotations) if old is not None else {}
    for key, value in requested_actions_in(document.metadata.annotations).items():
        if before.get(key) == value:
            continue
        field = f"metadata.annotations[{key}]"
        if key not in known:
            yield FieldProblem(field, "FieldValueNotSupported", f"a {document.kind} knows {', '.join(known)}")
        elif problem := _value_problem(key, value):
            yield invalid(field, problem)


def parting_warnings(document: AnyObject) -> tuple[str, ...]:
    """What people should know when an object on its way out is not taken leave of in the usual way."""
    orders = requested_actions_of(document.metadata)
    if orders.abandons and document.kind in _OF_A_BROKER:
        return (f"{ABANDON}: it goes without its service broker; what the broker has of it stays there",)
    if not orders.forces_deletion:
        return ()
    match document.kind:
        case kinds.SERVICE_INSTANCE.kind:
            what = "its bindings go along, and it goes whatever its service broker answers"
        case kinds.SERVICE_BINDING.kind:
            what = "it goes whatever its service broker answers"
        case _:
            what = "it goes even if it has instances, which stay and can only be abandoned without it"
    return (f"{FORCE_DELETE}: {what}",)


def _value_problem(key: str, value: str) -> str | None:
    if key in _MARKS:
        if value and len(value) <= _LONGEST_MARK:
            return None
        return f"must be a new value each time, such as the time, of 1 to {_LONGEST_MARK} characters"
    if key in _SWITCHES:
        return None if value in ("true", "false") else 'must be "true" or "false"'
    return None if value in set(Mitigation) else f"must be one of {', '.join(Mitigation)}"
