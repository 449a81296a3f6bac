"""Whether an instance may be given another plan, and what that plan's field is called. Checked before it is stored.

The provisioner checks again when the change is due, for the catalog may have changed by then.
"""

from chandlery.model.faults import FieldProblem, Invalid
from chandlery.model.instances import ServiceInstance
from chandlery.reconcile.offering import is_cluster_scoped, wanted_plan
from chandlery.store.database import UnitOfWork
from chandlery_gateway.catalog_lookups import find_classes, find_current_plan, find_plans

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
    own_word = current.spec.plan_updatable if current else None
    if own_word if own_word is not None else found[0].spec.plan_updatable:
        return
    wished = await find_plans(unit, found[0], wanted)
    if current and [plan.metadata.name for plan in wished] == [current.metadata.name]:
        return
    refuses = f"class {found[0].spec.external_name!r}"
    if current and own_word is not None:
        refuses = f"plan {current.spec.external_name!r}"
    message = f"the service {refuses} does not allow plan changes; create another instance with the other plan"
    raise Invalid(problems=(FieldProblem(f"spec.{plan_field(new, wanted.column)}", "FieldValueForbidden", message),))


def plan_field(instance: ServiceInstance, column: str) -> str:
    """The field that names the plan in the scope of the instance's class: `clusterServicePlanExternalName`."""
    return f"{'clusterServicePlan' if is_cluster_scoped(instance.spec) else 'servicePlan'}{_SUFFIXES[column]}"
