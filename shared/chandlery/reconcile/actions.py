"""The actions that every state machine can decide on without a call to a service broker."""

from dataclasses import dataclass


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
    """The wish cannot be granted, and asking the broker would be wrong."""

    reason: str
    message: str
