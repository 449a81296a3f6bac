"""The operation history in the database: written by workers with what their rounds record, read by the gateway.

An operation has one row, from when the history first hears of it, and each later word of it is written over that: all
words of a transaction in one statement at its end. Names sort by time, so that the newest of a namespace, or of an
object, stand together in an index, and what is old is at one end of the primary key.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, bindparam, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from chandlery.model.history.recorded_operations import RecordedOperation
from chandlery.model.history.stored_operation import StoredOperation
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.time_ordered_ids import first_id_of
from chandlery.store.breaths import Breaths
from chandlery.store.history.forsaken_operations import ForsakenOperations
from chandlery.store.history.stored_operations import OperationFilter, from_row, to_row
from chandlery.store.pruning.steps import Place, Step, last_place, remove_found, remove_surplus
from chandlery.store.schema import OPERATIONS
from chandlery.store.sealing.sealing import Keyring

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

_C = OPERATIONS.c
_OF_ONE: Final = ("namespace", "object_name", "kind")


def _told(new: Any) -> dict[str, Any]:
    """What becomes of a row when its operation is told of again."""
    # An end may be told twice, by what is written while the next call goes on and by what is written after it.
    ended_at = case((new["outcome"] == _C.outcome, func.coalesce(_C.ended_at, new["ended_at"])), else_=new["ended_at"])
    has_words, has_failed = new["message"].is_not(None), new["failure"].is_not(None)
    return {
        **{name: new[name] for name in ("external_id", "outcome")},
        "ended_at": ended_at,
        # Of a request whose worker died the one that gives it up knows less.
        "attempts": case((new["attempts"] > _C.attempts, new["attempts"]), else_=_C.attempts),
        "broker_status": case((has_words, new["broker_status"]), else_=_C.broker_status),
        "message": func.coalesce(new["message"], _C.message),
        "failure_status": case((has_failed, new["failure_status"]), else_=_C.failure_status),
        "failure": func.coalesce(new["failure"], _C.failure),
        "trace_id": func.coalesce(func.nullif(_C.trace_id, ""), new["trace_id"]),
    }


def _upsert(insert: Any) -> Any:
    return insert.on_conflict_do_update(index_elements=[_C.name], set_=_told(insert.excluded))


_UPSERTS: Final = {
    "postgresql": _upsert(postgresql.insert(OPERATIONS)),
    "sqlite": _upsert(sqlite.insert(OPERATIONS)),
}
"""What was first told of why, by whom and of whom stays, and the trace that it began in."""
_IF_THERE: Final = (
    update(OPERATIONS)
    .where(_C.name == bindparam("new_name"))
    .values(_told({column.name: bindparam(f"new_{column.name}", type_=column.type) for column in OPERATIONS.columns}))
)


class OperationStore:
    """The history, as this transaction sees it."""

    def __init__(self, connection: "AsyncConnection", keyring: Keyring, now: datetime) -> None:
        self.forsaken = ForsakenOperations(connection, now)
        self._connection = connection
        self._keyring = keyring
        self._later: dict[str, dict[str, Any]] = {}
        self._if_there: list[dict[str, Any]] = []

    def note(self, document: AnyObject, told: Iterable[RecordedOperation], *, broker: str, trace_id: str) -> None:
        """Write what is told of operations on this object when the transaction ends. Raises DataKeyNeeded."""
        for each in told:
            row = to_row(self._keyring, document, each, broker=broker, trace_id=trace_id)
            self._later[row["name"]] = row

    def complete(
        self, document: AnyObject, told: Iterable[RecordedOperation], *, still_open: Sequence[JsonObject]
    ) -> None:
        """The object has gone while a round was about it: tell what that has told, and what is open of it is forsaken.

        Of what the history knows already, that is: the namespace may have gone with the object, and another one of its
        name may be somebody else's. Raises DataKeyNeeded.
        """
        for each in told:
            row = to_row(self._keyring, document, each, broker="", trace_id="")
            self._if_there.append({f"new_{column}": value for column, value in row.items()})
        self.forsaken.forsake(document.metadata.uid or "", still_open)

    async def flush(self) -> None:
        """Write what `note` was given, and `complete`."""
        if self._later:
            rows = [self._later[name] for name in sorted(self._later)]
            self._later.clear()
            await self._connection.execute(_UPSERTS[self._connection.dialect.name], rows)
        if self._if_there:
            await self._connection.execute(_IF_THERE, sorted(self._if_there, key=itemgetter("new_name")))
            self._if_there.clear()
        await self.forsaken.flush()

    async def get(self, kind: str, namespace: str, name: str) -> StoredOperation | None:
        """One operation."""
        where = (_C.kind == kind, _C.namespace == namespace, _C.name == name)
        row = (await self._connection.execute(select(OPERATIONS).where(*where))).mappings().first()
        return from_row(self._keyring, row) if row else None

    async def find(self, wanted: OperationFilter, *, limit: int) -> Sequence[StoredOperation]:
        """Operations, the newest first."""
        query = select(OPERATIONS).where(*_conditions(wanted)).order_by(_C.name.desc()).limit(limit)
        breaths, found = Breaths(), []
        for row in (await self._connection.execute(query)).mappings():
            await breaths.take()
            found.append(from_row(self._keyring, row))
        return found

    async def forget(self, before: datetime, *, limit: int) -> int:
        """Take away the oldest that began before the moment, at most so many; returns how many went."""
        old = select(_C.name).where(_C.name < first_id_of(before)).order_by(_C.name).limit(limit)
        return await self._remove(old)

    async def forget_surplus(self, *, keep: int, since: datetime, limit: int, after: Place | None = None) -> Step:
        """Of the objects of so many operations since the moment, take away all but the newest, at most so many.

        Objects of one name and kind count as one: whoever makes and deletes the same again and again has one history.
        """
        begun = (first_id_of(since),) if after is None else after
        some = select(*(_C[name] for name in _OF_ONE)).where(_C.name > begun[0]).order_by(_C.name)
        reached = await last_place(self._connection, some.with_only_columns(_C.name), limit=limit)
        removed = await remove_surplus(
            self._connection,
            OPERATIONS,
            key="name",
            of_one=_OF_ONE,
            newest_first=_C.name.desc(),
            among=some.limit(limit),
            keep=keep,
            limit=limit,
        )
        # What is too much for one step is found at the same place by the next.
        return Step(removed, begun if removed == limit else reached)

    async def forget_namespace(self, namespace: str, *, limit: int, before: datetime | None = None) -> int:
        """Take away what began in a namespace, before the moment, at most so many.

        Another of its name has another history.
        """
        older = [] if before is None else [_C.name < first_id_of(before)]
        return await self._remove(select(_C.name).where(_C.namespace == namespace, *older).limit(limit))

    async def namespaces(self, *, after: str, limit: int) -> Sequence[str]:
        """Names of namespaces that have a history, in order, from the first behind `after` on; each is one look."""
        found = list[str]()
        while len(found) < limit:
            following = select(_C.namespace).where(_C.namespace > after).order_by(_C.namespace).limit(1)
            name = (await self._connection.execute(following)).scalar_one_or_none()
            if name is None:
                break
            found.append(after := str(name))
        return found

    async def _remove(self, names: "Select[Any]") -> int:
        return await remove_found(self._connection, _C.name, names)


def _conditions(wanted: OperationFilter) -> "Iterator[ColumnElement[bool]]":
    yield _C.kind == wanted.kind
    if wanted.namespace is not None:
        yield _C.namespace == wanted.namespace
    for column, value in wanted.where:
        yield _C[column] == value
    for column, value in wanted.where_not:
        yield _C[column] != value
    if wanted.since is not None:
        yield _C.name >= first_id_of(wanted.since)
    if wanted.before:
        yield _C.name < wanted.before
