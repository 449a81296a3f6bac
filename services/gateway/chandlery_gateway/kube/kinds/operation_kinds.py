"""`history.chandlery.io/v1`: the operation history as objects that can be listed and read, and nothing else.

One for each operation at a service broker, in the namespace of the instance or binding. Each of the two has a kind, so
that roles can tell them apart. They have a table of their own, and no change log: nobody watches what has been.
"""

from typing import Any, Final, Literal

from pydantic import Field

from chandlery.model.history.recorded_operations import OperationOutcome
from chandlery.model.history.stored_operation import StoredOperation
from chandlery.model.objects.kinds import SERVICE_BINDING, SERVICE_INSTANCE, Kind
from chandlery.model.objects.metadata import MicroTimestamp, ObjectMeta, to_micro_timestamp, to_timestamp
from chandlery.model.objects.wire import JsonObject, WireModel

GROUP: Final = "history.chandlery.io"
_WHAT: Final = "What was done: "
_UNKNOWN: Final = (
    "The outcome is unknown: Chandlery stopped tracking the operation before the service broker's last answer was "
    "recorded. Resources may still exist at the service broker."
)
_OUTCOMES: Final = ", ".join(OperationOutcome)


class OperatedObject(WireModel):
    """What an operation was about. It may be gone by now."""

    name: str = Field(default="", description="Name of the object.")
    uid: str | None = Field(default=None, description="UID of the object.")


class FailedAttempt(WireModel):
    """What the last attempt that failed was answered."""

    broker_status: int | None = Field(default=None, description="HTTP status; none if there was no answer.")
    message: str | None = Field(default=None, description="The service broker's words, or why it did not answer.")


class _Operation(WireModel):
    metadata: ObjectMeta = ObjectMeta()
    reason: str = Field(
        default="", description="Why: the user's change, a deletion, a schedule, what a failed creation had left."
    )
    requested_by: str = Field(
        default="", description="On whose behalf; a name of the system where no user asked for it."
    )
    instance_ref: OperatedObject = Field(default=OperatedObject(), description="The service instance.")
    broker: str = Field(default="", description="The service broker; with its namespace, if it is in one.")
    external_id: str = Field(default="", description="By which the service broker knows what it is about.")
    attempts: int = Field(default=0, description="Requests to the service broker, without polls.")
    outcome: str = Field(default="", description=f"One of {_OUTCOMES}.")
    broker_status: int | None = Field(default=None, description="HTTP status of the last answer; none without one.")
    message: str | None = Field(
        default=None, description="What the service broker last said, without secrets, or what else went wrong."
    )
    last_failure: FailedAttempt | None = Field(default=None, description="The last attempt that failed, if one has.")
    start_time: MicroTimestamp | None = Field(default=None, description="When it began.")
    completion_time: MicroTimestamp | None = Field(
        default=None,
        description="When it ended; with the outcome Unknown, when it was noticed that nobody sees its end.",
    )
    trace_id: str | None = Field(
        default=None, description="W3C's id of the trace in which it began, as in events and log lines."
    )


class ServiceInstanceOperation(_Operation):
    """Something that was done about a service instance at its service broker. Read-only."""

    api_version: Literal["history.chandlery.io/v1"] = "history.chandlery.io/v1"
    kind: Literal["ServiceInstanceOperation"] = "ServiceInstanceOperation"
    operation: str = Field(default="", description=f"{_WHAT}Provision, Update, Deprovision or OrphanMitigation.")


class ServiceBindingOperation(_Operation):
    """Something that was done about a service binding at its service broker. Read-only."""

    api_version: Literal["history.chandlery.io/v1"] = "history.chandlery.io/v1"
    kind: Literal["ServiceBindingOperation"] = "ServiceBindingOperation"
    operation: str = Field(default="", description=f"{_WHAT}Bind, Unbind, Rotate or OrphanMitigation.")
    binding_ref: OperatedObject = Field(default=OperatedObject(), description="The service binding.")


def _kind(model: type[WireModel], short_name: str, *body_fields: str) -> Kind:
    return Kind(
        model.__name__,
        f"{model.__name__.lower()}s",
        model,
        group=GROUP,
        version="v1",
        has_status=False,
        short_names=(short_name,),
        categories=(),
        body_fields=("operation", "reason", "requestedBy", "instanceRef", *body_fields, "outcome"),
        verbs=("get", "list"),
    )


INSTANCE_OPERATION: Final = _kind(ServiceInstanceOperation, "sio")
BINDING_OPERATION: Final = _kind(ServiceBindingOperation, "sbo", "bindingRef")
OPERATION_KINDS: Final = (INSTANCE_OPERATION, BINDING_OPERATION)
ABOUT: Final = {
    INSTANCE_OPERATION.kind: SERVICE_INSTANCE.kind,
    BINDING_OPERATION.kind: SERVICE_BINDING.kind,
}
"""The kind of object whose operations they are."""


def as_object(kind: Kind, stored: StoredOperation) -> JsonObject:
    """The object of a stored operation, without what is absent."""
    about = {"name": stored.object_name, "uid": stored.object_uid}
    is_of_binding = kind == BINDING_OPERATION
    failure = {"brokerStatus": stored.failure_status, "message": stored.failure}
    body: dict[str, Any] = {
        "operation": stored.operation,
        "reason": stored.reason,
        "requestedBy": stored.requested_by,
        "instanceRef": {"name": stored.instance_name} if is_of_binding else about,
        "bindingRef": about if is_of_binding else None,
        "broker": stored.broker,
        "externalID": stored.external_id,
        "attempts": stored.attempts,
        "outcome": stored.outcome,
        "brokerStatus": stored.broker_status,
        "message": _words(stored) or None,
        "lastFailure": _present(failure) or None,
        "startTime": to_micro_timestamp(stored.started_at),
        "completionTime": to_micro_timestamp(stored.ended_at) if stored.ended_at else None,
        "traceID": stored.trace_id or None,
    }
    metadata = {
        "name": stored.name,
        "namespace": stored.namespace,
        "uid": stored.name,
        "creationTimestamp": to_timestamp(stored.started_at),
    }
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **_present(body)}


def _words(stored: StoredOperation) -> str | None:
    if stored.outcome != OperationOutcome.UNKNOWN:
        return stored.message
    # Not stored: who closes an operation need not know how its words are sealed.
    return f"{_UNKNOWN} It had said: {stored.message}" if stored.message else _UNKNOWN


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
