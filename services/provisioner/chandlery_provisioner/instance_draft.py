"""An instance's status in the making: the vocabulary in which `instance_outcomes.py` writes its rules. Pure."""

from datetime import UTC, datetime, timedelta

from chandlery.model.conditions import ConditionStatus, ConditionType
from chandlery.model.instances import ServiceInstance, ServiceInstanceStatus
from chandlery.model.value_labels import referenced_values, with_value_labels
from chandlery.reconcile.answers import Answer
from chandlery.reconcile.change import Change, Next, instance_key, instances_key
from chandlery.reconcile.offering import Offering
from chandlery.reconcile.status_draft import StatusDraft
from chandlery.retry.schedule import DEPENDENCIES
from chandlery_provisioner.instance_notes import InFlight, InstanceMemory, Purpose
from chandlery_provisioner.instance_references import shown_names, with_references
from chandlery_provisioner.instance_snapshot import (
    InstanceSnapshot,
)

InstanceChange = Change[ServiceInstance]
_OPERATIONS = {Purpose.PROVISION: "Provision", Purpose.UPDATE: "Update", Purpose.DEPROVISION: "Deprovision"}


class InstanceDraft(StatusDraft[ServiceInstanceStatus, InstanceMemory]):
    """Collects what changes; `rest`, `again`, `retry_after`, `poll_after`, `wait` and `gone` make the change."""

    def __init__(self, snapshot: InstanceSnapshot, now: datetime) -> None:
        super().__init__(
            snapshot.instance.status,
            snapshot.memory,
            offering=snapshot.offering,
            attempt=snapshot.attempt,
            now=now,
            policy=snapshot.policy,
        )
        self._snapshot = snapshot
        self._keeps_open = False
        self.is_interrupting = False
        self.set(**shown_names(snapshot.instance.spec, snapshot.offering))

    @classmethod
    def begin(cls, snapshot: InstanceSnapshot, sent: InFlight, now: datetime) -> "InstanceDraft":
        """A draft for the answer to a request: the status says that the operation has begun."""
        draft = cls(snapshot, now)
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
            if isinstance(snapshot.offering, Offering):
                draft.remember(service_id=snapshot.offering.service_class.spec.external_id)
        draft.set(deprovision_status="Required")
        return draft

    @property
    def is_deleted(self) -> bool:
        """Whether a user wants the instance gone."""
        return self._snapshot.is_deleted

    @property
    def is_deprovisioning(self) -> bool:
        """Whether what the broker works on, or is asked for, is a deprovisioning."""
        return self.status.current_operation == "Deprovision" or self.status.orphan_mitigation_in_progress

    @property
    def is_repeat(self) -> bool:
        """Whether a worker that died has sent the request before: a clear answer says little of what came of that."""
        return self._snapshot.in_flight is not None

    @property
    def may_exist(self) -> bool:
        """Whether something may be at the broker from before this request: a worker died, or an answer was unclear."""
        before = self._snapshot.instance.status.deprovision_status
        return self.is_repeat or before == "Required"

    def changes_something(self, sent: InFlight) -> bool:
        """Whether an update asks for other parameters or another plan than the broker is known to have."""
        has, asked = self.status.external_properties, sent.properties
        same = (
            has is not None and asked is not None and (has.parameter_checksum or "") == (asked.parameter_checksum or "")
        )
        return not same or sent.wanted_plan_id != self._snapshot.memory.plan_id

    def observe(self, generation: int) -> None:
        """This generation has been acted on."""
        self.set(observed_generation=generation)

    def take_dashboard(self, answer: Answer) -> None:
        """Take the dashboard's address from an answer; absent or null keeps the old one."""
        url = answer.body.get("dashboard_url")
        if isinstance(url, str) and url:
            self.set(dashboard_url=url)

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
        self.ready(ConditionStatus.TRUE, reason, message=message)
        self.say(reason, message)
        meta = self._snapshot.instance.metadata
        self.wakes.append(instance_key(meta.namespace, meta.name))

    def keep_open(self) -> None:
        """What came of the request of a dead worker is still unknown: have it repeated again."""
        self._keeps_open = True

    def rest(self) -> InstanceChange:
        """Nothing more to do until the wish changes; a newer wish, or a deletion, is looked at straight away."""
        behind = self.status.observed_generation < self._snapshot.generation or self.is_deleted
        has_acted = self.status != self._snapshot.instance.status
        return self._change(Next(due_at=self._now if behind and has_acted else None))

    def again(self, delay: timedelta, *, attempt: int) -> InstanceChange:
        """Come back after the delay."""
        return self._change(Next(due_at=self._now + delay, attempt=attempt))

    def retry_after(self, asked_seconds: float | None, *, attempt: int) -> InstanceChange:
        """Come back with back-off, or as late as the broker asks, within the longest back-off."""
        return self.again(self.expect_attempt(attempt, asked_seconds), attempt=attempt)

    def poll_after(self, asked_seconds: float | None) -> InstanceChange:
        """Poll after a short pause or the one that the broker asks for, and once more when the time is up."""
        return self.again(self.poll_pause(asked_seconds), attempt=self.attempt)

    def defer_delete(self) -> InstanceChange:
        """The broker will not be interrupted: go on polling what it does, as if nothing had been asked."""
        self.status = self._snapshot.instance.status
        self.set(**shown_names(self._snapshot.instance.spec, self._snapshot.offering))
        self.memory = self._snapshot.memory.model_copy(update={"delete_deferred": True})
        return self.again(self.policy.polls.delay(1), attempt=self.attempt)

    def wait(self, waiting_for: str | None) -> InstanceChange:
        """Come back when woken, or after a while all the same."""
        self.keep_open()
        attempt = self.attempt + 1
        due_at = self._now + DEPENDENCIES.delay(attempt)
        return self._change(Next(due_at=due_at, attempt=attempt, waiting_for=waiting_for))

    def gone(self) -> InstanceChange:
        """The finalizer goes, and with it the object; its broker may be waiting for that."""
        self.wakes.append(instances_key(self.memory.lane))
        return self._change(Next(), is_finished=True)

    def _change(self, following: Next, *, is_finished: bool = False) -> InstanceChange:
        instance = self._snapshot.instance
        spec = with_references(instance.spec, self._snapshot.offering)
        labelled = with_value_labels(instance.metadata, referenced_values(spec))
        document = instance.model_copy(update={"spec": spec, "metadata": labelled})
        in_flight = self._snapshot.in_flight
        is_kept = self._keeps_open and following.due_at is not None
        kept = in_flight.to_wire() if in_flight and is_kept else None
        return self._changed(document, following, is_finished=is_finished, keep_in_flight=kept)
