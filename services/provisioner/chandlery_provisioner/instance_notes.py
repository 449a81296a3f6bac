"""What the provisioner writes down beside an instance. Plain data."""

from enum import StrEnum

from pydantic import Field

from chandlery.model.instances import InstancePropertiesState
from chandlery.model.wire import JsonObject, WireModel
from chandlery.reconcile.status_draft import PollNotes


class Purpose(StrEnum):
    """Why a request is sent to the service broker."""

    PROVISION = "provision"
    UPDATE = "update"
    DEPROVISION = "deprovision"
    MITIGATE = "mitigate"
    POLL = "poll"


class InstanceMemory(PollNotes):
    """The provisioner's notes: what a later delete needs, although the catalog may have changed by then."""

    lane: str = ""
    service_id: str = ""
    plan_id: str = ""
    """The plan that the broker has, or was first told."""
    wanted_plan_id: str = ""
    """The plan of the update that is under way, or whose fate is unknown."""
    is_unusable: bool = False
    """The broker said `instance_usable: false`: no new bindings."""
    delete_deferred: bool = False
    """The broker would not delete while it works on another operation."""


class InFlight(WireModel):
    """What a round was about to send; still there only if the worker died before it recorded the answer."""

    purpose: Purpose
    generation: int
    started_at: float
    properties: InstancePropertiesState | None = None
    wanted_plan_id: str = ""
    request: JsonObject = Field(default_factory=dict, repr=False)
