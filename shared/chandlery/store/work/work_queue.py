"""The work queue: what is due, who works on it, what has been sealed for the next one.

Comes in: objects to look after (`add`), another desired state (`enqueue_changed`), what a round leaves (`release`).
Goes out: claims, which are leases with a fence: whoever writes with one that somebody else has taken over raises
LeaseLost. Commands for the outbox; what nobody sends, or is lost, the sweep finds again (`due`).
Called by: the gateway and `deletions`, to enqueue; the reconcile loop, the heartbeat and the sweep for the rest.

One small row for each object. `revision` counts changes of the desired state, so that one that comes during a round is
not lost. Who waits for something else is found by `wakes`. Claims and retries write only this row, so watchers of the
objects see real changes alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, bindparam, case, func, insert, select, text, update
from sqlalchemy.sql.dml import ReturningUpdate

from chandlery.contracts.messages import Reconcile, sound_trace
from chandlery.model.faults import LeaseLost, SealBroken
from chandlery.model.objects.wire import JsonObject
from chandlery.store.recovery.restored_hold import may_be_claimed
from chandlery.store.rows import utc
from chandlery.store.schema import OBJECTS
from chandlery.store.schema import WORK_QUEUE as W
from chandlery.store.sealing.sealing import Keyring
from chandlery.store.sets_of_values import is_one_of, is_one_of_given
from chandlery.store.work.due_work import (
    COMMAND,
    HeldRows,
    command_of,
    commands_of,
    is_not_on_hold,
    made_due,
    make_due,
    one_by_one,
)
from chandlery.store.work.sealed_notes import OpenedNote, open_cause, open_note, seal_cause, seal_note
from chandlery.store.work.work_claims import ON_HOLD, Claim, Release, TakenWork, WorkTrace
from chandlery.store.work.work_releases import DELIVERY, OF_UID, WRITE, Forsaken, Standing, Woken, WorkReleases
from chandlery.telemetry.tracing.traceparent import current_traceparent

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

CLOCK_TOLERANCE = timedelta(seconds=1)
"""How far the clocks of two machines may be apart before work waits for the sweep."""
LONGEST_PAUSE = timedelta(minutes=10)
"""Between two commands for an object that nobody gets to."""


class WorkQueue:
    """The work queue, as this transaction sees it."""

    def __init__(
        self,
        connection: "AsyncConnection",
        keyring: Keyring,
        now: datetime,
        *,
        woken: Woken,
        forsaken: Forsaken,
    ) -> None:
        """`woken` is told the wake-up keys of what comes to an end, `forsaken` a uid and what was open of it."""
        self._connection = connection
        self._keyring = keyring
        self._now = now
        self._is_postgresql = connection.dialect.name == "postgresql"
        self._later: list[dict[str, Any]] = []
        self._taken: list[dict[str, Any]] = []
        self._memories: dict[str, JsonObject] = {}
        self._held = HeldRows(connection, now)
        self._ends = WorkReleases(connection, keyring, now, woken=woken, forsaken=forsaken)

    async def add(self, kind: str, uid: str, *, lane: str) -> Reconcile:
        """Start to look after an object, due now. Returns the command for the outbox."""
        row = self._new(kind, uid, lane)
        await self._connection.execute(insert(W).values(row))
        return command_of(row)

    def add_later(self, kind: str, uid: str, *, lane: str) -> Reconcile:
        """`add`, together with others when the transaction ends."""
        row = self._new(kind, uid, lane)
        self._later.append(row)
        return command_of(row)

    def _new(self, kind: str, uid: str, lane: str) -> dict[str, Any]:
        row = {"kind": kind, "uid": uid, "lane": lane, "due_at": self._now, "enqueue_after": self._now + DELIVERY}
        return {**row, "memory": {}, "desired_at": self._now, "traceparent": current_traceparent()}

    def add_taken_later(self, taken: TakenWork) -> None:
        """Start to look after an object that somebody else has looked after until now, with notes to go on from.

        No command: the sweep sends those for what is due.
        """
        sealed = taken.sealed and seal_note(self._keyring, taken.uid, taken.sealed, at=taken.at)
        due_at = self._now if taken.is_due else None
        memory = seal_cause(self._keyring, taken.uid, taken.memory)
        row = {"kind": taken.kind, "uid": taken.uid, "lane": taken.lane, "due_at": due_at, "enqueue_after": due_at}
        row["waiting_for"] = ON_HOLD if taken.is_on_hold else None
        self._taken.append({**row, "memory": memory, "sealed": sealed, "ready": taken.ready})

    async def flush(self) -> None:
        """Write what `add_later`, `add_taken_later` and `enqueue_changed_later` were given."""
        for rows in (self._later, self._taken):
            if rows:
                await self._connection.execute(_INSERT, rows)
                rows.clear()
        await self._held.flush()

    async def enqueue_changed(self, uid: str, *, is_new_generation: bool = False) -> Reconcile | None:
        """The desired state has changed: due now, even if somebody works on it. Returns the command for the outbox.

        From a new generation on it is measured how long it takes until that is reached.
        """
        statement = made_due(self._now, W.c.uid == uid, cause=current_traceparent())
        if is_new_generation:
            statement = statement.values(desired_at=self._now)
        commands = await commands_of(self._connection, statement)
        return commands[0] if commands else None

    def enqueue_changed_later(self, uid: str, *, is_new_generation: bool = False) -> Reconcile | None:
        """`enqueue_changed` of a row that `lock_all` has locked, together with others when the transaction ends."""
        return self._held.make_due(uid, is_new_generation=is_new_generation)

    async def enqueue_changed_in_namespace(
        self, kind: str, namespace: str, *, lanes: Sequence[str]
    ) -> Sequence[Reconcile]:
        """`enqueue_changed` for all of a kind in a namespace that belong to one of these lanes, but for `ON_HOLD`."""
        if not lanes:
            return []
        table = OBJECTS[kind]
        there = select(table.c.uid).where(table.c.namespace == namespace)
        meant = (W.c.kind == kind) & W.c.lane.in_(lanes) & W.c.uid.in_(there) & is_not_on_hold()
        return await make_due(self._connection, self._now, W.c.uid.in_(one_by_one(self._connection, meant)))

    async def claim(self, uid: str, *, owner: str, lease: timedelta) -> Claim | None:
        """Take the lease if the object is due and nobody holds it."""
        claims = await self.claim_many([uid], owner=owner, lease=lease)
        return claims.get(uid)

    async def claim_many(
        self, uids: Sequence[str], *, owner: str, lease: timedelta, kinds: Collection[str] | None = None
    ) -> dict[str, Claim]:
        """Take the leases of those objects that are due and that nobody holds; only of these kinds if any are given."""
        until = self._now + lease
        statement = _claiming(is_postgresql=self._is_postgresql, names_kinds=kinds is not None)
        given = {"uids": list(uids), "kinds": list(kinds or ()), "owner": owner, "until": until}
        given |= {"now": self._now, "nearly_now": self._now + CLOCK_TOLERANCE}
        rows = (await self._connection.execute(statement, given)).mappings()
        return {row["uid"]: self._claim(row, owner) for row in rows}

    def _claim(self, row: Any, owner: str) -> Claim:
        note = self._opened(row["uid"], row["sealed"])
        plain = {**row, "sealed": None, "memory": open_cause(self._keyring, row["uid"], row["memory"])}
        plain["open_operations"] = row["open_operations"] or ()
        for moment in ("turn_at", "desired_at"):
            plain[moment] = row[moment] and utc(row[moment])
        trace = WorkTrace(sound_trace(plain.pop("traceparent")), sound_trace(plain.pop("last_traceparent")))
        self._ends.has_claimed(row["uid"], Standing(row["revision"], trace.cause, plain["desired_at"]))
        claim = Claim(owner=owner, trace=trace, **plain)
        if isinstance(note, SealBroken):
            return replace(claim, is_note_lost=True)
        return replace(claim, sealed=note.note, at=note.at) if note else claim

    def _opened(self, uid: str, sealed: str | None) -> OpenedNote | SealBroken | None:
        try:
            return open_note(self._keyring, uid, sealed) if sealed else None
        except SealBroken as fault:
            # Whoever claims many objects has to get on with the others.
            return fault

    def _sealed(self, claim: Claim, note: JsonObject) -> str:
        return seal_note(self._keyring, claim.uid, note, at=claim.at)

    async def keep_all_sealed(self, kept: Sequence[tuple[Claim, JsonObject, JsonObject]]) -> None:
        """`keep_sealed` for several claims of this very transaction, so that no lease can be lost."""
        if not kept:
            return
        rows = [
            {
                OF_UID: claim.uid,
                "sealed": self._sealed(claim, sealed),
                "memory": seal_cause(self._keyring, claim.uid, memory),
            }
            for claim, sealed, memory in kept
        ]
        await self._connection.execute(WRITE, rows)

    async def keep_sealed(self, claim: Claim, sealed: JsonObject, memory: JsonObject) -> None:
        """Write down what is about to be sent, before it is sent. Raises LeaseLost."""
        kept = seal_cause(self._keyring, claim.uid, memory)
        values = {"sealed": self._sealed(claim, sealed), "memory": kept}
        statement = update(W).where(_held_by(claim)).values(values)
        await self._fenced(statement)

    async def release(self, claim: Claim, release: Release) -> Reconcile | None:
        """End the round. Returns a command if the desired state changed meanwhile. Raises LeaseLost."""
        await self._ends.hold([claim])
        command = self.release_later(claim, release)
        await self.flush_ends()
        return command

    async def hold(self, claims: Sequence[Claim]) -> None:
        """Make sure that these leases are still ours, and keep them so until the transaction ends. Raises LeaseLost."""
        await self._ends.hold(claims)

    def release_later(self, claim: Claim, release: Release) -> Reconcile | None:
        """`release` of one that is held or was claimed just now, together with others when the transaction ends."""
        return self._ends.release(claim, release)

    async def flush_ends(self) -> None:
        """Write what `release_later` and `remove_later` were given."""
        await self._ends.flush()

    async def give_back(self, claim: Claim, *, after: timedelta = timedelta(0)) -> None:
        """Let go of the lease without a result; what is in flight stays noted, and the next worker goes on from it."""
        # A newer revision came with a command that found the lease taken: it must not wait as long as a failure does.
        due_at = case((W.c.revision == claim.revision, self._now + after), else_=self._now)
        statement = (
            update(W)
            .where(_held_by(claim))
            .values(lease_owner=None, lease_until=None, due_at=due_at, enqueue_after=due_at, attempt=claim.attempt + 1)
            .values(_traced(claim))
        )
        await self._connection.execute(statement)

    async def keep_open(self, claim: Claim, open_operations: Sequence[JsonObject]) -> None:
        """`hold`, and write down which operations of the history have not ended. Raises LeaseLost."""
        await self._fenced(update(W).where(_held_by(claim)).values(open_operations=list(open_operations) or None))

    async def lock(self, uid: str) -> None:
        """Keep everybody else from the work row until the transaction ends; taken before the object's own lock."""
        if self._is_postgresql:
            await self._connection.execute(select(W.c.uid).where(W.c.uid == uid).with_for_update())

    async def lock_all(self, uids: Collection[str]) -> None:
        """`lock` for several, in one order; `enqueue_changed_later` is for these."""
        await self._held.lock(uids)

    async def move(self, claim: Claim, lane: str) -> Reconcile:
        """Let go of the lease and hand the work to another lane. Returns the command for the outbox."""
        values = {"lane": lane, "lease_owner": None, "lease_until": None, "enqueue_after": self._now + DELIVERY}
        await self._fenced(update(W).where(_held_by(claim)).values(values | _traced(claim)))
        return Reconcile(kind=claim.kind, uid=claim.uid, lane=lane, traceparent=current_traceparent())

    async def extend(self, uids: Sequence[str], *, owner: str, lease: timedelta) -> set[str]:
        """Heartbeat: move the end of these leases, as far as this owner still holds them. Returns whose."""
        until = self._now + lease
        held = is_one_of(self._connection, W.c.uid, uids) & (W.c.lease_owner == owner)
        statement = (
            update(W)
            .where(W.c.uid.in_(one_by_one(self._connection, held)))
            .values(lease_until=until, enqueue_after=until)
            .returning(W.c.uid)
        )
        return set((await self._connection.execute(statement)).scalars())

    async def due(self, *, limit: int) -> Sequence[Reconcile]:
        """What has to be put on the bus again, after ever longer pauses.

        A command that waits behind a slow service broker is not lost; more of them would only make its queue grow.
        """
        overdue = select(*COMMAND, W.c.due_at).where(W.c.enqueue_after <= self._now)
        overdue = overdue.order_by(W.c.enqueue_after).limit(limit)
        if self._is_postgresql:
            overdue = overdue.with_for_update(skip_locked=True)
        rows = (await self._connection.execute(overdue)).mappings().all()
        if rows:
            again = [{"of_uid": row["uid"], "again_at": self._now + self._pause(row["due_at"])} for row in rows]
            statement = update(W).where(W.c.uid == bindparam("of_uid")).values(enqueue_after=bindparam("again_at"))
            await self._connection.execute(statement, again)
        return [command_of(row) for row in rows]

    def _pause(self, due_at: datetime | None) -> timedelta:
        if due_at is None:
            return LONGEST_PAUSE
        waited = self._now - utc(due_at)
        return min(max(waited, 3 * DELIVERY), LONGEST_PAUSE)

    async def start_over(self) -> None:
        """Nobody else is at work, and no command is under way: all leases are free, and what is due is due now.

        For a process that is the only one, at its start: its bus, and whoever held leases, went with the one before.
        """
        statement = update(W).where(W.c.due_at.is_not(None))
        await self._connection.execute(statement.values(enqueue_after=W.c.due_at, lease_owner=None, lease_until=None))

    async def remove(self, uid: str) -> None:
        """The object is gone. What it was interested in goes with `orphans`."""
        self.remove_later(uid)
        await self.flush_ends()

    def remove_later(self, uid: str) -> None:
        """`remove`, together with others when the transaction ends."""
        self._ends.remove(uid)

    async def lanes(self) -> Sequence[str]:
        """Every lane that has work: a few looks into the index for each, however many objects there are."""
        return sorted(set((await self._connection.execute(_LANES)).scalars()))

    async def count_in_lane(self, kind: str, lane: str) -> int:
        """How many objects of a kind belong to a service broker."""
        query = select(func.count()).select_from(W).where(W.c.kind == kind, W.c.lane == lane)
        return int((await self._connection.execute(query)).scalar_one())

    async def some_in_lane(self, kind: str, lane: str, *, limit: int) -> Sequence[str]:
        """The uids of some objects of a kind that belong to a service broker, always the same ones."""
        query = select(W.c.uid).where(W.c.kind == kind, W.c.lane == lane).order_by(W.c.uid).limit(limit)
        return (await self._connection.execute(query)).scalars().all()

    async def memory_of(self, uid: str) -> JsonObject:
        """A worker's notes on an object; empty if nobody looks after it."""
        if uid not in self._memories:
            await self.prefetch_memories([uid])
        return self._memories[uid]

    async def prefetch_memories(self, uids: Collection[str]) -> None:
        """Read what `memory_of` is about to be asked for."""
        query = _memories(is_postgresql=self._is_postgresql)
        found = {row.uid: row.memory for row in await self._connection.execute(query, {"uids": list(uids)})}
        for uid in uids:
            self._memories[uid] = open_cause(self._keyring, uid, found.get(uid) or {})

    def forget(self) -> None:
        """Let `memory_of` read anew."""
        self._memories.clear()

    async def _fenced(self, statement: Any) -> None:
        if not (await self._connection.execute(statement)).rowcount:
            raise LeaseLost


