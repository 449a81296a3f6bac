"""Whether an instance may be given another plan, and what that plan's field is called. Checked before it is stored.

The provisioner checks again when the change is due, for the catalog may have changed by then.
"""

from chandlery.lookup.catalog_choice import find_classes, find_plans, offered_plans
from chandlery.model.faults import FieldProblem, Invalid
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.offerings import AnyClass, AnyPlan
from chandlery.model.text.names import did_you_mean, listed
from chandlery.reconcile.offering import is_cluster_scoped, plan_called, wanted_plan
from chandlery.store.database import UnitOfWork
from chandlery_gateway.admission.catalog.catalog_lookups import find_current_plan
from chandlery_gateway.admission.field_checks import invalid

_SUFFIXES = {"external_name": "ExternalName", "external_id": "ExternalID", "name": "Name"}


async def check_plan_change(unit: UnitOfWork, old: ServiceInstance, new: ServiceInstance) -> None:
    """The plan that the instance has now says whether it may be left, else its class does (OSB v2.17, "Plan Object").

    Back to the plan that the broker delivers it may always go: so a change that failed can be taken back.

    Raises:
        Invalid: the plan may not be changed.
    """
    wanted = wanted_plan(new.spec)
    if wanted_plan(old.spec) == wanted or old.status.provision_status != "Provisioned":
        return
    found = await find_classes(unit, new)
    if len(found) != 1:
        return
    current = await find_current_plan(unit, found[0], old)
    wished = await find_plans(unit, found[0], wanted)
    if current and [plan.metadata.name for plan in wished] == [current.metadata.name]:
        return
    await _refuse_unknown(unit, new, found[0], wished)
    own_word = current.spec.plan_updatable if current else None
    if own_word if own_word is not None else found[0].spec.plan_updatable:
        return
    refuses = f"class {found[0].spec.external_name!r}"
    if current and own_word is not None:
        refuses = f"plan {current.spec.external_name!r}"
    message = f"the service {refuses} does not allow plan changes; create another instance with the other plan"
    raise Invalid(problems=(FieldProblem(f"spec.{plan_field(new, wanted.column)}", "FieldValueForbidden", message),))


async def _refuse_unknown(
    unit: UnitOfWork, instance: ServiceInstance, service_class: AnyClass, wished: list[AnyPlan]
) -> None:
    """A working instance waits for no plan that may be offered some day: whoever asks for it meant another one."""
    if any(not plan.status.removed_from_broker_catalog for plan in wished):
        return
    wanted = wanted_plan(instance.spec)
    names = [plan_called(plan, wanted.column) for plan in await offered_plans(unit, service_class)]
    is_gone = "does not offer this plan any more" if wished else "has no such plan"
    why = f'the class "{service_class.spec.external_name}" {is_gone}'
    has = f"; it has {listed(names)}" if names else ""
    message = f"{why}{did_you_mean(wanted.value, names) or has}"
    raise Invalid(problems=(invalid(f"spec.{plan_field(instance, wanted.column)}", message, given=wanted.value),))


def plan_field(instance: ServiceInstance, column: str) -> str:
    """The field that names the plan in the scope of the instance's class: `clusterServicePlanExternalName`."""
    return f"{'clusterServicePlan' if is_cluster_scoped(instance.spec) else 'servicePlan'}{_SUFFIXES[column]}"
