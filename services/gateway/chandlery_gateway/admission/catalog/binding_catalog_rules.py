"""What a binding looks up: its instance, and whether what that is an instance of can be bound with these parameters."""

from collections.abc import Sequence

from chandlery.lookup.catalog_choice import class_lane, find_classes
from chandlery.model.faults import FieldProblem, Invalid
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.offerings import AnyClass, AnyPlan
from chandlery.reconcile.offering import is_bindable
from chandlery.store.database import UnitOfWork
from chandlery_gateway.admission.catalog.catalog_rules import CatalogRules, Routed, find_current_plan
from chandlery_gateway.admission.catalog.parameter_checks import check_bind


class BindingCatalogRules(CatalogRules[ServiceBinding]):
    """The look-ups of bindings. Their specification is frozen, so only a new one has any."""

    async def prefetch(self, unit: UnitOfWork, documents: Sequence[ServiceBinding]) -> None:
        places = {(each.metadata.namespace or "", each.spec.instance_ref.name) for each in documents}
        instances = await unit.objects.prefetch(kinds.SERVICE_INSTANCE, places)
        if instances:
            await unit.work_queue.prefetch_memories([each.metadata.uid or "" for each in instances])

    async def admit_new(self, unit: UnitOfWork, document: ServiceBinding) -> Routed[ServiceBinding]:
        instance = await _find_instance(unit, document)
        if instance is None:
            return Routed(document)
        if instance.metadata.deletion_timestamp is not None:
            name = instance.metadata.name
            message = (
                f"the instance {name!r} is being deleted; bind another instance, or wait until it is "
                "deleted and created again"
            )
            raise Invalid(problems=(FieldProblem("spec.instanceRef.name", "FieldValueForbidden", message),))
        classes = await find_classes(unit, instance)
        plan = await find_current_plan(unit, classes[0], instance) if len(classes) == 1 else None
        if plan is not None:
            _refuse_unbindable(document, classes[0], plan)
            if not document.spec.parameters_from:
                await check_bind(document, plan)
        noted = (await unit.work_queue.memory_of(instance.metadata.uid or "")).get("lane")
        # Without a note nobody has looked after the instance yet.
        return Routed(document, str(noted) if noted else class_lane(classes))


async def _find_instance(unit: UnitOfWork, binding: ServiceBinding) -> ServiceInstance | None:
    """The instance that is to be bound, if it is there already. Looked up once for all that share a transaction."""
    found = await unit.objects.get_cached(
        kinds.SERVICE_INSTANCE, binding.metadata.namespace or "", binding.spec.instance_ref.name
    )
    return found if isinstance(found, ServiceInstance) else None


def _refuse_unbindable(binding: ServiceBinding, service_class: AnyClass, plan: AnyPlan) -> None:
    if is_bindable(service_class, plan):
        return
    called, class_called = plan.spec.external_name, service_class.spec.external_name
    message = (
        f'the instance "{binding.spec.instance_ref.name}" has the plan "{called}" of the class '
        f'"{class_called}", which is not bindable; bind an instance of another plan'
    )
    raise Invalid(problems=(FieldProblem("spec.instanceRef.name", "FieldValueForbidden", message),))
