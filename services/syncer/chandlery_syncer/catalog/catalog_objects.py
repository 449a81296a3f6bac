"""From a checked catalog to the classes and plans that should be stored. Pure; `catalog_difference.py` comes next.

The broker's `catalogRestrictions` are applied here. A class none of whose plans is offered is not offered either.
"""

from dataclasses import dataclass
from typing import Any

from chandlery.model.objects.brokers import API_VERSION, AnyBroker, ClusterServiceBroker, LocalObjectReference
from chandlery.model.objects.metadata import ObjectMeta, OwnerReference
from chandlery.model.objects.offerings import (
    AnyClass,
    AnyPlan,
    ClusterServiceClass,
    ClusterServiceClassSpec,
    ClusterServicePlan,
    ClusterServicePlanSpec,
    ServiceClass,
    ServiceClassSpec,
    ServicePlan,
    ServicePlanSpec,
)
from chandlery.model.text.names import LABEL_PREFIX, label_value, name_from_external_id
from chandlery.model.text.shown_urls import without_bad_urls
from chandlery.osb.catalog.catalog_values import CatalogPlan, CatalogService
from chandlery.reconcile.policies.restrictions import restrictable_properties, restrictions_selector


@dataclass(frozen=True)
class Offerings:
    """Classes and plans of one broker, desired or stored."""

    classes: tuple[AnyClass, ...] = ()
    plans: tuple[AnyPlan, ...] = ()


NO_OFFERINGS = Offerings()


def desired_offerings(broker: AnyBroker, services: tuple[CatalogService, ...]) -> Offerings:
    """What should be stored, without uids and times.

    Raises:
        ValueError: a restriction of the broker cannot be used.
    """
    restrictions = broker.spec.catalog_restrictions
    wanted_classes = restrictions_selector(restrictions.service_class if restrictions else None)
    wanted_plans = restrictions_selector(restrictions.service_plan if restrictions else None)
    classes: list[AnyClass] = []
    plans: list[AnyPlan] = []
    for service in services:
        service_class = _class(broker, service)
        if not wanted_classes.matches(restrictable_properties(service_class)):
            continue
        candidates = [_plan(broker, service_class, plan) for plan in service.plans]
        offered = [plan for plan in candidates if wanted_plans.matches(restrictable_properties(plan))]
        if offered:
            classes.append(service_class)
            plans.extend(offered)
    return Offerings(tuple(classes), tuple(plans))


def _class(broker: AnyBroker, service: CatalogService) -> AnyClass:
    fields: dict[str, Any] = {
        "external_name": service.name,
        "external_id": service.id,
        "description": service.description,
        "bindable": service.bindable,
        "binding_retrievable": service.bindings_retrievable,
        "instances_retrievable": service.instances_retrievable,
        "plan_updatable": service.plan_updateable,
        "allow_context_updates": service.allow_context_updates,
        "external_metadata": without_bad_urls(service.metadata),
        "tags": service.tags or None,
        "requires": service.requires or None,
    }
    metadata = _metadata(broker, service.id, {"externalID": service.id, "externalName": service.name})
    name = broker.metadata.name
    if isinstance(broker, ClusterServiceBroker):
        return ClusterServiceClass(
            metadata=metadata, spec=ClusterServiceClassSpec(**fields, cluster_service_broker_name=name)
        )
    return ServiceClass(metadata=metadata, spec=ServiceClassSpec(**fields, service_broker_name=name))


def _plan(broker: AnyBroker, service_class: AnyClass, plan: CatalogPlan) -> AnyPlan:
    fields: dict[str, Any] = {
        "external_name": plan.name,
        "external_id": plan.id,
        "description": plan.description,
        "bindable": plan.bindable,
        "free": plan.free,
        "plan_updatable": plan.plan_updateable,
        "binding_rotatable": plan.binding_rotatable,
        "maximum_polling_duration": plan.maximum_polling_duration,
        "maintenance_info": plan.maintenance_info,
        "external_metadata": without_bad_urls(plan.metadata),
        "instance_create_parameter_schema": plan.instance_create_schema,
        "instance_update_parameter_schema": plan.instance_update_schema,
        "service_binding_create_parameter_schema": plan.binding_create_schema,
    }
    name, class_name = broker.metadata.name, service_class.metadata.name
    reference = LocalObjectReference(name=class_name)
    shown = {"externalID": plan.id, "externalName": plan.name}
    if isinstance(broker, ClusterServiceBroker):
        metadata = _metadata(broker, plan.id, {**shown, "clusterServiceClassRef.name": class_name})
        cluster = ClusterServicePlanSpec(
            **fields, cluster_service_broker_name=name, cluster_service_class_ref=reference
        )
        return ClusterServicePlan(metadata=metadata, spec=cluster)
    metadata = _metadata(broker, plan.id, {**shown, "serviceClassRef.name": class_name})
    spec = ServicePlanSpec(**fields, service_broker_name=name, service_class_ref=reference)
    return ServicePlan(metadata=metadata, spec=spec)


def _metadata(broker: AnyBroker, external_id: str, shown: dict[str, str]) -> ObjectMeta:
    is_cluster = isinstance(broker, ClusterServiceBroker)
    broker_field = "clusterServiceBrokerName" if is_cluster else "serviceBrokerName"
    fields = {**shown, broker_field: broker.metadata.name}
    return ObjectMeta(
        name=name_from_external_id(external_id),
        namespace=broker.metadata.namespace,
        labels={f"{LABEL_PREFIX}spec.{field}": label_value(value) for field, value in fields.items()},
        # The reference's mark of what it manages itself; namespaced classes and plans have none.
        owner_references=[_owner(broker)] if is_cluster else None,
    )


def _owner(broker: AnyBroker) -> OwnerReference:
    return OwnerReference(
        api_version=API_VERSION,
        kind=broker.kind,
        name=broker.metadata.name,
        uid=broker.metadata.uid or "",
        controller=True,
        block_owner_deletion=False,
    )
