"""An instance's status in the making: the vocabulary in which `instance_outcomes.py` writes its rules. Pure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from chandlery.model.objects.annotations import Mitigation
from chandlery.model.objects.conditions import ConditionStatus, ConditionType, find_condition, is_true, of_generation
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceStatus
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.reasons import InstanceReason
from chandlery.model.text.value_labels import referenced_values, with_value_labels
from chandlery.reconcile.answers import Verb
from chandlery.reconcile.offering import Offering
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.operation.version_matrix import knows_request
from chandlery.reconcile.reconcile_result import ReconcileResult, Requeue, relist_key
from chandlery.reconcile.status_draft import StatusDraft
from chandlery.retry.schedule import DEPENDENCIES
from chandlery_provisioner.facts.instance_notes import InstanceMemory, InstancePurpose, OpenInstanceRequest
from chandlery_provisioner.facts.instance_references import interests_of, shown_names, shown_versions, with_references
from chandlery_provisioner.facts.instance_snapshot import InstanceSnapshot

InstanceResult = ReconcileResult[ServiceInstance]


class InstanceDraft(StatusDraft[ServiceInstanceStatus, InstanceMemory]):
    """Collects what changes; `rest`, `again`, `retry_after`, `poll_after`, `wait` and `gone` make the result of it."""

    def __init__(self, snapshot: InstanceSnapshot, now: datetime) -> None:
        super().__init__(
            snapshot.instance.status,
            snapshot.memory,
            offering=snapshot.offering,
            attempt=0 if snapshot.is_retry_requested else snapshot.attempt,
            now=now,
            policy=snapshot.policy,
        )
        self._snapshot = snapshot
        self._kept: OpenInstanceRequest | None = None
        self.is_interrupting = False
        self.is_repeat = False
        """Whether the request has been sent before: a clear answer says little of what came of that."""
        self.set(**shown_names(snapshot.instance.spec, snapshot.offering))
        if snapshot.is_retry_requested:
            self._heed_retry()

    @classmethod
    def begin(cls, snapshot: InstanceSnapshot, sent: OpenInstanceRequest, now: datetime) -> "InstanceDraft":
        """A draft for the answer to a request: the status says that the operation has begun."""
        draft = cls(snapshot, now)
        draft.is_repeat = sent == snapshot.request
        draft.is_interrupting = sent.purpose.traits.is_deletion and draft.status.async_op_in_progress
        if draft.is_interrupting:
            draft.end_poll()
        if sent.purpose.traits.is_mitigation:
            draft._begin_mitigation(sent)
        operation = sent.purpose.traits.operation
        if operation is None:
            return draft
        is_new_wish = sent.properties is not None and sent.generation > draft.status.observed_generation
        if draft.status.current_operation != operation or is_new_wish or snapshot.is_retry_requested:
            draft.set(current_operation=operation, operation_start_time=datetime.fromtimestamp(sent.started_at, UTC))
            draft.expect_no_attempt()
            # What failed before, or was waited for, was something else.
            draft.attempt = 0
        draft.set(next_attempt_time=None)
        if sent.properties is not None:
            draft.set(in_progress_properties=sent.properties)
            if sent.purpose == InstancePurpose.PROVISION:
                draft.set(default_provision_parameters=sent.defaults)
            draft.observe(sent.generation)
            draft.remember(last_attempted=sent.digest)
            draft.drop(ConditionType.FAILED)
            if isinstance(snapshot.offering, Offering):
                draft.remember(service_id=snapshot.offering.service_class.spec.external_id)
        if operation == "Deprovision":
            draft.drop(ConditionType.RECONCILING)
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
    def is_forced(self) -> bool:
        """Whether the instance is to go whatever the broker answers."""
        return self._snapshot.is_forced

    @property
    def metadata(self) -> ObjectMeta:
        """Name and namespace, for what people are told to do."""
        return self._snapshot.instance.metadata

    @property
    def mitigation(self) -> Mitigation:
        """What is to be done about what a failed creation may have left."""
        return self._snapshot.mitigation

    @property
    def may_exist(self) -> bool:
        """Whether something may be at the broker from before this request: a worker died, or an answer was unclear."""
        return not self._snapshot.is_certainly_absent

    @property
    def plan_name(self) -> str:
        """What people call the plan that the broker has."""
        has = self.status.external_properties
        name = has and (has.cluster_service_plan_external_name or has.service_plan_external_name)
        return name or self.memory.plan_id

    def changes_something(self, sent: OpenInstanceRequest) -> bool:
        """Whether an update asks for other parameters or another plan than the broker is known to have."""
        has, asked = self.status.external_properties, sent.properties
        if has is None or asked is None or sent.wanted_plan_id != self._snapshot.memory.plan_id:
            return True
        same = (has.parameter_checksum or "") == (asked.parameter_checksum or "")
        return not same or has.maintenance_version != asked.maintenance_version

    def observe(self, generation: int) -> None:
        """This generation has been acted on."""
        self.set(observed_generation=generation)

    def ask_for_relist(self) -> None:
        """Have the broker's catalog fetched again: the one that is known is out of date."""
        self.wakes.append(relist_key(self.memory.lane))

    def plan_fetch(self) -> None:
        """Have the broker asked once what it has, where its catalog allows that (`instances_retrievable`)."""
        offering = self._snapshot.offering
        is_allowed = isinstance(offering, Offering) and offering.service_class.spec.instances_retrievable
        is_fetch_due = is_allowed and knows_request(Verb.GET_INSTANCE, self._snapshot.api_version)
        self.remember(is_fetch_due=is_fetch_due)

    def succeed(self, reason: str, message: str) -> None:
        """The broker has what was asked for."""
        self.set(
            provision_status="Provisioned",
            external_properties=self.status.in_progress_properties or self.status.external_properties,
            reconciled_generation=self.status.observed_generation,
        )
        self.end_operation()
        self.remember(delete_deferred=False, is_unusable=False, last_applied=self.memory.last_attempted)
        self.drop(ConditionType.FAILED)
        self.drop(ConditionType.RECONCILING)
        self.ready(ConditionStatus.TRUE, reason, message=message)
        self.say(reason, message)

    @property
    def serves(self) -> bool:
        """Whether the broker has the instance, in a state that can be used while another one is wanted."""
        return self.status.provision_status == "Provisioned" and not self.memory.is_unusable

    def tell_update(self, reason: str, *, message: str) -> None:
        """Another state is wanted and not there. An instance that serves stays ready meanwhile."""
        self.condition(ConditionType.RECONCILING, ConditionStatus.TRUE, reason=reason, message=message)
        self.tell_of_service(reason, message)

    def tell_of_service(self, reason: str, message: str) -> None:
        """Leave Ready as it is if the instance serves; else the reason says why it is not."""
        if not self.serves:
            self.ready(ConditionStatus.FALSE, reason, message=message)
        elif not is_true(self.status.conditions, ConditionType.READY):
            self.ready(ConditionStatus.TRUE, InstanceReason.SERVES_AS_BEFORE, message="The instance works as before")

    def keep_open(self) -> None:
        """What came of the request of a dead worker is still unknown: have it repeated again."""
        self._kept = self._snapshot.request

    def keep_unclear(self, sent: OpenInstanceRequest) -> None:
        """Nobody knows what the broker has done: have the same request repeated, unless the specification changes."""
        self._kept = sent.model_copy(update={"is_answered": True})

    def rest(self) -> InstanceResult:
        """Nothing more to do until the specification changes; a newer one, or a deletion, is looked at at once."""
        behind = self.status.observed_generation < self._snapshot.generation or self.is_deleted
        has_acted = self.status != self._snapshot.instance.status
        is_fetch_next = self.memory.is_fetch_due and not self._snapshot.memory.is_fetch_due
        return self._result(Requeue(due_at=self._now if (behind and has_acted) or is_fetch_next else None))

    def again(self, delay: timedelta, *, attempt: int) -> InstanceResult:
        """Come back after the delay."""
        return self._result(Requeue(due_at=self._now + delay, attempt=attempt))

    def retry_after(self, retry_after_seconds: float | None, *, attempt: int) -> InstanceResult:
        """Come back with back-off, or as late as the broker asks, within the longest back-off."""
        return self.again(self.expect_attempt(attempt, retry_after_seconds), attempt=attempt)

    def poll_after(self, retry_after_seconds: float | None) -> InstanceResult:
        """Poll after a short pause or the one that the broker asks for, and once more when the time is up."""
        self.expect_no_attempt()
        return self.again(self.poll_pause(retry_after_seconds), attempt=self.attempt)

    def defer_delete(self) -> InstanceResult:
        """The broker will not be interrupted: go on polling what it does, as if nothing had been asked.

        What it does may be the very deletion that it was asked for once more.
        """
        self.status = self._snapshot.instance.status
        self.set(**shown_names(self._snapshot.instance.spec, self._snapshot.offering))
        before, seen = self._snapshot.memory, self.memory.retry_seen
        self.memory = before.model_copy(update={"delete_deferred": not self.is_deprovisioning, "retry_seen": seen})
        return self.again(self.policy.polls.delay(1), attempt=self.attempt)

    def wait(self, waiting_for: str | None) -> InstanceResult:
        """Come back when woken, or after a while all the same."""
        self.keep_open()
        self.expect_no_attempt()
        attempt = self.attempt + 1
        due_at = self._now + DEPENDENCIES.delay(attempt)
        return self._result(Requeue(due_at=due_at, attempt=attempt, waiting_for=waiting_for))

    def hold(self) -> InstanceResult:
        """A person has to say what is to be done; what the broker's specification says may change, too."""
        self.expect_no_attempt()
        due_at = self._now if self.is_deleted else None
        return self._result(Requeue(due_at=due_at, waiting_for=None if self.is_deleted else self.memory.lane or None))

    def defer(self, deferral: Deferral) -> InstanceResult:
        """Come back when the call may be made."""
        return self._result(deferral.requeue(attempt=self.attempt))

    def gone(self) -> InstanceResult:
        """The finalizer goes, and with it the object."""
        return self._result(Requeue(), is_finished=True)

    def _result(self, following: Requeue, *, is_finished: bool = False) -> InstanceResult:
        instance = self._snapshot.instance
        following = following if is_finished else self._with_interests(following)
        self.set(**shown_versions(self._snapshot, self.status, plan_id=self.memory.plan_id))
        if self.status.conditions != instance.status.conditions:
            self._date_ready()
        spec = with_references(instance.spec, self._snapshot.offering)
        labelled = with_value_labels(instance.metadata, referenced_values(spec))
        document = instance.model_copy(update={"spec": spec, "metadata": labelled})
        kept = self._kept.to_wire() if self._kept and following.due_at is not None else None
        return self._result_of(document, following, is_finished=is_finished, sealed=kept)

    def _date_ready(self) -> None:
        is_ready = is_true(self.status.conditions, ConditionType.READY)
        # What serves may be of an earlier generation than the one that was looked at last.
        generation = self.status.reconciled_generation if is_ready else self._snapshot.generation
        self.set(conditions=of_generation(self.status.conditions, ConditionType.READY, generation))

    def _with_interests(self, following: Requeue) -> Requeue:
        keys = interests_of(self._snapshot.instance, self.status.conditions, self._snapshot.offering)
        if keys == self.memory.interests:
            return following
        fresh = set(keys) - set(self.memory.interests)
        self.remember(interests=keys)
        # What changed before it was watched is seen by looking once more.
        is_missed = following.due_at is None and bool(fresh)
        return replace(following, interests=keys, due_at=self._now if is_missed else following.due_at)

    def _heed_retry(self) -> None:
        self.remember(retry_seen=self._snapshot.requested_actions.retry, delete_deferred=False, creation_attempts=0)
        self.drop(ConditionType.FAILED)
        self.expect_no_attempt()

    def _begin_mitigation(self, sent: OpenInstanceRequest) -> None:
        self.set(orphan_mitigation_in_progress=True)
        orphan = find_condition(self.status.conditions, ConditionType.ORPHAN_MITIGATION)
        if orphan is not None and orphan.reason == InstanceReason.ORPHAN_MITIGATION_REQUIRED:
            # It was waited for: that must not count as time in which it failed.
            self.set(operation_start_time=datetime.fromtimestamp(sent.started_at, UTC))
            started = InstanceReason.STARTING_ORPHAN_MITIGATION
            message = "Anything the failed creation may have left at the service broker is being deleted"
            self.condition(ConditionType.ORPHAN_MITIGATION, ConditionStatus.TRUE, reason=started, message=message)
