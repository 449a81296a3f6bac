"""What an instance looks up: the class and the plan that it names, once, for its lane, its defaults and its parameters.

Whether it may be given another plan is checked before that is stored; the provisioner checks again when the change is
due, for the catalog may have changed by then. Where the catalog has no such class yet, nothing is refused.
"""

from chandlery.lookup.catalog_choice import class_lane, find_classes, find_plans, offered_plans
from chandlery.lookup.missing_offerings import why_no_class
from chandlery.model.faults import FieldProblem, Invalid
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.offerings import AnyClass, AnyPlan
from chandlery.model.text.names import did_you_mean, listed
from chandlery.reconcile.offering import Wanted, is_cluster_scoped, plan_called, wanted_class, wanted_plan
from chandlery.store.database import UnitOfWork
from chandlery_gateway.admission.catalog.catalog_rules import CatalogRules, Routed, find_current_plan
from chandlery_gateway.admission.catalog.parameter_checks import (
    ParameterCheck,
    check_creation,
    check_update,
    due_check,
)
from chandlery_gateway.admission.field_checks import invalid

_SUFFIXES = {"external_name": "ExternalName", "external_id": "ExternalID", "name": "Name"}


class InstanceCatalogRules(CatalogRules[ServiceInstance]):
    """The look-ups of instances."""

    async def admit_new(self, unit: UnitOfWork, document: ServiceInstance) -> Routed[ServiceInstance]:
        classes, wanted = await find_classes(unit, document), wanted_plan(document.spec)
        plan = None
        if not wanted.value:
            plan, document = await _with_only_plan(unit, document, classes)
        elif len(classes) == 1 and not document.spec.parameters_from:
            plan = _only(await find_plans(unit, classes[0], wanted))
        if plan is not None and not document.spec.parameters_from:
            await check_creation(document, classes[0], plan)
        return Routed(document, class_lane(classes))

    async def complete_changed(self, unit: UnitOfWork, document: ServiceInstance) -> ServiceInstance:
        if wanted_plan(document.spec).value:
            return document
        _, completed = await _with_only_plan(unit, document, await find_classes(unit, document))
        return completed

    async def check_changed(self, unit: UnitOfWork, old: ServiceInstance, new: ServiceInstance) -> None:
        wanted = wanted_plan(new.spec)
        is_other_plan = wanted_plan(old.spec) != wanted
        checks_plan = is_other_plan and old.status.provision_status == "Provisioned"
        check = due_check(old, new, is_other_plan=is_other_plan)
        if not checks_plan and check is None:
            return
        classes = await find_classes(unit, new)
        if len(classes) != 1:
            return
        plans = await find_plans(unit, classes[0], wanted)
        if checks_plan:
            await _check_plan_change(unit, old, new, classes[0], plans)
        plan = _only(plans)
        if plan is None:
            return
        if check is ParameterCheck.CREATION:
            await check_creation(new, classes[0], plan)
        if check is ParameterCheck.UPDATE:
            await check_update(new, plan, forms_of=unit.checksums.of(new).forms_of)


def _only(plans: list[AnyPlan]) -> AnyPlan | None:
    return plans[0] if len(plans) == 1 else None


async def _with_only_plan(
    unit: UnitOfWork, instance: ServiceInstance, classes: list[AnyClass]
) -> tuple[AnyPlan, ServiceInstance]:
    """The plan of a class that has no other, and the instance with it. Raises Invalid if there is a choice to make."""
    called = wanted_class(instance.spec)
    if len(classes) != 1:
        why = await why_no_class(unit, instance, classes)
        raise _no_plan(
            instance, called, f'no default plan can be chosen, because the service class "{called.value}" {why}'
        )
    plans = await offered_plans(unit, classes[0])
    if len(plans) != 1:
        names = listed(plan_called(plan, called.column) for plan in plans) or "none"
        raise _no_plan(instance, called, f"the class has {len(plans)} plans ({names}); name one of them")
    (plan,) = plans
    prefix = "cluster_service_plan_" if is_cluster_scoped(instance.spec) else "service_plan_"
    chosen = {f"{prefix}{called.column}": plan_called(plan, called.column)}
    return plan, instance.model_copy(update={"spec": instance.spec.model_copy(update=chosen)})


def _no_plan(instance: ServiceInstance, called: Wanted, message: str) -> Invalid:
    field = f"spec.{_plan_field(instance, called.column)}"
    return Invalid(problems=(FieldProblem(field, "FieldValueRequired", message),))


async def _check_plan_change(
    unit: UnitOfWork, old: ServiceInstance, new: ServiceInstance, service_class: AnyClass, plans: list[AnyPlan]
) -> None:
    """The plan that the instance has now says whether it may be left, else its class does (OSB v2.17, "Plan Object").

    Back to the plan that the broker delivers it may always go: so a change that failed can be taken back.
    """
    current = await find_current_plan(unit, service_class, old)
    if current and [plan.metadata.name for plan in plans] == [current.metadata.name]:
        return
    await _refuse_unknown(unit, new, service_class, plans)
    own_word = current.spec.plan_updatable if current else None
    if own_word if own_word is not None else service_class.spec.plan_updatable:
        return
    refuses = f"class {service_class.spec.external_name!r}"
    if current and own_word is not None:
        refuses = f"plan {current.spec.external_name!r}"
    message = f"the service {refuses} does not allow plan changes; create another instance with the other plan"
    field = f"spec.{_plan_field(new, wanted_plan(new.spec).column)}"
    raise Invalid(problems=(FieldProblem(field, "FieldValueForbidden", message),))


async def _refuse_unknown(
    unit: UnitOfWork, instance: ServiceInstance, service_class: AnyClass, plans: list[AnyPlan]
) -> None:
    """A working instance waits for no plan that may be offered some day: whoever asks for it meant another one."""
    if any(not plan.status.removed_from_broker_catalog for plan in plans):
        return
    wanted = wanted_plan(instance.spec)
    names = [plan_called(plan, wanted.column) for plan in await offered_plans(unit, service_class)]
    is_gone = "no longer offers this plan" if plans else "has no such plan"
    why = f'the class "{service_class.spec.external_name}" {is_gone}'
    has = f"; it has {listed(names)}" if names else ""
    message = f"{why}{did_you_mean(wanted.value, names) or has}"
    raise Invalid(problems=(invalid(f"spec.{_plan_field(instance, wanted.column)}", message, given=wanted.value),))


def _plan_field(instance: ServiceInstance, column: str) -> str:
    """The field that names the plan in the scope of the instance's class: `clusterServicePlanExternalName`."""
    return f"{'clusterServicePlan' if is_cluster_scoped(instance.spec) else 'servicePlan'}{_SUFFIXES[column]}"
