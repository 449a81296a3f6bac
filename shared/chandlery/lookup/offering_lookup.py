"""Finds the class, the plan and the broker of an instance in the database."""

from collections.abc import Sequence

from chandlery.lookup.catalog_choice import (
    broker_of,
    broker_place,
    class_scope,
    find_classes,
    find_plans,
    offered_plans,
)
from chandlery.lookup.missing_offerings import listed_by, why_no_class
from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.offerings import AnyClass, AnyPlan
from chandlery.model.objects.reasons import InstanceReason
from chandlery.model.text.names import did_you_mean, listed
from chandlery.reconcile.offering import Offering, Unresolved, Wanted, plan_called, wanted_class, wanted_plan
from chandlery.reconcile.reconcile_result import broker_key, offering_key
from chandlery.store.database import UnitOfWork


async def find_offering(
    unit: UnitOfWork, instance: ServiceInstance, *, delivered_plan_id: str = ""
) -> Offering | Unresolved:
    """Resolve what the specification names. References found before are followed by name; users' words otherwise.

    With the external id of the plan that the broker delivers it is that plan, whatever the specification names by now,
    as long as it is known.
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
    found = await find_plans(unit, service_class, Wanted("external_id", plan_id))
    return found[0] if found else None


async def find_broker(unit: UnitOfWork, service_class: AnyClass) -> AnyBroker | Unresolved:
    """The broker of a class."""
    if (broker := await broker_of(unit, service_class)) is not None:
        return broker
    kind, namespace, name = broker_place(service_class)
    return Unresolved(
        InstanceReason.NO_SUCH_BROKER,
        f'The instance references a broker "{name}" that does not exist. Register it again under that '
        f"name. To list those that exist: {listed_by(kind, namespace)}",
        broker_key(namespace, name),
    )


async def _class(unit: UnitOfWork, instance: ServiceInstance) -> AnyClass | Unresolved:
    found = await find_classes(unit, instance)
    if len(found) == 1:
        return found[0]
    (kind, namespace), asked = class_scope(instance), wanted_class(instance.spec).value
    why = await why_no_class(unit, instance, found)
    message = f'The instance references a {kind.kind} "{asked}" that {why}'
    return Unresolved(InstanceReason.NO_SUCH_CLASS, message, offering_key(namespace, asked))


async def _plan(unit: UnitOfWork, instance: ServiceInstance, service_class: AnyClass) -> AnyPlan | Unresolved:
    spec = instance.spec
    reference = spec.cluster_service_plan_ref or spec.service_plan_ref
    wanted = Wanted("name", reference.name) if reference else wanted_plan(spec)
    offered = [] if wanted.value else await offered_plans(unit, service_class)
    found = await find_plans(unit, service_class, wanted) if wanted.value else offered
    if len(found) == 1:
        return found[0]
    message = await _why_no_plan(unit, instance, service_class, found)
    meta = service_class.metadata
    return Unresolved(InstanceReason.NO_SUCH_PLAN, message, offering_key(meta.namespace, meta.name))


async def _why_no_plan(
    unit: UnitOfWork, instance: ServiceInstance, service_class: AnyClass, found: Sequence[AnyPlan]
) -> str:
    title, wanted = service_class.spec.external_name, wanted_plan(instance.spec)
    names = [plan_called(each, wanted.column) for each in await offered_plans(unit, service_class)]
    has = f"; it has {listed(names)}" if names else ""
    if not wanted.value and found:
        return f'The {service_class.kind} "{title}" has more than one plan: the plan name must be specified{has}'
    if not wanted.value:
        return f'The {service_class.kind} "{title}" has no plan'
    kind = service_class.kind.replace("Class", "Plan")
    subject = f'The instance references a {kind} "{wanted.value}" of "{title}" that'
    if found:
        return (
            f"{subject} is ambiguous: {len(found)} plans have that name; use the object names of the plan and "
            "of its class"
        )
    return f"{subject} does not exist{did_you_mean(wanted.value, names) or has}"
