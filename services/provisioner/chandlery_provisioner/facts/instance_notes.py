"""What the provisioner writes down beside an instance. Plain data."""

from pydantic import Field

from chandlery.model.objects.instances import InstancePropertiesState
from chandlery.model.objects.wire import JsonObject, WireModel
from chandlery.reconcile.operation.open_request import OpenRequest
from chandlery.reconcile.operation.purpose import Purpose, Traits
from chandlery.reconcile.status_draft import OperationNotes


class InstancePurpose(Purpose):
    """Why a request about an instance is sent to the service broker."""

    PROVISION = "provision", Traits(operation="Provision", is_repeated=True)
    UPDATE = "update", Traits(operation="Update", is_repeated=True)
    DEPROVISION = "deprovision", Traits(operation="Deprovision", is_deletion=True, is_repeated=True)
    MITIGATE = "mitigate", Traits(is_deletion=True, is_mitigation=True, is_repeated=True)
    POLL = "poll", Traits(is_poll=True)
    FETCH = "fetch", Traits(is_fetch=True)


class RequestDigest(WireModel):
    """What a provision or an update told the broker, as far as it is needed to see whether there is news."""

    update_requests: int = 0
    """`spec.updateRequests` at that time."""
    checksum: str = ""
    """Of the parameters."""
    context: str = ""
    """Digest of the context."""
    namespace: str = ""
    """Digest of the namespace's part of it."""


class InstanceMemory(OperationNotes):
    """The provisioner's notes: what a later delete needs, although the catalog may have changed by then."""

    lane: str = ""
    id_lane: str = ""
    """The lane of the broker where the external id is known to be this instance's."""
    service_id: str = ""
    plan_id: str = ""
    """The plan that the broker has, or was first told."""
    wanted_plan_id: str = ""
    """The plan of the update that is under way, or whose fate is unknown."""
    is_unusable: bool = False
    """The broker said `instance_usable: false`: no new bindings."""
    delete_deferred: bool = False
    """The broker would not delete while it works on another operation."""
    retry_seen: str = ""
    """The last request to try again that has been acted on."""
    last_attempted: RequestDigest = Field(
        default=RequestDigest(), validation_alias="asked", serialization_alias="asked"
    )
    """What was asked for last, whatever came of it."""
    last_applied: RequestDigest = Field(default=RequestDigest(), validation_alias="told", serialization_alias="told")
    """What was asked for when the broker last had what was asked for."""
    is_fetch_due: bool = False
    """The broker is to be asked what it has."""
    interests: tuple[str, ...] = ()
    """The wake-up keys that are registered."""


class OpenInstanceRequest(OpenRequest[InstancePurpose]):
    """What a round was about to send; still there only if nobody knows what came of it."""

    generation: int
    properties: InstancePropertiesState | None = None
    defaults: JsonObject | None = None
    """What the parameters of a provision were laid over."""
    wanted_plan_id: str = ""
    digest: RequestDigest = Field(default=RequestDigest(), validation_alias="asked", serialization_alias="asked")
    is_answered: bool = False
    """The broker has answered, and nobody knows what it has done. Without that, a worker died before it could tell."""
    is_own: bool = False
    """No user asked for it: it goes without an originating identity."""
