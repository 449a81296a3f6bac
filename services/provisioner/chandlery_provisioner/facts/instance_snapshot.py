"""What the state machine of an instance looks at, and what it may decide. Plain data, no I/O."""

from dataclasses import dataclass, field
from functools import cached_property

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.annotations import Mitigation, RequestedActions, requested_actions_of
from chandlery.model.objects.conditions import ConditionType, is_true
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.offerings import AnyPlan
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.history.open_operations import OpenOperation
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.operation.mitigation import AwaitMitigationDecision, WaiveMitigation, chosen_mitigation
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.parameters.parameters import Parameters
from chandlery.reconcile.policies.broker_policy import DEFAULT_POLICY, BrokerPolicy
from chandlery.reconcile.reconcile_result import Disown, Finish, Idle, Refuse, Wait
from chandlery_provisioner.facts.instance_notes import InstanceMemory, OpenInstanceRequest


@dataclass(frozen=True, kw_only=True)
class InstanceSnapshot:
    """All that `decide` and `absorb` may know."""

    instance: ServiceInstance
    offering: Offering | Unresolved
    current_plan: AnyPlan | None = None
    """The plan that the broker has, looked up in the class; None if the catalog has it no more."""
    parameters: Parameters | ParametersFault
    defaults: JsonObject | None = None
    """What the parameters were laid over."""
    differing: JsonObject = field(default_factory=dict, repr=False)
    """The parameters that are others than the broker has."""
    memory: InstanceMemory
    request: OpenInstanceRequest | None = None
    """What was sent, and nobody knows what came of it."""
    access: Unresolved | None = None
    """Why the broker cannot be called, if so."""
    is_id_foreign: bool = False
    """What the broker has under the instance's external id belongs to another instance."""
    bindings: int = 0
    """How many bindings still refer to the instance; counted only when it is being deleted."""
    loose_bindings: int = 0
    """How many of them have not been told to go yet; counted only when the instance is deleted by force."""
    attempt: int = 0
    policy: BrokerPolicy = DEFAULT_POLICY
    context: JsonObject = field(default_factory=dict)
    """What a request would tell of where the instance is."""
    is_namespace_deleted: bool = False
    """Whether the whole namespace is to go."""
    open_operations: tuple[OpenOperation, ...] = ()
    """What the history has been told of, and not the end."""

    @property
    def api_version(self) -> str | None:
        """The version of OSB that the broker is called by; None is the newest."""
        return self.offering.broker.spec.osb_api_version if isinstance(self.offering, Offering) else None

    @property
    def has_schema(self) -> bool:
        """Whether parameters are held against a schema of the service broker."""
        if not isinstance(self.offering, Offering):
            return False
        plan = self.offering.plan.spec
        return bool(plan.instance_create_parameter_schema or plan.instance_update_parameter_schema)

    @property
    def unreachable(self) -> Wait | None:
        """What to wait for before the broker can be called, if for anything."""
        return self.access.wait if self.access else None

    @property
    def is_deleted(self) -> bool:
        """Whether a user wants the instance gone."""
        return self.instance.metadata.deletion_timestamp is not None

    @property
    def generation(self) -> int:
        """The number of the latest specification."""
        return self.instance.metadata.generation or 1

    @cached_property
    def requested_actions(self) -> RequestedActions:
        """What people ask for by annotation."""
        return requested_actions_of(self.instance.metadata)

    @property
    def is_abandoned(self) -> bool:
        """Whether the instance is to go without its broker."""
        return self.is_deleted and self.requested_actions.abandons

    @property
    def is_forced(self) -> bool:
        """Whether the instance is to go whatever its broker answers."""
        return self.is_deleted and self.requested_actions.forces_deletion

    @property
    def is_retry_requested(self) -> bool:
        """Whether somebody wants it tried again, and that has not been acted on."""
        return bool(self.requested_actions.retry) and self.requested_actions.retry != self.memory.retry_seen

    @property
    def mitigation(self) -> Mitigation:
        """What becomes of what a failed creation may have left."""
        return chosen_mitigation(self.requested_actions, self.policy)

    @property
    def is_mitigation_pending(self) -> bool:
        """Whether a failed creation may have left something that has neither been deleted nor waived."""
        status = self.instance.status
        return status.orphan_mitigation_in_progress or is_true(status.conditions, ConditionType.ORPHAN_MITIGATION)

    @property
    def is_certainly_absent(self) -> bool:
        """Whether the broker has nothing of the instance, so that nothing has to be asked of it."""
        return self.request is None and self.instance.status.deprovision_status in ("NotRequired", "Succeeded")


@dataclass(frozen=True)
class Provision:
    """Ask the broker for a new instance."""

    service_id: str
    plan_id: str
    parameters: JsonObject | None = field(repr=False)
    maintenance_version: str | None = None


@dataclass(frozen=True)
class Update:
    """Ask the broker to change an instance; what is None stays as it is."""

    service_id: str
    previous_plan_id: str
    plan_id: str | None
    parameters: JsonObject | None = field(repr=False)
    maintenance_version: str | None = None
    previous_maintenance_version: str | None = None


@dataclass(frozen=True)
class Deprovision:
    """Ask the broker to delete an instance, or what may be left of one."""

    service_id: str
    plan_id: str
    is_mitigation: bool


@dataclass(frozen=True)
class PollInstance:
    """Ask the broker how far its operation is."""

    service_id: str
    plan_id: str
    operation: str | None


@dataclass(frozen=True)
class FetchInstance:
    """Ask the broker what it has."""

    service_id: str
    plan_id: str


@dataclass(frozen=True)
class AlreadyApplied:
    """The broker has what is desired: there is nothing to ask of it."""


@dataclass(frozen=True)
class LetGo:
    """The object goes although something may be left at the broker: a person said so."""

    reason: str
    message: str


@dataclass(frozen=True)
class Cascade:
    """Have the bindings of an instance go with it."""


Call = Provision | Update | Deprovision | PollInstance | FetchInstance | Repeat[OpenInstanceRequest]
Uncalled = Idle | Finish | Wait | Refuse | AlreadyApplied | LetGo | Disown | AwaitMitigationDecision | WaiveMitigation
Action = Uncalled | Cascade | Call
