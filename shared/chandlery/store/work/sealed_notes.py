"""What a worker has to find again, such as a request under way or credentials, as a sealed text in the work queue.

Sealed on its way into `work_queue` and opened on its way out. A row of work does not say where its object is, so
the note itself does, and whoever has read the object compares.
"""

from dataclasses import dataclass, field
from typing import Any

from chandlery.model.objects.metadata import NamespacedName
from chandlery.model.objects.wire import JsonObject
from chandlery.store.sealing.sealing import Keyring, SealPlace

_AT, _NOTE = "at", "note"


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


def _place(uid: str) -> SealPlace:
    return SealPlace("in-flight", "", "", uid)
