"""Drives the binder's machine through whole lives on a simulated clock, as the worker's rounds do, without I/O."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.core import RecordedFact
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.answers import Answer, Verb, Verdict
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.parameters.parameters import NO_PARAMETERS
from chandlery.reconcile.policies.broker_policy import DEFAULT_POLICY, BrokerPolicy
from chandlery_binder.absorb import binding_outcomes as outcomes
from chandlery_binder.absorb.binding_draft import BindingResult
from chandlery_binder.decide.binding_machine import decide
from chandlery_binder.decide.planned_calls import note_of
from chandlery_binder.facts.binding_actions import (
    Action,
    Bind,
    Call,
    FetchCredentials,
    Inject,
    PollBackgroundOperation,
    PollBinding,
    Recover,
    Restore,
    Retire,
    Rotate,
    Unbind,
)
from chandlery_binder.facts.binding_notes import (
    BindingMemory,
    BindingPurpose,
    InstanceNotes,
    OpenBindingRequest,
    presumed,
)
from chandlery_binder.facts.binding_snapshot import BindingSnapshot, InjectionProblem, SecretState
from chandlery_binder.facts.sealed_binding_notes import NOTHING_SEALED, SealedNotes
from tests.unit.binder.binding_builders import LANE, NOW, make_binding, make_instance, make_offering
from tests.unit.reconcile.told_history import ToldHistory


@dataclass(frozen=True)
class Request:
    """What goes to the service broker."""

    purpose: BindingPurpose
    binding_id: str
    is_repeated: bool = False


class WorkerDied(Exception):
    """The answer is never recorded."""


@dataclass
class BindingHistory:
    """One binding, its row in the work table, its Secret, and the world around it."""

    broker: Callable[[Request], Answer]
    binding: ServiceBinding = field(default_factory=make_binding)
    memory: BindingMemory = field(default_factory=lambda: BindingMemory(lane=LANE))
    sealed: SealedNotes = NOTHING_SEALED
    offering: Offering | Unresolved = field(default_factory=make_offering)
    access: Unresolved | None = None
    secret: dict[str, Any] | None = None
    is_secret_in_the_way: bool = False
    policy: BrokerPolicy = DEFAULT_POLICY
    attempt: int = 0
    now: datetime = NOW
    due_at: datetime | None = NOW
    is_finished: bool = False
    sent: list[Request] = field(default_factory=list)
    facts: list[RecordedFact] = field(default_factory=list)
    ids: Any = field(default_factory=lambda: itertools.count(2))
    told: ToldHistory = field(default_factory=ToldHistory)

    @property
    def is_deleted(self) -> bool:
        """Whether a user wants it gone."""
        return self.binding.metadata.deletion_timestamp is not None

    @property
    def known_ids(self) -> set[str]:
        """What a later round could still ask the broker about."""
        places = [self.memory.placement, *(each.placement for each in self.snapshot().others)]
        return {each.binding_id or "binding-1" for each in places}

    def snapshot(self) -> BindingSnapshot:
        """What the machine is shown, before orders are obeyed."""
        if self.is_deleted:
            # As when a round begins.
            self.secret = None
        snapshot = BindingSnapshot(
            binding=self.binding,
            instance=make_instance(),
            instance_notes=InstanceNotes(service_id="service-1", plan_id="plan-small"),
            offering=self.offering,
            parameters=NO_PARAMETERS,
            memory=self.memory,
            sealed=self.sealed,
            access=self.access,
            attempt=self.attempt,
            policy=self.policy,
            open_operations=self.told.open,
        )
        return replace(snapshot, secret=self._secret_state(snapshot))

    def annotate(self, **orders: str) -> None:
        """A person gives orders: `retry_requested_at="1"` is the annotation `chandlery.io/retry-requested-at`."""
        given = {f"chandlery.io/{name.replace('_', '-')}": value for name, value in orders.items()}
        self._set_metadata(annotations={**(self.binding.metadata.annotations or {}), **given})
        self.touch()

    def touch(self) -> None:
        """As when a spec changes or something awaited appears."""
        self.due_at, self.attempt = self.now, 0

    def delete(self) -> None:
        """A user wants the binding gone."""
        if not self.is_deleted:
            self._set_metadata(deletion_timestamp=self.now)
        self.touch()

    def run(self, *, rounds: int = 60, until: Callable[[], bool] = lambda: False) -> None:
        """Round after round, each when it is due, until nothing is due any more or the condition holds."""
        for _ in range(rounds):
            if self.due_at is None or self.is_finished or until():
                return
            self.round()

    def round(self) -> None:
        """The next round, when it is due. A worker that dies leaves its note behind."""
        if self.due_at is None or self.is_finished:
            return
        # No two rounds begin in the same moment.
        self.now = max(self.now, self.due_at) + timedelta(microseconds=1)
        snapshot = self.snapshot()
        self._act(snapshot, decide(snapshot, self.now))

    def _act(self, snapshot: BindingSnapshot, action: Action) -> None:
        match action:
            case (
                Bind()
                | Unbind()
                | PollBinding()
                | FetchCredentials()
                | Inject()
                | Repeat()
                | Restore()
                | Recover()
                | Rotate()
                | Retire()
                | PollBackgroundOperation()
            ):
                self._call(snapshot, action)
            case _:
                self._write(outcomes.uncalled(snapshot, action, self.now))

    def _call(self, snapshot: BindingSnapshot, call: Call) -> None:
        is_repeated = self.sealed.request is not None
        note = note_of(snapshot, call, self.now, new_id=f"binding-{next(self.ids)}")
        if isinstance(call, Bind):
            self.memory = snapshot.memory.model_copy(update={"placement": call.placement})
        if isinstance(call, Rotate):
            self.memory = presumed(snapshot.memory, note)
        if note.purpose.traits.is_repeated:
            self._keep(SealedNotes(request=note, delivered=snapshot.sealed.delivered).stored())
        if isinstance(call, Inject | Restore):
            answer = Answer(verb=Verb.BIND, verdict=Verdict.SUCCEEDED, body={"credentials": call.credentials or {}})
        else:
            request = Request(note.purpose, note.placement.binding_id or "binding-1", is_repeated)
            self.sent.append(request)
            try:
                answer = self.broker(request)
            except WorkerDied:
                self.now += timedelta(seconds=30)
                self.due_at = self.now
                return
        change = outcomes.absorb(snapshot, note, answer=answer, now=self.now, problem=self._inject(note, answer))
        traits = note.purpose.traits
        self._write(change, is_attempt=not traits.only_asks and not traits.is_local)

    def _inject(self, note: OpenBindingRequest, answer: Answer) -> InjectionProblem | None:
        credentials = outcomes.credentials_of(self.snapshot(), note, answer)
        if credentials is None:
            return None
        if self.is_secret_in_the_way:
            return InjectionProblem("it belongs to somebody else", "secret:ns/knot")
        self.secret = credentials
        return None

    def _secret_state(self, snapshot: BindingSnapshot) -> SecretState:
        if not snapshot.is_ready or self.is_deleted or snapshot.has_open_end:
            return SecretState.INTACT
        if self.is_secret_in_the_way:
            return SecretState.FOREIGN
        if self.secret is None:
            return SecretState.MISSING
        is_changed = snapshot.sealed.delivered is not None and self.secret != snapshot.sealed.delivered
        return SecretState.CHANGED if is_changed else SecretState.INTACT

    def _write(self, change: BindingResult, *, is_attempt: bool = False) -> None:
        self.told.take(change, is_attempt=is_attempt)
        # Through the wire form, as through the database.
        self.binding = ServiceBinding.model_validate(change.document.to_wire())
        self.memory = BindingMemory.model_validate(change.memory)
        self._keep(change.sealed)
        self.attempt, self.due_at = change.next.attempt, change.next.due_at
        self.is_finished = change.is_finished
        self.facts.extend(change.facts)

    def _keep(self, stored: JsonObject | None) -> None:
        self.sealed = SealedNotes.from_stored(stored)

    def _set_metadata(self, **fields: Any) -> None:
        self.binding = self.binding.model_copy(update={"metadata": self.binding.metadata.model_copy(update=fields)})
