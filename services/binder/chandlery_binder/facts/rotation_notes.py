"""What the binder writes down about credentials beside those in the Secret: coming ones and those to be revoked."""

from enum import StrEnum

from pydantic import Field

from chandlery.model.objects.bindings import BindingPropertiesState
from chandlery.model.objects.wire import WireModel


class Placement(WireModel):
    """The ids by which a broker knows a binding and where it belongs."""

    instance_id: str = ""
    service_id: str = ""
    plan_id: str = ""
    binding_id: str = ""
    """Empty for the id that the specification gives, which all bindings begin with."""


class Retired(WireModel):
    """What is to be unbound although its ServiceBinding stays."""

    placement: Placement
    next_at: float = 0.0
    """Unix time of the next attempt to unbind it."""
    attempts: int = 0
    is_leftover: bool = False
    """It comes from a rotation that failed: nobody knows whether the broker has it."""
    is_waived: bool = False
    """A user wants it left alone until the ServiceBinding goes."""


class BackgroundOperationKind(StrEnum):
    """What a broker works on while the credentials in the Secret go on to be good."""

    ROTATE = "rotate"
    RETIRE = "retire"


class BackgroundOperation(WireModel):
    """An asynchronous operation beside a binding that stays ready."""

    kind: BackgroundOperationKind
    placement: Placement
    started_at: float = 0.0
    operation: str | None = None
    """The broker's key, verbatim."""
    poll_until: float | None = None
    """Unix time at which it counts as failed; None once it has succeeded and only the credentials are missing."""
    polls: int = 0
    unclear: int = 0
    """Answers to polls in a row that say nothing of the operation."""
    fetches: int = 0
    next_at: float = 0.0
    """Unix time of the next poll or fetch."""
    rotation_request: str = Field(default="", validation_alias="order", serialization_alias="order")
    """The value of the annotation that a rotation fulfils."""
    properties: BindingPropertiesState | None = None
    """What the broker was told, where a rotation is a bind of its own."""

    @property
    def is_fetch_due(self) -> bool:
        """Whether a rotation has ended well and its credentials have not been fetched."""
        return self.kind == BackgroundOperationKind.ROTATE and self.poll_until is None


class RotationNotes(WireModel):
    """How far the binding is with replacing its credentials."""

    granted_at: float = 0.0
    """Unix time at which the broker gave what is in the Secret."""
    seen: str = ""
    """The last request to rotate that was fulfilled."""
    tried: str = ""
    """The last request to rotate that was begun."""
    attempts: int = 0
    """Failed attempts in a row."""
    next_at: float = 0.0
    """Unix time of the next attempt after a failed one."""
    is_refused: bool = False
    """The broker would refuse it again: only a new request changes that."""
    problem: str = ""
    """What is wrong, for people; told beside the Ready condition."""
    waits: bool = False
    """Something of others is missing that will wake the binding."""
