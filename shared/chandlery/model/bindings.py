"""ServiceBinding: a wish for credentials to an instance, delivered in a Secret."""

from typing import Literal

from pydantic import Field

from chandlery.model.brokers import API_VERSION, LocalObjectReference, ObjectReference
from chandlery.model.conditions import Conditions
from chandlery.model.instances import ParametersFromSource, UserInfo
from chandlery.model.metadata import ObjectMeta, Timestamp
from chandlery.model.wire import JsonObject, WireModel


class AddKeyTransform(WireModel):
    """Add a key to the Secret."""

    key: str = Field(description="Key to add.")
    value: str | None = Field(default=None, description="Base64 value.")
    string_value: str | None = Field(default=None, description="Plain value; wins over `value`.")
    json_path_expression: str | None = Field(default=None, description="Taken from the credentials; wins over both.")


class RenameKeyTransform(WireModel):
    """Rename a key of the Secret."""

    from_: str = Field(alias="from", description="Key as the broker names it.")
    to: str = Field(description="Key in the Secret.")


class AddKeysFromTransform(WireModel):
    """Merge the keys of another Secret of the same namespace."""

    secret_ref: ObjectReference = Field(description="The other Secret.")


class RemoveKeyTransform(WireModel):
    """Leave a key out."""

    key: str = Field(description="Key to leave out.")


class SecretTransform(WireModel):
    """One step from the broker's credentials to the Secret's keys."""

    rename_key: RenameKeyTransform | None = Field(default=None, description="Rename a key.")
    add_key: AddKeyTransform | None = Field(default=None, description="Add a key.")
    add_keys_from: AddKeysFromTransform | None = Field(default=None, description="Merge another Secret's keys.")
    remove_key: RemoveKeyTransform | None = Field(default=None, description="Leave a key out.")


class ServiceBindingSpec(WireModel):
    """Wished state of a binding. Frozen once created."""

    instance_ref: LocalObjectReference = Field(default=LocalObjectReference(), description="The instance to bind.")
    parameters: JsonObject | None = Field(default=None, description="Parameters for the broker, as they stand.")
    parameters_from: tuple[ParametersFromSource, ...] | None = Field(
        default=None, description="Secrets whose keys hold further parameters."
    )
    secret_name: str = Field(default="", description="Secret to write; the binding's own name unless given.")
    secret_transforms: tuple[SecretTransform, ...] | None = Field(
        default=None, description="Steps from credentials to Secret keys, in order."
    )
    external_id: str = Field(default="", description="OSB binding_id; a random UUID unless given.")
    user_info: UserInfo | None = Field(default=None, description="Who created the binding. Read-only.")


class BindingPropertiesState(WireModel):
    """What the broker was told, or has."""

    parameters: JsonObject | None = Field(default=None, description="Parameters; those from Secrets are redacted.")
    parameter_checksum: str | None = Field(default=None, description="SHA-256 of all parameters, in hex.")
    user_info: UserInfo | None = Field(default=None, description="Who asked for it.")


class ServiceBindingStatus(WireModel):
    """Seen state of a binding. Written by the binder only."""

    conditions: Conditions = Field(default=(), description="Ready and Failed.")
    async_op_in_progress: bool = Field(default=False, description="The broker is working on an operation.")
    last_operation: str | None = Field(default=None, description="The broker's key for its operation.")
    current_operation: Literal["Bind", "Unbind"] | None = Field(default=None, description="What is being done.")
    reconciled_generation: int = Field(default=0, description="The generation that was last acted on.")
    operation_start_time: Timestamp | None = Field(default=None, description="When the current operation began.")
    in_progress_properties: BindingPropertiesState | None = Field(default=None, description="What was asked for.")
    external_properties: BindingPropertiesState | None = Field(default=None, description="What the broker has.")
    orphan_mitigation_in_progress: bool = Field(default=False, description="What may exist is being deleted.")
    unbind_status: Literal["NotRequired", "Required", "Succeeded", "Failed"] = Field(
        default="NotRequired", description="Whether something may exist at the broker that has to be deleted."
    )
    last_condition_state: str = Field(default="", description="What the STATUS column shows.")


class ServiceBinding(WireModel):
    """Credentials for an instance."""

    api_version: Literal["servicecatalog.k8s.io/v1beta1"] = API_VERSION
    kind: Literal["ServiceBinding"] = "ServiceBinding"
    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceBindingSpec = ServiceBindingSpec()
    status: ServiceBindingStatus = ServiceBindingStatus()
