"""Drives `decide` and `absorb` through whole lives on a simulated clock, as the worker's rounds do, without I/O."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.core import RecordedFact
from chandlery.model.objects.instances import ServiceInstance
from chandlery.reconcile.answers import Answer
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.parameters.parameters import NO_PARAMETERS, Parameters, merge_parameters
from chandlery.reconcile.policies.broker_policy import DEFAULT_POLICY, BrokerPolicy
from chandlery_provisioner.absorb import instance_outcomes as outcomes
from chandlery_provisioner.absorb.instance_draft import InstanceResult
from chandlery_provisioner.decide.instance_machine import decide
from chandlery_provisioner.decide.planned_calls import kept_of, note_of
from chandlery_provisioner.facts.instance_notes import InstanceMemory, InstancePurpose, OpenInstanceRequest
from chandlery_provisioner.facts.instance_snapshot import (
    Call,
    Cascade,
    Deprovision,
    FetchInstance,
    InstanceSnapshot,
    PollInstance,
    Provision,
    Update,
)
from tests.unit.provisioner.builders import LANE, NOW, make_instance, make_offering
from tests.unit.reconcile.told_history import ToldHistory


@dataclass(frozen=True)
class Request:
    """What goes to the service broker."""

    purpose: InstancePurpose
    service: str
    plan: str | None
    body: str = ""
    operation: str | None = None


class WorkerDied(Exception):
    """The answer is never recorded."""


Broker = Callable[[Request], Answer]


@dataclass
class InstanceHistory:
    """One instance, its row in the work table, and the world around it."""

    broker: Broker
    instance: ServiceInstance = field(default_factory=make_instance)
    memory: InstanceMemory = field(default_factory=lambda: InstanceMemory(lane=LANE))
    request: OpenInstanceRequest | None = None
    offering: Offering | Unresolved = field(default_factory=make_offering)
    parameters: Parameters | ParametersFault = NO_PARAMETERS
    access: Unresolved | None = None
    bindings: int = 0
    loose_bindings: int = 0
    policy: BrokerPolicy = DEFAULT_POLICY
    attempt: int = 0
    now: datetime = NOW
    due_at: datetime | None = NOW
    waiting_for: str | None = None
    is_finished: bool = False
    sent: list[Request] = field(default_factory=list)
    facts: list[RecordedFact] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    told: ToldHistory = field(default_factory=ToldHistory)
    tells_slow_calls: bool = False
    """Calls take so long that they are announced."""

    @property
    def is_deleted(self) -> bool:
        """Whether a user wants it gone."""
        return self.instance.metadata.deletion_timestamp is not None

    def snapshot(self) -> InstanceSnapshot:
        """What the machine is shown."""
        return InstanceSnapshot(
            instance=self.instance,
            offering=self.offering,
            parameters=self.parameters,
            memory=self.memory,
            request=self.request,
            access=self.access,
            bindings=self.bindings if self.is_deleted else 0,
            loose_bindings=self.loose_bindings if self.is_deleted else 0,
            attempt=self.attempt,
            policy=self.policy,
            open_operations=self.told.open,
        )

    def annotate(self, **orders: str) -> None:
        """A person gives orders: `retry_requested_at="1"` is the annotation `chandlery.io/retry-requested-at`."""
        given = {f"chandlery.io/{name.replace('_', '-')}": value for name, value in orders.items()}
        self._set_metadata(annotations={**(self.instance.metadata.annotations or {}), **given})
        self.touch()

    def touch(self) -> None:
        """As when a spec changes or something awaited appears."""
        self.due_at, self.attempt, self.waiting_for = self.now, 0, None

    def change_spec(self, *, plan: str | None = None, parameters: dict[str, Any] | None = None) -> None:
        """A user changes the specification."""
        if plan is not None:
            self.offering = make_offering(plan)
        if parameters is not None:
            self.parameters = merge_parameters(parameters, ())
        self._set_metadata(generation=(self.instance.metadata.generation or 1) + 1)
        self.touch()

    def delete(self) -> None:
        """A user wants the instance gone."""
        if not self.is_deleted:
            self._set_metadata(deletion_timestamp=self.now)
        self.touch()

    def run(self, *, rounds: int = 100, until: Callable[[], bool] = lambda: False) -> None:
        """Round after round, each when it is due, until nothing is due any more or the condition holds."""
        for _ in range(rounds):
            if self.due_at is None or self.is_finished or until():
                return
            self.round()
        raise AssertionError(f"still busy after {rounds} rounds: {self.seen[-6:]}")

    def round(self) -> None:
        """The next round, when it is due. A worker that dies leaves its note behind."""
        assert self.due_at is not None
        # No two rounds begin in the same moment.
        self.now = max(self.now, self.due_at) + timedelta(microseconds=1)
        snapshot = self.snapshot()
        action = decide(snapshot)
        self.seen.append(type(action).__name__)
        match action:
            case Provision() | Update() | Deprovision() | PollInstance() | FetchInstance() | Repeat():
                self._call(snapshot, action)
            case Cascade():
                self.loose_bindings = 0
                self._write(outcomes.cascaded(snapshot, self.now))
            case _:
                self._write(outcomes.uncalled(snapshot, action, self.now))

    def _call(self, snapshot: InstanceSnapshot, call: Call) -> None:
        note = note_of(snapshot, call, self.now)
        if isinstance(call, Repeat):
            request = _request_from(note)
        else:
            request = _request(call)
            note = note.model_copy(update={"encoded": _wire(request)})
        if isinstance(call, Provision):
            self.memory = self.memory.model_copy(update={"service_id": call.service_id, "plan_id": call.plan_id})
        if not isinstance(call, PollInstance | FetchInstance):
            self.request = OpenInstanceRequest.model_validate(kept_of(note).to_wire())
        self.sent.append(request)
        if self.tells_slow_calls:
            self._announce(snapshot, note)
        try:
            answer = self.broker(request)
        except WorkerDied:
            self.now += timedelta(seconds=30)
            self.due_at = self.now
            return
        self._write(outcomes.absorb(snapshot, note, answer, self.now), is_attempt=not note.purpose.traits.only_asks)

    def _announce(self, snapshot: InstanceSnapshot, note: OpenInstanceRequest) -> None:
        change = outcomes.announce(snapshot, note, self.now)
        self.told.hear(change)
        self.instance = ServiceInstance.model_validate(change.document.to_wire())

    def _write(self, change: InstanceResult, *, is_attempt: bool = False) -> None:
        self.told.take(change, is_attempt=is_attempt)
        # Through the wire form, as through the database.
        self.instance = ServiceInstance.model_validate(change.document.to_wire())
        self.memory = InstanceMemory.model_validate(change.memory)
        self.request = OpenInstanceRequest.model_validate(change.sealed) if change.sealed else None
        self.attempt, self.due_at = change.next.attempt, change.next.due_at
        self.waiting_for, self.is_finished = change.next.waiting_for, change.is_finished
        self.facts.extend(change.facts)

    def _set_metadata(self, **fields: Any) -> None:
        self.instance = self.instance.model_copy(update={"metadata": self.instance.metadata.model_copy(update=fields)})


def is_creation(request: Request) -> bool:
    """A PUT."""
    return request.purpose == InstancePurpose.PROVISION


def is_deletion(request: Request) -> bool:
    """A DELETE, whatever for."""
    return request.purpose in (InstancePurpose.DEPROVISION, InstancePurpose.MITIGATE)


def _request(call: Provision | Update | Deprovision | PollInstance | FetchInstance) -> Request:
    match call:
        case Provision():
            return Request(InstancePurpose.PROVISION, call.service_id, call.plan_id, repr(call.parameters))
        case Update():
            return Request(
                InstancePurpose.UPDATE, call.service_id, call.plan_id, f"{call.previous_plan_id} {call.parameters}"
            )
        case Deprovision():
            purpose = InstancePurpose.MITIGATE if call.is_mitigation else InstancePurpose.DEPROVISION
            return Request(purpose, call.service_id, call.plan_id)
        case PollInstance():
            return Request(InstancePurpose.POLL, call.service_id, call.plan_id, operation=call.operation)
        case FetchInstance():
            return Request(InstancePurpose.FETCH, call.service_id, call.plan_id)


def _wire(request: Request) -> dict[str, Any]:
    return {"purpose": str(request.purpose), "service": request.service, "plan": request.plan, "body": request.body}


def _request_from(note: OpenInstanceRequest) -> Request:
    stored = note.encoded
    return replace(Request(note.purpose, stored["service"], stored["plan"]), body=stored["body"])
