"""Writes what a round has come to: the object, its work row, its events, and what others are told. One transaction."""

from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from chandlery.contracts.messages import ObjectChanged
from chandlery.engine.condition_log import say_conditions
from chandlery.engine.merge_with_latest import merged_with_latest
from chandlery.engine.resources import Resources
from chandlery.engine.rounds import round_log
from chandlery.engine.rounds.claimed_round import RecordedRound, broker_of
from chandlery.engine.rounds.counted_state import CountedState, counted_state
from chandlery.model.objects.kinds import AnyObject
from chandlery.reconcile.history.open_operations import write_open
from chandlery.reconcile.reconcile_result import ReconcileResult, RecordEvent
from chandlery.store.audit.credential_trail import credential_entry
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_claims import Claim, Release
from chandlery.telemetry.current_trace import current_trace_id

AT_ONCE: Final = datetime.min.replace(tzinfo=UTC)
"""An object that is due again before it was let go of."""


class RoundWriter:
    """One of these serves all rounds of a loop."""

    def __init__(self, resources: Resources) -> None:
        self._platform = resources.platform
        self._timers = resources.requeue_timers

    async def write(
        self,
        unit: UnitOfWork,
        claim: Claim,
        change: ReconcileResult[Any],
        *,
        lane: str,
        seen: AnyObject,
        latest: AnyObject | None,
    ) -> RecordedRound:
        """Put the change on top of what is stored now, for a claim that is held. `lane` is that of later commands."""
        if latest is None:
            await unit.work_queue.remove(claim.uid)
            still_open = write_open(change.open_operations or ())
            unit.operations.complete(change.document, change.operations, still_open=still_open)
            return RecordedRound(None)
        self.tell_history(unit, change, lane=lane)
        document = merged_with_latest(change.document, seen, latest)
        counted = counted_state(document)
        due_at = self._release(unit, claim, change, lane, counted=counted)
        if change.is_finished and not document.metadata.finalizers:
            await unit.objects.remove_later(latest)
            unit.work_queue.remove_later(claim.uid)
        else:
            await unit.objects.update_later(latest, document)
        events = (*change.events, *(RecordEvent(document, fact) for fact in change.facts))
        unit.audit.note(*filter(None, (credential_entry(document, fact) for fact in change.facts)))
        unit.after_commit(partial(say_conditions, latest, document))
        if round_log.is_wanted():
            unit.after_commit(partial(round_log.say_written, claim, document, change))
        unit.enqueue_waiting_at_end(change.wakes)
        if document != latest or change.is_finished:
            reason = change.facts[-1].reason if change.facts else ""
            unit.outbox.add(ObjectChanged(kind=claim.kind, uid=claim.uid, reason=reason))
        left = await self.tell(unit, events)
        is_new = counted.is_reached and not counted_state(latest).is_reached
        ready_after = (unit.now - claim.desired_at).total_seconds() if is_new and claim.desired_at else None
        return RecordedRound(None if change.is_finished else due_at, left, ready_after=ready_after)

    def tell_history(self, unit: UnitOfWork, change: ReconcileResult[Any], *, lane: str) -> None:
        """Note what the change says of operations at the service broker that the lane belongs to."""
        if change.operations:
            trace_id = current_trace_id()
            unit.operations.note(change.document, change.operations, broker=broker_of(lane), trace_id=trace_id)

    async def tell(self, unit: UnitOfWork, events: tuple[RecordEvent, ...]) -> tuple[RecordEvent, ...]:
        """Record the events; returns those that a platform which joins no transaction has to be told afterwards."""
        if not events or not self._platform.joins_transactions:
            return events
        session = self._platform.session(unit)
        for event in events:
            await session.carry_out(event)
        return ()

    def _release(
        self, unit: UnitOfWork, claim: Claim, change: ReconcileResult[Any], lane: str, *, counted: CountedState
    ) -> datetime | None:
        """Returns when this process is to see to it again: at once, or a reminder that it takes upon itself."""
        due_at = change.next.due_at
        is_reminded = lane == claim.lane and self._timers.take(due_at, unit.now)
        still_open = claim.open_operations if change.open_operations is None else write_open(change.open_operations)
        release = Release(
            due_at=due_at,
            attempt=change.next.attempt,
            lane=lane,
            is_reminded=is_reminded,
            waiting_for=change.next.waiting_for,
            sealed=change.sealed,
            memory=change.memory,
            open_operations=still_open,
            interests=change.next.interests,
            turn_at=change.next.turn_at,
            ready=counted.ready,
            expires_at=counted.expires_at,
            is_reached=counted.is_reached,
            is_at_rest=counted.is_reached and not still_open and not change.next.attempt,
        )
        unit.outbox.add(unit.work_queue.release_later(claim, release))
        if is_reminded:
            return due_at
        return AT_ONCE if due_at is not None and due_at <= unit.now else None
