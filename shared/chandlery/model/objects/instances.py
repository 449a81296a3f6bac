"""ServiceInstance: one instance of a plan, as it is desired, and what has become of it."""

from typing import Literal

from pydantic import Field

from chandlery.model.objects.brokers import API_VERSION, LocalObjectReference
from chandlery.model.objects.conditions import Conditions
from chandlery.model.objects.metadata import ObjectMeta, Timestamp
from chandlery.model.objects.wire import JsonObject, WireModel
from chandlery.model.text.shown_urls import ShownUrl


class SecretKeyReference(WireModel):
    """One key of a Secret in the same namespace."""

    name: str = Field(default="", description="Name of the Secret.")
    key: str = Field(default="", description="Key in the Secret.")


class ParametersFromSource(WireModel):
    """Where parameters come from besides the manifest."""

    secret_key_ref: SecretKeyReference | None = Field(default=None, description="A Secret's key holding a JSON object.")


class UserInfo(WireModel):
    """Who asked. Set by the server, sent to brokers as originating identity."""

    username: str = Field(default="", description="Name of the user.")
    uid: str = Field(default="", description="Id of the user.")
    groups: tuple[str, ...] | None = Field(default=None, description="Groups the user is in.")
    extra: dict[str, tuple[str, ...]] | None = Field(default=None, description="Further facts from the authenticator.")


class MaintenanceInfo(WireModel):
    """OSB maintenance_info: which version of the service a plan delivers now."""

    version: str = Field(description="Semantic version.")
    description: str | None = Field(default=None, description="What is new in this version.")


class ServiceInstanceSpec(WireModel):
    """Desired state of an instance: a class, a plan, parameters."""

    cluster_service_class_external_name: str | None = Field(default=None, description="Class by the broker's name.")
    cluster_service_class_external_id: str | None = Field(default=None, description="Class by the broker's id.")
    cluster_service_class_name: str | None = Field(default=None, description="Class by its object name.")
    cluster_service_plan_external_name: str | None = Field(default=None, description="Plan by the broker's name.")
    cluster_service_plan_external_id: str | None = Field(default=None, description="Plan by the broker's id.")
    cluster_service_plan_name: str | None = Field(default=None, description="Plan by its object name.")
    service_class_external_name: str | None = Field(default=None, description="Namespaced class by broker's name.")
    service_class_external_id: str | None = Field(default=None, description="Namespaced class by the broker's id.")
    service_class_name: str | None = Field(default=None, description="Namespaced class by its object name.")
    service_plan_external_name: str | None = Field(default=None, description="Namespaced plan by the broker's name.")
    service_plan_external_id: str | None = Field(default=None, description="Namespaced plan by the broker's id.")
    service_plan_name: str | None = Field(default=None, description="Namespaced plan by its object name.")
    plan_name: str | None = Field(
        default=None,
        description="Alias of clusterServicePlanExternalName or servicePlanExternalName.",
    )
    cluster_service_class_ref: LocalObjectReference | None = Field(default=None, description="Resolved class.")
    cluster_service_plan_ref: LocalObjectReference | None = Field(default=None, description="Resolved plan.")
    service_class_ref: LocalObjectReference | None = Field(default=None, description="Resolved namespaced class.")
    service_plan_ref: LocalObjectReference | None = Field(default=None, description="Resolved namespaced plan.")
    parameters: JsonObject | None = Field(default=None, description="Parameters for the broker, in plain text.")
    parameters_from: tuple[ParametersFromSource, ...] | None = Field(
        default=None, description="Secrets whose keys hold further parameters."
    )
    external_id: str = Field(default="", description="OSB instance_id; a random UUID unless given.")
    user_info: UserInfo | None = Field(default=None, description="Who last changed the specification. Read-only.")
    update_requests: int = Field(default=0, description="Raise it to send the same update again.")
    maintenance_version: str | None = Field(
        default=None,
        description="Version of the service to upgrade to: the one that the plan offers now (see the plan's "
        "`spec.maintenanceInfo` and `status.upgradeAvailable` here). Unset leaves the version as it is.",
    )
    watch_parameters_from: bool | None = Field(
        default=None, description="Update the instance when a Secret of `parametersFrom` changes."
    )


