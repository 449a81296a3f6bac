"""The worker's loop: claim, call, record. Everything that is the same for instances, bindings and brokers.

Comes in: a command, which says whose turn it is and nothing else. `claim` takes the lease and asks the state machine
what to do, in one short transaction.
Goes out: one call to the service broker, made with no transaction open; then `record` writes what the state machine
makes of the answer, fenced, in a second short transaction. Rounds go on until nothing is due.
Called by: `worker.py`, for each command. It calls the reconciler of the kind (`reconciler.py`).

A process that dies in between leaves a lease that runs out and a sealed request; the next worker repeats exactly that.
A platform that joins no transaction is asked between taking the lease and deciding, in two transactions then, and is
written to between call and record, or after it: `rounds/outside_steps.py`. With one that joins there is none of that.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, NamedTuple, cast

import structlog

from chandlery.contracts.messages import UNRESOLVED_LANE, Message, Reconcile
from chandlery.engine.batches import Batches, Part
from chandlery.engine.circuits.call_gate import CallGate, Destination, deferred, with_kept_turn, woken_by_others
from chandlery.engine.reconciler import AnswerT, CallT, DocumentT, Planned, Reconciler, SnapshotT, Undelivered
from chandlery.engine.reminded_rounds import TOGETHER
from chandlery.engine.resources import Resources
from chandlery.engine.rounds.claimed_round import (
    AnsweredRound,
    ClaimedRound,
    DecidedRound,
    RecordedRound,
    UndecidedRound,
    awaited_keys,
    described,
    held_back_from,
    kept_note,
)
from chandlery.engine.rounds.late_answers import told_all_the_same
from chandlery.engine.rounds.outside_steps import PATIENCE, OutsideSteps
from chandlery.engine.rounds.round_calls import RoundCalls, latest_of
from chandlery.engine.rounds.round_counting import CountedRound
from chandlery.engine.rounds.round_reads import claimed_documents, prefetch_secrets
from chandlery.engine.rounds.round_report import (
    UNDECIDED,
    Outcome,
    RoundReport,
    report_of_call,
    report_of_deferral,
    report_of_move,
)
from chandlery.engine.rounds.round_trace import RoundTrace
from chandlery.engine.rounds.round_writer import AT_ONCE, RoundWriter
from chandlery.messaging.handler_slots import enter_slot, leave_slot, runs_beside
from chandlery.model.faults import AlreadyExists, Conflict, LeaseLost, Unavailable
from chandlery.model.objects.core import RecordedFact
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.reasons import StoredDataReason
from chandlery.platform.gathered_answers import GatheredAnswers
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.reconcile_result import ReconcileResult, RecordEvent
from chandlery.retry.schedule import BROKER_CALLS
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_claims import Claim

log = structlog.get_logger(__name__)

_ROUNDS_PER_COMMAND = 20
_MOST_LOOKS = 8
"""How often one decision may turn out to need more of the platform; two are usual."""
_BATCH = 32
"""Rounds that share a transaction, at most."""
_NOTE_LOST = (
    "The last request to the service broker is unknown, because its stored copy cannot be decrypted. The "
    "next request is decided from the current state"
)


class _Held(NamedTuple):
    """What is decided about."""

    part: Part[Any]
    claim: Claim
    until: float
    answers: GatheredAnswers | None


def _lost_note(document: AnyObject) -> RecordEvent:
    log.error(_NOTE_LOST, action="open_note", kind=document.kind, uid=document.metadata.uid)
    return RecordEvent(document, RecordedFact(StoredDataReason.NOTE_LOST, _NOTE_LOST, is_warning=True))


@dataclass(frozen=True)
class Turn:
    """A command whose round has come."""

    command: Reconcile
    trace: RoundTrace


class ReconcileLoop(Generic[SnapshotT, CallT, AnswerT, DocumentT]):
    """Handles commands for one kind of object."""

    def __init__(self, reconciler: Reconciler[SnapshotT, CallT, AnswerT, DocumentT], resources: Resources) -> None:
        self._reconciler = reconciler
        self._resources = resources
        self._database = resources.database
        self._gate = CallGate(resources.circuits, resources.database.clock)
        self._lease = timedelta(seconds=resources.settings.lease_seconds)
        self._writer = RoundWriter(resources)
        self._calls = RoundCalls(reconciler, resources, gate=self._gate, writer=self._writer)
        self._outside = OutsideSteps(reconciler, resources)
        self._claims = Batches(self._claim_batch, limit=_BATCH)
        self._decisions = Batches(self._decide_batch, limit=_BATCH)
        self._records = Batches(self._record_batch, limit=_BATCH)
        self._reminded_claims = Batches(self._claim_batch, limit=TOGETHER)
        self._reminded_records = Batches(self._record_batch, limit=TOGETHER)

    async def handle(self, message: Message) -> None:
        """Work on the object that a command names until nothing is due any more."""
        if not isinstance(message, Reconcile):
            return
        for _ in range(_ROUNDS_PER_COMMAND):
            if not runs_beside():
                await enter_slot()
            trace = RoundTrace(self._resources.tracing.tracer)
            try:
                due_at = await self._round(Turn(message, trace))
                if due_at is None:
                    return
                if due_at is not AT_ONCE:
                    self._resources.requeue_timers.set(trace.reminder(message), due_at - self._database.clock())
                    return
            except (LeaseLost, Conflict, AlreadyExists) as fault:
                # Whoever won the race goes on; the sweep brings the object back if nobody does.
                log.info(fault.message, action="yield_round", kind=message.kind, uid=message.uid)
                return
            except Unavailable as fault:
                # Not the message's fault: the row is still due, and the sweep sends another command.
                log.warning(fault.message, action="postpone_round", kind=message.kind, uid=message.uid)
                return

    async def _round(self, turn: Turn) -> datetime | None:
        """When this process is to see to the object again."""
        with turn.trace as trace, CountedRound(self._resources.metrics, turn.command.kind) as counted:
            claimed = await (self._reminded_claims if runs_beside() else self._claims)(turn)
            trace.enter()
            if isinstance(claimed, UndecidedRound | DecidedRound):
                return await self._held(claimed, counted)
            return await self._ended(claimed, counted)

    async def _held(
        self, claimed: UndecidedRound | DecidedRound[SnapshotT, CallT], counted: CountedRound
    ) -> datetime | None:
        """The same of a round whose lease is taken."""
        counted.claimed(claimed)
        claim = claimed.claim
        self._resources.in_hand[claim.uid] = claimed.until
        self._resources.under_way[claim.uid] = described(claimed)
        try:
            asked = await self._asked(claimed) if isinstance(claimed, UndecidedRound) else claimed
            if not isinstance(asked, DecidedRound):
                return await self._ended(asked, counted)
            counted.claimed(asked)
            return await self._ended(await self._carried_out(asked), counted)
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

    async def _ended(self, recorded: RecordedRound | None, counted: CountedRound) -> datetime | None:
        if recorded is None:
            return None
        counted.recorded(recorded)
        if recorded.events:
            await self._outside.tell(recorded.events)
        return recorded.due_at

    async def _asked(self, undecided: UndecidedRound) -> DecidedRound[SnapshotT, CallT] | RecordedRound | None:
        for _ in range(_MOST_LOOKS):
            await self._outside.gather(undecided)
            claimed = await self._decisions(undecided)
            if not isinstance(claimed, UndecidedRound):
                return claimed
            undecided = claimed
        raise Unavailable("what has to be known of the platform changes faster than it can be asked")

    async def _carried_out(self, decided: DecidedRound[SnapshotT, CallT]) -> RecordedRound | None:
        if decided.events:
            await self._outside.tell(decided.events)
        self._resources.under_way[decided.claim.uid] = described(decided)
        await enter_slot()
        decided, answer = await self._calls.make(decided)
        undelivered = None
        if not self._resources.platform.joins_transactions and not isinstance(answer, Deferral):
            undelivered = await self._outside.hand_over(decided, answer)
        leave_slot(is_unused=isinstance(answer, Deferral))
        return await self._record(decided, answer, undelivered)

    async def _claim_batch(self, parts: Sequence[Part[Turn]]) -> list[ClaimedRound[SnapshotT, CallT]]:
        # The same object twice in one batch: it is the round of the first command.
        of_uid = {part.item.command.uid: part for part in reversed(parts)}

        async def claim(unit: UnitOfWork) -> list[ClaimedRound[SnapshotT, CallT]]:
            until = time.monotonic() + self._lease.total_seconds()
            # By kind too: a command may give an object's uid for another kind, whose worker would not understand it.
            kinds_named = {part.item.command.kind for part in parts}
            claims = await unit.work_queue.claim_many(
                list(of_uid), owner=self._resources.owner, lease=self._lease, kinds=kinds_named
            )
            held = [_Held(of_uid[uid], claim, until, self._no_answers()) for uid, claim in claims.items()]
            claimed = await self._decide_all(unit, held)
            # The second command for an object finds its lease taken.
            return [claimed.pop(part.item.command.uid, None) for part in parts]

        return await self._database.run(claim)

    def _no_answers(self) -> GatheredAnswers | None:
        """Nothing is known of the platform so far; None for one that is asked within the transaction."""
        return None if self._resources.platform.joins_transactions else GatheredAnswers()

    async def _decide_batch(self, parts: Sequence[Part[UndecidedRound]]) -> list[ClaimedRound[SnapshotT, CallT]]:
        # In the order of `_record_batch`, for its reason.
        ordered = sorted(parts, key=lambda each: each.item.claim.uid)

        async def decide(unit: UnitOfWork) -> list[ClaimedRound[SnapshotT, CallT]]:
            await unit.work_queue.hold([each.item.claim for each in ordered])
            known = [_Held(each, each.item.claim, each.item.until, each.item.answers) for each in ordered]
            decided = await self._decide_all(unit, known)
            return [decided[each.item.claim.uid] for each in parts]

        return await self._database.run(decide)

    async def _decide_all(self, unit: UnitOfWork, held: "Sequence[_Held]") -> dict[str, ClaimedRound[SnapshotT, CallT]]:
        documents = await claimed_documents(unit, [each.claim for each in held])
        await self._reconciler.prefetch(unit, [cast("DocumentT", each) for each in documents.values()])
        decided = {}
        # What a decision locks belongs to its lane (the line of a rate limit, a circuit): all go by lanes, in order, so
        # that no two of these transactions wait for each other.
        for each in sorted(held, key=lambda each: (each.claim.lane, each.claim.uid)):
            uid = each.claim.uid
            decided[uid] = await each.part.run(self._decide(unit, each, documents.get(uid)))
            await unit.breaths.take()
        await unit.work_queue.keep_all_sealed([kept for each in decided.values() if (kept := kept_note(each))])
        return decided

    async def _decide(
        self, unit: UnitOfWork, held: "_Held", document: AnyObject | None
    ) -> ClaimedRound[SnapshotT, CallT]:
        claim, until, answers = held.claim, held.until, held.answers
        if isinstance(held.part.item, Turn):
            claim = held.part.item.trace.begin(claim, document)
        if document is None:
            await unit.work_queue.remove(claim.uid)
            return None
        claim = claim.on(document.metadata)
        snapshot, planned = await self._look(unit, claim, document, answers)
        is_complete = answers is None or answers.is_complete
        if is_complete and isinstance(planned, ReconcileResult) and (keys := awaited_keys(planned)):
            # Whoever brings what is missing either sees this row waiting, or has committed already: look once more.
            await unit.wait_for(keys)
            snapshot, planned = await self._look(unit, claim, document, answers)
        lane = self._reconciler.lane(snapshot, claim)
        if answers is not None and not answers.is_complete:
            if claim.lane == UNRESOLVED_LANE != lane:
                unit.outbox.add(await unit.work_queue.move(claim, lane))
                return RecordedRound(None, report=report_of_move(UNDECIDED, lane=lane))
            return UndecidedRound(claim=claim, document=document, until=until, answers=answers)
        events = (_lost_note(document),) if claim.is_note_lost else ()
        if isinstance(planned, ReconcileResult):
            change = with_kept_turn(replace(planned, events=(*events, *planned.events)), claim, now=unit.now)
            report = RoundReport(action=planned.action, outcome=Outcome.DONE, lane=lane)
            return await self._write(unit, claim, change, seen=document, latest=document, report=report)
        left = await self._writer.tell(unit, events)
        if claim.lane == UNRESOLVED_LANE != lane:
            # Now that the service broker is known, the call is made where it can keep nobody else waiting.
            unit.outbox.add(await unit.work_queue.move(claim, lane))
            return RecordedRound(None, left, report=report_of_move(planned.action, lane=lane))
        guarded = self._reconciler.guard(snapshot, planned)
        to = Destination(lane=lane, policy=guarded.policy, is_urgent=guarded.is_urgent) if guarded else None
        if to is not None and (deferral := await self._gate.deferral(unit, to, claim)) is not None:
            change = deferred(self._reconciler.defer(snapshot, deferral, planned=planned, unit=unit), deferral, claim)
            change = replace(change, events=(*left, *change.events))
            report = report_of_deferral(planned.action, deferral, lane=lane)
            return await self._write(unit, claim, change, seen=document, latest=document, report=report)
        return DecidedRound(
            claim=claim, document=document, snapshot=snapshot, planned=planned, until=until, to=to, events=left
        )

    async def _look(
        self, unit: UnitOfWork, claim: Claim, document: AnyObject, answers: GatheredAnswers | None
    ) -> tuple[SnapshotT, Planned[CallT] | ReconcileResult[DocumentT]]:
        if answers is not None:
            answers.ask_anew()
        view = answers or self._resources.platform.session(unit)
        snapshot = await self._reconciler.load(unit, cast("DocumentT", document), claim, view)
        return snapshot, self._reconciler.decide(snapshot, unit)

    async def _record(
        self, decided: DecidedRound[SnapshotT, CallT], answer: AnswerT | Deferral, undelivered: Any
    ) -> RecordedRound | None:
        is_again = False
        async for attempt in PATIENCE.around(Unavailable, Conflict, AlreadyExists):
            with attempt:
                # Mostly nobody has touched the object since, or made its Secret; a fault says that somebody has: look.
                answered = AnsweredRound(decided, answer, undelivered, looks_first=is_again)
                async with told_all_the_same(self._database, self._reconciler, answered):
                    return await (self._reminded_records if runs_beside() else self._records)(answered)
            is_again = True
        return None

    async def _record_batch(
        self, parts: Sequence[Part[AnsweredRound[SnapshotT, CallT, AnswerT]]]
    ) -> list[RecordedRound]:
        # All who write several rows of work do so in one order: none of them waits for one that waits for it.
        ordered = sorted(enumerate(parts), key=lambda pair: pair[1].item.decided.claim.uid)

        async def record(unit: UnitOfWork) -> dict[int, RecordedRound]:
            await unit.work_queue.hold([part.item.decided.claim for _, part in ordered])
            await self._gate.hold_circuits(unit, [to for _, part in ordered if (to := held_back_from(part.item))])
            if self._resources.platform.joins_transactions:
                await prefetch_secrets(unit, self._reconciler, [part.item for _, part in ordered])
            return {place: await part.run(self._record_one(unit, part.item)) for place, part in ordered}

        recorded = await self._database.run(record)
        return [recorded[place] for place in range(len(parts))]

    async def _record_one(self, unit: UnitOfWork, answered: AnsweredRound[SnapshotT, CallT, AnswerT]) -> RecordedRound:
        await unit.breaths.take()
        decided = answered.decided
        if isinstance(answered.answer, Deferral) and decided.to is not None:
            deferral = self._gate.still_deferred(unit, decided.to, answered.answer)
            change = self._reconciler.defer(decided.snapshot, deferral, planned=decided.planned, unit=unit)
            change = deferred(change, deferral, decided.claim)
            report = report_of_deferral(decided.planned.action, deferral, lane=decided.to.lane)
        else:
            change, report = await self._absorbed(unit, answered)
        latest = await latest_of(unit, decided) if answered.looks_first else decided.document
        return await self._write(unit, decided.claim, change, seen=decided.document, latest=latest, report=report)

    async def _absorbed(
        self, unit: UnitOfWork, answered: AnsweredRound[SnapshotT, CallT, AnswerT]
    ) -> tuple[ReconcileResult[DocumentT], RoundReport]:
        decided, answer = answered.decided, cast("AnswerT", answered.answer)
        undelivered = answered.undelivered
        if self._resources.platform.joins_transactions:
            undelivered = await self._delivered(unit, decided, answer)
        change = await self._reconciler.absorb(unit, decided.snapshot, decided.planned, answer, undelivered=undelivered)
        report = report_of_call(
            decided.planned,
            answer,
            before=decided.document,
            after=change.document,
            lane=self._reconciler.lane(decided.snapshot, decided.claim),
            is_delivered=undelivered is None,
        )
        return woken_by_others(change, decided.to, answer, unit.now) if decided.to is not None else change, report

    async def _delivered(
        self, unit: UnitOfWork, decided: DecidedRound[SnapshotT, CallT], answer: AnswerT
    ) -> Undelivered | None:
        content = self._reconciler.delivery(decided.snapshot, decided.planned, answer)
        if content is None:
            return None
        session = self._resources.platform.session(unit)
        undelivered = await self._reconciler.deliver(session, decided.snapshot, content)
        if undelivered is None or not undelivered.keys:
            return undelivered
        # Whoever changes what is in the way either finds the object waiting for it, or has committed: look once more.
        await unit.wait_for(undelivered.keys)
        return await self._reconciler.deliver(session, decided.snapshot, content)

    async def _write(
        self,
        unit: UnitOfWork,
        claim: Claim,
        change: ReconcileResult[DocumentT],
        *,
        seen: AnyObject,
        latest: AnyObject | None,
        report: RoundReport,
    ) -> RecordedRound:
        recorded = await self._writer.write(unit, claim, change, lane=report.lane, seen=seen, latest=latest)
        return replace(recorded, report=report)
