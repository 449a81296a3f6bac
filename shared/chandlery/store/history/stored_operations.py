"""Between rows of the operation history and what is told of operations. Brokers' words are sealed here where asked for.

An operation's name is made of its start and of what it is about, so that whoever tells of it again, be it another
process that repeats its request, writes the same row.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from chandlery.model.faults import SealBroken
from chandlery.model.history.recorded_operations import RecordedOperation
from chandlery.model.history.stored_operation import StoredOperation
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.text.time_ordered_ids import time_ordered_id_of
from chandlery.reconcile.history.open_operations import OperationKey
from chandlery.store.rows import utc
from chandlery.store.sealing.sealing import Keyring, SealPlace

SEALED: Final = "//sealed:"
"""Before a text that is sealed."""
_NOT_SEALED: Final = "// sealed:"
"""What a broker that begins its words so is written down with."""
WORDS: Final = ("message", "failure")
"""The columns with words."""
_MESSAGE: Final = "message"


@dataclass(frozen=True, kw_only=True)
class OperationFilter:
    """Which operations are meant."""

    kind: str
    namespace: str | None = None
    """None means all of them."""
    where: tuple[tuple[str, str], ...] = field(default=())
    """Columns and what they hold."""
    where_not: tuple[tuple[str, str], ...] = field(default=())
    since: datetime | None = None
    """When they began at the earliest."""
    before: str = ""
    """Only what sorts before this name, which is older."""


def to_row(
    keyring: Keyring, document: AnyObject, told: RecordedOperation, *, broker: str, trace_id: str
) -> dict[str, Any]:
    """All columns. Raises DataKeyNeeded."""
    meta, words = document.metadata, told.words
    uid, namespace = meta.uid or "", meta.namespace or ""
    name = name_of(uid, OperationKey.of(told.operation, told.external_id), started_at=told.started_at)
    message = None if words is None else words.message
    is_failure = words is not None and words.is_failure
    return {
        "name": name,
        "kind": document.kind,
        "namespace": namespace,
        "object_name": meta.name,
        "object_uid": uid,
        "instance_name": told.instance_name,
        "operation": told.operation,
        "reason": told.reason,
        "requested_by": told.requested_by,
        "broker": broker,
        "external_id": told.external_id,
        "attempts": told.attempts,
        "outcome": told.outcome,
        "broker_status": words.broker_status if words else None,
        "message": seal_words(keyring, namespace, name, message),
        "failure_status": words.broker_status if words and is_failure else None,
        "failure": seal_words(keyring, namespace, name, message if is_failure else None),
        "trace_id": trace_id,
        "started_at": told.started_at,
        "ended_at": told.ended_at,
    }


def name_of(uid: str, key: OperationKey, *, started_at: datetime) -> str:
    """By which the operation is found again by whoever knows its object, its start and what it is."""
    return time_ordered_id_of(started_at, uid, *key)


def from_row(keyring: Keyring, row: Any) -> StoredOperation:
    """The inverse, for a row as a mapping. Words that do not open are left out. Raises DataKeyNeeded."""
    opened = {column: open_words(keyring, row["namespace"], row["name"], row[column]) for column in WORDS}
    ended_at = row["ended_at"]
    moments = {"started_at": utc(row["started_at"]), "ended_at": utc(ended_at) if ended_at else None}
    return StoredOperation(**{**row, **opened, **moments})


def seal_words(keyring: Keyring, namespace: str, name: str, words: str | None) -> str | None:
    """As they are stored. Raises DataKeyNeeded."""
    if not words or not keyring.seals_specs:
        return words and (_NOT_SEALED + words.removeprefix(SEALED) if words.startswith(SEALED) else words)
    return f"{SEALED}{keyring.seal({_MESSAGE: words}, bound_to=_place(namespace, name))}"


def open_words(keyring: Keyring, namespace: str, name: str, stored: str | None) -> str | None:
    """The inverse; nothing for what does not open. Raises DataKeyNeeded."""
    if stored is None or not stored.startswith(SEALED):
        return stored
    with suppress(SealBroken):
        return str(keyring.open(stored.removeprefix(SEALED), bound_to=_place(namespace, name))[_MESSAGE])
    return None


def resealed_words(keyring: Keyring, row: Any) -> dict[str, str | None]:
    """The columns of a row whose words are sealed otherwise than they would be now, as they would be."""
    anew = {}
    for column in WORDS:
        stored, place = row[column], (row["namespace"], row["name"])
        if not stored or _is_as_wanted(keyring, stored):
            continue
        words = open_words(keyring, *place, stored)
        # What no key opens stays as it is, in case the right one comes back.
        if words is not None:
            anew[column] = seal_words(keyring, *place, words)
    return anew


def _is_as_wanted(keyring: Keyring, stored: str) -> bool:
    if not stored.startswith(SEALED):
        return not keyring.seals_specs
    return keyring.seals_specs and keyring.seals_like(stored.removeprefix(SEALED), exactly=True)


def _place(namespace: str, name: str) -> SealPlace:
    return SealPlace("operation", namespace, name, "")
