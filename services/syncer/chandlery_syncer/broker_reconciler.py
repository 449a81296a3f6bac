"""The effects around the state machine of a service broker, for both kinds of brokers."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from chandlery.engine.reconciler import DeliversNothing, NeverDeferred, Planned, PrefetchesNothing
from chandlery.engine.resources import Resources
from chandlery.lookup.broker_access import find_endpoint, policy_for
from chandlery.lookup.kept_secrets import keep_secrets, read_for_keeping
from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.conditions import ConditionType, is_true
from chandlery.model.objects.core import Secret
from chandlery.model.objects.kinds import AnyObject
from chandlery.osb.catalog.catalog_remarks import CatalogRemarks
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.faults import Misconfigured
from chandlery.platform.protocol import PlatformView
from chandlery.reconcile.offering import Unresolved
from chandlery.reconcile.reconcile_result import Idle, RecordEvent, action_name, broker_key
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_claims import Claim
from chandlery_syncer.absorb import broker_outcomes as outcomes
from chandlery_syncer.absorb.broker_draft import BrokerResult
from chandlery_syncer.absorb.broker_remedies import after_collision
from chandlery_syncer.catalog.catalog_counting import CatalogCounting
from chandlery_syncer.catalog.catalog_difference import Clash
from chandlery_syncer.catalog.catalog_fetch import fetch_catalog
from chandlery_syncer.catalog.catalog_news import catalog_note, remarks_facts
from chandlery_syncer.catalog.catalog_writer import CatalogWriter
from chandlery_syncer.decide import broker_machine
from chandlery_syncer.facts.broker_actions import (
    Blocked,
    Dismantle,
    FailFetch,
    FetchCatalog,
    Inaccessible,
    KeepCatalog,
    LeaveAlone,
    PostponeRelist,
    RefuseCatalog,
    RemoveOfferings,
    RemoveUnused,
    Step,
    TakeOver,
    Task,
    Tidy,
)
from chandlery_syncer.facts.broker_notes import NOTHING_STORED, BrokerMemory
from chandlery_syncer.facts.broker_snapshot import BrokerSnapshot
from chandlery_syncer.facts.fetched_catalog import FetchedCatalog


@dataclass(frozen=True, kw_only=True)
class LoadedBroker:
    """The snapshot for the machine, and beside it what only the effects need."""

    snapshot: BrokerSnapshot
    endpoint: BrokerEndpoint | None
    secrets: Sequence[Secret] = field(default=(), repr=False)
    """What its credentials are in, as far as they are to be kept."""


class BrokerReconciler(NeverDeferred, DeliversNothing, PrefetchesNothing):
    """One of these serves all brokers; between rounds it keeps only what it knows about schemas."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._remarks = CatalogRemarks()
        self._relist_interval = timedelta(hours=resources.settings.relist_hours)
        self._counting = CatalogCounting(resources.metrics)

    async def load(self, unit: UnitOfWork, document: AnyBroker, claim: Claim, platform: PlatformView) -> LoadedBroker:
        """See Reconciler."""
        memory = BrokerMemory.model_validate(claim.memory)
        is_deleted = document.metadata.deletion_timestamp is not None
        writer = CatalogWriter(unit, document)
        timeout = self._resources.settings.osb_timeout_seconds
        endpoint = await find_endpoint(unit, platform, document, timeout_seconds=timeout)
        reachable = endpoint if isinstance(endpoint, BrokerEndpoint) else None
        stored, versions = (NOTHING_STORED, "") if is_deleted else await writer.standing()
        snapshot = BrokerSnapshot(
            broker=document,
            memory=memory,
            access=endpoint if isinstance(endpoint, Unresolved) else None,
            instances=await writer.count_instances() if is_deleted else 0,
            named_instances=tuple(await writer.name_instances()) if is_deleted else (),
            unused=await writer.unused(memory.leftovers),
            stored=stored,
            versions=versions,
            access_fingerprint=_access_fingerprint(unit, document, reachable),
            attempt=claim.attempt,
            revision=claim.revision,
            relist_interval=self._relist_interval,
            circuit=await unit.circuits.open_circuit(broker_key(document.metadata.namespace, document.metadata.name)),
            policy=policy_for(document, self._resources.settings),
        )
        keeps = reachable is not None and not is_deleted and not self._resources.platform.joins_transactions
        secrets = await read_for_keeping(platform, document) if keeps else ()
        return LoadedBroker(snapshot=snapshot, endpoint=reachable, secrets=secrets)

    def decide(self, snapshot: LoadedBroker, unit: UnitOfWork) -> Planned[Task] | BrokerResult:
        """See Reconciler."""
        inner, now = snapshot.snapshot, unit.now
        action = broker_machine.decide(inner, now)
        match action:
            case Idle():
                return outcomes.idle(inner, now).of(action)
            case PostponeRelist():
                return outcomes.relist_postponed(inner, now).of(action)
            case Inaccessible():
                return outcomes.inaccessible(inner, action.access, now).of(action)
            case Blocked():
                return outcomes.blocked(inner, action.instances, now, names=inner.named_instances).of(action)
            case FetchCatalog() | Tidy() | Dismantle():
                # Nothing of this needs repeating as it was: a catalog is read anew, the rest is decided anew.
                memory, name = inner.memory.to_wire(), action_name(action)
                return Planned(call=action, sealed=None, memory=memory, action=name)
            case _:
                assert_never(action)

    async def call(self, snapshot: LoadedBroker, planned: Planned[Task]) -> FetchedCatalog | None:
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
        answer: FetchedCatalog | None,
        *,
        undelivered: None,
    ) -> BrokerResult:
        """See Reconciler."""
        inner = snapshot.snapshot
        uid = inner.broker.metadata.uid or ""
        # In the gateway's order, or the two would wait for each other.
        await unit.work_queue.lock(uid)
        latest = await unit.objects.get_by_uid(kinds.kind_of(inner.broker), uid, lock=True)
        is_deleted = latest is None or latest.metadata.deletion_timestamp is not None
        writer = CatalogWriter(unit, inner.broker)
        step = broker_machine.decide_step(planned.call, answer, is_going=is_deleted)
        result = await self._carried_out(unit, inner, step, writer=writer, latest=latest)
        if isinstance(step, KeepCatalog | FailFetch | RefuseCatalog | TakeOver):
            is_done = is_true(result.document.status.conditions, ConditionType.READY)
            if is_done and not self._resources.platform.joins_transactions:
                await keep_secrets(unit, inner.broker, snapshot.secrets)
            self._counting.synced(unit, inner.broker, is_done=is_done)
        return result

    async def _carried_out(
        self, unit: UnitOfWork, inner: BrokerSnapshot, step: Step, *, writer: CatalogWriter, latest: AnyObject | None
    ) -> BrokerResult:
        now = unit.now
        match step:
            case RemoveOfferings():
                left = 0 if latest is None else await writer.dismantle(is_forced=step.is_forced)
                names = await writer.name_instances() if left else ()
                if not left and not self._resources.platform.joins_transactions:
                    await keep_secrets(unit, inner.broker, ())
                return outcomes.dismantled(inner, now, instances=left, is_forced=step.is_forced, names=names)
            case LeaveAlone():
                return outcomes.idle(inner, now)
            case RemoveUnused():
                leftovers = await writer.tidy(inner.memory.leftovers)
                return outcomes.tidied(inner, leftovers, stored=await writer.count_stored(), now=now)
            case KeepCatalog():
                left_over = await writer.tidy(inner.memory.leftovers)
                # What somebody has removed or added since the catalog was asked for is not settled by the answer.
                stored = await writer.count_stored() if inner.memory.leftovers else inner.stored
                had = outcomes.Had(left_over, stored, is_relist=step.is_relist)
                return outcomes.synced(inner, step.answer, had, now)
            case FailFetch():
                return outcomes.fetch_failed(inner, step.answer, now)
            case RefuseCatalog():
                return outcomes.sync_failed(inner, step.problem, now=now)
            case TakeOver():
                return await self._taken_over(unit, inner, step, writer)
            case _:
                assert_never(step)

    def lane(self, snapshot: LoadedBroker, claim: Claim) -> str:
        """See Reconciler."""
        return claim.lane

    async def _taken_over(
        self, unit: UnitOfWork, snapshot: BrokerSnapshot, step: TakeOver, writer: CatalogWriter
    ) -> BrokerResult:
        fetched = step.fetched
        # Before anything of it is read: whoever writes one of them from here on makes it another.
        _, versions = await writer.standing()
        news = await writer.take_over(step.desired, is_whole=not fetched.left_out)
        if isinstance(news, Clash):
            return await _clashed(writer, snapshot, news, unit.now)
        self._counting.changed(unit, snapshot.broker, news)
        stored = await writer.count_stored()
        facts = (*news.about_broker, *remarks_facts(fetched.remarks, fetched.left_out))
        report = outcomes.CatalogReport(facts, catalog_note(snapshot.broker, stored, fetched.left_out))
        had = outcomes.Had(news.retirement.leftovers, stored, report, versions, is_relist=step.is_relist)
        result = outcomes.synced(snapshot, fetched.answer, had, unit.now)
        return replace(result, events=tuple(RecordEvent(*each) for each in news.about_offerings))


async def _clashed(writer: CatalogWriter, snapshot: BrokerSnapshot, clash: Clash, now: datetime) -> BrokerResult:
    other = broker_machine.in_the_way(snapshot, clash.others)
    if other is None:
        return outcomes.sync_failed(snapshot, clash.sentence, now=now)
    is_same = broker_machine.is_same_broker(snapshot.broker, await writer.broker_called(other))
    remedy = after_collision(snapshot.broker, other, is_same=is_same)
    return outcomes.sync_failed(snapshot, clash.sentence, remedy=remedy, other=other, now=now)


def _access_fingerprint(unit: UnitOfWork, broker: AnyBroker, endpoint: BrokerEndpoint | None) -> str:
    try:
        access = endpoint.access_fingerprint if endpoint else ""
    except Misconfigured:
        return ""
    return unit.fingerprint(access, bound_to=f"broker/{broker.metadata.uid}") if access else ""
