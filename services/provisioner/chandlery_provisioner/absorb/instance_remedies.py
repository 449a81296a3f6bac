"""Sentences that tell people why a call about an instance failed, and how to get out of the state it is in. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from chandlery.model.objects.annotations import ABANDON, FORCE_DELETE, ORPHAN_MITIGATION, Mitigation
from chandlery.model.objects.metadata import ObjectMeta, to_timestamp
from chandlery.model.objects.reasons import BrokerReason, InstanceReason
from chandlery.reconcile.answers import Answer, call_failure
from chandlery.reconcile.kubectl_commands import INSTANCE, annotate, catalog, delete, edit, retry
from chandlery.reconcile.status_draft import joined


def while_waiting(reason: str, message: str, meta: ObjectMeta) -> str:
    """The message with the command that looks for, or mends, what an instance waits for, unless it has one already."""
    advice = None if "kubectl " in message else _WAITING.get(reason)
    return joined(message, advice(meta)) if advice else message


def correct_or_retry(meta: ObjectMeta) -> str:
    """For a specification that has failed for good."""
    return f"Correct the specification, or retry it unchanged: {retry(INSTANCE, meta)}"


def correct_retry_or_delete(meta: ObjectMeta) -> str:
    """The same for an instance that has never worked."""
    return f"Correct the specification, delete the instance, or retry it unchanged: {retry(INSTANCE, meta)}"


def delete_again(meta: ObjectMeta) -> str:
    """For a deletion that its service broker does not tell the end of."""
    return f"To send the deprovision again now: {retry(INSTANCE, meta)}"


def stop_waiting(meta: ObjectMeta) -> str:
    """For what the service broker does not come to an end with: a deletion does not wait for it."""
    return f"To stop waiting and delete it: {delete(INSTANCE, meta)}"


def tried_again(meta: ObjectMeta, at: datetime | None) -> str:
    """For a creation that has a next attempt."""
    when = f"at {to_timestamp(at)}" if at else "soon"
    return (
        f"The next attempt is {when}, or as soon as the specification is corrected. To retry now: "
        f"{retry(INSTANCE, meta)}"
    )


def remove_without_broker(meta: ObjectMeta) -> str:
    """For a deletion that the service broker does not confirm."""
    force, abandon = _annotate(meta, f"{FORCE_DELETE}=true"), _annotate(meta, f"{ABANDON}=true")
    return (
        f"To call the broker once more and delete the instance whatever the answer: {force}; to delete it "
        f"without calling the broker: {abandon}"
    )


def remove_unasked(meta: ObjectMeta) -> str:
    """For a deletion whose service broker cannot be asked."""
    return f"To delete the instance without calling its service broker: {_annotate(meta, f'{ABANDON}=true')}"


def remove_with_bindings(meta: ObjectMeta) -> str:
    """For a deletion that bindings hold up."""
    return (
        "To delete them with the instance, whatever their service broker answers: "
        f"{_annotate(meta, f'{FORCE_DELETE}=true')}"
    )


def take_another_id(meta: ObjectMeta) -> str:
    """For an external id that belongs to another instance."""
    return f"Delete it and create it with another spec.externalID, or with none: {delete(INSTANCE, meta)}"


def mitigate_or_waive(meta: ObjectMeta) -> str:
    """For what a failed creation may have left, and nobody deletes."""
    start = _annotate(meta, f"{ORPHAN_MITIGATION}={Mitigation.AUTOMATIC}")
    return f"To delete it: {start}; to keep it there: {_waive(meta)}"


def waive(meta: ObjectMeta) -> str:
    """For what a failed creation may have left, and its broker does not delete."""
    return f"To keep it there: {_waive(meta)}"


def _waive(meta: ObjectMeta) -> str:
    return _annotate(meta, f"{ORPHAN_MITIGATION}={Mitigation.WAIVE}")


def _annotate(meta: ObjectMeta, annotation: str) -> str:
    return annotate(INSTANCE, meta, annotation)


_CHOOSE: Final = "Choose another one, or wait until it is offered again"
_WAITING: Final[Mapping[str, Callable[[ObjectMeta], str]]] = {
    InstanceReason.NO_SUCH_CLASS: lambda meta: f"To list classes: {catalog('classes', meta)}",
    InstanceReason.NO_SUCH_PLAN: lambda meta: f"To list plans: {catalog('plans', meta)}",
    InstanceReason.DELETED_CLASS: lambda meta: f"{_CHOOSE}: {catalog('classes', meta)}",
    InstanceReason.DELETED_PLAN: lambda meta: f"{_CHOOSE}: {edit(INSTANCE, meta)}",
    InstanceReason.NO_SUCH_BROKER: lambda meta: f"To list brokers: {catalog('brokers', meta)}",
    InstanceReason.ERROR_WITH_PARAMETERS: lambda meta: f"Correct them: {edit(INSTANCE, meta)}",
    BrokerReason.ERROR_GETTING_AUTH_CREDENTIALS: lambda meta: (
        f"Work resumes automatically when whoever registered the broker has corrected that: {catalog('brokers', meta)}"
    ),
}


CONCURRENCY: Final = "ConcurrencyError"
MAINTENANCE_CONFLICT: Final = "MaintenanceInfoConflict"
_UNPROCESSABLE = 422

_MEANINGS: Final = {
    CONCURRENCY: "The service broker is still working on another operation of the instance",
    "AsyncRequired": (
        "The service broker works only asynchronously, and does not see that every request allows it to "
        "(accepts_incomplete)"
    ),
    MAINTENANCE_CONFLICT: (
        "The requested version of the service is no longer the one the broker offers, so its catalog is fetched again"
    ),
}


def explained(what: str, answer: Answer) -> str:
    """What failed, what the broker had to say, and what that means."""
    message = call_failure(what, answer)
    meaning = _MEANINGS.get(answer.error or "") if answer.status == _UNPROCESSABLE else None
    return joined(message, meaning) if meaning else message


def is_out_of_date(answer: Answer) -> bool:
    """Whether the broker says that we know an old catalog."""
    return answer.status == _UNPROCESSABLE and answer.error == MAINTENANCE_CONFLICT
