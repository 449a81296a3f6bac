"""What a worker has to find again, such as a request under way or credentials, as a sealed text in the work queue.

Sealed on its way into `work_queue` and opened on its way out. A row of work does not say where its object is, so
the note itself does, and whoever has read the object compares.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from chandlery.model.faults import SealBroken
from chandlery.model.objects.metadata import NamespacedName
from chandlery.model.objects.wire import JsonObject
from chandlery.store.sealing.sealing import Keyring, SealPlace

_AT, _NOTE = "at", "note"
_CAUSE, _MESSAGE = "cause", "message"
_SAID = "//sealed:"
SEALED_CAUSE = "sealed"
"""No worker has a note of that name."""


@dataclass(frozen=True)
class OpenedNote:
    """A note, and the object that it was made for; `at` is None in notes of the first form."""

    note: JsonObject = field(repr=False)
    at: NamespacedName | None


def seal_note(keyring: Keyring, uid: str, note: JsonObject, *, at: NamespacedName | None) -> str:
    """The text for the work queue. Without `at` the note is bound to the uid alone."""
    return keyring.seal({_AT: at, _NOTE: note}, bound_to=_place(uid))


def open_note(keyring: Keyring, uid: str, sealed: str) -> OpenedNote:
    """The inverse of `seal_note`; raises SealBroken."""
    opened: dict[str, Any] = keyring.open(sealed, bound_to=_place(uid))
    if opened.keys() != {_AT, _NOTE}:
        return OpenedNote(opened, None)
    at = opened[_AT]
    return OpenedNote(opened[_NOTE], (at[0], at[1]) if at else None)


def seal_cause(keyring: Keyring, uid: str, memory: JsonObject) -> JsonObject:
    """A worker's plain notes as they are stored. What a broker has said of a failure is sealed if that is asked for."""
    cause = memory.get(_CAUSE)
    if not keyring.seals_specs or not cause or not cause.get(_MESSAGE):
        return memory
    text = keyring.seal({_MESSAGE: cause[_MESSAGE]}, bound_to=SealPlace("memory", "", "", uid))
    return {**memory, _CAUSE: {**cause, _MESSAGE: ""}, SEALED_CAUSE: text}


def open_cause(keyring: Keyring, uid: str, memory: JsonObject) -> JsonObject:
    """The inverse. What does not open is left out: it is for people alone."""
    text = memory.get(SEALED_CAUSE)
    if text is None:
        return memory
    plain = {key: value for key, value in memory.items() if key != SEALED_CAUSE}
    with suppress(SealBroken):
        message = keyring.open(text, bound_to=SealPlace("memory", "", "", uid))[_MESSAGE]
        plain[_CAUSE] = {**plain[_CAUSE], _MESSAGE: message}
    return plain


def seal_said(keyring: Keyring, lane: str, message: str) -> str:
    """What is said of an open circuit, which repeats the broker's words, as it is stored."""
    if not keyring.seals_specs or not message:
        return message
    return f"{_SAID}{keyring.seal({_MESSAGE: message}, bound_to=SealPlace('circuit', '', lane, ''))}"


def open_said(keyring: Keyring, lane: str, stored: str) -> str:
    """The inverse; nothing for what does not open."""
    if not stored.startswith(_SAID):
        return stored
    with suppress(SealBroken):
        place = SealPlace("circuit", "", lane, "")
        return str(keyring.open(stored.removeprefix(_SAID), bound_to=place)[_MESSAGE])
    return ""


def _place(uid: str) -> SealPlace:
    return SealPlace("in-flight", "", "", uid)
