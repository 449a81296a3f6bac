"""The audit log in the database: written in batches by gateways, within their transactions by workers; read by admins.

Rows are only ever added, and taken away when they are old. Their names sort by time, so the newest are at one end of
the primary key and the oldest at the other: neither reading nor forgetting searches the table.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from chandlery.model.text.time_ordered_ids import first_id_of
from chandlery.store.audit.audit_entries import AuditEntry, AuditFilter
from chandlery.store.schema import AUDIT_EVENTS as A
from chandlery.store.schema import AUDIT_SUBJECTS as S

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection
_SUBJECTS_AT_ONCE: Final = 1_000
"""A list of all Secrets is about many: nobody else has to wait for them to be made ready."""
_UNLESS_THERE = {
    "postgresql": (postgresql.insert(A).on_conflict_do_nothing(), postgresql.insert(S).on_conflict_do_nothing()),
    "sqlite": (sqlite.insert(A).on_conflict_do_nothing(), sqlite.insert(S).on_conflict_do_nothing()),
}
"""Whether a commit that was cut off has come to pass is not known: its entries are written again."""


class AuditStore:
    """The audit log, as this transaction sees it."""

    def __init__(self, connection: "AsyncConnection", *, is_kept: bool) -> None:
        """Unless `is_kept`, what is to be noted is passed over: there is no such log."""
        self._connection = connection
        self._is_kept = is_kept
        self._later: list[AuditEntry] = []

    def note(self, *entries: AuditEntry) -> None:
        """Write these when the transaction ends, and only if what they tell of is committed."""
        if self._is_kept:
            self._later += entries

    async def flush(self) -> None:
        """Write what `note` was given."""
        if self._later:
            await self.write(self._later)
            self._later.clear()

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        """Add these, in one statement and one more for what else they are about; what is there already stays."""
        add_event, add_subject = _UNLESS_THERE[self._connection.dialect.name]
        await self._connection.execute(add_event, [_row(entry) for entry in entries])
        subjects = _subjects(entries)
        while some := list(islice(subjects, _SUBJECTS_AT_ONCE)):
            await self._connection.execute(add_subject, some)

    async def get(self, name: str) -> str | None:
        """The text of one event."""
        text: str | None = (await self._connection.execute(select(A.c.event).where(A.c.name == name))).scalar()
        return text

    async def find(self, wanted: AuditFilter, *, limit: int) -> Sequence[tuple[str, str]]:
        """Names and texts of events, the newest first."""
        query = select(A.c.name, A.c.event).where(*_conditions(wanted)).order_by(A.c.name.desc()).limit(limit)
        return [(row.name, row.event) for row in await self._connection.execute(query)]

    async def forget(self, before: datetime, *, limit: int) -> int:
        """Take away the oldest that were made before the moment, at most so many; returns how many went."""
        old = select(A.c.name).where(A.c.name < first_id_of(before)).order_by(A.c.name).limit(limit)
        names = (await self._connection.execute(old)).scalars().all()
        if not names:
            return 0
        # By range: what is older than the last of them goes as well, which is exactly these.
        await self._connection.execute(delete(S).where(S.c.event_name <= names[-1]))
        return (await self._connection.execute(delete(A).where(A.c.name <= names[-1]))).rowcount


def _row(entry: AuditEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "event": entry.event,
        "username": entry.username,
        "verb": entry.verb,
        "resource": entry.resource,
        "namespace": entry.namespace,
        "object_name": entry.object_name,
        "object_uid": entry.object_uid,
        "code": entry.code,
    }


def _subjects(entries: Sequence[AuditEntry]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        for uid in {*entry.related_uids} - {"", entry.object_uid}:
            yield {"uid": uid, "event_name": entry.name}


def _conditions(wanted: AuditFilter) -> "Iterator[ColumnElement[bool]]":
    for column, value in wanted.where:
        yield A.c[column] == value
    for column, value in wanted.where_not:
        yield A.c[column] != value
    if wanted.uid:
        # One subquery: with an OR of two conditions PostgreSQL reads the whole table, the newest first.
        own = select(A.c.name).where(A.c.object_uid == wanted.uid)
        yield A.c.name.in_(own.union(select(S.c.event_name).where(S.c.uid == wanted.uid)))
    if wanted.audit_id:
        # The names of its stages are the id, and the id with a dash and a word.
        yield A.c.name >= wanted.audit_id
        yield A.c.name < f"{wanted.audit_id}."
    if wanted.since is not None:
        yield A.c.name >= first_id_of(wanted.since)
    if wanted.before:
        yield A.c.name < wanted.before
