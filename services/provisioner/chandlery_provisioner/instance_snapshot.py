"""What the state machine of an instance looks at, and what it may decide. Plain data, no I/O."""

from dataclasses import dataclass, field

from chandlery.model.faults import ParametersFault
from chandlery.model.instances import ServiceInstance
from chandlery.model.offerings import AnyPlan
from chandlery.model.wire import JsonObject
from chandlery.reconcile.actions import Finish, Idle, Refuse, Wait
from chandlery.reconcile.broker_policy import DEFAULT_POLICY, BrokerPolicy
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.parameters import Parameters
from chandlery_provisioner.instance_notes import InFlight, InstanceMemory


@dataclass(frozen=True, kw_only=True)
class InstanceSnapshot:
    """All that `decide` and `absorb` may know."""

    instance: ServiceInstance
    offering: Offering | Unresolved
    current_plan: AnyPlan | None = None
    """The plan that the broker has, looked up in the class; None if the catalog has it no more."""
    parameters: Parameters | ParametersFault
    memory: InstanceMemory
    in_flight: InFlight | None = None
    access: Unresolved | None = None
    """Why the broker cannot be called, if so."""
    bindings: int = 0
    """How many bindings still refer to the instance; counted only when it is being deleted."""
    attempt: int = 0
    policy: BrokerPolicy = DEFAULT_POLICY

    @property
    def is_deleted(self) -> bool:
        """Whether a user wants the instance gone."""
        return self.instance.metadata.deletion_timestamp is not None

    @property
    def generation(self) -> int:
        """The number of the latest wish."""
        return self.instance.metadata.generation or 1


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
