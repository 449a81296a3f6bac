"""Sentences that tell people how to get an instance out of the state that it is in. Pure.

Every one works with stock kubectl; what the annotations mean is in `chandlery.model.annotations`.
"""

from chandlery.model.annotations import ABANDON, FORCE_DELETE, ORPHAN_MITIGATION, RETRY, Mitigation
from chandlery.model.metadata import ObjectMeta


def correct_or_retry(meta: ObjectMeta) -> str:
    """For a wish that has failed for good."""
    return f"Correct the specification, or try again as it stands: {_retry(meta)}"


def correct_retry_or_delete(meta: ObjectMeta) -> str:
    """The same for an instance that has never worked."""
    return f"Correct the specification, delete the instance, or try again as it stands: {_retry(meta)}"


def remove_without_broker(meta: ObjectMeta) -> str:
    """For a deletion that the service broker does not confirm."""
    force, abandon = _annotate(meta, f"{FORCE_DELETE}=true"), _annotate(meta, f"{ABANDON}=true")
    return f"To ask it once more and let the instance go whatever it answers: {force}; to forget it unasked: {abandon}"


def remove_unasked(meta: ObjectMeta) -> str:
    """For a deletion whose service broker cannot be asked."""
    return f"To forget the instance without asking its service broker: {_annotate(meta, f'{ABANDON}=true')}"


def remove_with_bindings(meta: ObjectMeta) -> str:
    """For a deletion that bindings hold up."""
    return f"To have them go with it, whatever their service broker answers: {_annotate(meta, f'{FORCE_DELETE}=true')}"


def mitigate_or_waive(meta: ObjectMeta) -> str:
    """For what a failed creation may have left, and nobody deletes."""
    start = _annotate(meta, f"{ORPHAN_MITIGATION}={Mitigation.AUTOMATIC}")
    return f"To delete it: {start}; to leave it there: {_waive(meta)}"


def waive(meta: ObjectMeta) -> str:
    """For what a failed creation may have left, and its broker does not delete."""
    return f"To leave it there: {_waive(meta)}"


def _retry(meta: ObjectMeta) -> str:
    return _annotate(meta, f"{RETRY}=$(date +%s)")


def _waive(meta: ObjectMeta) -> str:
    return _annotate(meta, f"{ORPHAN_MITIGATION}={Mitigation.WAIVE}")


def _annotate(meta: ObjectMeta, annotation: str) -> str:
    return f"kubectl annotate serviceinstance {meta.name} -n {meta.namespace} --overwrite {annotation}"
