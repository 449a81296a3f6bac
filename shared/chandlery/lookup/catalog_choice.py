"""Which class and plan somebody means by a name: one rule for the gateway's checks and the workers.

What has been removed from its broker's catalog takes nothing new, so it is no candidate while anything else is called
so. Of classes that several brokers offer under one name, those of the broker with the highest `spec.namePriority`
count. Each look-up is made once for all that share a transaction.
"""

from collections.abc import Sequence
from typing import TypeVar, cast

from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.offerings import AnyClass, AnyPlan, ClusterServiceClass
from chandlery.reconcile.offering import Wanted, is_cluster_scoped, wanted_class
from chandlery.reconcile.reconcile_result import broker_key
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.object_reads import Listing

OfferingT = TypeVar("OfferingT", bound=AnyClass | AnyPlan)

_MOST_OF_A_NAME = 100
_MOST_PLANS = 1_000


def class_scope(instance: ServiceInstance) -> tuple[Kind, str]:
    """Kind and namespace of the classes that an instance may mean."""
    if is_cluster_scoped(instance.spec):
        return kinds.CLUSTER_SERVICE_CLASS, ""
    return kinds.SERVICE_CLASS, instance.metadata.namespace or ""


async def find_classes(unit: UnitOfWork, instance: ServiceInstance) -> list[AnyClass]:
    """The class that the instance has found before, or asks for; more than one if its name is ambiguous."""
    spec, (kind, namespace) = instance.spec, class_scope(instance)
    reference = spec.cluster_service_class_ref or spec.service_class_ref
    wanted = Wanted("name", reference.name) if reference else wanted_class(spec)
    listing = Listing(namespace=namespace, where=((wanted.column, wanted.value),), limit=_MOST_OF_A_NAME)
    found = on_offer([each for each in await unit.objects.list_cached(kind, listing) if isinstance(each, AnyClass)])
    return found if len(found) < 2 else await _preferred(unit, found)  # noqa: PLR2004 - one needs no choice


async def find_plans(unit: UnitOfWork, service_class: AnyClass, wanted: Wanted) -> list[AnyPlan]:
    """The plan of the class that is called so; more than one if its name is ambiguous."""
    return on_offer(await _plans(unit, service_class, (wanted.column, wanted.value)))


async def offered_plans(unit: UnitOfWork, service_class: AnyClass) -> list[AnyPlan]:
    """All plans that the class still has to offer, up to a thousand."""
    return [each for each in await _plans(unit, service_class) if not each.status.removed_from_broker_catalog]


def on_offer(found: Sequence[OfferingT]) -> list[OfferingT]:
    """The candidates among those of a name; one that is offered no more only if it is all there is."""
    offered = [each for each in found if not each.status.removed_from_broker_catalog]
    return offered or list(found[:1])


async def broker_of(unit: UnitOfWork, service_class: AnyClass) -> AnyBroker | None:
    """The broker that offers the class, if it is registered."""
    kind, namespace, name = broker_place(service_class)
    return cast("AnyBroker | None", await unit.objects.get_cached(kind, namespace, name))


def broker_place(service_class: AnyClass) -> tuple[Kind, str, str]:
    """Kind, namespace and name of the broker that offers the class."""
    if isinstance(service_class, ClusterServiceClass):
        return kinds.CLUSTER_SERVICE_BROKER, "", service_class.spec.cluster_service_broker_name
    return kinds.SERVICE_BROKER, service_class.metadata.namespace or "", service_class.spec.service_broker_name


def class_lane(classes: Sequence[AnyClass]) -> str:
    """The lane of the service broker that offers the class, if there is exactly one that may be meant."""
    if len(classes) != 1:
        return UNRESOLVED_LANE
    _, namespace, name = broker_place(classes[0])
    return broker_key(namespace, name)


async def _preferred(unit: UnitOfWork, found: Sequence[AnyClass]) -> list[AnyClass]:
    brokers = [await broker_of(unit, each) for each in found]
    priorities = [(broker.spec.name_priority or 0) if broker else 0 for broker in brokers]
    return [each for each, priority in zip(found, priorities, strict=True) if priority == max(priorities)]


async def _plans(unit: UnitOfWork, service_class: AnyClass, *where: tuple[str, str]) -> list[AnyPlan]:
    kind = kinds.CLUSTER_SERVICE_PLAN if isinstance(service_class, ClusterServiceClass) else kinds.SERVICE_PLAN
    conditions = (("class_name", service_class.metadata.name), *where)
    listing = Listing(namespace=service_class.metadata.namespace or "", where=conditions, limit=_MOST_PLANS)
    return [each for each in await unit.objects.list_cached(kind, listing) if isinstance(each, AnyPlan)]
