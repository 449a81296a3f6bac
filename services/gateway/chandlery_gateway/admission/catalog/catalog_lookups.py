"""What the catalog in the database says about an instance's class and plan, for the checks of admission.

Each look-up is made once for all creations that share a transaction.
"""

from dataclasses import dataclass

from chandlery.lookup.catalog_choice import find_classes, find_plans
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.offerings import AnyClass, AnyPlan, ClusterServiceClass
from chandlery.reconcile.offering import Wanted, wanted_plan
from chandlery.reconcile.reconcile_result import broker_key
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.objects import Listing


@dataclass(frozen=True)
class ClassAndPlan:
    """A class and one of its plans."""

    service_class: AnyClass
    plan: AnyPlan


async def find_class_and_plan(unit: UnitOfWork, instance: ServiceInstance) -> ClassAndPlan | None:
    """What the instance asks for; None unless the catalog has exactly one class and plan that are called so."""
    classes = await find_classes(unit, instance)
    wanted = wanted_plan(instance.spec)
    if len(classes) != 1 or not wanted.value:
        return None
    plans = await find_plans(unit, classes[0], wanted)
    return ClassAndPlan(classes[0], plans[0]) if len(plans) == 1 else None


async def find_delivered(unit: UnitOfWork, binding: ServiceBinding) -> ClassAndPlan | None:
    """What the instance of a binding is an instance of by now; None as far as that is not known."""
    instance = await find_instance(unit, binding)
    classes = await find_classes(unit, instance) if instance else []
    if instance is None or len(classes) != 1:
        return None
    plan = await find_current_plan(unit, classes[0], instance)
    return ClassAndPlan(classes[0], plan) if plan else None


async def find_current_plan(unit: UnitOfWork, service_class: AnyClass, old: ServiceInstance) -> AnyPlan | None:
    """The plan that the broker delivers, which is not the one of the specification if a change has failed."""
    delivered = old.status.external_properties
    if delivered is not None:
        external_id = delivered.cluster_service_plan_external_id or delivered.service_plan_external_id
        if external_id:
            plans = await find_plans(unit, service_class, Wanted("external_id", external_id))
            return plans[0] if len(plans) == 1 else None
    plans = await find_plans(unit, service_class, wanted_plan(old.spec))
    return plans[0] if len(plans) == 1 else None


async def find_instance(unit: UnitOfWork, binding: ServiceBinding) -> ServiceInstance | None:
    """The instance that is to be bound, if it is there already."""
    where = (("name", binding.spec.instance_ref.name),)
    listing = Listing(namespace=binding.metadata.namespace or "", where=where, limit=1)
    found = await unit.objects.list_cached(kinds.SERVICE_INSTANCE, listing)
    return found[0] if found and isinstance(found[0], ServiceInstance) else None


def class_lane(service_class: AnyClass) -> str:
    """The lane of the service broker that offers the class."""
    if isinstance(service_class, ClusterServiceClass):
        return broker_key("", service_class.spec.cluster_service_broker_name)
    return broker_key(service_class.metadata.namespace, service_class.spec.service_broker_name)
