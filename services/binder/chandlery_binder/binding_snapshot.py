"""What the state machine of a binding looks at, and what it may decide. Plain data, no I/O."""

from dataclasses import dataclass, field

from chandlery.model.bindings import ServiceBinding
from chandlery.model.faults import ParametersFault
from chandlery.model.instances import ServiceInstance
from chandlery.model.wire import JsonObject
from chandlery.reconcile.actions import Finish, Idle, Refuse, Wait
from chandlery.reconcile.broker_policy import DEFAULT_POLICY, BrokerPolicy
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.parameters import Parameters
from chandlery_binder.binding_notes import BindingMemory, InFlight, InstanceNotes, Placement, Purpose


@dataclass(frozen=True)
class InjectionProblem:
    """Why the Secret could not be written. `waiting_for` wakes the binding."""

    message: str
    waiting_for: str | None = None


@dataclass(frozen=True, kw_only=True)
class BindingSnapshot:
    """All that `decide` and `absorb` may know."""

    binding: ServiceBinding
    instance: ServiceInstance | None
    instance_notes: InstanceNotes = field(default_factory=InstanceNotes)
    offering: Offering | Unresolved | None = None
    """None without an instance that has found its class."""
    parameters: Parameters | ParametersFault
    memory: BindingMemory
    in_flight: InFlight | None = None
    access: Unresolved | None = None
    """Why the broker cannot be called, if so."""
    eject_problem: str | None = None
    """Why the Secret of a binding under deletion could not be deleted, if so."""
    attempt: int = 0
    policy: BrokerPolicy = DEFAULT_POLICY

    @property
    def is_deleted(self) -> bool:
        """Whether a user wants the binding gone."""
        return self.binding.metadata.deletion_timestamp is not None

    @property
    def open_end(self) -> InFlight | None:
        """What has to be brought to an end first; credentials are not, once nobody wants them any more."""
        is_for_credentials = self.in_flight is not None and self.in_flight.purpose in (Purpose.FETCH, Purpose.INJECT)
        return None if is_for_credentials and self.is_deleted else self.in_flight

    @property
    def is_in_doubt(self) -> bool:
        """Whether an earlier bind may have left something at the broker."""
        return self.in_flight is not None or self.binding.status.unbind_status == "Required"

    @property
    def placement(self) -> Placement:
        """Where the binding is now: as noted at the bind, but on the plan that the instance has by now."""
        noted = self.memory.placement
        is_same = self.instance is not None and self.instance.spec.external_id == noted.instance_id
        if not (is_same and self.instance_notes.plan_id):
            return noted
        return noted.model_copy(update={"plan_id": self.instance_notes.plan_id})


@dataclass(frozen=True)
class Bind:
    """Ask the broker for credentials."""

    placement: Placement
    parameters: JsonObject | None = field(repr=False)
    accepts_incomplete: bool


@dataclass(frozen=True)
class Unbind:
    """Ask the broker to revoke a binding, or what may be left of one."""

    placement: Placement
    is_mitigation: bool


@dataclass(frozen=True)
class Poll:
    """Ask the broker how far its operation is."""

    placement: Placement
    operation: str | None


@dataclass(frozen=True)
class Fetch:
    """Ask the broker for the credentials of an asynchronous bind."""

    placement: Placement


@dataclass(frozen=True)
class Inject:
    """Try again to write the Secret, with credentials from an earlier round."""

    in_flight: InFlight


@dataclass(frozen=True)
class Repeat:
    """A worker died between sending and recording: send exactly the same again, which OSB makes harmless."""

    in_flight: InFlight


Call = Bind | Unbind | Poll | Fetch | Inject | Repeat
Action = Idle | Finish | Wait | Refuse | Call
