"""What the state machine of an instance looks at, and what it may decide. Plain data, no I/O."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from chandlery.model.faults import ParametersFault
from chandlery.model.instances import InstancePropertiesState, ServiceInstance
from chandlery.model.wire import JsonObject, WireModel
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.parameters import Parameters


class Purpose(StrEnum):
    """Why a request is sent to the service broker."""

    PROVISION = "provision"
    UPDATE = "update"
    DEPROVISION = "deprovision"
    MITIGATE = "mitigate"
    POLL = "poll"


class InstanceMemory(WireModel):
    """The provisioner's notes on an instance: what a later delete needs although the catalog may have changed by then."""

    lane: str = ""
    service_id: str = ""
    plan_id: str = ""
    """The plan that the broker has, or was first told."""
    wanted_plan_id: str = ""
    """The plan of the update that is under way, or whose fate is unknown."""
    poll_until: float | None = None
    """Unix time at which the operation counts as failed."""
    polls: int = 0
    is_unusable: bool = False
    """The broker said `instance_usable: false`: no new bindings."""
    delete_deferred: bool = False
    """The broker would not delete while it works on another operation."""


class InFlight(WireModel):
    """What was about to be sent when the round began; still there only if the worker died before it recorded the answer."""

    purpose: Purpose
    generation: int
    started_at: float
    properties: InstancePropertiesState | None = None
    wanted_plan_id: str = ""
    request: JsonObject = Field(default={}, repr=False)


@dataclass(frozen=True, kw_only=True)
class InstanceSnapshot:
    """All that `decide` and `absorb` may know."""

    instance: ServiceInstance
    offering: Offering | Unresolved
    parameters: Parameters | ParametersFault
    memory: InstanceMemory
    in_flight: InFlight | None = None
    access: Unresolved | None = None
    """Why the broker cannot be called, if so."""
    bindings: int = 0
    """How many bindings still refer to the instance; counted only when it is being deleted."""
    attempt: int = 0
    operation_timeout: timedelta = timedelta(days=7)


@dataclass(frozen=True)
class Idle:
    """Nothing is due."""


@dataclass(frozen=True)
class Finish:
    """Nothing exists at the broker: the finalizer may go."""


@dataclass(frozen=True)
class Wait:
    """Something is missing that only others can provide. `waiting_for` wakes the instance."""

    reason: str
    message: str
    waiting_for: str | None


@dataclass(frozen=True)
class Refuse:
    """The wish cannot be granted, and asking the broker would be wrong."""

    reason: str
    message: str


@dataclass(frozen=True)
class Provision:
    """Ask the broker for a new instance."""

    service_id: str
    plan_id: str
    parameters: JsonObject | None = field(repr=False)


@dataclass(frozen=True)
class Update:
    """Ask the broker to change an instance; what is None stays as it is."""

    service_id: str
    previous_plan_id: str
    plan_id: str | None
    parameters: JsonObject | None = field(repr=False)


@dataclass(frozen=True)
class Deprovision:
    """Ask the broker to delete an instance, or what may be left of one."""

    service_id: str
    plan_id: str
    is_mitigation: bool


@dataclass(frozen=True)
class Poll:
    """Ask the broker how far its operation is."""

    service_id: str
    plan_id: str
    operation: str | None


@dataclass(frozen=True)
class Repeat:
    """A worker died between sending and recording: send exactly the same again, which OSB makes harmless."""

    in_flight: InFlight


Action = Idle | Finish | Wait | Refuse | Provision | Update | Deprovision | Poll | Repeat
Call = Provision | Update | Deprovision | Poll | Repeat


def purpose_of(call: Call) -> Purpose:
    """Why the call is made."""
    match call:
        case Provision():
            return Purpose.PROVISION
        case Update():
            return Purpose.UPDATE
        case Deprovision(is_mitigation=True):
            return Purpose.MITIGATE
        case Deprovision():
            return Purpose.DEPROVISION
        case Poll():
            return Purpose.POLL
        case Repeat():
            return call.in_flight.purpose


def started(snapshot: InstanceSnapshot, call: Call, now: datetime) -> InFlight:
    """What to write down before the call is made."""
    if isinstance(call, Repeat):
        return call.in_flight
    properties = wanted_properties(snapshot) if isinstance(call, Provision | Update) else None
    wanted = call.plan_id if isinstance(call, Provision | Update) else None
    return InFlight(
        purpose=purpose_of(call),
        generation=snapshot.instance.metadata.generation or 1,
        started_at=now.timestamp(),
        properties=properties,
        wanted_plan_id=wanted or snapshot.memory.plan_id,
    )


def wanted_properties(snapshot: InstanceSnapshot) -> InstancePropertiesState | None:
    """The status form of what the specification asks for."""
    offering, parameters = snapshot.offering, snapshot.parameters
    if isinstance(offering, Unresolved) or isinstance(parameters, ParametersFault):
        return None
    plan = offering.plan
    is_cluster = plan.kind == "ClusterServicePlan"
    return InstancePropertiesState(
        cluster_service_plan_external_name=plan.spec.external_name if is_cluster else "",
        cluster_service_plan_external_id=plan.spec.external_id if is_cluster else "",
        service_plan_external_name=None if is_cluster else plan.spec.external_name,
        service_plan_external_id=None if is_cluster else plan.spec.external_id,
        parameters=parameters.shown or None,
        parameter_checksum=parameters.checksum or None,
        user_info=snapshot.instance.spec.user_info,
    )
