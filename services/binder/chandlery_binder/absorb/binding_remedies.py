"""Sentences that tell people the way out of a state, with the commands that do it. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from chandlery.model.objects.annotations import ABANDON, FORCE_DELETE, ORPHAN_MITIGATION, ROTATE, Mitigation
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.metadata import ObjectMeta, to_timestamp
from chandlery.model.objects.reasons import BindingReason, BrokerReason
from chandlery.reconcile.kubectl_commands import BINDING, INSTANCE, annotate, catalog, delete, describe, retry
from chandlery.reconcile.status_draft import joined

POLLED_ON = "The operation is polled on until its time is over"
ROTATING = "The broker makes other credentials; those in the Secret stay good until they are replaced"
STARTING_MITIGATION = "The broker may have a binding that nobody can use; it is being unbound"
WAIVED = "What the broker may have of a failed bind is left alone until the ServiceBinding is deleted"
LEFTOVER = "A rotation failed, and the broker may have credentials that nobody uses"


def while_waiting(reason: str, message: str, binding: ServiceBinding) -> str:
    """The message with the command that looks for, or mends, what a binding waits for, unless it has one already."""
    advice = None if "kubectl " in message else _WAITING.get(reason)
    return joined(message, advice(binding)) if advice else message


def failed_for_good(message: str, meta: ObjectMeta) -> str:
    """The message of a bind that is not tried again by itself, with both ways out; none is told twice."""
    again = f"to have it tried again as it stands: {retry(BINDING, meta)}"
    if delete(BINDING, meta) in message:
        return joined(message, again[0].upper() + again[1:])
    anew = "What cannot be corrected elsewhere needs another binding, as the specification of this one never changes"
    return joined(message, f"{anew} ({delete(BINDING, meta)}); {again}")


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


def mend_sources(meta: ObjectMeta) -> str:
    """For transforms that cannot be applied to the Secrets which they take keys from."""
    return f"Mend the Secrets of addKeysFrom, which counts at once, or create the binding anew: {delete(BINDING, meta)}"


def take_another_id(meta: ObjectMeta) -> str:
    """For an external id that belongs to another binding."""
    return f"Delete it and create it with another spec.externalID, or with none: {delete(BINDING, meta)}"


def _waive(meta: ObjectMeta) -> str:
    return annotate(BINDING, meta, f"{ORPHAN_MITIGATION}={Mitigation.WAIVE}")


def _see_instance(binding: ServiceBinding) -> str:
    instance = ObjectMeta(name=binding.spec.instance_ref.name, namespace=binding.metadata.namespace)
    return f"See what it waits for: {describe(INSTANCE, instance)}"


_WAITING: Final[Mapping[str, Callable[[ServiceBinding], str]]] = {
    BindingReason.NO_SUCH_INSTANCE: lambda binding: (
        f"It goes on once that is there. See what is: kubectl get serviceinstances -n {binding.metadata.namespace}"
    ),
    BindingReason.INSTANCE_UNRESOLVED: _see_instance,
    BindingReason.INSTANCE_NOT_READY: _see_instance,
    BindingReason.ASYNC_OPERATION_IN_PROGRESS: _see_instance,
    BindingReason.NO_SUCH_CLASS: _see_instance,
    BindingReason.NO_SUCH_PLAN: _see_instance,
    BindingReason.NO_SUCH_BROKER: lambda binding: f"See what there is: {catalog('brokers', binding.metadata)}",
    BindingReason.ERROR_WITH_PARAMETERS: lambda binding: (
        f"Mend the Secrets of parametersFrom, or create the binding anew: {delete(BINDING, binding.metadata)}"
    ),
    BindingReason.ERROR_INJECTING: lambda binding: (
        f"The credentials are kept until it can be written. See what is in the way: kubectl describe secret "
        f"{binding.spec.secret_name or binding.metadata.name} -n {binding.metadata.namespace}"
    ),
    BindingReason.ERROR_EJECTING: lambda binding: (
        f"It is tried again, and at once after: {retry(BINDING, binding.metadata)}"
    ),
    BrokerReason.ERROR_GETTING_AUTH_CREDENTIALS: lambda binding: (
        f"It goes on as soon as whoever registered the broker has mended that: {catalog('brokers', binding.metadata)}"
    ),
}
