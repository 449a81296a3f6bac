"""Classes and plans: a service broker's catalog as objects."""

from typing import Any, Literal

from pydantic import Field

from chandlery.model.objects.brokers import API_VERSION, LocalObjectReference
from chandlery.model.objects.instances import MaintenanceInfo
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.wire import JsonObject, WireModel


class CommonClassSpec(WireModel):
    """What a service offering says of itself."""

    external_name: str = Field(default="", description="Name of the offering at the service broker.")
    external_id: str = Field(default="", description="Id of the offering at the service broker.")
    description: str = Field(default="", description="What the offering is.")
    bindable: bool = Field(default=False, description="Whether instances can be bound, unless the plan says otherwise.")
    binding_retrievable: bool = Field(default=False, description="Whether bindings can be fetched again.")
    instances_retrievable: bool = Field(default=False, description="Whether instances can be fetched.")
    plan_updatable: bool = Field(default=False, description="Whether an instance may change its plan.")
    allow_context_updates: bool = Field(
        default=False, description="Whether the broker wants updates of the context, such as renames."
    )
    external_metadata: JsonObject | None = Field(default=None, description="The broker's metadata, unchanged.")
    tags: tuple[str, ...] | None = Field(default=None, description="Tags of the offering.")
    requires: tuple[str, ...] | None = Field(default=None, description="Permissions that the offering requires.")
    default_provision_parameters: JsonObject | None = Field(
        default=None, description="Default parameters of new instances."
    )


class ClusterServiceClassSpec(CommonClassSpec):
    """An offering of a cluster-wide broker."""

    cluster_service_broker_name: str = Field(default="", description="The broker that offers it.")


class ServiceClassSpec(CommonClassSpec):
    """An offering of a namespace's broker."""

    service_broker_name: str = Field(default="", description="The broker that offers it.")


class CommonPlanSpec(WireModel):
    """What a plan says of itself."""

    external_name: str = Field(default="", description="Name of the plan at the service broker.")
    external_id: str = Field(default="", description="Id of the plan at the service broker.")
    description: str = Field(default="", description="What the plan is.")
    bindable: bool | None = Field(default=None, description="Overrides the class's value.")
    free: bool = Field(default=True, description="Whether the plan costs nothing. OSB's default is true.")
    plan_updatable: bool | None = Field(default=None, description="Overrides the class's value.")
    binding_rotatable: bool = Field(default=False, description="Whether bindings can be rotated.")
    maximum_polling_duration: int | None = Field(
        default=None, description="Seconds after which an asynchronous operation counts as failed."
    )
    maintenance_info: MaintenanceInfo | None = Field(default=None, description="Version that the plan offers.")
    external_metadata: JsonObject | None = Field(default=None, description="The broker's metadata, unchanged.")
    instance_create_parameter_schema: Any | None = Field(default=None, description="JSON schema of parameters.")
    instance_update_parameter_schema: Any | None = Field(default=None, description="JSON schema of parameters.")
    service_binding_create_parameter_schema: Any | None = Field(default=None, description="JSON schema of parameters.")
    default_provision_parameters: JsonObject | None = Field(
        default=None, description="Default parameters of new instances."
    )


class ClusterServicePlanSpec(CommonPlanSpec):
    """A plan of a cluster-wide class."""

    cluster_service_broker_name: str = Field(default="", description="The broker that offers it.")
    cluster_service_class_ref: LocalObjectReference = Field(
        default=LocalObjectReference(), description="The class it belongs to."
    )


class ServicePlanSpec(CommonPlanSpec):
    """A plan of a namespaced class."""

    service_broker_name: str = Field(default="", description="The broker that offers it.")
    service_class_ref: LocalObjectReference = Field(
        default=LocalObjectReference(), description="The class it belongs to."
    )


class OfferingStatus(WireModel):
    """Seen state of a class or plan. Written by the syncer only."""

    removed_from_broker_catalog: bool = Field(
        default=False, description="The broker no longer offers it; existing instances keep it."
    )


class ClusterServiceClass(WireModel):
    """A service offering of a cluster-wide broker."""

    api_version: Literal["servicecatalog.k8s.io/v1beta1"] = API_VERSION
    kind: Literal["ClusterServiceClass"] = "ClusterServiceClass"
    metadata: ObjectMeta = ObjectMeta()
    spec: ClusterServiceClassSpec = ClusterServiceClassSpec()
    status: OfferingStatus = OfferingStatus()


class ServiceClass(WireModel):
    """A service offering of a namespace's broker."""

    api_version: Literal["servicecatalog.k8s.io/v1beta1"] = API_VERSION
    kind: Literal["ServiceClass"] = "ServiceClass"
    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceClassSpec = ServiceClassSpec()
    status: OfferingStatus = OfferingStatus()


class ClusterServicePlan(WireModel):
    """A plan of a cluster-wide class."""

    api_version: Literal["servicecatalog.k8s.io/v1beta1"] = API_VERSION
    kind: Literal["ClusterServicePlan"] = "ClusterServicePlan"
    metadata: ObjectMeta = ObjectMeta()
    spec: ClusterServicePlanSpec = ClusterServicePlanSpec()
    status: OfferingStatus = OfferingStatus()


class ServicePlan(WireModel):
    """A plan of a namespaced class."""

    api_version: Literal["servicecatalog.k8s.io/v1beta1"] = API_VERSION
    kind: Literal["ServicePlan"] = "ServicePlan"
    metadata: ObjectMeta = ObjectMeta()
    spec: ServicePlanSpec = ServicePlanSpec()
    status: OfferingStatus = OfferingStatus()


AnyClass = ClusterServiceClass | ServiceClass
AnyPlan = ClusterServicePlan | ServicePlan
