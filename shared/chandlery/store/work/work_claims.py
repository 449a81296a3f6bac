"""What a worker holds of an object for one round, and what it leaves behind: plain data of the work queue."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple

from chandlery.model.objects.metadata import NamespacedName, ObjectMeta
from chandlery.model.objects.wire import JsonObject


class WorkTrace(NamedTuple):
    """The trace that the work on an object belongs to. Both are a `traceparent` (W3C Trace Context, 3.2)."""

    cause: str | None = None
    """The span that made the object due. It stays until nothing of that is left to do, however many tries it takes."""
    last_round: str | None = None
    """The round before this one, if it was recorded: each links to the one before."""


NO_TRACE: Final = WorkTrace()
ON_HOLD: Final = "hold:"
"""What a row waits for that news wakes none of, nor upkeep: only who asks for that object, or changes it."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to work on one object until the lease runs out."""

    uid: str
    kind: str
    lane: str
    attempt: int
    revision: int
    fence: int
    owner: str
    sealed: JsonObject | None = field(repr=False)
    memory: JsonObject
    open_operations: Sequence[JsonObject] = ()
    """Those that the history has been told of, and not the end."""
    turn_at: datetime | None = None
    """The moment from which its broker's rate limit lets it through; None if it has not asked for one."""
    desired_at: datetime | None = None
    """When the desired state was written that is not reached yet; None if it is, or nobody knows."""
    at: NamespacedName | None = None
    """Where the object is that the note in flight belongs to."""
    is_note_lost: bool = False
    """Whether there is a note in flight that cannot be opened."""
    trace: WorkTrace = NO_TRACE
    """As the row has it, and from the beginning of the round as the row is to have it."""

    def on(self, metadata: ObjectMeta) -> "Claim":
        """The claim once its object has been read. A note that was made for an object elsewhere is none of its own."""
        at = (metadata.namespace or "", metadata.name)
        if self.at in (None, at):
            return replace(self, at=at)
        return replace(self, at=at, sealed=None, is_note_lost=True)


@dataclass(frozen=True, kw_only=True)
class Release:
    """What is left behind when a round ends."""

    due_at: datetime | None
    """When to look again; None when an event or a user has to come first."""
    attempt: int = 0
    lane: str
    waiting_for: str | None = None
    """The key of `wake` that brings this object back early."""
    sealed: JsonObject | None = field(default=None, repr=False)
    memory: JsonObject
    open_operations: Sequence[JsonObject] = ()
    """See `Claim`."""
    interests: tuple[str, ...] | None = None
    """Further keys of `wake`, kept until given anew; None leaves them as they are."""
    turn_at: datetime | None = None
    """See `Claim`."""
    is_reminded: bool = False
    """Whether this process sends a command itself when it is due."""
    ready: str | None = None
    """The status of the object's condition Ready, to be counted; None without that condition."""
    expires_at: datetime | None = None
    """When its credentials end, to be counted; None if they do not, or others are on their way."""
    is_reached: bool = False
    """Whether the object is what was desired of it last."""
    is_at_rest: bool = False
    """Whether what is due next begins anew, and with a trace of its own."""


@dataclass(frozen=True, kw_only=True)
class TakenWork:
    """What a worker is to find beside an object that comes from another platform."""

    kind: str
    uid: str
    lane: str
    at: NamespacedName
    is_due: bool
    is_on_hold: bool = False
    """Whether nothing but a wish of somebody's for this object makes it due; see `ON_HOLD`."""
    memory: JsonObject
    sealed: JsonObject | None = field(default=None, repr=False)
    ready: str | None = None
    """See `Release`."""
