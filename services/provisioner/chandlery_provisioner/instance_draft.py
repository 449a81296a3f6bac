"""A status in the making: the vocabulary in which `instance_outcomes.py` writes its rules. Pure, used for one change."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chandlery.model.brokers import LocalObjectReference
from chandlery.model.conditions import (
    ConditionStatus,
    ConditionType,
    last_condition_state,
    with_condition,
    without_condition,
)
from chandlery.model.instances import ServiceInstance
from chandlery.model.names import FINALIZER
from chandlery.model.recorded import RecordedFact
from chandlery.model.value_labels import referenced_values, with_value_labels
from chandlery.reconcile.answers import Answer
from chandlery.reconcile.change import Change, Next, instance_key, instances_key
from chandlery.reconcile.offering import Offering, Unresolved, class_column, wanted_plan
from chandlery.retry.schedule import DEPENDENCIES
from chandlery_provisioner.instance_snapshot import InFlight, InstanceSnapshot, Purpose

InstanceChange = Change[ServiceInstance]
_OPERATIONS = {Purpose.PROVISION: "Provision", Purpose.UPDATE: "Update", Purpose.DEPROVISION: "Deprovision"}


class InstanceDraft:
    """Collects what changes; `rest`, `again`, `wait` and `gone` make the change."""

    def __init__(self, snapshot: InstanceSnapshot, now: datetime) -> None:
        self._snapshot = snapshot
        self._now = now
        self._facts: list[RecordedFact] = []
        self._wakes: list[str] = []
        self.status = snapshot.instance.status
        self.memory = snapshot.memory
        self.attempt = snapshot.attempt
        self.is_interrupting = False
        self._keeps_open = False

    @classmethod
    def of(cls, snapshot: InstanceSnapshot, now: datetime) -> "InstanceDraft":
        """A draft for a change that no request was sent for."""
        draft = cls(snapshot, now)
        draft._name_columns()
        return draft

    @classmethod
    def begin(cls, snapshot: InstanceSnapshot, sent: InFlight, now: datetime) -> "InstanceDraft":
        """A draft for the answer to a request: the status says that the operation has begun."""
        draft = cls.of(snapshot, now)
        operation = _OPERATIONS.get(sent.purpose)
        if operation is None:
            return draft
        draft.is_interrupting = operation == "Deprovision" and draft.status.async_op_in_progress
        if draft.is_interrupting:
            draft.end_poll()
        is_new_wish = sent.properties is not None and sent.generation > draft.status.observed_generation
        if draft.status.current_operation != operation or is_new_wish:
            draft.set(current_operation=operation, operation_start_time=datetime.fromtimestamp(sent.started_at, UTC))
        if sent.properties is not None:
            draft.set(in_progress_properties=sent.properties)
            draft.observe(sent.generation)
            draft.drop(ConditionType.FAILED)
            draft._resolve()
        draft.set(deprovision_status="Required")
        return draft

    @property
    def operation(self) -> str | None:
        """What is being done at the broker."""
        return self.status.current_operation

    @property
    def is_deleted(self) -> bool:
        """Whether a user wants the instance gone."""
        return self._snapshot.instance.metadata.deletion_timestamp is not None

    @property
    def is_repeat(self) -> bool:
        """Whether a worker that died has sent the request before: a clear answer says little of what came of that."""
        return self._snapshot.in_flight is not None

    @property
    def may_exist(self) -> bool:
        """Whether something may be at the broker from before this request: a worker died, or an answer was unclear."""
        before = self._snapshot.instance.status.deprovision_status
        return self.is_repeat or before == "Required"

    @property
    def is_time_over(self) -> bool:
        """Whether the operation has failed for as long as it may."""
        start = self.status.operation_start_time
        return start is not None and self._now - start > self._snapshot.operation_timeout

    @property
    def poll_time_left(self) -> timedelta:
        """Time until the operation counts as failed."""
        until = self.memory.poll_until
        if until is None:
            return self._snapshot.operation_timeout
        return timedelta(seconds=max(0.0, until - self._now.timestamp()))

    @property
    def is_poll_time_over(self) -> bool:
        """Whether polling has to stop (OSB v2.17, "Polling Interval and Duration")."""
        return self.memory.poll_until is not None and self._now.timestamp() >= self.memory.poll_until

    def changes_something(self, sent: InFlight) -> bool:
        """Whether an update asks for other parameters or another plan than the broker is known to have."""
        has, asked = self.status.external_properties, sent.properties
        same = (
            has is not None and asked is not None and (has.parameter_checksum or "") == (asked.parameter_checksum or "")
        )
        return not same or sent.wanted_plan_id != self._snapshot.memory.plan_id

    def set(self, **fields: Any) -> None:
        """Change fields of the status."""
        self.status = self.status.model_copy(update=fields)

    def remember(self, **fields: Any) -> None:
        """Change the provisioner's notes."""
        self.memory = self.memory.model_copy(update=fields)

    def say(self, reason: str, message: str, *, is_warning: bool = False) -> None:
        """Record an event, unless the condition says so already: a failure that repeats is told once."""
        fact = RecordedFact(reason, message, is_warning)
        before = {(condition.reason, condition.message) for condition in self._snapshot.instance.status.conditions}
        if (reason, message) not in before and fact not in self._facts:
            self._facts.append(fact)

    def condition(self, kind: ConditionType, status: ConditionStatus, reason: str, message: str) -> None:
        """Set a condition."""
        conditions = with_condition(
            self.status.conditions, kind, status=status, reason=str(reason), message=message, now=self._now
        )
        self.set(conditions=conditions)

    def ready(self, status: ConditionStatus, reason: str, message: str) -> None:
        """Set the Ready condition."""
        self.condition(ConditionType.READY, status, reason, message)

    def drop(self, kind: ConditionType) -> None:
        """Take a condition away."""
        self.set(conditions=without_condition(self.status.conditions, kind))

    def fail(self, ready_reason: str, failed_reason: str, message: str) -> None:
        """Final for this generation."""
        self.ready(ConditionStatus.FALSE, ready_reason, message)
        self.condition(ConditionType.FAILED, ConditionStatus.TRUE, failed_reason, message)
        self.say(failed_reason, message, is_warning=True)

    def observe(self, generation: int) -> None:
        """This generation has been acted on."""
        self.set(observed_generation=generation)

    def dashboard(self, answer: Answer) -> None:
        """Take the dashboard's address from an answer; absent or null keeps the old one."""
        url = answer.body.get("dashboard_url")
        if isinstance(url, str) and url:
            self.set(dashboard_url=url)

    def begin_poll(self, operation: str | None) -> None:
        """The broker has accepted and works on it."""
        seconds = self._snapshot.operation_timeout.total_seconds()
        offering = self._snapshot.offering
        if isinstance(offering, Offering) and offering.plan.spec.maximum_polling_duration:
            seconds = min(seconds, offering.plan.spec.maximum_polling_duration)
        self.set(async_op_in_progress=True, last_operation=operation)
        self.remember(polls=1, poll_until=self._now.timestamp() + seconds)

    def end_poll(self) -> None:
        """The broker has come to an end."""
        self.set(async_op_in_progress=False, last_operation=None)
        self.remember(polls=0, poll_until=None)

    def end_operation(self) -> None:
        """Nothing is being done any more."""
        self.end_poll()
        self.set(current_operation=None, operation_start_time=None, in_progress_properties=None)

    def succeed(self, reason: str, message: str) -> None:
        """The broker has what was asked for."""
        self.set(
            provision_status="Provisioned",
            external_properties=self.status.in_progress_properties or self.status.external_properties,
            reconciled_generation=self.status.observed_generation,
        )
        self.end_operation()
        self.remember(delete_deferred=False, is_unusable=False)
        self.drop(ConditionType.FAILED)
        self.ready(ConditionStatus.TRUE, reason, message)
        self.say(reason, message)
        meta = self._snapshot.instance.metadata
        self._wakes.append(instance_key(meta.namespace, meta.name))

    def undo(self) -> None:
        """The request has changed nothing: what the broker was doing goes on."""
        self.status, self.memory = self._snapshot.instance.status, self._snapshot.memory
        self._name_columns()

    def keep_open(self) -> None:
        """What came of the request of a dead worker is still unknown: have it repeated again."""
        self._keeps_open = True

    def rest(self) -> InstanceChange:
        """Nothing more to do until the wish changes; a newer wish, or a deletion, is looked at straight away."""
        meta = self._snapshot.instance.metadata
        behind = self.status.observed_generation < (meta.generation or 1) or meta.deletion_timestamp is not None
        has_acted = self.status != self._snapshot.instance.status
        due_at = self._now if behind and has_acted else None
        return self._change(Next(due_at=due_at))

    def again(self, delay: timedelta, *, attempt: int) -> InstanceChange:
        """Come back after the delay."""
        return self._change(Next(due_at=self._now + delay, attempt=attempt))

    def wait(self, waiting_for: str | None) -> InstanceChange:
        """Come back when woken, or after a while all the same."""
        self.keep_open()
        attempt = self.attempt + 1
        due_at = self._now + DEPENDENCIES.delay(attempt)
        return self._change(Next(due_at=due_at, attempt=attempt, waiting_for=waiting_for))

    def gone(self) -> InstanceChange:
        """The finalizer goes, and with it the object; its broker may be waiting for that."""
        self._wakes.append(instances_key(self.memory.lane))
        return self._change(Next(), is_finished=True)

    def _change(self, following: Next, *, is_finished: bool = False) -> InstanceChange:
        instance = self._snapshot.instance
        status = self.status.model_copy(update={"last_condition_state": last_condition_state(self.status.conditions)})
        spec = self._spec()
        labelled = with_value_labels(instance.metadata, referenced_values(spec))
        document = instance.model_copy(update={"status": status, "spec": spec, "metadata": labelled})
        if is_finished:
            left = [name for name in instance.metadata.finalizers or [] if name != FINALIZER]
            metadata = labelled.model_copy(update={"finalizers": left or None})
            document = document.model_copy(update={"metadata": metadata})
        in_flight = self._snapshot.in_flight
        is_kept = self._keeps_open and following.due_at is not None
        return Change(
            document=document,
            next=following,
            memory=self.memory.to_wire(),
            facts=tuple(self._facts),
            wakes=tuple(self._wakes),
            is_finished=is_finished,
            keep_in_flight=in_flight.to_wire() if in_flight and is_kept else None,
        )

    def _name_columns(self) -> None:
        spec = self._snapshot.instance.spec
        plan = wanted_plan(spec).value
        offering = self._snapshot.offering
        if not plan and isinstance(offering, Offering):
            plan = offering.plan.spec.external_name
        self.set(user_specified_class_name=class_column(spec), user_specified_plan_name=plan)

    def _resolve(self) -> None:
        offering = self._snapshot.offering
        if isinstance(offering, Offering):
            self.remember(service_id=offering.service_class.spec.external_id)

    def _spec(self) -> Any:
        spec, offering = self._snapshot.instance.spec, self._snapshot.offering
        if isinstance(offering, Unresolved):
            return spec
        service_class = LocalObjectReference(name=offering.service_class.metadata.name)
        plan = LocalObjectReference(name=offering.plan.metadata.name)
        if offering.service_class.kind == "ClusterServiceClass":
            return spec.model_copy(
                update={"cluster_service_class_ref": service_class, "cluster_service_plan_ref": plan}
            )
        return spec.model_copy(update={"service_class_ref": service_class, "service_plan_ref": plan})
