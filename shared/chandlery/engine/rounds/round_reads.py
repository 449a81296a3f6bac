"""What the rounds of a batch read together, so that a batch of many asks as often as one of few."""

from collections.abc import Sequence
from typing import Any

from chandlery.engine.reconciler import Reconciler, SecretPlace
from chandlery.engine.rounds.claimed_round import AnsweredRound
from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import AnyObject
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_claims import Claim


async def claimed_documents(unit: UnitOfWork, claims: Sequence[Claim]) -> dict[str, AnyObject]:
    """The objects of these claims by their uids, without those that are gone."""
    documents: dict[str, AnyObject] = {}
    for name in {claim.kind for claim in claims}:
        uids = [claim.uid for claim in claims if claim.kind == name]
        documents |= await unit.objects.get_many(kinds.KINDS[name], uids)
    return documents


async def prefetch_secrets(
    unit: UnitOfWork,
    reconciler: Reconciler[Any, Any, Any, Any],
    rounds: Sequence[AnsweredRound[Any, Any, Any]],
) -> None:
    """Look once at what is there by now where deliveries are about to be written."""
    wanted = {place for each in rounds if (place := _delivers_to(reconciler, each)) is not None}
    if wanted:
        await unit.objects.prefetch(kinds.SECRET, wanted)


def _delivers_to(
    reconciler: Reconciler[Any, Any, Any, Any], answered: AnsweredRound[Any, Any, Any]
) -> SecretPlace | None:
    decided, answer = answered.decided, answered.answer
    # Whose answer brings nothing must not fail for a Secret that cannot be read.
    if isinstance(answer, Deferral) or reconciler.delivery(decided.snapshot, decided.planned, answer) is None:
        return None
    return reconciler.delivers_to(decided.snapshot)