_INSERT = insert(W)


_KINDS = " UNION ALL ".join(f"SELECT '{kind}' AS kind" for kind in OBJECTS)
# Only names of our own kinds stand in it. DISTINCT would read a row of the index for each object.
_LANES = text(
    f"""
    WITH RECURSIVE found (kind, lane) AS (
        SELECT kind, (SELECT min(lane) FROM work_queue WHERE work_queue.kind = kinds.kind) FROM ({_KINDS}) AS kinds
        UNION ALL
        SELECT kind, (SELECT min(lane) FROM work_queue WHERE work_queue.kind = found.kind AND lane > found.lane)
        FROM found WHERE lane IS NOT NULL
    )
    SELECT lane FROM found WHERE lane IS NOT NULL
    """  # noqa: S608
)


@cache
def _memories(*, is_postgresql: bool) -> Select[Any]:
    return select(W.c.uid, W.c.memory).where(is_one_of_given(W.c.uid, "uids", is_postgresql=is_postgresql))


@cache
def _claiming(*, is_postgresql: bool, names_kinds: bool) -> ReturningUpdate[Any]:
    """The statement behind `claim_many`."""
    now, until = (bindparam(name, type_=W.c.lease_until.type) for name in ("now", "until"))
    free = W.c.lease_until.is_(None) | (W.c.lease_until < now)
    meant = is_one_of_given(W.c.uid, "uids", is_postgresql=is_postgresql)
    due = select(W.c.uid).where(meant, W.c.due_at <= bindparam("nearly_now", type_=W.c.due_at.type), free)
    due = due.where(may_be_claimed())
    if names_kinds:
        due = due.where(is_one_of_given(W.c.kind, "kinds", is_postgresql=is_postgresql))
    if is_postgresql:
        # Whoever holds a row either leaves a command behind or leaves it to the sweep: nobody here waits for them.
        due = due.with_for_update(skip_locked=True)
    return (
        update(W)
        .where(W.c.uid.in_(due))
        .values(lease_owner=bindparam("owner"), lease_until=until, enqueue_after=until, fence=W.c.fence + 1)
        .returning(W.c.uid, W.c.kind, W.c.lane, W.c.attempt, W.c.revision, W.c.fence)
        .returning(W.c.sealed, W.c.memory, W.c.open_operations, W.c.turn_at, W.c.desired_at)
        .returning(W.c.traceparent, W.c.last_traceparent)
    )


def _traced(claim: Claim, *, is_at_rest: bool = False) -> dict[str, Any]:
    """The columns of the trace. What has become due meanwhile has another cause, which stays."""
    cause = None if is_at_rest else claim.trace.cause
    return {
        "traceparent": case((W.c.revision == claim.revision, cause), else_=W.c.traceparent),
        "last_traceparent": claim.trace.last_round,
    }


def _held_by(claim: Claim) -> Any:
    return (W.c.uid == claim.uid) & (W.c.fence == claim.fence) & (W.c.lease_owner == claim.owner)
