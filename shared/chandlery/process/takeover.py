"""What services say of objects that another platform has looked after until now. Plain data and types.

Comes in: documents of the other platform, which `process/commands/imports` has read. Goes out: the object as it is to
be stored, with the notes that its worker will go on from, or why it cannot be taken over.
Each service knows its own part and no other: the gateway what may be stored (`reads`), a worker what it has to find
beside an object (`takes`). They announce it with `Service`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.parameters.keyed_checksums import ChecksumKeys

HELD_SENTENCE = "It was imported in this state and nothing has been sent to its service broker since"
"""Begins what a held object tells of itself."""


class Stance(StrEnum):
    """What a worker does with an object that has been taken over."""

    AT_REST = "at rest"
    """Nothing, until its specification changes."""
    POLLED = "polled"
    """It asks the broker how far the operation is that the other platform has begun."""
    HELD = "held"
    """Nothing, although something is left to do: whatever it did would change something at the broker."""
    RESUMED = "resumed"
    """It goes on with what the other platform was about to do, because the operator wants it so."""
    LEAVING = "leaving"
    """The object was being deleted, and the broker has nothing of it: it goes without a call."""

    @property
    def is_due(self) -> bool:
        """Whether its worker is to look at it at once."""
        return self is not Stance.HELD


@dataclass(frozen=True, kw_only=True)
class ReadObject:
    """A document as our kinds have it."""

    document: AnyObject | None
    """None if it cannot be read as one of ours."""
    remarks: tuple[str, ...] = ()
    """What is left out of it."""
    problems: tuple[FieldProblem, ...] = ()
    """What keeps it from being stored."""


@dataclass(frozen=True, kw_only=True)
class Neighbourhood:
    """What is known of the objects that one refers to, and how it is to be taken over."""

    lane: str = ""
    """Of the service broker; empty if that is not known."""
    service_id: str = ""
    plan_id: str = ""
    """Of the plan that the specification leads to."""
    instance: ServiceInstance | None = None
    """Of a binding."""
    credentials: JsonObject | None = field(default=None, repr=False)
    """Of a binding: what is in its Secret, if that is what the broker has given."""
    resumes: bool = False
    """Whether the worker goes on with what is left to do."""
    poll_seconds: float
    """How long an operation may go on from now."""
    checksums: ChecksumKeys
    now: datetime


@dataclass(frozen=True, kw_only=True)
class TakenOver:
    """An object with what its worker finds beside it."""

    document: AnyObject
    memory: JsonObject = field(default_factory=dict)
    sealed: JsonObject | None = field(default=None, repr=False)
    stance: Stance = Stance.AT_REST
    why: str = ""
    """What is left to do for one that is held, in words; of one that is polled, what follows."""
    problem: str = ""
    """Why it cannot be taken over, and what helps; then nothing else counts."""


Reads = Callable[[Kind, JsonObject], ReadObject]
Takes = Callable[[Any, Neighbourhood], TakenOver]


@dataclass(frozen=True, kw_only=True)
class TakeoverRules:
    """A service's part."""

    reads: Reads | None = None
    takes: Mapping[str, Takes] = field(default_factory=dict)
    """By the name of the kind."""
