"""The effects around the state machine of a service broker, for both kinds of brokers."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from chandlery.engine.reconciler import DeliversNothing, NeverDeferred, Planned
from chandlery.engine.resources import Resources
from chandlery.lookup.broker_access import find_endpoint, policy_for
from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import AnyBroker
from chandlery.osb.catalog.catalog_remarks import CatalogRemarks
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.faults import Misconfigured
from chandlery.platform.protocol import PlatformView
from chandlery.reconcile.answers import Verdict
from chandlery.reconcile.offering import Unresolved
from chandlery.reconcile.platform_writes import RecordEvent
from chandlery.reconcile.reconcile_result import broker_key
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_queue import Claim
from chandlery_syncer.absorb import broker_outcomes as outcomes
from chandlery_syncer.absorb.broker_draft import BrokerResult
from chandlery_syncer.absorb.broker_remedies import after_collision
from chandlery_syncer.catalog.catalog_difference import Clash
from chandlery_syncer.catalog.catalog_fetch import Fetched, fetch_catalog
from chandlery_syncer.catalog.catalog_news import catalog_note, remarks_facts
from chandlery_syncer.catalog.catalog_writer import CatalogWriter
from chandlery_syncer.decide import broker_machine
from chandlery_syncer.facts.broker_notes import NOTHING_STORED, BrokerMemory
from chandlery_syncer.facts.broker_snapshot import (
    Blocked,
    BrokerSnapshot,
    Dismantle,
    FetchCatalog,
    Idle,
    Inaccessible,
    Task,
    Tidy,
)


@dataclass(frozen=True, kw_only=True)
class LoadedBroker:
    """The snapshot for the machine, and beside it what only the effects need."""

    snapshot: BrokerSnapshot
    endpoint: BrokerEndpoint | None


class BrokerReconciler(NeverDeferred, DeliversNothing):
    """One of these serves all brokers; between rounds it keeps only what it knows about schemas."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._remarks = CatalogRemarks()
        self._relist_interval = timedelta(hours=resources.settings.relist_hours)

    async def load(self, unit: UnitOfWork, document: AnyBroker, claim: Claim, platform: PlatformView) -> LoadedBroker:
        """See Reconciler."""
        memory = BrokerMemory.model_validate(claim.memory)
        is_deleted = document.metadata.deletion_timestamp is not None
        writer = CatalogWriter(unit, document)
        timeout = self._resources.settings.osb_timeout_seconds
        endpoint = await find_endpoint(platform, document, timeout_seconds=timeout)
        reachable = endpoint if isinstance(endpoint, BrokerEndpoint) else None
        snapshot = BrokerSnapshot(
            broker=document,
            memory=memory,
            access=endpoint if isinstance(endpoint, Unresolved) else None,
            instances=await writer.count_instances() if is_deleted else 0,
            named_instances=tuple(await writer.name_instances()) if is_deleted else (),
            unused=await writer.unused(memory.leftovers),
            stored=NOTHING_STORED if is_deleted else await writer.count_stored(),
            access_fingerprint=_access_fingerprint(unit, document, reachable),
            attempt=claim.attempt,
            revision=claim.revision,
            relist_interval=self._relist_interval,
            circuit=await unit.circuits.open_circuit(broker_key(document.metadata.namespace, document.metadata.name)),
            policy=policy_for(document, self._resources.settings),
        )
        return LoadedBroker(snapshot=snapshot, endpoint=reachable)

    def decide(self, snapshot: LoadedBroker, unit: UnitOfWork) -> Planned[Task] | BrokerResult:
        """See Reconciler."""
        inner, now = snapshot.snapshot, unit.now
        action = broker_machine.decide(inner, now)
        match action:
            case Idle():
                return outcomes.idle(inner, now)
            case Inaccessible():
                return outcomes.inaccessible(inner, action.access, now)
            case Blocked():
                return outcomes.blocked(inner, action.instances, now, names=inner.named_instances)
            case FetchCatalog() | Tidy() | Dismantle():
                # Nothing of this needs repeating as it was: a catalog is read anew, the rest is decided anew.
                return Planned(call=action, sealed=None, memory=inner.memory.to_wire())
            case _:
                assert_never(action)

    async def call(self, snapshot: LoadedBroker, planned: Planned[Task]) -> Fetched | None:
        """See Reconciler."""
        if not isinstance(planned.call, FetchCatalog):
            return None
        if snapshot.endpoint is None:
            raise LookupError("a catalog was to be fetched from a broker that cannot be reached")
        return await fetch_catalog(
            self._resources.osb,
            snapshot.endpoint,
            broker=snapshot.snapshot.broker,
            known=planned.call.mark,
            remarks=self._remarks,
        )

    def announce(
        self,
        snapshot: LoadedBroker,
        planned: Planned[Task],
        unit: UnitOfWork,
    ) -> BrokerResult | None:
        """See Reconciler. A broker whose catalog is on its way is what it was before."""
        return None

    async def absorb(
        self,
        unit: UnitOfWork,
        snapshot: LoadedBroker,
        planned: Planned[Task],
        answer: Fetched | None,
        *,
        undelivered: None,
    ) -> BrokerResult:
        """See Reconciler."""
        inner, now = snapshot.snapshot, unit.now
        uid = inner.broker.metadata.uid or ""
        # In the gateway's order, or the two would wait for each other.
        await unit.work_queue.lock(uid)
        latest = await unit.objects.get_by_uid(kinds.kind_of(inner.broker), uid, lock=True)
        is_deleted = latest is None or latest.metadata.deletion_timestamp is not None
        writer = CatalogWriter(unit, inner.broker)
        if isinstance(planned.call, Dismantle):
            is_forced = planned.call.is_forced
            left = 0 if latest is None else await writer.dismantle(is_forced=is_forced)
            if left and not is_forced:
                return outcomes.blocked(inner, left, now, names=await writer.name_instances())
            return outcomes.dismantled(inner, now, instances=left)
        if is_deleted:
            # Nothing is taken over for a broker that is on its way out; the deletion has made it due again.
            return outcomes.idle(inner, now)
        if isinstance(planned.call, Tidy) or answer is None:
            leftovers = await writer.tidy(inner.memory.leftovers)
            return outcomes.tidied(inner, leftovers, stored=await writer.count_stored(), now=now)
        return await self._absorb_fetch(unit, inner, answer)

    def lane(self, snapshot: LoadedBroker, claim: Claim) -> str:
        """See Reconciler."""
        return claim.lane

    async def _absorb_fetch(self, unit: UnitOfWork, snapshot: BrokerSnapshot, fetched: Fetched) -> BrokerResult:
        answer, now = fetched.answer, unit.now
        writer = CatalogWriter(unit, snapshot.broker)
        if answer.verdict == Verdict.UNCHANGED:
            left = await writer.tidy(snapshot.memory.leftovers)
            return outcomes.synced(snapshot, answer, leftovers=left, stored=await writer.count_stored(), now=now)
        if answer.verdict != Verdict.SUCCEEDED:
            return outcomes.fetch_failed(snapshot, answer, now)
        if fetched.desired is None:
            return outcomes.sync_failed(snapshot, fetched.problem or "the catalog is not valid", now=now)
        news = await writer.take_over(fetched.desired, is_whole=not fetched.left_out)
        if isinstance(news, Clash):
            return await _clashed(writer, snapshot, news, now)
        left, stored = news.retirement.leftovers, await writer.count_stored()
        facts = (*news.about_broker, *remarks_facts(fetched.remarks, fetched.left_out))
        told = outcomes.CatalogReport(facts, catalog_note(snapshot.broker, stored, fetched.left_out))
        change = outcomes.synced(snapshot, answer, leftovers=left, stored=stored, told=told, now=now)
        return replace(change, events=tuple(RecordEvent(*each) for each in news.about_offerings))


async def _clashed(writer: CatalogWriter, snapshot: BrokerSnapshot, clash: Clash, now: datetime) -> BrokerResult:
    broker = snapshot.broker
    other = next(iter(clash.others), None)
    if other is None or other == broker.metadata.name:
        return outcomes.sync_failed(snapshot, clash.sentence, now=now)
    its = await writer.broker_called(other)
    is_same = its is not None and its.spec.url.rstrip("/") == broker.spec.url.rstrip("/")
    remedy = after_collision(broker, other, is_same=is_same)
    return outcomes.sync_failed(snapshot, clash.sentence, remedy=remedy, other=other, now=now)


def _access_fingerprint(unit: UnitOfWork, broker: AnyBroker, endpoint: BrokerEndpoint | None) -> str:
    try:
        authorization = endpoint.authorization_header if endpoint else None
    except Misconfigured:
        return ""
    return unit.fingerprint(authorization, bound_to=f"broker/{broker.metadata.uid}") if authorization else ""
