"""The call of a round: let through, made with no transaction open, announced if it takes its time, cut at its lease.

By the end of a lease the object belongs to somebody else, and two at once are worse than one given up.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

import structlog

from chandlery.contracts.messages import ObjectChanged
from chandlery.engine.circuits.call_gate import CallGate
from chandlery.engine.condition_log import say_conditions
from chandlery.engine.merge_with_latest import merged_with_latest, with_version_of
from chandlery.engine.reconciler import AnswerT, CallT, DocumentT, Reconciler, SnapshotT
from chandlery.engine.resources import Resources
from chandlery.engine.rounds import round_log
from chandlery.engine.rounds.claimed_round import DecidedRound, broker_of
from chandlery.engine.rounds.round_writer import RoundWriter
from chandlery.model.faults import Conflict, LeaseLost, Unavailable
from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import AnyObject
from chandlery.reconcile.history.open_operations import write_open
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.reconcile_result import ReconcileResult
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_claims import Claim

_SLOW_CALL_SECONDS = 0.25
"""A call that takes longer is announced in the status; faster ones would only show a flicker."""
T = TypeVar("T")


def left_of_lease(in_hand: Mapping[str, float], uid: str) -> float:
    """Seconds until the lease ends, as far as the heart has beaten until now."""
    return in_hand.get(uid, 0.0) - time.monotonic()


async def within_lease(in_hand: Mapping[str, float], uid: str, task: "asyncio.Future[T]") -> T:
    """The result of the task, which the caller cancels if this raises. Raises LeaseLost."""
    while not task.done():
        left = left_of_lease(in_hand, uid)
        if left <= 0:
            raise LeaseLost
        await asyncio.wait({task}, timeout=left)
    return await task


async def latest_of(unit: UnitOfWork, decided: DecidedRound[Any, Any]) -> AnyObject | None:
    """The object as it is by now, locked; None if it is gone."""
    return await unit.objects.get_by_uid(kinds.kind_of(decided.document), decided.claim.uid, lock=True)


class RoundCalls(Generic[SnapshotT, CallT, AnswerT, DocumentT]):
    """Makes the calls of one loop."""

    def __init__(
        self,
        reconciler: Reconciler[SnapshotT, CallT, AnswerT, DocumentT],
        resources: Resources,
        *,
        gate: CallGate,
        writer: RoundWriter,
    ) -> None:
        self._reconciler = reconciler
        self._resources = resources
        self._database = resources.database
        self._gate = gate
        self._writer = writer

    async def make(
        self, decided: DecidedRound[SnapshotT, CallT]
    ) -> tuple[DecidedRound[SnapshotT, CallT], AnswerT | Deferral]:
        """The answer, or why the call may not be made now; and the round, whose object an announcement has changed."""
        if round_log.is_wanted():
            round_log.say_decided(decided)
        if decided.to is None:
            return await self._call(decided)
        admission = self._gate.begin(decided.to)
        if isinstance(admission, Deferral):
            return decided, admission
        with self._gate.watched(decided.to, decided.claim.uid, admission) as outcome:
            decided, outcome.answer = await self._call(decided)
        return decided, outcome.answer

    async def _call(self, decided: DecidedRound[SnapshotT, CallT]) -> tuple[DecidedRound[SnapshotT, CallT], AnswerT]:
        uid, in_hand = decided.claim.uid, self._resources.in_hand
        if left_of_lease(in_hand, uid) <= 0:
            # Halted since the claim: a request that leaves only now would meet the work of whoever has taken over.
            raise LeaseLost
        with structlog.contextvars.bound_contextvars(**self._about(decided)):
            call = asyncio.ensure_future(self._reconciler.call(decided.snapshot, decided.planned))
        try:
            done, _ = await asyncio.wait({call}, timeout=_SLOW_CALL_SECONDS)
            # What only asks leaves no trace while it takes its time.
            if not done and not decided.planned.traits.only_asks:
                with contextlib.suppress(Conflict, Unavailable):
                    decided = await self._database.run(lambda unit: self._announce(unit, decided))
            return decided, await within_lease(in_hand, uid, call)
        finally:
            call.cancel()

    def _about(self, decided: DecidedRound[SnapshotT, CallT]) -> dict[str, Any]:
        """Whose call it is, for the log lines of the call."""
        meta = decided.document.metadata
        lane = decided.to.lane if decided.to else self._reconciler.lane(decided.snapshot, decided.claim)
        return {
            "kind": decided.claim.kind,
            **({"namespace": meta.namespace} if meta.namespace else {}),
            "name": meta.name,
            "uid": decided.claim.uid,
            "broker": broker_of(lane),
            "attempt": decided.claim.attempt + 1,
        }

    async def _hold(self, unit: UnitOfWork, claim: Claim, change: ReconcileResult[DocumentT]) -> None:
        if change.open_operations is None:
            await unit.work_queue.hold([claim])
            return
        # Should the note of the request be lost with this process, it is still known what was told to be under way.
        await unit.work_queue.keep_open(claim, write_open(change.open_operations))

    async def _announce(
        self, unit: UnitOfWork, decided: DecidedRound[SnapshotT, CallT]
    ) -> DecidedRound[SnapshotT, CallT]:
        change = self._reconciler.announce(decided.snapshot, decided.planned, unit)
        if change is None:
            return decided
        await self._hold(unit, decided.claim, change)
        latest = await latest_of(unit, decided)
        if latest is None:
            return decided
        written = await unit.objects.update(latest, merged_with_latest(change.document, decided.document, latest))
        unit.after_commit(partial(say_conditions, latest, written))
        lane = self._reconciler.lane(decided.snapshot, decided.claim)
        self._writer.tell_history(unit, change, lane=lane)
        unit.outbox.add(ObjectChanged(kind=decided.claim.kind, uid=decided.claim.uid, reason="CallInFlight"))
        if latest.metadata.resource_version != decided.document.metadata.resource_version:
            # A user has changed it since: with the version as it was, the record notices and looks first.
            return decided
        return replace(decided, document=with_version_of(decided.document, version_of=written))
