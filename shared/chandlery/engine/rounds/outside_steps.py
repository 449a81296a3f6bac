"""The steps of a round that a platform needs which joins no transaction. Standalone, none of them is ever taken.

Each may be cut off anywhere. What was asked is asked again. Credentials are sealed in the work row before the first
byte of them leaves for the platform, and stay there until the record says that they have arrived.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

import structlog

from chandlery.engine.reconciler import Reconciler
from chandlery.engine.resources import Resources
from chandlery.engine.rounds.claimed_round import DecidedRound, UndecidedRound
from chandlery.engine.rounds.round_calls import within_lease
from chandlery.model.faults import Conflict, Fault, Unavailable
from chandlery.reconcile.reconcile_result import RecordEvent
from chandlery.retry.transient import TransientRetry

log = structlog.get_logger(__name__)
T = TypeVar("T")

PATIENCE: Final = TransientRetry(attempts=20, initial_seconds=0.1, maximum_seconds=5.0)
"""An answer that cannot be recorded is worth some patience: it may hold credentials."""


class OutsideSteps:
    """What one loop does with its platform between its transactions."""

    def __init__(self, reconciler: Reconciler[Any, Any, Any, Any], resources: Resources) -> None:
        self._reconciler = reconciler
        self._resources = resources

    async def gather(self, undecided: UndecidedRound) -> None:
        """Ask the platform for what the decision needs."""
        session = self._resources.platform.session(None)
        await self._bounded(undecided.claim.uid, undecided.answers.gather(session))

    async def hand_over(self, decided: DecidedRound[Any, Any], answer: Any) -> Any:
        """Write what the answer brings to the platform; why that cannot be done, if so."""
        content = self._reconciler.delivery(decided.snapshot, decided.planned, answer)
        if content is None:
            return None
        claim, database = decided.claim, self._resources.database
        note = self._reconciler.answered_note(decided.snapshot, decided.planned, answer)
        if note is not None:
            memory = decided.planned.memory
            async for attempt in PATIENCE.around(Unavailable, Conflict):
                with attempt:
                    await database.run(lambda unit: unit.work_queue.keep_sealed(claim, note, memory))
        session = self._resources.platform.session(None)
        async for attempt in PATIENCE.around(Unavailable, Conflict):
            with attempt:
                return await self._bounded(claim.uid, self._reconciler.deliver(session, decided.snapshot, content))
        raise AssertionError("tenacity either returns or raises")

    async def tell(self, events: Sequence[RecordEvent]) -> None:
        """Record events of what is committed already. One that cannot be recorded is left out: the status has it."""
        session = self._resources.platform.session(None)
        results = await asyncio.gather(*map(session.carry_out, events), return_exceptions=True)
        for event, result in zip(events, results, strict=True):
            if isinstance(result, BaseException):
                why = result.message if isinstance(result, Fault) else type(result).__name__
                about = event.about
                log.warning(
                    f"an event about the {about.kind} {about.metadata.name} could not be recorded: {why}",
                    action="record_event",
                    kind=about.kind,
                    uid=about.metadata.uid,
                )

    async def _bounded(self, uid: str, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(work)
        try:
            return await within_lease(self._resources.in_hand, uid, task)
        finally:
            task.cancel()
