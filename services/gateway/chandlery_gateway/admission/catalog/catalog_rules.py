"""The checks of admission that need the database, and what a new wish is routed by."""

from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.lookup.catalog_choice import find_classes, offered_plans
from chandlery.lookup.missing_offerings import why_no_class
from chandlery.model.faults import FieldProblem, Forbidden, Invalid, NotFound
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import ClusterServiceBroker, ServiceBroker
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject, kind_of
from chandlery.model.text.names import listed
from chandlery.reconcile.offering import is_bindable, is_cluster_scoped, plan_called, wanted_class, wanted_plan
from chandlery.reconcile.reconcile_result import broker_key
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.external_ids import ExternalId
from chandlery.store.objects.objects import Listing
from chandlery_gateway.admission.catalog.catalog_lookups import class_lane, find_delivered, find_instance
from chandlery_gateway.admission.catalog.plan_changes import plan_field


async def check_namespace(unit: UnitOfWork, document: AnyObject) -> None:
    """Objects live in namespaces that exist and are to stay; raises NotFound or Forbidden."""
    name = document.metadata.namespace
    if not kind_of(document).namespaced or not name:
        return
    found = await unit.objects.list_cached(kinds.NAMESPACE, Listing(namespace="", where=(("name", name),), limit=1))
    namespace = found[0] if found else None
    if namespace is None:
        raise NotFound(f'namespaces "{name}" not found; create it with: kubectl create namespace {name}')
    if namespace.metadata.deletion_timestamp is not None:
        raise Forbidden(f"unable to create new content in namespace {name} because it is being terminated")


async def complete(unit: UnitOfWork, document: AnyObject) -> tuple[AnyObject, str]:
    """Fill in what only the catalog knows; returns the object and the lane of its work. Raises Invalid."""
    if isinstance(document, ServiceInstance):
        return await _complete_instance(unit, document)
    if isinstance(document, ServiceBinding):
        return document, await _binding_lane(unit, document)
    if isinstance(document, ClusterServiceBroker | ServiceBroker):
        return document, broker_key(document.metadata.namespace, document.metadata.name)
    return document, UNRESOLVED_LANE


async def _complete_instance(unit: UnitOfWork, instance: ServiceInstance) -> tuple[ServiceInstance, str]:
    found = await find_classes(unit, instance)
    lane = class_lane(found[0]) if len(found) == 1 else UNRESOLVED_LANE
    if wanted_plan(instance.spec).value:
        return instance, lane
    column = wanted_class(instance.spec).column
    if len(found) != 1:
        asked = wanted_class(instance.spec).value
        why = await why_no_class(unit, instance, found)
        raise _no_plan(instance, column, f'no plan can be chosen for you, as the service class "{asked}" {why}')
    plans = await offered_plans(unit, found[0])
    if len(plans) != 1:
        names = listed(plan_called(plan, column) for plan in plans) or "none"
        raise _no_plan(instance, column, f"the class has {len(plans)} plans ({names}); say which one")
    plan = plans[0]
    value = {
        "external_name": plan.spec.external_name,
        "external_id": plan.spec.external_id,
        "name": plan.metadata.name,
    }[column]
    prefix = "cluster_service_plan_" if is_cluster_scoped(instance.spec) else "service_plan_"
    spec = instance.spec.model_copy(update={f"{prefix}{column}": value})
    return instance.model_copy(update={"spec": spec}), lane


def _no_plan(instance: ServiceInstance, column: str, message: str) -> Invalid:
    return Invalid(problems=(FieldProblem(f"spec.{plan_field(instance, column)}", "FieldValueRequired", message),))


def claim_external_id(unit: UnitOfWork, document: AnyObject, *, lane: str) -> None:
    """Have the object's id at its broker taken with the transaction; where that is not known yet, its worker does."""
    if isinstance(document, ServiceInstance | ServiceBinding) and lane != UNRESOLVED_LANE:
        external_id = ExternalId(lane, document.kind, document.spec.external_id)
        unit.external_ids.claim_later(external_id, document.metadata.uid or "")


async def _binding_lane(unit: UnitOfWork, binding: ServiceBinding) -> str:
    name = binding.spec.instance_ref.name
    instance = await find_instance(unit, binding)
    if instance is None:
        return UNRESOLVED_LANE
    if instance.metadata.deletion_timestamp is not None:
        message = f"the instance {name!r} is being deleted; bind another one, or wait until it is gone and made again"
        raise Invalid(problems=(FieldProblem("spec.instanceRef.name", "FieldValueForbidden", message),))
    await _refuse_unbindable(unit, binding)
    noted = (await unit.reconciliations.memory_of(instance.metadata.uid or "")).get("lane")
    if noted:
        return str(noted)
    # Nobody has looked after the instance yet.
    classes = await find_classes(unit, instance)
    return class_lane(classes[0]) if len(classes) == 1 else UNRESOLVED_LANE


async def _refuse_unbindable(unit: UnitOfWork, binding: ServiceBinding) -> None:
    found = await find_delivered(unit, binding)
    if found is None or is_bindable(found.service_class, found.plan):
        return
    plan, service_class = found.plan.spec.external_name, found.service_class.spec.external_name
    message = (
        f'the instance "{binding.spec.instance_ref.name}" has the plan "{plan}" of the class "{service_class}", '
        f"which cannot be bound; bind an instance of another plan"
    )
    raise Invalid(problems=(FieldProblem("spec.instanceRef.name", "FieldValueForbidden", message),))
