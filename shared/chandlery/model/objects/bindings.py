"""ServiceBinding: desired credentials to an instance, delivered in a Secret."""

from typing import Literal

from pydantic import Field

from chandlery.model.objects.brokers import API_VERSION, LocalObjectReference, ObjectReference
from chandlery.model.objects.conditions import Conditions
from chandlery.model.objects.instances import ParametersFromSource, UserInfo
from chandlery.model.objects.metadata import ObjectMeta, Timestamp
from chandlery.model.objects.wire import JsonObject, WireModel


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

    key: str = Field(description="Key to remove.")


class SecretTransform(WireModel):
    """One step from the broker's credentials to the Secret's keys."""

    rename_key: RenameKeyTransform | None = Field(default=None, description="Rename a key.")
    add_key: AddKeyTransform | None = Field(default=None, description="Add a key.")
    add_keys_from: AddKeysFromTransform | None = Field(default=None, description="Merge another Secret's keys.")
    remove_key: RemoveKeyTransform | None = Field(default=None, description="Remove a key.")


class BindResource(WireModel):
    """What is bound, for offerings that want to know (OSB bind_resource)."""

    app_guid: str | None = Field(default=None, description="Id of an application; the namespace's uid unless given.")
    route: str | None = Field(
        default=None, description="URL of the application that a route service is put in front of."
    )


class ServiceBindingSpec(WireModel):
    """Desired state of a binding. Frozen once created."""

    instance_ref: LocalObjectReference = Field(default=LocalObjectReference(), description="The instance to bind.")
    parameters: JsonObject | None = Field(default=None, description="Parameters for the broker, in plain text.")
    parameters_from: tuple[ParametersFromSource, ...] | None = Field(
        default=None, description="Secrets whose keys hold further parameters."
    )
    secret_name: str = Field(default="", description="Secret to write; the binding's own name unless given.")
    secret_transforms: tuple[SecretTransform, ...] | None = Field(
        default=None, description="Steps that turn credentials into keys of the Secret, in order."
    )
    bind_resource: BindResource | None = Field(
        default=None, description="The application or route to bind, for offerings that need it."
    )
    external_id: str = Field(default="", description="OSB binding_id; a random UUID unless given.")
    user_info: UserInfo | None = Field(default=None, description="Who created the binding. Read-only.")


class BindingPropertiesState(WireModel):
    """What the broker was told, or has."""

    parameters: JsonObject | None = Field(default=None, description="Parameters; those from Secrets are redacted.")
    parameter_checksum: str | None = Field(
        default=None, description="Keyed digest of all parameters; only the server has the key."
    )
    user_info: UserInfo | None = Field(default=None, description="The user who requested it.")


class Endpoint(WireModel):
    """Where the service can be reached (OSB endpoints)."""

    host: str = Field(description="Host name or address, possibly known only inside the service's network.")
    ports: tuple[str, ...] = Field(description="Ports such as `443` and ranges such as `9000-9010`.")
    protocol: Literal["tcp", "udp", "all"] = Field(default="tcp", description="Transport protocol.")


class RetiringBinding(WireModel):
    """A binding that another has taken the place of; its credentials still work."""

    external_id: str = Field(description="OSB binding_id of these credentials.")
    unbind_time: Timestamp = Field(description="When these credentials are revoked.")


class ServiceBindingStatus(WireModel):
    """Seen state of a binding. Written by the binder only."""

    conditions: Conditions = Field(default=(), description="Ready and Failed.")
    async_op_in_progress: bool = Field(default=False, description="The broker is working on an operation.")
    last_operation: str | None = Field(default=None, description="The broker's key for its operation.")
    current_operation: Literal["Bind", "Unbind"] | None = Field(
        default=None, description="The operation that is under way."
    )
    reconciled_generation: int = Field(default=0, description="The generation that last succeeded.")
    observed_generation: int | None = Field(default=None, description="The generation that Ready refers to.")
    operation_start_time: Timestamp | None = Field(default=None, description="When the current operation began.")
    in_progress_properties: BindingPropertiesState | None = Field(
        default=None, description="The state that was last requested of the broker."
    )
    external_properties: BindingPropertiesState | None = Field(
        default=None, description="The state that the broker has confirmed."
    )
    orphan_mitigation_in_progress: bool = Field(
        default=False, description="Whether leftovers of a failed creation are being deleted."
    )
    unbind_status: Literal["NotRequired", "Required", "Succeeded", "Failed"] = Field(
        default="NotRequired", description="Whether the broker may hold something that must be deleted."
    )
    attempts: int | None = Field(default=None, description="Failed attempts in a row of the current operation.")
    next_attempt_time: Timestamp | None = Field(default=None, description="When the next attempt is made.")
    external_id: str | None = Field(
        default=None, description="OSB binding_id of the credentials in the Secret, once they have been rotated."
    )
    expires_at: Timestamp | None = Field(default=None, description="When the credentials expire, if they do.")
    renew_before: Timestamp | None = Field(default=None, description="When the credentials should be renewed by.")
    last_rotation_time: Timestamp | None = Field(default=None, description="When the credentials were last replaced.")
    retiring: tuple[RetiringBinding, ...] | None = Field(
        default=None, description="Earlier credentials that are still to be revoked."
    )
    endpoints: tuple[Endpoint, ...] | None = Field(default=None, description="Where the service can be reached.")
    last_condition_state: str = Field(default="", description="What the STATUS column shows.")


class ServiceBinding(WireModel):
    """Credentials for an instance."""

    api_version: Literal["servicecatalog.k8s.io/v1beta1"] = API_VERSION
    kind: Literal["ServiceBinding"] = "ServiceBinding"
    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceBindingSpec = ServiceBindingSpec()
    status: ServiceBindingStatus = ServiceBindingStatus()
