"""What a state machine wants to happen: the result of `absorb`, written by the worker in one transaction."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Final, Generic, TypeVar

from chandlery.model.history.recorded_operations import RecordedOperation
from chandlery.model.objects.core import RecordedFact, Secret
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.history.open_operations import OpenOperation

BROKER_LANE: Final = "broker:"
"""What the lanes of service brokers begin with."""


@dataclass(frozen=True)
class WriteSecret:
    """Create the Secret, or replace the data of one with the same controller."""

    secret: Secret = field(repr=False)


@dataclass(frozen=True)
class DeleteSecret:
    """Delete the Secret if this owner controls it; anybody else's is left alone, a missing one is fine."""

    namespace: str
    name: str
    owner_uid: str


@dataclass(frozen=True)
class RecordEvent:
    """Record an event about an object, for people to read."""

    about: AnyObject
    fact: RecordedFact


PlatformWrite = WriteSecret | DeleteSecret | RecordEvent


@dataclass(frozen=True)
class Idle:
    """Nothing is due."""


@dataclass(frozen=True)
class Finish:
    """Nothing exists at the broker: the finalizer may go."""


@dataclass(frozen=True)
class Wait:
    """Something is missing that only others can provide. `waiting_for` wakes the object."""

    reason: str
    message: str
    waiting_for: str | None


@dataclass(frozen=True)
class Refuse:
    """What is asked for cannot be had, and asking the broker would be wrong."""

    reason: str
    message: str


@dataclass(frozen=True)
class Disown:
    """What the broker has under the object's external id is another's: say so, and leave it alone."""


DocumentT = TypeVar("DocumentT", bound=AnyObject)


@dataclass(frozen=True, kw_only=True)
class Requeue:
    """When to look at the object again, and what brings it back earlier."""

    due_at: datetime | None = None
    """None when nothing is left to do until the desired state changes."""
    attempt: int = 0
    """Failed attempts so far; decides the back-off."""
    waiting_for: str | None = None
    """The wake-up key of what is missing."""
    interests: tuple[str, ...] | None = None
    """Wake-up keys of what is there and may change, kept until they are given anew; None leaves them as they are."""
    turn_at: datetime | None = None
    """The place that was taken in the line before a service broker with a rate limit."""


@dataclass(frozen=True, kw_only=True)
class ReconcileResult(Generic[DocumentT]):
    """The object as it should be now, and what follows."""

    document: DocumentT
    """Only its status, its references and its finalizers are written; a newer desired state of a user stays."""
    next: Requeue
    memory: JsonObject = field(default_factory=dict)
    """The worker's own notes, kept beside the object."""
    facts: tuple[RecordedFact, ...] = ()
    """What is recorded about the object, as events on the platform."""
    events: tuple[RecordEvent, ...] = ()
    """What is recorded about others."""
    operations: tuple[RecordedOperation, ...] = ()
    """What the history is told of operations at the service broker."""
    open_operations: tuple[OpenOperation, ...] | None = None
    """Those that have not ended; None if that is as it was."""
    wakes: tuple[str, ...] = ()
    """Keys of what may be waiting for this."""
    is_finished: bool = False
    """The finalizer goes, and with it the object."""
    sealed: JsonObject | None = field(default=None, repr=False)
    """What the next round has to find, sealed: a request still open, or credentials not delivered yet."""
    action: str = ""
    """What was decided, in the words of `action_name`, where that needed no call."""

    def of(self, action: object) -> "ReconcileResult[DocumentT]":
        """The same, with the name of the action that it comes of."""
        return replace(self, action=action_name(action))


def action_name(action: object) -> str:
    """`already applied` for an `AlreadyApplied`: there are as many names as state machines have classes for them."""
    return _in_words(type(action).__name__)


@cache
def _in_words(name: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).lstrip()


def broker_key(namespace: str | None, name: str) -> str:
    """Wake-up key, and lane, of a service broker: `team-a/mybroker`, `/mybroker` for a cluster-wide one."""
    return f"{BROKER_LANE}{namespace or ''}/{name}"


def broker_label(lane: str) -> str:
    """What metrics call the broker of a lane: `team-a/mybroker`, `mybroker`; empty where it is not known, or none."""
    return lane.removeprefix(BROKER_LANE).removeprefix("/") if lane.startswith(BROKER_LANE) else ""


def offering_key(namespace: str | None, reference: str) -> str:
    """Wake-up key of a class or plan by whatever a user calls it."""
    return f"offering:{namespace or ''}/{reference}"


def instance_key(namespace: str | None, name: str) -> str:
    """Wake-up key of what waits for an instance to become ready."""
    return f"instance:{namespace or ''}/{name}"


def bindings_key(namespace: str | None, instance_name: str) -> str:
    """Wake-up key of an instance that waits for its bindings to go."""
    return f"bindings-of:{namespace or ''}/{instance_name}"


def instances_key(lane: str) -> str:
    """Wake-up key of a service broker that waits for its instances to go."""
    return f"instances-of:{lane}"


def relist_key(lane: str) -> str:
    """Wake-up key of a service broker whose catalog turned out to be out of date."""
    return f"relist:{lane}"


def circuit_key(lane: str) -> str:
    """Wake-up key of what is held back until a service broker answers again."""
    return f"circuit:{lane}"


def secret_key(namespace: str | None, name: str) -> str:
    """Wake-up key of what waits for a Secret."""
    return f"secret:{namespace or ''}/{name}"
