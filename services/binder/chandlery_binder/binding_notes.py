"""What the binder writes down beside a binding, and what it reads of the provisioner's notes. Plain data."""

from enum import StrEnum

from pydantic import ConfigDict, Field

from chandlery.model.bindings import BindingPropertiesState
from chandlery.model.wire import JsonObject, WireModel
from chandlery.reconcile.status_draft import PollNotes


class Purpose(StrEnum):
    """What a round is for. All but the last send a request to the service broker."""

    BIND = "bind"
    UNBIND = "unbind"
    MITIGATE = "mitigate"
    POLL = "poll"
    FETCH = "fetch"
    INJECT = "inject"


class Placement(WireModel):
    """The ids by which a broker knows where a binding belongs."""

    instance_id: str = ""
    service_id: str = ""
    plan_id: str = ""


class InstanceNotes(WireModel):
    """What the binder reads of the provisioner's notes on an instance; whatever else they hold is not its business."""

    model_config = ConfigDict(extra="ignore")

    service_id: str = ""
    plan_id: str = ""
    """The plan that the broker has now."""
    is_unusable: bool = False
    """The broker wants no new bindings."""


class BindingMemory(PollNotes):
    """The binder's notes on a binding: what an unbind needs, although instance and class may be gone by then."""

    lane: str = ""
    placement: Placement = Placement()
    """Written before the bind is sent."""
    is_fetch_due: bool = False
    """An asynchronous bind has succeeded and its credentials have not been fetched."""
    fetches: int = 0
    """How often fetching was tried since."""
    unbind_deferred: bool = False
    """The broker would not unbind while it works on the bind."""


class InFlight(WireModel):
    """What a round was about to do; still there only if its end could not be recorded, or credentials are left over."""

    purpose: Purpose
    started_at: float = 0.0
    placement: Placement = Placement()
    properties: BindingPropertiesState | None = None
    request: JsonObject = Field(default_factory=dict, repr=False)
    credentials: JsonObject | None = Field(default=None, repr=False)
    """For INJECT: what the broker gave. It may never give them again, so they stay, sealed, until a Secret has them."""
