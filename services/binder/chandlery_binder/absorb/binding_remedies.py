"""Sentences that tell people the remedy for a state, with the commands that do it. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from chandlery.model.objects.annotations import ABANDON, FORCE_DELETE, ORPHAN_MITIGATION, ROTATE, Mitigation
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.metadata import ObjectMeta, to_timestamp
from chandlery.model.objects.reasons import BindingReason, BrokerReason
from chandlery.reconcile.kubectl_commands import BINDING, INSTANCE, annotate, catalog, delete, describe, retry
from chandlery.reconcile.status_draft import joined

POLLED_ON = "Polling continues until the time limit of the operation"
ROTATING = "The broker is creating new credentials. Those in the Secret stay valid until they are replaced"
STARTING_MITIGATION = "The broker may hold a binding that nobody can use. It is being unbound"
WAIVED = "Anything the failed bind may have left at the broker stays there until the ServiceBinding is deleted"
LEFTOVER = "A rotation failed, and the broker may hold credentials that nobody uses"


def while_waiting(reason: str, message: str, binding: ServiceBinding) -> str:
    """The message with the command that looks for, or mends, what a binding waits for, unless it has one already."""
    advice = None if "kubectl " in message else _WAITING.get(reason)
    return joined(message, advice(binding)) if advice else message


def failed_for_good(message: str, meta: ObjectMeta) -> str:
    """The message of a bind that is not tried again by itself, with both remedies, each of them once."""
    again = f"to retry it unchanged: {retry(BINDING, meta)}"
    if delete(BINDING, meta) in message:
        return joined(message, again[0].upper() + again[1:])
    anew = "The specification of a binding cannot be changed. To create it again, delete it first"
    return joined(message, f"{anew} ({delete(BINDING, meta)}); {again}")


def how_to_hurry(meta: ObjectMeta, at: datetime | None) -> str:
    """For a bind that has a next attempt."""
    when = f"at {to_timestamp(at)}" if at else "soon"
    return f"The next attempt is {when}. To retry now: {retry(BINDING, meta)}"


def how_to_rotate(meta: ObjectMeta) -> str:
    """For credentials that are of no use any more."""
    return f"To get new credentials: {annotate(BINDING, meta, f'{ROTATE}=$(date +%s)')}"


def how_to_rotate_again(meta: ObjectMeta) -> str:
    """For a rotation that its service broker does not tell the end of."""
    return f"To unbind the result and request new credentials: {retry(BINDING, meta)}"


def how_to_mitigate(meta: ObjectMeta) -> str:
    """For what a failed bind may have left, and nobody unbinds."""
    start = annotate(BINDING, meta, f"{ORPHAN_MITIGATION}={Mitigation.AUTOMATIC}")
    return (
        "The broker may hold a binding that nobody can use. It is unbound when the ServiceBinding is "
        f"deleted. To unbind it now: {start}; to keep it until then: {_waive(meta)}"
    )


def what_to_do_about_leftovers(meta: ObjectMeta) -> str:
    """For what a failed rotation may have left, and nobody unbinds."""
    return f"{LEFTOVER}. {how_to_mitigate(meta)}"


def how_to_waive(meta: ObjectMeta) -> str:
    """For what a failed bind may have left, and its broker does not unbind."""
    return f"To keep it until the ServiceBinding is deleted: {_waive(meta)}"


def how_to_forget(meta: ObjectMeta) -> str:
    """For a deletion that the service broker does not confirm."""
    force, abandon = annotate(BINDING, meta, f"{FORCE_DELETE}=true"), annotate(BINDING, meta, f"{ABANDON}=true")
    return (
        f"To call the broker once more and delete the binding whatever the answer: {force}; to delete it "
        f"without calling the broker: {abandon}"
    )


def how_to_forget_unasked(meta: ObjectMeta) -> str:
    """For a deletion whose service broker cannot be asked."""
    abandon = annotate(BINDING, meta, f"{ABANDON}=true")
    return f"To delete the binding without calling its service broker: {abandon}"


def how_to_unbind_again(meta: ObjectMeta) -> str:
    """For an unbind that its service broker does not tell the end of."""
    return f"To send the unbind again now: {retry(BINDING, meta)}"


def how_to_stop_waiting(meta: ObjectMeta) -> str:
    """For a bind that its service broker does not come to an end with."""
    return f"To stop waiting and delete it: {delete(BINDING, meta)}"


def create_anew(meta: ObjectMeta) -> str:
    """For what is wrong with a binding itself, whose specification never changes."""
    return (
        "The specification of a binding cannot be changed. Correct your manifest, then delete this binding "
        f"and create it again: {delete(BINDING, meta)}"
    )


def mend_sources(meta: ObjectMeta) -> str:
    """For transforms that cannot be applied to the Secrets which they take keys from."""
    return (
        "Correct the Secrets of addKeysFrom, which takes effect at once, or delete the binding and create it "
        f"again: {delete(BINDING, meta)}"
    )


def take_another_id(meta: ObjectMeta) -> str:
    """For an external id that belongs to another binding."""
    return f"Delete it and create it with another spec.externalID, or with none: {delete(BINDING, meta)}"


def _waive(meta: ObjectMeta) -> str:
    return annotate(BINDING, meta, f"{ORPHAN_MITIGATION}={Mitigation.WAIVE}")


def _see_instance(binding: ServiceBinding) -> str:
    instance = ObjectMeta(name=binding.spec.instance_ref.name, namespace=binding.metadata.namespace)
    return f"To see what the instance waits for: {describe(INSTANCE, instance)}"


_WAITING: Final[Mapping[str, Callable[[ServiceBinding], str]]] = {
    BindingReason.NO_SUCH_INSTANCE: lambda binding: (
        "Work resumes automatically when it exists. To list instances: kubectl get serviceinstances -n "
        f"{binding.metadata.namespace}"
    ),
    BindingReason.INSTANCE_UNRESOLVED: _see_instance,
    BindingReason.INSTANCE_NOT_READY: _see_instance,
    BindingReason.ASYNC_OPERATION_IN_PROGRESS: _see_instance,
    BindingReason.NO_SUCH_CLASS: _see_instance,
    BindingReason.NO_SUCH_PLAN: _see_instance,
    BindingReason.NO_SUCH_BROKER: lambda binding: f"To list brokers: {catalog('brokers', binding.metadata)}",
    BindingReason.ERROR_WITH_PARAMETERS: lambda binding: (
        "Correct the Secrets of parametersFrom, or delete the binding and create it again: "
        f"{delete(BINDING, binding.metadata)}"
    ),
    BindingReason.ERROR_INJECTING: lambda binding: (
        "The credentials are kept until the Secret can be written. To see what blocks it: kubectl describe "
        f"secret {binding.spec.secret_name or binding.metadata.name} -n {binding.metadata.namespace}"
    ),
    BindingReason.ERROR_EJECTING: lambda binding: (
        f"It is retried automatically. To retry now: {retry(BINDING, binding.metadata)}"
    ),
    BrokerReason.ERROR_GETTING_AUTH_CREDENTIALS: lambda binding: (
        "Work resumes automatically when whoever registered the broker has corrected that: "
        f"{catalog('brokers', binding.metadata)}"
    ),
}
