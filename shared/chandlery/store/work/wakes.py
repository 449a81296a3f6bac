"""Who waits for what: objects of which something else is missing or may change are woken by whoever brings it.

Comes in: keys (`reconcile_result` makes them). A row of work waits for one, and follows any number as interests.
Goes out: commands for those that were found waiting.
Called by: the transaction's `wake_ups`, at its end, for what is written; the reconcile loop, to lock; `circuit_sync`,
for what circuits have deferred.

Waiter and waker may meet in any order and nobody waits in vain:

- The waiter locks the keys before it decides to wait, and looks once more (`lock_waits`).
- The waker locks the keys, too, and makes due who is known to wait for them (`enqueue_waiting`).
- A row that somebody holds at that moment, who has perhaps looked before the news, cannot be waited for here without
  two transactions waiting for each other. It is noted, and woken in a transaction of its own (`enqueue_late`).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, delete, func, insert, null, select, text, union_all, update

from chandlery.contracts.messages import Reconcile
from chandlery.store.schema import INTERESTS, LATE_WAKES
from chandlery.store.schema import WORK_QUEUE as W
from chandlery.store.sets_of_values import (
    given_pairs,
    is_one_of,
    is_one_of_given,
    is_one_of_given_pairs,
    is_one_of_pairs,
)
from chandlery.store.work.due_work import (
    COMMAND,
    command_of,
    commands_of,
    given_due,
    is_not_on_hold,
    made_due,
    made_due_given,
    one_by_one,
)
from chandlery.store.work.work_claims import ON_HOLD
from chandlery.store.work.work_releases import DELIVERY

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, CompoundSelect
    from sqlalchemy.ext.asyncio import AsyncConnection

_KEYS = "keys"
_LOCK_WAITS = text("SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest(CAST(:keys AS text[])) AS key")
_MOST_ENQUEUED = 5_000
_MOST_LATE = 500
_MOST_LOCKS = 1_000
"""PostgreSQL has room for some 6,400 locks by default, for everybody together."""


class WakeStore:
    """The waiting, as this transaction sees it."""

    def __init__(self, connection: "AsyncConnection", now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._is_postgresql = connection.dialect.name == "postgresql"
        self.has_late_ones = False
        """Whether `enqueue_late` is to be called as soon as this transaction has been committed."""

    async def lock_waits(self, keys: Sequence[str]) -> None:
        """Before deciding to wait for these keys: whoever wakes them now commits first, or comes after."""
        if self._is_postgresql:
            # In one order, so that two who lock several do not wait for each other.
            await self._connection.execute(_LOCK_WAITS, {"keys": sorted(keys)})

    async def enqueue_waiting(
        self, *keys: str, known: Collection[tuple[str, str]] = (), cause: str | None = None
    ) -> Sequence[Reconcile]:
        """Make everything due that waits for one of these keys. Returns the commands for the outbox.

        `known` are pairs of a key and the uid of who need not be woken by it. `cause` is the span that has brought the
        news, for the trace of whoever is at rest; what is under way goes on in its own.

        Beyond a thousand keys the rest is woken without its lock: whoever decides to wait at the very same moment may
        be passed over and comes back by schedule.
        """
        ordered = sorted(set(keys))
        if not ordered:
            return []
        await self.lock_waits(ordered[:_MOST_LOCKS])
        commands: list[Reconcile] = []
        for start in range(0, len(ordered), _MOST_LOCKS):
            some = ordered[start : start + _MOST_LOCKS]
            of_those = [pair for pair in known if pair[0] in some]
            if self._is_postgresql:
                commands += await self._wake_or_note(some, of_those, cause)
            else:
                meant = _waiting_for(self._connection, some, known=of_those)
                commands += await self._commands_of_woken(W.c.uid.in_(meant), cause)
        return commands

    async def _commands_of_woken(self, condition: Any, cause: str | None) -> Sequence[Reconcile]:
        return await commands_of(self._connection, made_due(self._now, condition, cause=_kept_or(cause)))

    async def _wake_or_note(
        self, keys: Sequence[str], known: Sequence[tuple[str, str]], cause: str | None
    ) -> Sequence[Reconcile]:
        given = {_KEYS: list(keys), **given_due(self._now, cause)}
        if known:
            given |= given_pairs(known, is_postgresql=True)
        statement = _woken_or_noted(has_known=bool(known))
        rows = (await self._connection.execute(statement, given)).mappings().all()
        self.has_late_ones |= any(row["kind"] is None for row in rows)
        return [command_of(row) for row in rows if row["kind"] is not None]

    async def enqueue_late(self) -> Sequence[Reconcile]:
        """Wake who could not be woken at once. Waits for those who hold their rows: nothing else may be locked before.

        Returns the commands for the outbox.
        """
        some = select(LATE_WAKES.c.id).order_by(LATE_WAKES.c.id).limit(_MOST_LATE)
        if self._is_postgresql:
            some = some.with_for_update(skip_locked=True)
        statement = delete(LATE_WAKES).where(LATE_WAKES.c.id.in_(some)).returning(LATE_WAKES.c.uid)
        uids = (await self._connection.execute(statement)).scalars().all()
        if not uids:
            return []
        rows = one_by_one(self._connection, W.c.uid.in_(uids))
        return await self._commands_of_woken(W.c.uid.in_(rows), None)

    async def enqueue_deferred(self, key: str, *, limit: int | None = None) -> Sequence[Reconcile]:
        """Make what was held back under this key due again, as it was: its revision and its back-off stay.

        At most `limit` of them, those first that were to come first. Returns the commands for the outbox.
        """
        is_free = W.c.lease_until.is_(None) | (W.c.lease_until <= self._now)
        deferred = select(W.c.uid).where(W.c.waiting_for == key, is_free).order_by(W.c.due_at).limit(limit)
        if self._is_postgresql:
            deferred = deferred.with_for_update(skip_locked=True)
        values = {"due_at": self._now, "waiting_for": None, "enqueue_after": self._now + DELIVERY}
        return await self._commands(W.c.uid.in_(deferred), values)

    async def enqueue_once(self, uid: str) -> Sequence[Reconcile]:
        """Have an object looked at now, although nothing else is desired, and whatever it waits for."""
        is_held = W.c.lease_until > self._now
        values = {
            "due_at": self._now,
            # Only this tells whoever holds the lease that there is news.
            "revision": case((is_held, W.c.revision + 1), else_=W.c.revision),
            "enqueue_after": case((is_held, W.c.lease_until), else_=self._now + DELIVERY),
        }
        return await self._commands(W.c.uid == uid, values)

    async def _commands(self, condition: Any, values: Mapping[str, Any]) -> Sequence[Reconcile]:
        statement = update(W).where(condition).values(values).returning(*COMMAND)
        return await commands_of(self._connection, statement)

    async def on_hold(self, uids: Collection[str]) -> set[str]:
        """Those of the objects that only a wish for them makes due; see `ON_HOLD`."""
        meant = is_one_of(self._connection, W.c.uid, uids) & (W.c.waiting_for == ON_HOLD)
        return set((await self._connection.execute(select(W.c.uid).where(meant))).scalars())

    async def enqueue_idle(self, uids: Sequence[str]) -> None:
        """Have objects at rest looked at again, in batches that the sweep makes; see `Sweep`.

        What is due some time anyway is left to that: a poll or a repeated call must not come early. But its row is
        written as well, so that nobody begins a round on what is about to be outdated. `ON_HOLD` is left alone.
        """
        is_held = W.c.lease_until > self._now
        is_moved = W.c.due_at.is_(None) | is_held
        due_at = case((is_moved, self._now), else_=W.c.due_at)
        again = case((is_held, W.c.lease_until), (is_moved, self._now), else_=W.c.due_at)
        for start in range(0, len(uids), _MOST_ENQUEUED):
            meant = W.c.uid.in_(uids[start : start + _MOST_ENQUEUED]) & is_not_on_hold()
            rows = one_by_one(self._connection, meant)
            statement = update(W).where(W.c.uid.in_(rows))
            values = {"revision": W.c.revision + 1, "due_at": due_at, "enqueue_after": again}
            await self._connection.execute(statement.values(values))


def _kept_or(cause: str | None) -> Any:
    """The trace that a row has, or else this one."""
    return W.c.traceparent if cause is None else func.coalesce(W.c.traceparent, cause)


def _waiting_for(connection: "AsyncConnection", keys: Sequence[str], *, known: Sequence[tuple[str, str]]) -> Any:
    waiting = select(W.c.uid).where(is_one_of(connection, W.c.waiting_for, keys))
    interested = select(INTERESTS.c.uid).where(is_one_of(connection, INTERESTS.c.key, keys))
    if known:
        waiting = waiting.where(~is_one_of_pairs(connection, (W.c.waiting_for, W.c.uid), known))
        interested = interested.where(~is_one_of_pairs(connection, (INTERESTS.c.key, INTERESTS.c.uid), known))
    # A union, because PostgreSQL reads the whole table for an OR of the two.
    return union_all(waiting, interested)


@cache
def _woken_or_noted(*, has_known: bool) -> "CompoundSelect[Any]":
    """On PostgreSQL: makes due who waits and is not held by anybody; of who is held there is a note, without a kind.

    Kept, because a dozen selects take longer to make than to run.
    """
    waiting = select(W.c.uid).where(_is_given(W.c.waiting_for))
    interested = select(INTERESTS.c.uid).where(_is_given(INTERESTS.c.key))
    if has_known:
        waiting = waiting.where(~is_one_of_given_pairs((W.c.waiting_for, W.c.uid), is_postgresql=True))
        interested = interested.where(~is_one_of_given_pairs((INTERESTS.c.key, INTERESTS.c.uid), is_postgresql=True))
    meant = select(W.c.uid).where(W.c.uid.in_(union_all(waiting, interested))).cte("waiting")
    free = select(W.c.uid).where(W.c.uid.in_(select(meant.c.uid))).with_for_update(skip_locked=True).cte("free")
    others = select(meant.c.uid).except_(select(free.c.uid))
    late = insert(LATE_WAKES).from_select(["uid"], others).returning(LATE_WAKES.c.uid).cte("late")
    woken = made_due_given(W.c.uid.in_(select(free.c.uid))).cte("woken")
    of_those = select(woken.c.kind, woken.c.uid, woken.c.lane, woken.c.traceparent)
    return union_all(of_those, select(null(), late.c.uid, null(), null()))


def _is_given(column: "ColumnElement[Any]") -> Any:
    return is_one_of_given(column, _KEYS, is_postgresql=True)
