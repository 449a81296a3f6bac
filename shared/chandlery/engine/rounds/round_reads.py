"""What the rounds of a batch read together, so that a batch of many asks as often as one of few."""

from collections.abc import Sequence

from chandlery.engine.reconciler import SecretPlace
from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import AnyObject
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_claims import Claim


async def claimed_documents(unit: UnitOfWork, claims: Sequence[Claim]) -> dict[str, AnyObject]:
    """The objects of these claims by their uids, without those that are gone."""
    documents: dict[str, AnyObject] = {}
    for name in {claim.kind for claim in claims}:
        uids = [claim.uid for claim in claims if claim.kind == name]
        documents |= await unit.objects.get_many(kinds.KINDS[name], uids)
    return documents


async def prefetch_secrets(unit: UnitOfWork, places: Sequence[SecretPlace | None]) -> None:
    """Look once at what is there by now where deliveries are about to be written."""
    wanted = {place for place in places if place is not None}
    if wanted:
        await unit.objects.prefetch(kinds.SECRET, wanted)
