"""Rules for the annotations by which people request an action, such as another try: see `model.objects.annotations`.

What was stored before is never complained about, so that an object can always be changed and can always go.
"""

from collections.abc import Iterator
from typing import Final

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.annotations import (
    ABANDON,
    FORCE_DELETE,
    RETRY,
    ROTATE,
    Mitigation,
    requested_actions_in,
    requested_actions_of,
)
from chandlery.model.objects.kinds import AnyObject
from chandlery_gateway.admission.field_checks import invalid

_MARKS: Final = frozenset({RETRY, ROTATE})
_SWITCHES: Final = frozenset({ABANDON, FORCE_DELETE})
_LONGEST_MARK: Final = 253


def actions_changed(old: AnyObject, new: AnyObject) -> bool:
    """Whether an action is requested anew, or a request was taken back; of an object that a worker looks after."""
    if old.metadata.annotations == new.metadata.annotations:
        return False
    return requested_actions_in(old.metadata.annotations) != requested_actions_in(new.metadata.annotations)


def action_problems(
    document: AnyObject, known: tuple[str, ...], *, old: AnyObject | None = None
) -> Iterator[FieldProblem]:
    """Requested actions that are unknown for the kind, or have a value that means nothing."""
    before = requested_actions_in(old.metadata.annotations) if old is not None else {}
    for key, value in requested_actions_in(document.metadata.annotations).items():
        if before.get(key) == value:
            continue
        field = f"metadata.annotations[{key}]"
        if key not in known:
            yield FieldProblem(field, "FieldValueNotSupported", f"a {document.kind} accepts {', '.join(known)}")
        elif problem := _value_problem(key, value):
            yield invalid(field, problem)


def parting_warnings(document: AnyObject, *, known: tuple[str, ...], forced_deletion: str) -> tuple[str, ...]:
    """What people should know when an object on its way out is not taken leave of in the usual way."""
    actions = requested_actions_of(document.metadata)
    if actions.abandons and ABANDON in known:
        what = (
            "it will be removed without calling its service broker. Anything the broker still holds for it stays there"
        )
        return (f"{ABANDON}: {what}",)
    return (f"{FORCE_DELETE}: {forced_deletion}",) if actions.forces_deletion and forced_deletion else ()


def _value_problem(key: str, value: str) -> str | None:
    if key in _MARKS:
        if value and len(value) <= _LONGEST_MARK:
            return None
        return f"must be a new value each time, such as the current time, of 1 to {_LONGEST_MARK} characters"
    if key in _SWITCHES:
        return None if value in ("true", "false") else 'must be "true" or "false"'
    return None if value in set(Mitigation) else f"must be one of {', '.join(Mitigation)}"
