"""Finds the class, the plan and the broker of an instance in the database."""

from typing import cast

from chandlery.model import kinds
from chandlery.model.brokers import AnyBroker
from chandlery.model.instances import ServiceInstance
from chandlery.model.kinds import AnyObject, Kind
from chandlery.model.offerings import AnyClass, AnyPlan, ClusterServiceClass
from chandlery.model.reasons import InstanceReason
from chandlery.reconcile.change import broker_key, offering_key
from chandlery.reconcile.offering import Offering, Unresolved, Wanted, is_cluster_scoped, wanted_class, wanted_plan
from chandlery.store.database import UnitOfWork
from chandlery.store.objects import Listing


async def find_offering(
    unit: UnitOfWork, instance: ServiceInstance, *, delivered_plan_id: str = ""
) -> Offering | Unresolved:
    """Resolve what the specification names. References found before are followed by name; users' words otherwise.

    With the external id of the plan that the broker delivers it is that plan, whatever is wished for by now, as long
    as it is known.
    """
    service_class = await _class(unit, instance)
    if isinstance(service_class, Unresolved):
        return service_class
    plan = await find_delivered_plan(unit, service_class, delivered_plan_id) or await _plan(
        unit, instance, service_class
    )
    if isinstance(plan, Unresolved):
        return plan
    broker = await find_broker(unit, service_class)
    if isinstance(broker, Unresolved):
        return broker
    return Offering(service_class, plan, broker)


async def find_delivered_plan(unit: UnitOfWork, service_class: AnyClass, plan_id: str) -> AnyPlan | None:
    """The plan of the class by its external id; None if the catalog has it no more, or none is meant."""
    if not plan_id:
        return None
    kind = kinds.CLUSTER_SERVICE_PLAN if isinstance(service_class, ClusterServiceClass) else kinds.SERVICE_PLAN
    where = (("external_id", plan_id), ("class_name", service_class.metadata.name))
    listing = Listing(namespace=service_class.metadata.namespace or "", where=where, limit=1)
    found = await unit.objects.recall(kind, listing)
    return cast("AnyPlan", found[0]) if found else None


async def find_broker(unit: UnitOfWork, service_class: AnyClass) -> AnyBroker | Unresolved:
    """The broker of a class."""
    if isinstance(service_class, ClusterServiceClass):
        kind, namespace, name = kinds.CLUSTER_SERVICE_BROKER, "", service_class.spec.cluster_service_broker_name
    else:
        kind, namespace = kinds.SERVICE_BROKER, service_class.metadata.namespace or ""
        name = service_class.spec.service_broker_name
    found = await unit.objects.recall(kind, Listing(namespace=namespace, where=(("name", name),), limit=1))
    if found:
        return cast("AnyBroker", found[0])
    return Unresolved(
        InstanceReason.NO_SUCH_BROKER,
        f'The instance references a broker "{name}" that does not exist',
        broker_key(namespace, name),
    )


async def _class(unit: UnitOfWork, instance: ServiceInstance) -> AnyClass | Unresolved:
    spec = instance.spec
    cluster = is_cluster_scoped(spec)
    kind = kinds.CLUSTER_SERVICE_CLASS if cluster else kinds.SERVICE_CLASS
    namespace = "" if cluster else instance.metadata.namespace or ""
    reference = spec.cluster_service_class_ref or spec.service_class_ref
    wanted = Wanted("name", reference.name) if reference else wanted_class(spec)
    found = await _lookup(unit, kind, namespace, wanted)
    if len(found) == 1:
        return cast("AnyClass", found[0])
    asked = wanted_class(spec).value
    how_many = "does not exist" if not found else f"is ambiguous: {len(found)} classes are called so"
    return Unresolved(
        InstanceReason.NO_SUCH_CLASS,
        f'The instance references a {kind.kind} "{asked}" that {how_many}',
        offering_key(namespace, asked),
    )


async def _plan(unit: UnitOfWork, instance: ServiceInstance, service_class: AnyClass) -> AnyPlan | Unresolved:
    spec = instance.spec
    cluster = isinstance(service_class, ClusterServiceClass)
    kind = kinds.CLUSTER_SERVICE_PLAN if cluster else kinds.SERVICE_PLAN
    namespace = "" if cluster else instance.metadata.namespace or ""
    reference = spec.cluster_service_plan_ref or spec.service_plan_ref
    wanted = Wanted("name", reference.name) if reference else wanted_plan(spec)
    class_name = ("class_name", service_class.metadata.name)
    if not wanted.value:
        found = await unit.objects.recall(kind, Listing(namespace=namespace, where=(class_name,), limit=2))
    else:
        found = await _lookup(unit, kind, namespace, wanted, class_name)
    if len(found) == 1:
        return cast("AnyPlan", found[0])
    title = service_class.spec.external_name
    if not wanted.value and found:
        message = f'The {service_class.kind} "{title}" has more than one plan: the plan name must be specified'
    elif not wanted.value:
        message = f'The {service_class.kind} "{title}" has no plan'
    else:
        message = f'The instance references a {kind.kind} "{wanted_plan(spec).value}" of "{title}" that does not exist'
    return Unresolved(InstanceReason.NO_SUCH_PLAN, message, offering_key(namespace, service_class.metadata.name))


async def _lookup(
    unit: UnitOfWork, kind: Kind, namespace: str, wanted: Wanted, *more: tuple[str, str]
) -> list[AnyObject]:
    where = ((wanted.column, wanted.value), *more)
    return list(await unit.objects.recall(kind, Listing(namespace=namespace, where=where, limit=2)))
