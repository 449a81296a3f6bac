"""The writes of a catalog sync, in the transaction that records its outcome. `catalog_difference.py` has the rules."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import cast

from chandlery.contracts.messages import ObjectChanged
from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import AnyBroker, ClusterServiceBroker
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.offerings import AnyClass, AnyPlan
from chandlery.reconcile.reconcile_result import broker_key, instances_key
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.object_reads import Listing
from chandlery_syncer.catalog.catalog_difference import (
    NOTHING_RETIRED,
    AnyOffering,
    Clash,
    Retirement,
    clash_with,
    difference,
    retired,
)
from chandlery_syncer.catalog.catalog_news import CatalogNews, with_other_upkeep
from chandlery_syncer.catalog.catalog_objects import NO_OFFERINGS, Offerings
from chandlery_syncer.decide.garbage_machine import without_owner
from chandlery_syncer.facts.broker_notes import Leftovers, StoredCount

_PAGE = 100

_SHOWN_INSTANCES = 5
"""Of those that hold a deletion up."""


class CatalogWriter:
    """Classes and plans of one broker, as one transaction sees them."""

    def __init__(self, unit: UnitOfWork, broker: AnyBroker) -> None:
        self._unit = unit
        self._broker = broker
        self._namespace = broker.metadata.namespace or ""
        self._all = Listing(namespace=self._namespace, where=(("broker_name", broker.metadata.name),))
        is_cluster = isinstance(broker, ClusterServiceBroker)
        self._class_kind = kinds.CLUSTER_SERVICE_CLASS if is_cluster else kinds.SERVICE_CLASS
        self._plan_kind = kinds.CLUSTER_SERVICE_PLAN if is_cluster else kinds.SERVICE_PLAN

    async def take_over(self, desired: Offerings, *, is_whole: bool = True) -> CatalogNews | Clash:
        """Make the stored objects the desired ones, and wake who waits for them. A clash writes nothing.

        Unless what is desired `is_whole`, all that is stored beside it stays as it is.
        """
        stored = await self._stored()
        found = difference(desired, stored, is_whole=is_whole)
        if isinstance(found, Clash):
            return found
        taken = await self._unit.objects.insert_many([_born(each, self._unit.now) for each in found.creates])
        if taken:
            return clash_with(self._broker, cast("Sequence[AnyOffering]", taken))
        for old, new in found.updates:
            await self._unit.objects.update(old, new)
        changed = [*found.creates, *(new for _, new in found.updates)]
        self._announce(changed)
        await self._stir_instances(with_other_upkeep(found.updates))
        return CatalogNews(
            difference=found,
            retirement=await self._retire(found.vanished),
            is_first=stored == NO_OFFERINGS,
            class_titles={each.metadata.name: each.spec.external_name for each in (*stored.classes, *desired.classes)},
        )

    async def tidy(self, leftovers: Leftovers) -> Leftovers:
        """Remove the leftovers that no instance uses any more; returns the others."""
        return (await self._retire(await self._named(leftovers))).leftovers if leftovers else leftovers

    async def unused(self, leftovers: Leftovers) -> Leftovers:
        """The leftovers that `tidy` would remove. Changes nothing."""
        if not leftovers:
            return leftovers
        removals = (await self._retirement(await self._named(leftovers))).removals
        named = {kind: tuple(each.metadata.name for each in removals if each.kind == kind.kind) for kind in self._kinds}
        return Leftovers(classes=named[self._class_kind], plans=named[self._plan_kind])

    async def count_instances(self) -> int:
        """How many instances belong to the broker, whether it answers or not."""
        return await self._unit.work_queue.count_in_lane(kinds.SERVICE_INSTANCE.kind, self._lane)

    async def name_instances(self) -> Sequence[str]:
        """Some of them as `namespace/name`, for people."""
        uids = await self._unit.work_queue.some_in_lane(kinds.SERVICE_INSTANCE.kind, self._lane, limit=_SHOWN_INSTANCES)
        found = await self._unit.objects.get_many(kinds.SERVICE_INSTANCE, uids)
        metas = (each.metadata for each in found.values())
        return sorted(f"{meta.namespace}/{meta.name}" for meta in metas)

    async def count_stored(self) -> StoredCount:
        """How many classes and plans of the broker there are."""
        return (await self.standing())[0]

    async def standing(self) -> tuple[StoredCount, str]:
        """How many there are, and a text that is another one whenever any of them is written, added or removed."""
        classes, of_classes = await self._unit.objects.count_with_versions(self._class_kind, self._all)
        plans, of_plans = await self._unit.objects.count_with_versions(self._plan_kind, self._all)
        return StoredCount(classes=classes, plans=plans), f"{classes}/{of_classes} {plans}/{of_plans}"

    async def dismantle(self, *, is_forced: bool) -> int:
        """Remove everything of the broker, unless instances are left; returns their number.

        If forced, what they use stays and is marked: without it nobody could tell what they are.
        """
        await self._unit.wakes.lock_waits([instances_key(self._lane)])
        instances = await self.count_instances()
        if instances and is_forced:
            await self._retire(await self._stored())
            await self._disown(await self._stored())
        if instances:
            return instances
        stored = await self._stored()
        everything: tuple[AnyOffering, ...] = (*stored.plans, *stored.classes)
        for each in everything:
            await self._unit.objects.remove(each)
        self._announce(everything)
        return 0

    async def _disown(self, kept: Offerings) -> None:
        """What stays although its broker goes must not be taken for garbage."""
        for each in (*kept.plans, *kept.classes):
            await self._unit.objects.update(each, without_owner(each, self._broker.metadata.uid or ""))

    async def broker_called(self, name: str) -> AnyBroker | None:
        """Another broker of the same scope."""
        found = await self._unit.objects.get(kinds.kind_of(self._broker), self._namespace, name)
        return cast("AnyBroker | None", found)

    @property
    def _lane(self) -> str:
        return broker_key(self._namespace, self._broker.metadata.name)

    @property
    def _kinds(self) -> tuple[Kind, Kind]:
        return self._class_kind, self._plan_kind

    async def _stored(self) -> Offerings:
        classes = await self._unit.objects.list(self._class_kind, self._all)
        plans = await self._unit.objects.list(self._plan_kind, self._all)
        return Offerings(cast("tuple[AnyClass, ...]", tuple(classes)), cast("tuple[AnyPlan, ...]", tuple(plans)))

    async def _named(self, leftovers: Leftovers) -> Offerings:
        """What is still stored of the leftovers; users may have removed some."""
        objects = self._unit.objects
        classes = [await objects.get(self._class_kind, self._namespace, name) for name in leftovers.classes]
        plans = [await objects.get(self._plan_kind, self._namespace, name) for name in leftovers.plans]
        return Offerings(
            tuple(cast("AnyClass", each) for each in classes if each is not None),
            tuple(cast("AnyPlan", each) for each in plans if each is not None),
        )

    async def _retire(self, vanished: Offerings) -> Retirement:
        if not vanished.classes and not vanished.plans:
            return NOTHING_RETIRED
        # An instance that goes now either is gone for us too, or finds that we wait for it.
        await self._unit.wakes.lock_waits([instances_key(self._lane)])
        retirement = await self._retirement(vanished)
        for old, new in retirement.marks:
            await self._unit.objects.update(old, new)
        for each in retirement.removals:
            await self._unit.objects.remove(each)
        self._announce([*(new for _, new in retirement.marks), *retirement.removals])
        return retirement

    async def _retirement(self, vanished: Offerings) -> Retirement:
        classes, plans = await self._used("class_ref", vanished.classes), await self._used("plan_ref", vanished.plans)
        return retired(vanished, used=Leftovers(classes=classes, plans=plans))

    async def _used(self, column: str, offerings: Iterable[AnyOffering]) -> tuple[str, ...]:
        return tuple([each.metadata.name for each in offerings if await self._is_used(column, each.metadata.name)])

    async def _is_used(self, column: str, name: str) -> bool:
        # The column does not tell cluster-wide references from others, so the instances are looked at.
        namespace = self._namespace or None
        listing = Listing(namespace=namespace, where=((column, name),), limit=_PAGE)
        while page := await self._unit.objects.list(kinds.SERVICE_INSTANCE, listing):
            if any(_is_cluster_wide(cast("ServiceInstance", each)) != bool(self._namespace) for each in page):
                return True
            last = page[-1].metadata
            after = (last.namespace or "", last.name)
            listing = Listing(namespace=namespace, where=((column, name),), limit=_PAGE, after=after)
        return False

    async def _stir_instances(self, plans: Sequence[AnyPlan]) -> None:
        """Have their instances find out whether there is an upgrade."""
        names = [plan.metadata.name for plan in plans]
        namespace = self._namespace or None
        uids = await self._unit.objects.uids_where(kinds.SERVICE_INSTANCE, "plan_ref", names, namespace=namespace)
        await self._unit.wakes.enqueue_idle(uids)

    def _announce(self, changed: Sequence[AnyOffering]) -> None:
        """Tell watchers; who waits for one of these, or for one of two of the same name to go, the store wakes."""
        # One word for each kind: watchers read all changes from the log.
        for kind in self._kinds:
            first = next((each for each in changed if each.kind == kind.kind), None)
            if first is not None:
                uid = self._broker.metadata.uid or ""
                self._unit.outbox.add(ObjectChanged(kind=kind.kind, uid=uid, reason="CatalogChanged"))


def _born(offering: AnyOffering, now: datetime) -> AnyOffering:
    identity = {"uid": str(uuid.uuid4()), "creation_timestamp": now, "generation": 1}
    return offering.model_copy(update={"metadata": offering.metadata.model_copy(update=identity)})


def _is_cluster_wide(instance: ServiceInstance) -> bool:
    return instance.spec.cluster_service_class_ref is not None
