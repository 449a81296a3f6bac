"""How an instance tells its class and plan: references in its specification, names in its status. Pure."""

from chandlery.model.brokers import LocalObjectReference
from chandlery.model.instances import ServiceInstanceSpec
from chandlery.reconcile.offering import Offering, Unresolved, class_column, wanted_plan


def with_references(spec: ServiceInstanceSpec, offering: Offering | Unresolved) -> ServiceInstanceSpec:
    """The specification with references to the class and the plan, once they have been found."""
    if isinstance(offering, Unresolved):
        return spec
    service_class = LocalObjectReference(name=offering.service_class.metadata.name)
    plan = LocalObjectReference(name=offering.plan.metadata.name)
    if offering.service_class.kind == "ClusterServiceClass":
        return spec.model_copy(update={"cluster_service_class_ref": service_class, "cluster_service_plan_ref": plan})
    return spec.model_copy(update={"service_class_ref": service_class, "service_plan_ref": plan})


def shown_names(spec: ServiceInstanceSpec, offering: Offering | Unresolved) -> dict[str, str]:
    """Fields of the status, by name: class and plan as the user called them, or the plan that was chosen instead."""
    plan = wanted_plan(spec).value
    if not plan and isinstance(offering, Offering):
        plan = offering.plan.spec.external_name
    return {"user_specified_class_name": class_column(spec), "user_specified_plan_name": plan}
