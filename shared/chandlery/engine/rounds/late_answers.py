"""What a service broker answers about an object that is gone by then: the operation history is told of it all the same.

Whoever takes an object away takes its row of work along, and with that the lease of the round whose call is under way.
Called by: the reconcile loop, when a lease turns out to be lost.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from chandlery.engine.reconciler import AnswerT, CallT, Reconciler, SnapshotT
from chandlery.engine.rounds.claimed_round import AnsweredRound
from chandlery.engine.rounds.round_calls import latest_of
from chandlery.model.faults import Conflict, LeaseLost, Unavailable
from chandlery.reconcile.history.open_operations import write_open
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.store.database import Database, UnitOfWork


@contextlib.asynccontextmanager
async def told_all_the_same(
    database: Database,
    reconciler: Reconciler[SnapshotT, CallT, AnswerT, Any],
    answered: AnsweredRound[SnapshotT, CallT, AnswerT],
) -> AsyncIterator[None]:
    """Around the record of a round: tell what it has to tell if the lease went with the object."""
    try:
        yield
    except LeaseLost:
        with contextlib.suppress(Conflict, Unavailable):
            await database.run(lambda unit: _tell(unit, reconciler, answered))
        raise


async def _tell(
    unit: UnitOfWork,
    reconciler: Reconciler[SnapshotT, CallT, AnswerT, Any],
    answered: AnsweredRound[SnapshotT, CallT, AnswerT],
) -> None:
    """Complete what the history knows, if the object is gone; whoever else has the lease tells it otherwise."""
    decided, answer = answered.decided, answered.answer
    if isinstance(answer, Deferral) or await latest_of(unit, decided) is not None:
        return
    # Nothing is handed over: there is nobody left to own a Secret.
    change = await reconciler.absorb(unit, decided.snapshot, decided.planned, answer, undelivered=None)
    still_open = write_open(change.open_operations or ())
    unit.operations.complete(change.document, change.operations, still_open=still_open)
