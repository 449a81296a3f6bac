"""The effects around the state machine of a service broker, for both kinds of brokers."""

from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from chandlery.model import kinds
from chandlery.model.brokers import AnyBroker
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.reconcile.answers import Verdict
from chandlery.reconcile.offering import Unresolved
from chandlery.runtime.broker_access import find_endpoint
from chandlery.runtime.reconciler import Planned
from chandlery.runtime.resources import Resources
from chandlery.store.database import UnitOfWork
from chandlery.store.reconciliations import Claim
from chandlery_syncer import broker_outcomes as outcomes
from chandlery_syncer.broker_draft import BrokerChange
from chandlery_syncer.broker_machine import decide
from chandlery_syncer.broker_snapshot import (
    Blocked,
    BrokerMemory,
    BrokerSnapshot,
    Dismantle,
    Fetch,
    Idle,
    Inaccessible,
    Task,
    Tidy,
)
from chandlery_syncer.catalog_difference import Clash
from chandlery_syncer.catalog_fetch import Fetched, fetch_catalog
from chandlery_syncer.catalog_writer import CatalogWriter


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The snapshot for the machine, and beside it what only the effects need."""

    snapshot: BrokerSnapshot
    endpoint: BrokerEndpoint | None


class BrokerReconciler:
    """One of these serves all brokers; it keeps nothing between rounds."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._timeout = timedelta(hours=resources.settings.operation_timeout_hours)
        self._relist_interval = timedelta(hours=resources.settings.relist_hours)

    async def load(self, unit: UnitOfWork, document: AnyBroker, claim: Claim) -> Loaded:
        """See Reconciler."""
        memory = BrokerMemory.model_validate(claim.memory)
        is_deleted = document.metadata.deletion_timestamp is not None
        writer = CatalogWriter(unit, document)
        timeout = self._resources.settings.osb_timeout_seconds
        endpoint = await find_endpoint(unit, self._resources.cluster, document, timeout_seconds=timeout)
        snapshot = BrokerSnapshot(
            broker=document,
            memory=memory,
            access=endpoint if isinstance(endpoint, Unresolved) else None,
            instances=await writer.count_instances() if is_deleted else 0,
            unused=await writer.unused(memory.leftovers),
            attempt=claim.attempt,
            relist_interval=self._relist_interval,
            operation_timeout=self._timeout,
        )
        return Loaded(snapshot=snapshot, endpoint=endpoint if isinstance(endpoint, BrokerEndpoint) else None)

    def plan(self, snapshot: Loaded, unit: UnitOfWork) -> Planned[Task] | BrokerChange:
        """See Reconciler."""
        inner, now = snapshot.snapshot, unit.now
        action = decide(inner, now)
        match action:
            case Idle():
                return outcomes.idle(inner, now)
            case Inaccessible():
                return outcomes.inaccessible(inner, action.access, now)
            case Blocked():
                return outcomes.blocked(inner, action.instances, now)
            case Fetch() | Tidy() | Dismantle():
                # Nothing of this needs repeating as it was: a catalog is read anew, the rest is decided anew.
                return Planned(call=action, in_flight=None, memory=inner.memory.to_wire())
            case _:
                assert_never(action)

    async def perform(self, snapshot: Loaded, planned: Planned[Task]) -> Fetched | None:
        """See Reconciler."""
        if not isinstance(planned.call, Fetch):
            return None
        if snapshot.endpoint is None:
            raise LookupError("a catalog was to be fetched from a broker that cannot be reached")
        return await fetch_catalog(
            self._resources.osb, snapshot.endpoint, broker=snapshot.snapshot.broker, etag=planned.call.etag
        )

    def announce(
        self,
        snapshot: Loaded,
        planned: Planned[Task],
        unit: UnitOfWork,
    ) -> BrokerChange | None:
        """See Reconciler. A broker whose catalog is on its way is what it was before."""
        return None

    async def settle(
        self, unit: UnitOfWork, snapshot: Loaded, planned: Planned[Task], answer: Fetched | None
    ) -> BrokerChange:
        """See Reconciler."""
        inner, now = snapshot.snapshot, unit.now
        latest = await unit.objects.get_by_uid(kinds.kind_of(inner.broker), inner.broker.metadata.uid or "", lock=True)
        is_deleted = latest is None or latest.metadata.deletion_timestamp is not None
        writer = CatalogWriter(unit, inner.broker)
        if isinstance(planned.call, Dismantle):
            left = 0 if latest is None else await writer.dismantle()
            return outcomes.blocked(inner, left, now) if left else outcomes.dismantled(inner, now)
        if is_deleted:
            # Nothing is taken over for a broker that is on its way out; the deletion has made it due again.
            return outcomes.idle(inner, now)
        if isinstance(planned.call, Tidy) or answer is None:
            return outcomes.tidied(inner, await writer.tidy(inner.memory.leftovers), now)
        return await self._settle_fetch(unit, inner, answer)

    def lane(self, snapshot: Loaded, claim: Claim) -> str:
        """See Reconciler."""
        return claim.lane

    async def _settle_fetch(self, unit: UnitOfWork, snapshot: BrokerSnapshot, fetched: Fetched) -> BrokerChange:
        answer, now = fetched.answer, unit.now
        writer = CatalogWriter(unit, snapshot.broker)
        if answer.verdict == Verdict.UNCHANGED:
            left = await writer.tidy(snapshot.memory.leftovers)
            return outcomes.synced(snapshot, etag=snapshot.etag, leftovers=left, now=now)
        if answer.verdict != Verdict.SUCCEEDED:
            return outcomes.fetch_failed(snapshot, answer, now)
        if fetched.wished is None:
            return outcomes.sync_failed(snapshot, fetched.problem or "the catalog is not valid", now)
        left_or_clash = await writer.take_over(fetched.wished)
        if isinstance(left_or_clash, Clash):
            return outcomes.sync_failed(snapshot, left_or_clash.sentence, now)
        return outcomes.synced(snapshot, etag=answer.etag, leftovers=left_or_clash, now=now)
