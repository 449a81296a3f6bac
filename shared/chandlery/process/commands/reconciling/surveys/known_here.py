"""What the database knows of service brokers: catalogs, and by which ids they know our instances and bindings.

Comes in: the database, in pages. Goes out: `KnownHere`, some hundred bytes for each object.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.offerings import AnyClass, AnyPlan
from chandlery.model.objects.wire import JsonObject
from chandlery.process.commands.imports.import_entries import Place
from chandlery.process.commands.imports.known.offering_index import OfferingIndex, broker_place
from chandlery.process.commands.reconciling.surveys.external_things import Thing, ThingKey
from chandlery.reconcile.reconcile_result import broker_key
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.object_reads import Listing

_PAGE: Final = 200
_PROVISIONED: Final = "Provisioned"
_OFFERED: Final = (*kinds.BROKER_KINDS, *kinds.CLASS_KINDS, *kinds.PLAN_KINDS)


@dataclass(frozen=True, kw_only=True)
class Here:
    """An object that its broker should have, or may have."""

    thing: Thing
    is_settled: bool
    """Whether it was there when the database was backed up, and nothing was being done about it."""


@dataclass
class KnownHere:
    """All of it."""

    brokers: dict[str, AnyBroker] = field(default_factory=dict)
    """By lane."""
    offered: list[AnyObject] = field(default_factory=list)
    """Service brokers, classes and plans."""
    offerings: OfferingIndex = field(default_factory=OfferingIndex)
    objects: dict[ThingKey, Here] = field(default_factory=dict)
    retired: set[ThingKey] = field(default_factory=set)
    """What bindings had before a rotation, and workers revoke."""
    uids: dict[str, ThingKey] = field(default_factory=dict)
    instances: dict[Place, Thing] = field(default_factory=dict)
    places: set[tuple[str, Place]] = field(default_factory=set)
    """Kinds and places that are taken."""
    classes: dict[tuple[str, str], AnyObject] = field(default_factory=dict)
    """By lane and id in the catalog."""
    plans: dict[tuple[str, str], AnyObject] = field(default_factory=dict)

    def note(self, here: Here) -> None:
        """Remember an object."""
        thing = here.thing
        self.objects[thing.key] = here
        if thing.uid:
            self.uids[thing.uid] = thing.key


async def read_known(database: Database) -> KnownHere:
    """Read all that the database has."""
    known = KnownHere()
    for kind in _OFFERED:
        async for _, documents in _pages(database, kind):
            for document in documents:
                _note_offered(known, document)
    async for memories, documents in _pages(database, kinds.SERVICE_INSTANCE):
        for document in documents:
            if isinstance(document, ServiceInstance):
                _note_instance(known, document, memories[document.metadata.uid or ""])
    async for memories, documents in _pages(database, kinds.SERVICE_BINDING):
        for document in documents:
            if isinstance(document, ServiceBinding):
                _note_binding(known, document, memories[document.metadata.uid or ""])
    return known


async def _pages(database: Database, kind: Kind) -> AsyncIterator[tuple[dict[str, JsonObject], list[AnyObject]]]:
    after: Place | None = None
    while True:

        async def read(unit: UnitOfWork, after: Place | None = after) -> tuple[dict[str, JsonObject], list[AnyObject]]:
            found = list(await unit.objects.list(kind, Listing(after=after, limit=_PAGE)))
            uids = [each.metadata.uid or "" for each in found]
            await unit.work_queue.prefetch_memories(uids)
            return {uid: await unit.work_queue.memory_of(uid) for uid in uids}, found

        memories, documents = await database.run(read)
        if documents:
            yield memories, documents
        if len(documents) < _PAGE:
            return
        after = place_of(documents[-1])


def _note_offered(known: KnownHere, document: AnyObject) -> None:
    known.offered.append(document)
    known.offerings.add(document)
    if isinstance(document, AnyBroker):
        known.brokers[broker_key(document.metadata.namespace, document.metadata.name)] = document
    elif isinstance(document, AnyClass):
        known.classes[broker_key(*broker_place(document)), document.spec.external_id] = document
    elif isinstance(document, AnyPlan):
        known.plans[broker_key(*broker_place(document)), document.spec.external_id] = document


def _note_instance(known: KnownHere, instance: ServiceInstance, memory: JsonObject) -> None:
    meant, status = known.offerings.meant_by(instance), instance.status
    lane = str(memory.get("lane") or "") or meant.lane
    thing = Thing(
        key=ThingKey(lane, instance.spec.external_id),
        place=place_of(instance),
        uid=instance.metadata.uid or "",
        service_id=str(memory.get("serviceID") or "")
        or (meant.service_class.external_id if meant.service_class else ""),
        plan_id=str(memory.get("planID") or "") or (meant.plan.external_id if meant.plan else ""),
    )
    is_at_rest = status.current_operation is None and instance.metadata.deletion_timestamp is None
    known.note(Here(thing=thing, is_settled=is_at_rest and status.provision_status == _PROVISIONED))
    known.instances[thing.place] = thing
    known.places.add((instance.kind, thing.place))


def _note_binding(known: KnownHere, binding: ServiceBinding, memory: JsonObject) -> None:
    told = memory.get("placement")
    placement: dict[str, Any] = told if isinstance(told, dict) else {}
    instance = known.instances.get((binding.metadata.namespace or "", binding.spec.instance_ref.name))
    lane = str(memory.get("lane") or "") or (instance.key.lane if instance else "")
    binding_id = str(placement.get("bindingID") or "") or binding.spec.external_id
    thing = Thing(
        key=ThingKey(
            lane, str(placement.get("instanceID") or (instance.key.instance_id if instance else "")), binding_id
        ),
        place=place_of(binding),
        uid=binding.metadata.uid or "",
        service_id=str(placement.get("serviceID") or (instance.service_id if instance else "")),
        plan_id=str(placement.get("planID") or (instance.plan_id if instance else "")),
    )
    for each in memory.get("retired", ()):
        before = str(each["placement"].get("bindingID") or "") or binding.spec.external_id
        known.retired.add(thing.key._replace(binding_id=before))
    is_at_rest = binding.status.current_operation is None and binding.metadata.deletion_timestamp is None
    known.note(Here(thing=thing, is_settled=is_at_rest and binding.status.unbind_status == "Required"))
    known.places.add((binding.kind, thing.place))


def place_of(document: AnyObject) -> Place:
    """Namespace and name."""
    return (document.metadata.namespace or "", document.metadata.name)