class InstancePropertiesState(WireModel):
    """What the broker was told, or has."""

    cluster_service_plan_external_name: str = Field(default="", description="Plan name.")
    cluster_service_plan_external_id: str = Field(default="", description="Plan id.")
    service_plan_external_name: str | None = Field(default=None, description="Namespaced plan name.")
    service_plan_external_id: str | None = Field(default=None, description="Namespaced plan id.")
    parameters: JsonObject | None = Field(default=None, description="Parameters; those from Secrets are redacted.")
    parameter_checksum: str | None = Field(
        default=None, description="Keyed digest of all parameters; only the server has the key."
    )
    maintenance_version: str | None = Field(default=None, description="Version of the service.")
    user_info: UserInfo | None = Field(default=None, description="The user who requested it.")


class BrokerMetadata(WireModel):
    """What the service broker says of an instance for people and tools (OSB metadata)."""

    labels: dict[str, str] | None = Field(default=None, description="Labels in Kubernetes' syntax.")
    attributes: JsonObject | None = Field(default=None, description="Further facts, unchanged.")


class ServiceInstanceStatus(WireModel):
    """Seen state of an instance. Written by the provisioner only."""

    conditions: Conditions = Field(default=(), description="Ready, Failed, OrphanMitigation.")
    async_op_in_progress: bool = Field(default=False, description="The broker is working on an operation.")
    orphan_mitigation_in_progress: bool = Field(
        default=False, description="Whether leftovers of a failed creation are being deleted."
    )
    last_operation: str | None = Field(default=None, description="The broker's key for its operation.")
    dashboard_url: ShownUrl = Field(default=None, description="Dashboard of the instance.")
    current_operation: Literal["Provision", "Update", "Deprovision"] | None = Field(
        default=None, description="The operation that is under way."
    )
    reconciled_generation: int = Field(default=0, description="The generation that last succeeded.")
    observed_generation: int = Field(default=0, description="The generation that was last acted on.")
    operation_start_time: Timestamp | None = Field(default=None, description="When the current operation began.")
    in_progress_properties: InstancePropertiesState | None = Field(
        default=None, description="The state that was last requested of the broker."
    )
    external_properties: InstancePropertiesState | None = Field(
        default=None, description="The state that the broker has confirmed."
    )
    provision_status: Literal["Provisioned", "NotProvisioned"] | None = Field(
        default=None, description="Whether the instance exists at the broker."
    )
    deprovision_status: Literal["NotRequired", "Required", "Succeeded", "Failed"] = Field(
        default="NotRequired", description="Whether the broker may hold something that must be deleted."
    )
    default_provision_parameters: JsonObject | None = Field(
        default=None, description="Default parameters that were merged in."
    )
    attempts: int | None = Field(default=None, description="Failed attempts in a row of the current operation.")
    next_attempt_time: Timestamp | None = Field(default=None, description="When the next attempt is made.")
    upgrade_available: MaintenanceInfo | None = Field(
        default=None, description="Version that the plan offers, if it differs from that of the instance."
    )
    broker_metadata: BrokerMetadata | None = Field(
        default=None, description="Labels and attributes of the instance from the broker."
    )
    last_condition_state: str = Field(default="", description="What the STATUS column shows.")
    user_specified_plan_name: str = Field(default="", description="What the PLAN column shows.")
    user_specified_class_name: str = Field(default="", description="What the CLASS column shows.")


class ServiceInstance(WireModel):
    """An instance of a service class and plan."""

    api_version: Literal["servicecatalog.k8s.io/v1beta1"] = API_VERSION
    kind: Literal["ServiceInstance"] = "ServiceInstance"
    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceInstanceSpec = ServiceInstanceSpec()
    status: ServiceInstanceStatus = ServiceInstanceStatus()
