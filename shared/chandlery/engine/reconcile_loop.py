"""The worker's loop: claim, call, record. Everything that is the same for instances, bindings and brokers.

A command arrives, `claim` takes the lease and asks the state machine what to do, in one short transaction. The call to
the service broker is made with no transaction open. `record` writes what the state machine makes of the answer, fenced,
in a second short transaction. A process that dies in between leaves a lease that runs out and a note of what was in
flight; the next worker repeats exactly that.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Generic, cast

import structlog

from chandlery.contracts.messages import UNRESOLVED_LANE, Message, ObjectChanged, Reconcile
from chandlery.engine.batches import Batches
from chandlery.engine.circuits.call_gate import CallGate, Destination, deferred, woken_by_others
from chandlery.engine.condition_log import say_conditions
from chandlery.engine.merge_with_latest import rebased, with_wish_of
from chandlery.engine.reconciler import AnswerT, CallT, DocumentT, Planned, Reconciler, SnapshotT
from chandlery.engine.resources import Resources
from chandlery.model.faults import Conflict, LeaseLost, Unavailable
from chandlery.model.objects import kinds
from chandlery.model.objects.core import RecordedFact
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.reasons import StoredDataReason
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.reconcile_result import ReconcileResult
from chandlery.retry.schedule import BROKER_CALLS
from chandlery.retry.transient import TransientRetry
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_queue import Claim, Release

log = structlog.get_logger()

_SLOW_CALL_SECONDS = 0.25
"""A call that takes longer is announced in the status; faster ones would only show a flicker."""
_ROUNDS_PER_COMMAND = 20
_AT_ONCE = datetime.min.replace(tzinfo=UTC)
"""An object that is due again before it was let go of."""
_BATCH = 32
"""Rounds that share a transaction, at most."""
_NOTE_LOST = (
    "The last request to the service broker is unknown, because its stored copy cannot be decrypted. The "
    "next request is decided from the current state"
)
_RECORD = TransientRetry(attempts=20, initial_seconds=0.1, maximum_seconds=5.0)
"""An answer that cannot be recorded is worth some patience: it may hold credentials."""


@dataclass(frozen=True, kw_only=True)
class _Claimed(Generic[SnapshotT, CallT]):
    claim: Claim
    document: Any
    snapshot: SnapshotT
    planned: Planned[CallT] | None
    until: float
    """The end of the lease by the monotonic clock, which goes on while a process is halted."""
    to: Destination | None = None
    """None for a call that is never held back."""
    due_at: datetime | None = None
    """When this process is to see to it again; None leaves that to others."""


@dataclass(frozen=True)
class _Answered(Generic[SnapshotT, CallT, AnswerT]):
    claimed: _Claimed[SnapshotT, CallT]
    answer: AnswerT | Deferral
    looks_first: bool


def _kept(entry: "_Claimed[Any, Any] | None") -> tuple[Claim, JsonObject, JsonObject] | None:
    if entry is None or entry.planned is None or entry.planned.sealed is None:
        return None
    return entry.claim, entry.planned.sealed, entry.planned.memory


def _described(claimed: "_Claimed[Any, Any]") -> str:
    metadata = claimed.document.metadata
    place = f"{metadata.namespace}/" if metadata.namespace else ""
    broker = f" at service broker {_broker_of(claimed.to.lane)}" if claimed.to else ""
    return f"{claimed.claim.kind} {place}{metadata.name}{broker}"


def _broker_of(lane: str) -> str:
    """`team/harbour`, or `harbour` for a cluster-wide one."""
    return lane.removeprefix("broker:").removeprefix("/")


def _awaited(change: "ReconcileResult[Any]") -> list[str]:
    keys = {*(change.next.interests or ()), change.next.waiting_for or ""}
    return sorted(keys - {""})


class ReconcileLoop(Generic[SnapshotT, CallT, AnswerT, DocumentT]):
    """Handles commands for one kind of object."""

    def __init__(self, reconciler: Reconciler[SnapshotT, CallT, AnswerT, DocumentT], resources: Resources) -> None:
        self._reconciler = reconciler
        self._resources = resources
        self._database = resources.database
        self._gate = CallGate(resources.circuits, resources.database.clock)
        self._lease = timedelta(seconds=resources.settings.lease_seconds)
        self._claims = Batches(self._claim_batch, limit=_BATCH)
        self._records = Batches(self._record_batch, limit=_BATCH)

    async def handle(self, message: Message) -> None:
        """Work on the object that a command names until nothing is due any more."""
        if not isinstance(message, Reconcile):
            return
        for _ in range(_ROUNDS_PER_COMMAND):
            try:
                due_at = await self._round(message)
                if due_at is None:
                    return
                if due_at is not _AT_ONCE:
                    self._resources.requeue_timers.set(message, due_at - self._database.clock())
                    return
            except (LeaseLost, Conflict) as fault:
                # Whoever won the race goes on; the sweep brings the object back if nobody does.
                log.info(fault.message, action="yield_round", kind=message.kind, uid=message.uid)
                return
            except Unavailable as fault:
                # Not the message's fault: the row is still due, and the sweep sends another command.
                log.warning(fault.message, action="postpone_round", kind=message.kind, uid=message.uid)
                return

    async def _round(self, command: Reconcile) -> datetime | None:
        """When this process is to see to the object again."""
        claimed = await self._claims(command)
        if claimed is None:
            return None
        if claimed.planned is None:
            return claimed.due_at
        claim = claimed.claim
        self._resources.in_hand[claim.uid] = claimed.until
        self._resources.under_way[claim.uid] = _described(claimed)
        try:
            return await self._record(*await self._admitted(claimed, claimed.planned))
        except asyncio.CancelledError:
            # Shutdown: another worker repeats what was in flight.
            await asyncio.shield(self._give_back(claim, after=timedelta(0)))
            raise
        except LeaseLost:
            raise
        except Exception:
            # A bug of ours or an answer that could not be recorded: the object is looked at again, ever more rarely.
            await self._give_back(claim, after=BROKER_CALLS.delay(claim.attempt + 1))
            raise
        finally:
            self._resources.in_hand.pop(claim.uid, None)
            self._resources.under_way.pop(claim.uid, None)

    async def _give_back(self, claim: Claim, *, after: timedelta) -> None:
        with contextlib.suppress(Unavailable):
            await self._database.run(lambda unit: unit.work_queue.give_back(claim, after=after))

    async def _claim_batch(self, commands: Sequence[Reconcile]) -> "list[_Claimed[SnapshotT, CallT] | None]":
        async def claim(unit: UnitOfWork) -> "list[_Claimed[SnapshotT, CallT] | None]":
            until = time.monotonic() + self._lease.total_seconds()
            uids = list(dict.fromkeys(command.uid for command in commands))
            # By kind too: a command may give an object's uid for another kind, whose worker would not understand it.
            kinds_named = {command.kind for command in commands}
            claims = await unit.work_queue.claim_many(
                uids, owner=self._resources.owner, lease=self._lease, kinds=kinds_named
            )
            documents = await self._documents(unit, list(claims.values()))
            claimed = {}
            for uid, held in claims.items():
                claimed[uid] = await self._decide(unit, held, documents.get(uid), until=until)
            await unit.work_queue.keep_all_sealed([kept for entry in claimed.values() if (kept := _kept(entry))])
            # The same object twice in one batch: the second command finds its lease taken.
            return [claimed.pop(command.uid, None) for command in commands]

        return await self._database.run(claim)

    async def _documents(self, unit: UnitOfWork, claims: Sequence[Claim]) -> dict[str, AnyObject]:
        documents: dict[str, AnyObject] = {}
        for name in {claim.kind for claim in claims}:
            uids = [claim.uid for claim in claims if claim.kind == name]
            documents |= await unit.objects.get_many(kinds.KINDS[name], uids)
        return documents

    async def _decide(
        self, unit: UnitOfWork, claim: Claim, document: AnyObject | None, *, until: float
    ) -> _Claimed[SnapshotT, CallT] | None:
        if document is None:
            await unit.work_queue.remove(claim.uid)
            return None
        claim = claim.on(document.metadata)
        if claim.is_note_lost:
            await self._tell_of_lost_note(unit, document)
        snapshot = await self._reconciler.load(unit, cast("DocumentT", document), claim)
        planned = self._reconciler.decide(snapshot, unit)
        if isinstance(planned, ReconcileResult) and (keys := _awaited(planned)):
            # Whoever brings what is missing either sees this row waiting, or has committed already: look once more.
            await unit.wakes.lock_waits(keys)
            unit.objects.forget()
            snapshot = await self._reconciler.load(unit, cast("DocumentT", document), claim)
            planned = self._reconciler.decide(snapshot, unit)
        if isinstance(planned, ReconcileResult):
            due_at = await self._write(unit, claim, document, snapshot, planned, latest=document)
            return _Claimed(claim=claim, document=document, snapshot=snapshot, planned=None, until=until, due_at=due_at)
        lane = self._reconciler.lane(snapshot, claim)
        if claim.lane == UNRESOLVED_LANE != lane:
            # Now that the service broker is known, the call is made where it can keep nobody else waiting.
            unit.outbox.add(await unit.work_queue.move(claim, lane))
            return None
        guarded = self._reconciler.guard(snapshot, planned)
        to = Destination(lane=lane, policy=guarded.policy, is_urgent=guarded.is_urgent) if guarded else None
        if to is not None and (hold := await self._gate.deferral(unit, to, claim)) is not None:
            change = deferred(self._reconciler.defer(snapshot, hold, planned=planned, unit=unit), hold, claim)
            due_at = await self._write(unit, claim, document, snapshot, change, latest=document)
            return _Claimed(claim=claim, document=document, snapshot=snapshot, planned=None, until=until, due_at=due_at)
        return _Claimed(claim=claim, document=document, snapshot=snapshot, planned=planned, until=until, to=to)

    async def _tell_of_lost_note(self, unit: UnitOfWork, document: AnyObject) -> None:
        log.error(_NOTE_LOST, action="open_note", kind=document.kind, uid=document.metadata.uid)
        fact = RecordedFact(StoredDataReason.NOTE_LOST, _NOTE_LOST, is_warning=True)
        await self._resources.platform.record(unit, document, fact)

    async def _admitted(
        self, claimed: _Claimed[SnapshotT, CallT], planned: Planned[CallT]
    ) -> tuple[_Claimed[SnapshotT, CallT], AnswerT | Deferral]:
        if claimed.to is None:
            return await self._call(claimed, planned)
        admission = self._gate.begin(claimed.to)
        if isinstance(admission, Deferral):
            return claimed, admission
        with self._gate.watched(claimed.to, claimed.claim.uid, admission) as outcome:
            claimed, outcome.answer = await self._call(claimed, planned)
        return claimed, outcome.answer

    async def _call(
        self, claimed: _Claimed[SnapshotT, CallT], planned: Planned[CallT]
    ) -> tuple[_Claimed[SnapshotT, CallT], AnswerT]:
        if self._left_of(claimed) <= 0:
            # Halted since the claim: a request that leaves only now would meet the work of whoever has taken over.
            raise LeaseLost
        with structlog.contextvars.bound_contextvars(**self._about(claimed)):
            call = asyncio.ensure_future(self._reconciler.call(claimed.snapshot, planned))
        try:
            done, _ = await asyncio.wait({call}, timeout=_SLOW_CALL_SECONDS)
            if not done:
                with contextlib.suppress(Conflict, Unavailable):
                    claimed = await self._database.run(lambda unit: self._announce(unit, claimed, planned))
            while not done:
                # Past its lease the object belongs to somebody else: two calls at once are worse than one given up.
                left = self._left_of(claimed)
                if left <= 0:
                    raise LeaseLost
                done, _ = await asyncio.wait({call}, timeout=left)
            return claimed, await call
        finally:
            call.cancel()

    def _about(self, claimed: _Claimed[SnapshotT, CallT]) -> dict[str, Any]:
        """Whose call it is, for the log lines of the call."""
        meta = claimed.document.metadata
        lane = claimed.to.lane if claimed.to else self._reconciler.lane(claimed.snapshot, claimed.claim)
        return {
            "kind": claimed.claim.kind,
            **({"namespace": meta.namespace} if meta.namespace else {}),
            "name": meta.name,
            "uid": claimed.claim.uid,
            "broker": _broker_of(lane),
            "attempt": claimed.claim.attempt + 1,
        }

    def _left_of(self, claimed: _Claimed[SnapshotT, CallT]) -> float:
        """Seconds until the lease ends, as far as the heart has beaten until now."""
        return self._resources.in_hand.get(claimed.claim.uid, 0.0) - time.monotonic()

    async def _announce(
        self, unit: UnitOfWork, claimed: _Claimed[SnapshotT, CallT], planned: Planned[CallT]
    ) -> _Claimed[SnapshotT, CallT]:
        change = self._reconciler.announce(claimed.snapshot, planned, unit)
        if change is None:
            return claimed
        await unit.work_queue.assert_lease(claimed.claim)
        latest = await self._latest(unit, claimed)
        if latest is None:
            return claimed
        written = await unit.objects.update(latest, rebased(change.document, claimed.document, latest))
        unit.after_commit(partial(say_conditions, latest, written))
        unit.outbox.add(ObjectChanged(kind=claimed.claim.kind, uid=claimed.claim.uid, reason="CallInFlight"))
        if latest.metadata.resource_version != claimed.document.metadata.resource_version:
            # A user has changed it since: with the version as it was, the record notices and looks first.
            return claimed
        return replace(claimed, document=with_wish_of(claimed.document, version_of=written))

    async def _record(self, claimed: _Claimed[SnapshotT, CallT], answer: AnswerT | Deferral) -> datetime | None:
        is_again = False
        async for attempt in _RECORD.around(Unavailable, Conflict):
            with attempt:
                # Mostly nobody has touched the object since; a Conflict says that somebody has, then we look.
                return await self._records(_Answered(claimed, answer, looks_first=is_again))
            is_again = True
        return None

    async def _record_batch(self, answered: "Sequence[_Answered[SnapshotT, CallT, AnswerT]]") -> list[datetime | None]:
        # All who write several rows of work do so in one order: none of them waits for one that waits for it.
        ordered = sorted(enumerate(answered), key=lambda pair: pair[1].claimed.claim.uid)

        async def record(unit: UnitOfWork) -> dict[int, datetime | None]:
            return {place: await self._record_one(unit, entry) for place, entry in ordered}

        recorded = await self._database.run(record)
        return [recorded[place] for place in range(len(answered))]

    async def _record_one(self, unit: UnitOfWork, answered: "_Answered[SnapshotT, CallT, AnswerT]") -> datetime | None:
        claimed = answered.claimed
        planned = cast("Planned[CallT]", claimed.planned)
        if isinstance(answered.answer, Deferral) and claimed.to is not None:
            hold = await self._gate.still_deferred(unit, claimed.to, answered.answer)
            change = self._reconciler.defer(claimed.snapshot, hold, planned=planned, unit=unit)
            change = deferred(change, hold, claimed.claim)
        else:
            answer = cast("AnswerT", answered.answer)
            change = await self._reconciler.absorb(unit, claimed.snapshot, planned, answer)
            if claimed.to is not None:
                change = woken_by_others(change, claimed.to, answered.answer, unit.now)
        latest = await self._latest(unit, claimed) if answered.looks_first else claimed.document
        return await self._write(unit, claimed.claim, claimed.document, claimed.snapshot, change, latest=latest)

    async def _latest(self, unit: UnitOfWork, claimed: _Claimed[SnapshotT, CallT]) -> AnyObject | None:
        return await unit.objects.get_by_uid(kinds.kind_of(claimed.document), claimed.claim.uid, lock=True)

    async def _write(
        self,
        unit: UnitOfWork,
        claim: Claim,
        seen: AnyObject,
        snapshot: SnapshotT,
        change: ReconcileResult[DocumentT],
        *,
        latest: AnyObject | None,
    ) -> datetime | None:
        if latest is None:
            await unit.work_queue.remove(claim.uid)
            return None
        document = rebased(change.document, seen, latest)
        due_at = await self._release(unit, claim, snapshot, change)
        if change.is_finished and not document.metadata.finalizers:
            await unit.objects.remove(latest)
            await unit.work_queue.remove(claim.uid)
        else:
            await unit.objects.update(latest, document)
        for fact in change.facts:
            await self._resources.platform.record(unit, document, fact)
        unit.after_commit(partial(say_conditions, latest, document))
        unit.enqueue_waiting_at_end(change.wakes)
        if document != latest or change.is_finished:
            reason = change.facts[-1].reason if change.facts else ""
            unit.outbox.add(ObjectChanged(kind=claim.kind, uid=claim.uid, reason=reason))
        return None if change.is_finished else due_at

    async def _release(
        self, unit: UnitOfWork, claim: Claim, snapshot: SnapshotT, change: ReconcileResult[DocumentT]
    ) -> datetime | None:
        """Returns when this process is to see to it again: at once, or a reminder that it takes upon itself."""
        due_at, lane = change.next.due_at, self._reconciler.lane(snapshot, claim)
        is_reminded = lane == claim.lane and self._resources.requeue_timers.take(due_at, unit.now)
        release = Release(
            due_at=due_at,
            attempt=change.next.attempt,
            lane=lane,
            is_reminded=is_reminded,
            waiting_for=change.next.waiting_for,
            sealed=change.sealed,
            memory=change.memory,
            interests=change.next.interests,
            turn_at=change.next.turn_at,
        )
        unit.outbox.add(await unit.work_queue.release(claim, release))
        if is_reminded:
            return due_at
        return _AT_ONCE if due_at is not None and due_at <= unit.now else None
