"""What the demo broker remembers: one ledger for instances and one for bindings, both in memory.

`broker.py` calls it for every mutation and poll. An operation has an end, not a timer: who looks next finds it settled.
"""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from openbrokerapi.errors import ErrBadRequest, ErrConcurrentInstanceAccess, ServiceException
from openbrokerapi.service_broker import LastOperation, OperationState


class Verb(Enum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True)
class Requested:
    """What a platform asked for; two requests are identical if their specs are equal."""

    service_id: str
    plan_id: str
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Operation:
    """One asynchronous action; `spec` is what holds after it, `ends_at` is in seconds of the ledger's clock."""

    verb: Verb
    key: str
    ends_at: float
    requested: Requested
    fails: bool = False


@dataclass
class Entry:
    """One instance or binding with its latest operation (None if it was last changed synchronously)."""

    requested: Requested
    operation: Operation | None = None


class Ledger:
    """Entries by id, safe for threads. `missing` and `conflict` are raised for unknown and for differing entries."""

    def __init__(
        self,
        missing: Callable[[], ServiceException],
        conflict: Callable[[], ServiceException],
        *,
        delay_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._missing = missing
        self._conflict = conflict
        self._delay_seconds = delay_seconds
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._lock = threading.RLock()

    def create(
        self, entry_id: str, requested: Requested, *, in_background: bool, fails: bool = False
    ) -> tuple[bool, str | None]:
        """Whether the entry is new, and the key of the operation under way, which an identical request joins."""
        with self._lock:
            entry = self._find(entry_id)
            if entry is None or self._has_failed(entry):
                self._entries[entry_id] = Entry(requested)
                return True, self._begin(entry_id, Verb.CREATE, requested, fails=fails) if in_background else None
            operation = entry.operation if self._is_busy(entry) else None
            if operation is not None and operation.verb is not Verb.CREATE:
                raise ErrConcurrentInstanceAccess
            if entry.requested != requested:
                raise self._conflict()
            return False, operation.key if operation else None

    def update(self, entry_id: str, requested: Requested, *, in_background: bool) -> str | None:
        """The key of the operation that brings the new spec, None if it holds already."""
        with self._lock:
            self.idle(entry_id)
            if in_background:
                return self._begin(entry_id, Verb.UPDATE, requested)
            self._entries[entry_id] = Entry(requested)
            return None

    def delete(self, entry_id: str, *, in_background: bool) -> str | None:
        """The key of the deletion, which stops what is under way and which a repeated request joins; None if done."""
        with self._lock:
            entry = self.present(entry_id)
            if not in_background:
                del self._entries[entry_id]
                return None
            if entry.operation is not None and entry.operation.verb is Verb.DELETE:
                return entry.operation.key
            return self._begin(entry_id, Verb.DELETE, entry.requested)

    def delete_all(self, prefix: str) -> None:
        """Forget every entry whose id starts with `prefix`."""
        with self._lock:
            self._entries = {key: entry for key, entry in self._entries.items() if not key.startswith(prefix)}

    def present(self, entry_id: str) -> Entry:
        """The entry as it is now, or `missing` if it never was or its deletion has ended."""
        with self._lock:
            entry = self._find(entry_id)
        if entry is None:
            raise self._missing()
        return entry

    def idle(self, entry_id: str) -> Entry:
        """The entry, ready for use: `missing` if its creation failed, ErrConcurrentInstanceAccess if it is busy."""
        entry = self.present(entry_id)
        if self._has_failed(entry):
            raise self._missing()
        if self._is_busy(entry):
            raise ErrConcurrentInstanceAccess
        return entry

    def last_operation(self, entry_id: str, operation_key: str | None) -> LastOperation:
        """The answer to a poll; without a key it is about the latest operation."""
        entry = self.present(entry_id)
        if operation_key and (entry.operation is None or operation_key != entry.operation.key):
            raise ErrBadRequest("unknown operation")
        if self._is_busy(entry):
            return LastOperation(OperationState.IN_PROGRESS, "busy doing nothing")
        if self._has_failed(entry):
            return LastOperation(OperationState.FAILED, "this plan is made to fail")
        return LastOperation(OperationState.SUCCEEDED, "done")

    def _find(self, entry_id: str) -> Entry | None:
        entry = self._entries.get(entry_id)
        if entry is None or entry.operation is None or self._is_busy(entry) or entry.operation.fails:
            return entry
        if entry.operation.verb is Verb.DELETE:
            del self._entries[entry_id]
            return None
        entry.requested = entry.operation.requested
        return entry

    def _is_busy(self, entry: Entry) -> bool:
        return entry.operation is not None and self._clock() < entry.operation.ends_at

    def _has_failed(self, entry: Entry) -> bool:
        return entry.operation is not None and entry.operation.fails and not self._is_busy(entry)

    def _begin(self, entry_id: str, verb: Verb, requested: Requested, *, fails: bool = False) -> str:
        key = f"{verb.value}-{uuid.uuid4()}"
        self._entries[entry_id].operation = Operation(verb, key, self._clock() + self._delay_seconds, requested, fails)
        return key
