"""Sentences that tell people the way out of a state, with the commands that do it. Pure."""

from datetime import datetime

from chandlery.model.annotations import ABANDON, FORCE_DELETE, ORPHAN_MITIGATION, ROTATE, Mitigation
from chandlery.model.metadata import ObjectMeta, to_timestamp
from chandlery.reconcile.kubectl_commands import BINDING, annotate, delete, retry

POLLED_ON = "The operation is polled on until its time is over"
ROTATING = "The broker makes other credentials; those in the Secret stay good until they are replaced"
STARTING_MITIGATION = "The broker may have a binding that nobody can use; it is being unbound"
WAIVED = "What the broker may have of a failed bind is left alone until the ServiceBinding is deleted"
LEFTOVER = "A rotation failed, and the broker may have credentials that nobody uses"


def how_to_retry(meta: ObjectMeta) -> str:
    """For a bind that has failed for good."""
    return (
        f"What cannot be corrected elsewhere needs another binding, as the specification of this one never changes "
        f"({delete(BINDING, meta)}); to have it tried again as it stands: {retry(BINDING, meta)}"
    )


def how_to_hurry(meta: ObjectMeta, at: datetime | None) -> str:
    """For a bind that has a next attempt."""
    when = f"at {to_timestamp(at)}" if at else "soon"
    return f"It is tried again {when}, or at once after: {retry(BINDING, meta)}"


def how_to_rotate(meta: ObjectMeta) -> str:
    """For credentials that are of no use any more."""
    return f"To get other credentials: {annotate(BINDING, meta, f'{ROTATE}=$(date +%s)')}"


def how_to_rotate_again(meta: ObjectMeta) -> str:
    """For a rotation that its service broker does not tell the end of."""
    return f"To have what came of it unbound and other credentials asked for: {retry(BINDING, meta)}"


def how_to_mitigate(meta: ObjectMeta) -> str:
    """For what a failed bind may have left, and nobody unbinds."""
    start = annotate(BINDING, meta, f"{ORPHAN_MITIGATION}={Mitigation.AUTOMATIC}")
    return (
        f"The broker may have a binding that nobody can use, which goes with the ServiceBinding at the latest. "
        f"To have it unbound now: {start}; to leave it alone until then: {_waive(meta)}"
    )


def how_to_waive(meta: ObjectMeta) -> str:
    """For what a failed bind may have left, and its broker does not unbind."""
    return f"To leave it there until the ServiceBinding is deleted: {_waive(meta)}"


def how_to_forget(meta: ObjectMeta) -> str:
    """For a deletion that the service broker does not confirm."""
    force, abandon = annotate(BINDING, meta, f"{FORCE_DELETE}=true"), annotate(BINDING, meta, f"{ABANDON}=true")
    return f"To ask it once more and let the binding go whatever it answers: {force}; to forget it unasked: {abandon}"


def how_to_forget_unasked(meta: ObjectMeta) -> str:
    """For a deletion whose service broker cannot be asked."""
    abandon = annotate(BINDING, meta, f"{ABANDON}=true")
    return f"To forget the binding without asking its service broker: {abandon}"


def how_to_unbind_again(meta: ObjectMeta) -> str:
    """For an unbind that its service broker does not tell the end of."""
    return f"To have it asked to unbind once more, now: {retry(BINDING, meta)}"


def how_to_stop_waiting(meta: ObjectMeta) -> str:
    """For a bind that its service broker does not come to an end with."""
    return f"Not to wait for it: {delete(BINDING, meta)}"


def create_anew(meta: ObjectMeta) -> str:
    """For what is wrong with a binding itself, whose specification never changes."""
    return (
        f"The specification of a binding never changes: correct your manifest, then delete this binding and create it "
        f"anew: {delete(BINDING, meta)}"
    )


def take_another_id(meta: ObjectMeta) -> str:
    """For an external id that belongs to another binding."""
    return f"Delete it and create it with another spec.externalID, or with none: {delete(BINDING, meta)}"


def _waive(meta: ObjectMeta) -> str:
    return annotate(BINDING, meta, f"{ORPHAN_MITIGATION}={Mitigation.WAIVE}")
