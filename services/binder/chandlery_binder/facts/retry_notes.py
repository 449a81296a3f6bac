"""What a request to try again makes of the notes on a binding. Pure, and the same however often it is done."""

from chandlery_binder.facts.binding_notes import BindingMemory
from chandlery_binder.facts.rotation_notes import BackgroundOperation, BackgroundOperationKind, Retired


def tried_again(memory: BindingMemory) -> BindingMemory:
    """The notes when nothing that failed counts any more; what has its grace keeps it."""
    rotation = memory.rotation.model_copy(update={"is_refused": False, "attempts": 0, "next_at": 0.0})
    retired = tuple(each.model_copy(update={"next_at": 0.0}) if each.attempts else each for each in memory.retired)
    notes = {"rotation": rotation, "retired": retired, "creation_attempts": 0}
    return _with_background_operation_hurried(memory.model_copy(update=notes))


def _with_background_operation_hurried(memory: BindingMemory) -> BindingMemory:
    """A revocation is asked for again. So is a rotation, if its broker does not say what has become of it."""
    background, retired = memory.background_operation, memory.retired
    if background is None:
        return memory
    is_revocation = background.kind == BackgroundOperationKind.RETIRE
    if not is_revocation and not background.unclear:
        return memory.model_copy(update={"background_operation": background.model_copy(update={"next_at": 0.0})})
    if is_revocation:
        # The earliest goes first.
        retired = tuple(each.model_copy(update={"next_at": 0.0}) if _is(each, background) else each for each in retired)
    else:
        retired = (*retired, Retired(placement=background.placement, is_leftover=True))
    return memory.model_copy(update={"background_operation": None, "retired": retired})


def _is(retired: Retired, background: BackgroundOperation) -> bool:
    return retired.placement.binding_id == background.placement.binding_id
