"""The checks of admission that need the database, and what a new wish is routed and woken by."""

from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.model import kinds
from chandlery.model.bindings import ServiceBinding
from chandlery.model.brokers import ClusterServiceBroker, ServiceBroker
from chandlery.model.core import Namespace, Secret
from chandlery.model.faults import FieldProblem, Forbidden, Invalid, NotFound
from chandlery.model.instances import ServiceInstance
from chandlery.model.kinds import AnyObject, kind_of
from chandlery.model.offerings import AnyClass, AnyPlan, ClusterServiceClass
from chandlery.reconcile.change import bindings_key, broker_key, instances_key, offering_key, secret_key
from chandlery.reconcile.offering import Wanted, is_cluster_scoped, wanted_class, wanted_plan
from chandlery.store.database import UnitOfWork
from chandlery.store.objects import Listing


async def check_namespace(unit: UnitOfWork, document: AnyObject) -> None:
    """Objects live in namespaces that exist and are to stay; raises NotFound or Forbidden."""
    name = document.metadata.namespace
    if not kind_of(document).namespaced or not name:
        return
    found = await unit.objects.recall(kinds.NAMESPACE, Listing(namespace="", where=(("name", name),), limit=1))
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


async def check_plan_change(unit: UnitOfWork, old: ServiceInstance, new: ServiceInstance) -> None:
    """A class may forbid plan changes; raises Invalid. The provisioner checks again when the change is due."""
    if wanted_plan(old.spec) == wanted_plan(new.spec) or old.status.provision_status != "Provisioned":
        return
    found = await _classes(unit, new)
    if len(found) != 1:
        return
    plans = await _plans(unit, found[0], wanted_plan(old.spec))
    own_word = plans[0].spec.plan_updatable if len(plans) == 1 else None
    if own_word if own_word is not None else found[0].spec.plan_updatable:
        return
    title = found[0].spec.external_name
    raise Invalid(
        problems=(
            FieldProblem(
                f"spec.{_plan_field(new, wanted_plan(new.spec).column)}",
                "FieldValueForbidden",
                f"the service class {title!r} does not allow plan changes; create another instance with the other plan",
            ),
        )
    )


def woken_by(document: AnyObject) -> tuple[str, ...]:
    """Wake-up keys of what may be waiting for this object to appear or to change."""
    meta = document.metadata
    match document:
        case Secret():
            return (secret_key(meta.namespace, meta.name),)
        case ClusterServiceBroker() | ServiceBroker():
            return (broker_key(meta.namespace, meta.name),)
        case Namespace():
            return ()
    if kind_of(document) in kinds.CLASS_KINDS and not isinstance(document, ServiceInstance | ServiceBinding):
        spec = getattr(document, "spec", None)
        names = (meta.name, getattr(spec, "external_name", ""), getattr(spec, "external_id", ""))
        return tuple(sorted({offering_key(meta.namespace, name) for name in names if name}))
    return ()


async def woken_by_removal(unit: UnitOfWork, document: AnyObject) -> tuple[str, ...]:
    """Wake-up keys of what may be waiting for this object to go, for one that goes without its worker."""
    meta = document.metadata
    if isinstance(document, ServiceBinding):
        return (bindings_key(meta.namespace, document.spec.instance_ref.name),)
    if isinstance(document, ServiceInstance):
        lane = (await unit.reconciliations.memory_of(meta.uid or "")).get("lane")
        return (instances_key(lane),) if lane else ()
    return ()


async def _complete_instance(unit: UnitOfWork, instance: ServiceInstance) -> tuple[ServiceInstance, str]:
    found = await _classes(unit, instance)
    lane = _class_lane(found[0]) if len(found) == 1 else UNRESOLVED_LANE
    if wanted_plan(instance.spec).value:
        return instance, lane
    column = wanted_class(instance.spec).column
    if len(found) != 1:
        asked = wanted_class(instance.spec).value
        why = "does not exist" if not found else f"is ambiguous: {len(found)} classes are called so"
        raise _no_plan(instance, column, f'the service class "{asked}" {why}, so no plan can be chosen for you')
    plans = await _plans(unit, found[0], None)
    if len(plans) != 1:
        names = ", ".join(sorted(plan.spec.external_name for plan in plans)) or "none"
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
    return Invalid(problems=(FieldProblem(f"spec.{_plan_field(instance, column)}", "FieldValueRequired", message),))


def _plan_field(instance: ServiceInstance, column: str) -> str:
    suffix = {"external_name": "ExternalName", "external_id": "ExternalID", "name": "Name"}[column]
    return f"{'clusterServicePlan' if is_cluster_scoped(instance.spec) else 'servicePlan'}{suffix}"


async def _classes(unit: UnitOfWork, instance: ServiceInstance) -> list[AnyClass]:
    cluster = is_cluster_scoped(instance.spec)
    kind = kinds.CLUSTER_SERVICE_CLASS if cluster else kinds.SERVICE_CLASS
    namespace = "" if cluster else instance.metadata.namespace or ""
    wanted = wanted_class(instance.spec)
    listing = Listing(namespace=namespace, where=((wanted.column, wanted.value),), limit=2)
    return [found for found in await unit.objects.recall(kind, listing) if isinstance(found, AnyClass)]


async def _plans(unit: UnitOfWork, service_class: AnyClass, wanted: Wanted | None) -> list[AnyPlan]:
    cluster = isinstance(service_class, ClusterServiceClass)
    kind = kinds.CLUSTER_SERVICE_PLAN if cluster else kinds.SERVICE_PLAN
    where = [("class_name", service_class.metadata.name)]
    if wanted is not None:
        where.append((wanted.column, wanted.value))
    listing = Listing(namespace=service_class.metadata.namespace or "", where=tuple(where), limit=20)
    found = [plan for plan in await unit.objects.recall(kind, listing) if isinstance(plan, AnyPlan)]
    return [plan for plan in found if wanted is not None or not plan.status.removed_from_broker_catalog]


def _class_lane(service_class: AnyClass) -> str:
    if isinstance(service_class, ClusterServiceClass):
        return broker_key("", service_class.spec.cluster_service_broker_name)
    return broker_key(service_class.metadata.namespace, service_class.spec.service_broker_name)


async def _binding_lane(unit: UnitOfWork, binding: ServiceBinding) -> str:
    name = binding.spec.instance_ref.name
    instance = await unit.objects.get(kinds.SERVICE_INSTANCE, binding.metadata.namespace or "", name)
    if instance is None:
        return UNRESOLVED_LANE
    if instance.metadata.deletion_timestamp is not None:
        raise Forbidden(f'ServiceBinding refers to an instance that is being deleted: "{name}"')
    return str((await unit.reconciliations.memory_of(instance.metadata.uid or "")).get("lane") or UNRESOLVED_LANE)
