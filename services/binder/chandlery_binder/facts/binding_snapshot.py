"""What the state machine of a binding looks at. Plain data, no I/O; `binding_actions.py` has what it may decide."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.annotations import Mitigation, RequestedActions, requested_actions_of
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.conditions import ConditionType, is_true
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.history.open_operations import OpenOperation
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.operation.mitigation import chosen_mitigation
from chandlery.reconcile.parameters.parameters import Parameters
from chandlery.reconcile.policies.broker_policy import DEFAULT_POLICY, BrokerPolicy
from chandlery.reconcile.reconcile_result import Wait
from chandlery_binder.facts.binding_notes import (
    BindingMemory,
    BindingPurpose,
    InstanceNotes,
    OpenBindingRequest,
)
from chandlery_binder.facts.rotation_notes import BackgroundOperationKind, Placement, Retired
from chandlery_binder.facts.sealed_binding_notes import NOTHING_SEALED, SealedNotes


@dataclass(frozen=True)
class InjectionProblem:
    """Why the Secret could not be written. `waiting_for` wakes the binding, as do all `interests`."""

    message: str
    waiting_for: str | None = None
    interests: tuple[str, ...] = ()
    is_final: bool = False
    """Nothing that anybody can do to other objects would help these credentials into a Secret."""

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that wake the binding."""
        return tuple(sorted({self.waiting_for or "", *self.interests} - {""}))


class SecretState(StrEnum):
    """What has become of the Secret of a binding that is ready."""

    INTACT = "intact"
    """It is as it was written; also said where nobody has looked."""
    MISSING = "missing"
    """It is gone, or does not open, which comes to the same."""
    CHANGED = "changed"
    """Somebody has given it other values."""
    FOREIGN = "foreign"
    """A Secret of that name belongs to somebody else."""


@dataclass(frozen=True, kw_only=True)
class BindingSnapshot:
    """All that `decide` and `absorb` may know."""

    binding: ServiceBinding
    instance: ServiceInstance | None
    instance_notes: InstanceNotes = field(default_factory=InstanceNotes)
    offering: Offering | Unresolved | None = None
    """None without an instance that has found its class. The plan is the one that the broker has by now."""
    parameters: Parameters | ParametersFault
    hidden: tuple[object, ...] = field(default=(), repr=False)
    """The parameters from Secrets that the broker may know: of the binding, even if it is to go, and its instance."""
    memory: BindingMemory
    sealed: SealedNotes = NOTHING_SEALED
    access: Unresolved | None = None
    """Why the broker cannot be called, if so."""
    why_no_instance: str = "does not exist"
    """What to tell of an instance that is not there."""
    is_id_foreign: bool = False
    """What the broker has under the binding's external id belongs to another binding."""
    is_instance_foreign: bool = False
    """What the broker has under the instance's external id belongs to another instance."""
    eject_problem: str | None = None
    """Why the Secret of a binding under deletion could not be deleted, if so."""
    secret: SecretState = SecretState.INTACT
    busy_sibling: str | None = None
    """Another binding of the instance, on which the broker works without having given a key for that."""
    attempt: int = 0
    policy: BrokerPolicy = DEFAULT_POLICY
    rotation_grace: timedelta = timedelta(minutes=5)
    """How long credentials work on after others have taken their place."""
    is_namespace_deleted: bool = False
    """Whether the whole namespace is to go."""
    open_operations: tuple[OpenOperation, ...] = ()
    """What the history has been told of, and not the end."""

    @property
    def has_schema(self) -> bool:
        """Whether parameters are held against a schema of the service broker."""
        offering = self.offering
        return isinstance(offering, Offering) and bool(offering.plan.spec.service_binding_create_parameter_schema)

    @property
    def requested_actions(self) -> RequestedActions:
        """What users ask for by annotations."""
        return requested_actions_of(self.binding.metadata)

    @property
    def is_retry_requested(self) -> bool:
        """Whether somebody wants it tried again, and that has not been acted on."""
        return self.requested_actions.retry not in ("", self.memory.retry_seen)

    @property
    def mitigation(self) -> Mitigation:
        """What becomes of what a failed creation may have left."""
        return chosen_mitigation(self.requested_actions, self.policy)

    @property
    def unreachable(self) -> Wait | None:
        """What to wait for before the broker can be called, if for anything."""
        return self.access.wait if self.access else None

    @property
    def is_deleted(self) -> bool:
        """Whether a user wants the binding gone."""
        return self.binding.metadata.deletion_timestamp is not None

    @property
    def is_ready(self) -> bool:
        """Whether the Secret has credentials, as far as anybody knows."""
        return is_true(self.binding.status.conditions, ConditionType.READY)

    @property
    def is_failed(self) -> bool:
        """Whether nothing more is tried until a user asks for it."""
        return is_true(self.binding.status.conditions, ConditionType.FAILED)

    @property
    def is_mitigation_held(self) -> bool:
        """Whether a user has to say what becomes of what a failed bind may have left."""
        status = self.binding.status
        is_asked = is_true(status.conditions, ConditionType.ORPHAN_MITIGATION)
        return is_asked and not status.orphan_mitigation_in_progress and not self.is_ready

    @property
    def has_leftovers(self) -> bool:
        """Whether a failed rotation may have left something that nobody wants left alone."""
        return any(each.is_leftover and not each.is_waived for each in self.memory.retired)

    @property
    def is_waiver_revoked(self) -> bool:
        """Whether what was to be left alone is wanted gone after all: a user says so, no broker's policy does."""
        is_wanted = self.requested_actions.mitigation == Mitigation.AUTOMATIC
        return is_wanted and any(each.is_waived for each in self.memory.retired)

    @property
    def to_repeat(self) -> OpenBindingRequest | None:
        """The request that is sent once more; not for credentials, once nobody wants them any more."""
        request = self.sealed.request
        if request is None or not request.purpose.traits.is_repeated:
            return None
        return None if self.is_deleted and request.purpose.traits.is_fetch else request

    @property
    def undelivered(self) -> JsonObject | None:
        """Credentials that are to be put into the Secret, for as long as anybody wants them."""
        return None if self.is_deleted else self.sealed.undelivered

    @property
    def has_open_end(self) -> bool:
        """Whether something has to be brought to an end first."""
        return self.to_repeat is not None or self.undelivered is not None

    @property
    def is_in_doubt(self) -> bool:
        """Whether an earlier bind may have left something at the broker."""
        return self.has_open_end or self.binding.status.unbind_status == "Required"

    @property
    def may_exist(self) -> bool:
        """Whether the broker may have the binding itself, whatever it has beside it."""
        request = self.sealed.request
        is_sent = request is not None and request.purpose == BindingPurpose.BIND
        return is_sent or self.binding.status.unbind_status not in ("NotRequired", "Succeeded")

    @property
    def others(self) -> tuple[Retired, ...]:
        """What the broker may have beside the binding itself: earlier credentials and coming ones."""
        background = self.memory.background_operation
        if background is None or background.kind != BackgroundOperationKind.ROTATE:
            return self.memory.retired
        return (*self.memory.retired, Retired(placement=background.placement, is_leftover=True))

    @property
    def placement(self) -> Placement:
        """Where the binding is now: as noted at the bind, but on the plan that the instance has by now."""
        return self.on_current_plan(self.memory.placement)

    def on_current_plan(self, noted: Placement) -> Placement:
        """The same place, on the plan that the instance has by now."""
        is_same = self.instance is not None and self.instance.spec.external_id == noted.instance_id
        if not (is_same and self.instance_notes.plan_id):
            return noted
        return noted.model_copy(update={"plan_id": self.instance_notes.plan_id})
