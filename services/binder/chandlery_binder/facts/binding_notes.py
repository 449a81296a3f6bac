"""What the binder writes down beside a binding, and what it reads of the provisioner's notes. Plain data."""

from enum import StrEnum

from pydantic import ConfigDict, Field

from chandlery.model.objects.bindings import BindingPropertiesState
from chandlery.model.objects.wire import JsonObject, WireModel
from chandlery.reconcile.status_draft import OperationNotes
from chandlery_binder.facts.rotation_notes import BackgroundOperation, Placement, Retired, RotationNotes


class BindingPurpose(StrEnum):
    """What a round is for, or what a note is about."""

    BIND = "bind"
    UNBIND = "unbind"
    MITIGATE = "mitigate"
    POLL = "poll"
    FETCH = "fetch"
    INJECT = "inject"
    """Credentials that no Secret could take yet."""
    DELIVERED = "delivered"
    """Credentials that are in the Secret; no request is open."""
    RESTORE = "restore"
    """The Secret is written again, from the copy that was kept."""
    RECOVER = "recover"
    """The Secret is written again, with what the broker shows."""
    ROTATE = "rotate"
    POLL_ROTATION = "poll rotation"
    FETCH_ROTATION = "fetch rotation"
    RETIRE = "retire"
    POLL_RETIREMENT = "poll retirement"


REPEATED = frozenset(
    {
        BindingPurpose.BIND,
        BindingPurpose.UNBIND,
        BindingPurpose.MITIGATE,
        BindingPurpose.FETCH,
        BindingPurpose.ROTATE,
        BindingPurpose.FETCH_ROTATION,
    }
)
"""What a dead worker leaves open. Of the rest, a new look at things tells what to do."""


class InstanceNotes(WireModel):
    """What the binder reads of the provisioner's notes on an instance; whatever else they hold is not its business."""

    model_config = ConfigDict(extra="ignore")

    service_id: str = ""
    plan_id: str = ""
    """The plan that the broker has now."""
    is_unusable: bool = False
    """The broker wants no new bindings."""
    id_lane: str = ""
    """The lane of the broker where the external id is known to be the instance's own."""


class BindingMemory(OperationNotes):
    """The binder's notes on a binding: what an unbind needs, although instance and class may be gone by then."""

    lane: str = ""
    id_lane: str = ""
    """The lane of the broker where the external id is known to be this binding's."""
    placement: Placement = Placement()
    """Written before the bind is sent."""
    is_fetch_due: bool = False
    """An asynchronous bind has succeeded and its credentials have not been fetched."""
    fetches: int = 0
    """How often fetching was tried since."""
    unbind_deferred: bool = False
    """The broker would not unbind while it works on the bind."""
    retry_seen: str = ""
    """The last order to try again that was obeyed."""
    secret_problem: str = ""
    """Why the Secret is missing, for people, if it cannot be written again."""
    rotation: RotationNotes = RotationNotes()
    background_operation: BackgroundOperation | None = Field(
        default=None, validation_alias="errand", serialization_alias="errand"
    )
    retired: tuple[Retired, ...] = ()

    def to_wire(self) -> JsonObject:
        """See WireModel. Few bindings are ever rotated: for the others their row stays small."""
        wire = super().to_wire()
        unused = {"rotation": self.rotation == RotationNotes(), "retired": not self.retired}
        return {key: value for key, value in wire.items() if not unused.get(key)}


class OpenBindingRequest(WireModel):
    """What a round was about to do, which is open if its end could not be recorded; and credentials, sealed."""

    purpose: BindingPurpose
    started_at: float = 0.0
    placement: Placement = Placement()
    properties: BindingPropertiesState | None = None
    request: JsonObject = Field(default_factory=dict, repr=False)
    credentials: JsonObject | None = Field(default=None, repr=False)
    """What the broker gave and this note is about. It may never give it again, so it stays."""
    delivered: JsonObject | None = Field(default=None, repr=False)
    """What is in the Secret meanwhile."""
    order: str = ""
    """The user's order that a rotation fulfils."""


def presumed(memory: BindingMemory, rotation: OpenBindingRequest) -> BindingMemory:
    """The notes from when a rotation is sent: until an answer says otherwise, its new id may be left at the broker."""
    known = any(each.placement == rotation.placement for each in memory.retired)
    leftover = Retired(placement=rotation.placement, next_at=rotation.started_at, is_leftover=True)
    retired = memory.retired if known else (*memory.retired, leftover)
    notes = memory.rotation.model_copy(update={"tried": rotation.order})
    return memory.model_copy(update={"retired": retired, "rotation": notes})
