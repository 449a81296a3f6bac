"""What the binder writes down beside a binding, and what it reads of the provisioner's notes. Plain data."""

from pydantic import ConfigDict, Field

from chandlery.model.objects.bindings import BindingPropertiesState
from chandlery.model.objects.wire import JsonObject, WireModel
from chandlery.reconcile.operation.open_request import OpenRequest
from chandlery.reconcile.operation.purpose import Purpose, Traits
from chandlery.reconcile.status_draft import OperationNotes
from chandlery_binder.facts.rotation_notes import (
    BackgroundOperation,
    BackgroundOperationKind,
    Placement,
    Retired,
    RotationNotes,
)


class BindingPurpose(Purpose):
    """What a round is for: mostly why a request about a binding is sent to the service broker."""

    BIND = "bind", Traits(operation="Bind", is_repeated=True, delivers=True, names_user=True)
    UNBIND = "unbind", Traits(operation="Unbind", is_deletion=True, is_repeated=True, names_user=True)
    MITIGATE = "mitigate", Traits(is_deletion=True, is_mitigation=True, is_repeated=True)
    POLL = "poll", Traits(is_poll=True)
    FETCH = "fetch", Traits(is_fetch=True, is_repeated=True, delivers=True, names_user=True)
    INJECT = "inject", Traits(is_local=True, delivers=True)
    """Credentials that no Secret could take yet are tried once more."""
    RESTORE = "restore", Traits(is_local=True, delivers=True)
    """The Secret is written again, from the copy that was kept."""
    RECOVER = "recover", Traits(is_fetch=True, delivers=True)
    """The Secret is written again, with what the broker shows."""
    ROTATE = "rotate", Traits(is_beside_ready=True, is_repeated=True, delivers=True, is_rotation=True)
    POLL_ROTATION = "poll rotation", Traits(is_beside_ready=True, is_poll=True, is_rotation=True)
    FETCH_ROTATION = (
        "fetch rotation",
        Traits(is_beside_ready=True, is_fetch=True, is_repeated=True, delivers=True, is_rotation=True),
    )
    RETIRE = "retire", Traits(is_beside_ready=True)
    POLL_RETIREMENT = "poll retirement", Traits(is_beside_ready=True, is_poll=True)


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
    """The last request to try again that has been acted on."""
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


class OpenBindingRequest(OpenRequest[BindingPurpose]):
    """What a round was about to send; still there only if nobody knows what came of it."""

    placement: Placement = Placement()
    properties: BindingPropertiesState | None = None
    rotation_request: str = Field(default="", validation_alias="order", serialization_alias="order")
    """The value of the annotation that a rotation fulfils."""
    granted: JsonObject | None = Field(default=None, repr=False)
    """The broker's whole answer, from when it has come until it is recorded: the request is not made again."""


def presumed(memory: BindingMemory, rotation: OpenBindingRequest) -> BindingMemory:
    """The notes from when a rotation is sent: until an answer says otherwise, its new id may be left at the broker."""
    known = any(each.placement == rotation.placement for each in memory.retired)
    leftover = Retired(placement=rotation.placement, next_at=rotation.started_at, is_leftover=True)
    retired = memory.retired if known else (*memory.retired, leftover)
    notes = memory.rotation.model_copy(update={"tried": rotation.rotation_request})
    return memory.model_copy(update={"retired": retired, "rotation": notes})


def tried_again(memory: BindingMemory) -> BindingMemory:
    """The notes when nothing that failed counts any more; what has its grace keeps it."""
    rotation = memory.rotation.model_copy(update={"is_refused": False, "attempts": 0, "next_at": 0.0})
    retired = tuple(each.model_copy(update={"next_at": 0.0}) if each.attempts else each for each in memory.retired)
    notes = {"rotation": rotation, "retired": retired, "creation_attempts": 0}
    return _with_background_operation_hurried(memory.model_copy(update=notes))


def _with_background_operation_hurried(memory: BindingMemory) -> BindingMemory:
    """A revocation is asked for again. So is a rotation, if its broker does not say what has become of it."""
    background, retired = memory.background_operation, memory.retired
    if background is None:
        return memory
    is_revocation = background.kind == BackgroundOperationKind.RETIRE
    if not is_revocation and not background.unclear:
        return memory.model_copy(update={"background_operation": background.model_copy(update={"next_at": 0.0})})
    if is_revocation:
        # The earliest goes first.
        retired = tuple(each.model_copy(update={"next_at": 0.0}) if _is(each, background) else each for each in retired)
    else:
        retired = (*retired, Retired(placement=background.placement, is_leftover=True))
    return memory.model_copy(update={"background_operation": None, "retired": retired})


def _is(retired: Retired, background: BackgroundOperation) -> bool:
    return retired.placement.binding_id == background.placement.binding_id
