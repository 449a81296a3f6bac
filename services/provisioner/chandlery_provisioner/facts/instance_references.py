"""How an instance refers to its class and plan, and the wake-up keys of what it wants to know about them. Pure."""

from typing import Any

from chandlery.model.objects.brokers import LocalObjectReference
from chandlery.model.objects.conditions import Conditions
from chandlery.model.objects.instances import (
    InstancePropertiesState,
    ServiceInstance,
    ServiceInstanceSpec,
    ServiceInstanceStatus,
)
from chandlery.model.objects.offerings import AnyPlan
from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.offering import Offering, Unresolved, class_column, wanted_plan
from chandlery.reconcile.reconcile_result import offering_key, secret_key
from chandlery_provisioner.facts.instance_snapshot import InstanceSnapshot


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


def shown_versions(snapshot: InstanceSnapshot, status: ServiceInstanceStatus, *, plan_id: str) -> dict[str, Any]:
    """Fields of the status, by name: what the plan `plan_id` is called, and whether it offers another version now."""
    has = status.external_properties
    if has is None or status.provision_status != "Provisioned":
        return {"upgrade_available": None}
    plan = _plan_of(snapshot, plan_id)
    if plan is None:
        return {}
    offers = plan.spec.maintenance_info
    is_other = offers is not None and offers.version != has.maintenance_version
    return {"upgrade_available": offers if is_other else None, "external_properties": _named(has, plan)}


def _plan_of(snapshot: InstanceSnapshot, plan_id: str) -> AnyPlan | None:
    offered = snapshot.offering.plan if isinstance(snapshot.offering, Offering) else None
    return next((plan for plan in (offered, snapshot.current_plan) if plan and plan.spec.external_id == plan_id), None)


def _named(has: InstancePropertiesState, plan: AnyPlan) -> InstancePropertiesState:
    if plan.kind == "ClusterServicePlan":
        is_unnamed = bool(has.cluster_service_plan_external_id) and not has.cluster_service_plan_external_name
        name = {"cluster_service_plan_external_name": plan.spec.external_name}
    else:
        is_unnamed = bool(has.service_plan_external_id) and not has.service_plan_external_name
        name = {"service_plan_external_name": plan.spec.external_name}
    return has.model_copy(update=name) if is_unnamed else has


def interests_of(instance: ServiceInstance, conditions: Conditions, offering: Offering | Unresolved) -> tuple[str, ...]:
    """Keys in order; none for an instance that is to go."""
    if instance.metadata.deletion_timestamp is not None:
        return ()
    wants_parameters = any(each.reason == InstanceReason.ERROR_WITH_PARAMETERS for each in conditions)
    keys = set[str]()
    if instance.spec.watch_parameters_from or wants_parameters:
        keys |= secrets_of(instance)
    if isinstance(offering, Offering) and offering.plan.spec.maintenance_info is not None:
        # An upgrade may come to be offered.
        plan = offering.plan.metadata
        keys.add(offering_key(plan.namespace, plan.name))
    return tuple(sorted(keys))


def secrets_of(instance: ServiceInstance) -> set[str]:
    """Keys of the Secrets that parameters come from."""
    references = (source.secret_key_ref for source in instance.spec.parameters_from or ())
    return {secret_key(instance.metadata.namespace, reference.name) for reference in references if reference}
