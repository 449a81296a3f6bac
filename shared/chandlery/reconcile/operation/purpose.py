"""Why a request is sent to a service broker, and what follows from that alone. Pure; each worker lists its own.

A purpose carries its properties, so that whoever asks for one of them need not know which purposes there are.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What is true of every request with a purpose."""

    operation: str | None = None
    """What the status calls the operation that such a request begins; None for one that is part of another."""
    is_deletion: bool = False
    """The broker is to have nothing of the object afterwards."""
    is_mitigation: bool = False
    """It deletes what a failed creation may have left."""
    is_poll: bool = False
    """It asks how far an operation is."""
    is_fetch: bool = False
    """It asks what the broker has."""
    is_repeated: bool = False
    """If its answer is not recorded, only the same request, repeated, tells what came of it."""
    is_local: bool = False
    """Nothing is sent: what there is already is put where it belongs."""
    is_beside_ready: bool = False
    """It concerns something else than what is in use, which goes on to be ready."""
    names_user: bool = False
    """A user asked for it, and the broker is told who."""
    delivers: bool = False
    """It ends with credentials, if it ends well."""
    is_rotation: bool = False
    """It is a step towards credentials that take the place of others."""

    @property
    def only_asks(self) -> bool:
        """Whether it changes nothing at the broker."""
        return self.is_poll or self.is_fetch


PLAIN: Final = Traits()


class Purpose(StrEnum):
    """The base of the workers' purposes: each has a word, which is stored, and its traits."""

    traits: Traits

    def __new__(cls, word: str, traits: Traits = PLAIN) -> Self:
        """A member is written as its word and its traits."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.traits = traits
        return member
