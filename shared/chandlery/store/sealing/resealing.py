"""Seals anew what is sealed with a key that is no longer in front, or in the first form, which knew no places.

`seal_keeping` takes a step at a time. What no configured key opens stays as it is, in case the right key comes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select, union_all, update

from chandlery.model.faults import SealBroken
from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import KINDS, Kind
from chandlery.model.objects.metadata import NamespacedName
from chandlery.store.breaths import Breaths
from chandlery.store.history.stored_operations import resealed_words
from chandlery.store.rows import RowCodec
from chandlery.store.schema import CHANGES, OBJECTS, OPERATIONS
from chandlery.store.schema import WORK_QUEUE as W
from chandlery.store.sealing.key_usage import CAUSES, CHANGE_LOG, HISTORY, WORK
from chandlery.store.sealing.sealing import DATA_KEY_FORM, Keyring
from chandlery.store.sealing.spec_sealing import FIELDS
from chandlery.store.work.leases import read_mark, set_mark
from chandlery.store.work.sealed_notes import SEALED_CAUSE, open_cause, open_note, seal_cause, seal_note

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

_SECRETS = OBJECTS[kinds.SECRET.kind]
_SEALED = _SECRETS.c.spec["sealed"].as_string()
_LOGGED = CHANGES.c.object["sealed"].as_string()
_WITH_CHECKSUMS = (kinds.SERVICE_INSTANCE, kinds.SERVICE_BINDING)
RESEALED = (kinds.SECRET, *(kind for kind in KINDS.values() if kind.kind in FIELDS))
"""The kinds that can have something sealed."""
_CHECKSUMS = "checksums looked at"
"""The mark that holds the last uid."""


@dataclass(frozen=True)
class Step:
    """What one step has come to."""

    done: int = 0
    unreadable: tuple[NamespacedName, ...] = ()
    """Where those are that no configured key opens."""
    reached: str | None = None
    """The uid after which the next step goes on; None at the end."""
    looked: int = 0
    """At how many it has looked, done or not."""


class Resealing:
    """The steps, as this transaction sees them."""

    def __init__(self, connection: "AsyncConnection", keyring: Keyring, codec: RowCodec) -> None:
        self._connection = connection
        self._keyring = keyring
        self._codec = codec

    async def is_allowed(self) -> bool:
        """Whether this login may write Secrets: with database roles, not every service may (`store/roles`)."""
        if self._connection.dialect.name != "postgresql":
            return True
        may = select(func.has_column_privilege(_SECRETS.name, _SECRETS.c.spec.name, "UPDATE"))
        return bool((await self._connection.execute(may)).scalar_one())

    async def secrets(self, *, after: str, limit: int) -> Step:
        """Seal anew at most so many Secrets, in the order of their uids. No change for anybody who reads them."""
        query = select(_SECRETS).where(_SECRETS.c.uid > after, self._is_old(_SEALED)).order_by(_SECRETS.c.uid)
        rows = (await self._connection.execute(query.limit(limit))).mappings().all()
        unreadable: list[NamespacedName] = []
        for row in rows:
            try:
                spec = self._codec.resealed(row)
            except SealBroken:
                unreadable.append((row["namespace"], row["name"]))
                continue
            # Whoever has written it since has sealed it.
            is_unchanged = (_SECRETS.c.uid == row["uid"]) & (_SECRETS.c.resource_version == row["resource_version"])
            await self._connection.execute(update(_SECRETS).where(is_unchanged).values(spec=spec))
        return _step(rows, unreadable, limit)

    async def notes(self, *, after: str, limit: int, to_newest: bool = False) -> Step:
        """The same for what workers have noted; `to_newest` is for all that is not sealed with the newest key."""
        query = select(W.c.uid, W.c.kind, W.c.sealed)
        query = query.where(W.c.uid > after, self._is_old(W.c.sealed, to_newest=to_newest))
        rows = (await self._connection.execute(query.order_by(W.c.uid).limit(limit))).mappings().all()
        places = await self._places(rows)
        unreadable: list[NamespacedName] = []
        for row in rows:
            try:
                opened = open_note(self._keyring, row["uid"], row["sealed"])
            except SealBroken:
                unreadable.append(places.get(row["uid"], ("", "")))
                continue
            text = seal_note(self._keyring, row["uid"], opened.note, at=opened.at or places.get(row["uid"]))
            is_unchanged = (W.c.uid == row["uid"]) & (W.c.sealed == row["sealed"])
            await self._connection.execute(update(W).where(is_unchanged).values(sealed=text))
        return _step(rows, unreadable, limit)

    async def causes(self, *, after: str, limit: int) -> Step:
        """The same for what workers have noted of failures: as it is wanted now, with the newest key."""
        has_one = W.c.memory["cause"]["message"].as_string().is_not(None)
        query = select(W.c.uid, W.c.memory).where(W.c.uid > after, has_one).order_by(W.c.uid).limit(limit)
        if self._connection.dialect.name == "postgresql":
            query = query.with_for_update()
        rows = (await self._connection.execute(query)).mappings().all()
        done = 0
        for row in rows:
            text = row["memory"].get(SEALED_CAUSE)
            anew = seal_cause(self._keyring, row["uid"], open_cause(self._keyring, row["uid"], row["memory"]))
            is_as_wanted = self._keyring.seals_like(text, exactly=True) if text else anew == row["memory"]
            if is_as_wanted and (text is None or self._keyring.seals_specs):
                continue
            await self._connection.execute(update(W).where(W.c.uid == row["uid"]).values(memory=anew))
            done += 1
        return Step(done, (), rows[-1]["uid"] if len(rows) == limit else None, len(rows))

    async def objects(self, kind: Kind, *, after: str, limit: int) -> Step:
        """Seal anew what is not sealed as it is wanted now, with the newest key, of so many objects of a kind.

        No change for anybody who reads them.
        """
        table = OBJECTS[kind.kind]
        query = select(table).where(table.c.uid > after).order_by(table.c.uid).limit(limit)
        rows = (await self._connection.execute(query)).mappings().all()
        done, unreadable, breaths = 0, list[NamespacedName](), Breaths()
        for row in rows:
            await breaths.take()
            try:
                columns = self._codec.resealed_columns(kind, dict(row))
            except SealBroken:
                unreadable.append((row["namespace"], row["name"]))
                continue
            if columns:
                is_unchanged = (table.c.uid == row["uid"]) & (table.c.resource_version == row["resource_version"])
                await self._connection.execute(update(table).where(is_unchanged).values(columns))
                done += 1
        return Step(done, tuple(unreadable), rows[-1]["uid"] if len(rows) == limit else None, len(rows))

    async def changes(self, *, after: str, limit: int) -> Step:
        """The same for so many entries of the change log, in the order of their positions."""
        kinds_of_them = {kind.kind: kind for kind in RESEALED}
        query = select(CHANGES).where(CHANGES.c.position > int(after or 0), CHANGES.c.kind.in_(kinds_of_them))
        rows = (await self._connection.execute(query.order_by(CHANGES.c.position).limit(limit))).mappings().all()
        done, unreadable, breaths = 0, list[NamespacedName](), Breaths()
        for row in rows:
            await breaths.take()
            place = {"namespace": row["namespace"], "name": row["name"]}
            try:
                stored = self._codec.resealed_stored(kinds_of_them[row["kind"]], row["object"], **place)
            except SealBroken:
                unreadable.append((row["namespace"], row["name"]))
                continue
            if stored is not None:
                that = CHANGES.c.position == row["position"]
                await self._connection.execute(update(CHANGES).where(that).values(object=stored))
                done += 1
        return Step(done, tuple(unreadable), str(rows[-1]["position"]) if len(rows) == limit else None, len(rows))

    async def operations(self, *, after: str, limit: int) -> Step:
        """The same for what brokers have said in the operation history. What does not open stays as it is."""
        query = select(OPERATIONS).where(OPERATIONS.c.name > after).order_by(OPERATIONS.c.name).limit(limit)
        rows = (await self._connection.execute(query)).mappings().all()
        done, breaths = 0, Breaths()
        for row in rows:
            await breaths.take()
            if anew := resealed_words(self._keyring, row):
                # Whoever has told more of it since has sealed that.
                is_unchanged = [OPERATIONS.c[column] == row[column] for column in anew]
                statement = update(OPERATIONS).where(OPERATIONS.c.name == row["name"], *is_unchanged)
                await self._connection.execute(statement.values(anew))
                done += 1
        return Step(done, (), rows[-1]["name"] if len(rows) == limit else None, len(rows))

    async def size(self, what: str) -> int:
        """About how many texts there are to look at in a table of objects, the work queue or the change log."""
        table = {CHANGE_LOG: CHANGES, WORK: W, CAUSES: W, HISTORY: OPERATIONS}.get(what)
        if table is None:
            table = next(OBJECTS[kind.kind] for kind in RESEALED if kind.plural == what)
        query = select(func.count()).select_from(table)
        if what == CAUSES:
            query = query.where(W.c.memory["cause"]["message"].as_string().is_not(None))
        if what == WORK:
            query = query.where(self._is_old(W.c.sealed, to_newest=True))
        if table is CHANGES:
            query = query.where(CHANGES.c.kind.in_([kind.kind for kind in RESEALED]))
        return int((await self._connection.execute(query)).scalar_one())

    async def old_checksums(self, *, limit: int) -> Sequence[str]:
        """The uids of objects that show a checksum without a key, or under one that is no longer in front.

        Each time those behind the last ones, in whatever process, for some may stay old for good: their Secrets are
        gone. Fewer than the limit are the last ones; after them it begins anew.
        """
        after = await read_mark(self._connection, _CHECKSUMS) or ""
        old = union_all(*(self._old_checksums(OBJECTS[kind.kind], after) for kind in _WITH_CHECKSUMS)).subquery()
        query = select(old.c.uid).order_by(old.c.uid).limit(limit)
        uids = (await self._connection.execute(query)).scalars().all()
        reached = uids[-1] if len(uids) == limit else ""
        if reached != after:
            await set_mark(self._connection, _CHECKSUMS, reached)
        return uids

    async def has_old_changes(self) -> bool:
        """Whether the change log has something sealed otherwise. It is not rewritten: it forgets within hours."""
        query = select(CHANGES.c.position).where(CHANGES.c.kind == kinds.SECRET.kind, self._is_old(_LOGGED)).limit(1)
        return (await self._connection.execute(query)).first() is not None

    def _old_checksums(self, table: "Table", after: str) -> "Select[tuple[str]]":
        shown = table.c.status["externalProperties"]["parameterChecksum"].as_string()
        _, *others = self._keyring.checksums.ids
        is_old = or_(shown.not_like("%:%"), *(shown.startswith(f"{each}:") for each in others))
        return select(table.c.uid).where(table.c.uid > after, is_old)

    def _is_old(self, sealed: "ColumnElement[Any]", *, to_newest: bool = False) -> "ColumnElement[bool]":
        """Sealed with no data key although they are in use; without them, not with the first configured key."""
        if self._keyring.data_keys.is_in_use and not to_newest:
            return sealed.is_not(None) & sealed.not_like(f"%:{DATA_KEY_FORM}:%")
        return sealed.is_not(None) & ~sealed.startswith(self._keyring.mark, autoescape=True)

    async def _places(self, rows: Sequence[Any]) -> dict[str, NamespacedName]:
        found: dict[str, NamespacedName] = {}
        for kind in {row["kind"] for row in rows} & OBJECTS.keys():
            table, uids = OBJECTS[kind], [row["uid"] for row in rows if row["kind"] == kind]
            query = select(table.c.uid, table.c.namespace, table.c.name).where(table.c.uid.in_(uids))
            found |= {uid: (namespace, name) for uid, namespace, name in await self._connection.execute(query)}
        return found


def _step(rows: Sequence[Any], unreadable: Sequence[NamespacedName], limit: int) -> Step:
    reached = rows[-1]["uid"] if len(rows) == limit else None
    return Step(len(rows) - len(unreadable), tuple(unreadable), reached, len(rows))
