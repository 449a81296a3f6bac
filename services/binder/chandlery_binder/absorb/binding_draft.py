"""How a round on a binding ends: the vocabulary in which `binding_outcomes.py` writes its rules. Pure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Self

from chandlery.model.objects.annotations import Mitigation
from chandlery.model.objects.bindings import RetiringBinding, ServiceBinding, ServiceBindingStatus
from chandlery.model.objects.conditions import ConditionStatus, ConditionType, find_condition
from chandlery.model.objects.metadata import ObjectMeta, to_timestamp
from chandlery.model.objects.reasons import BindingReason
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.reconcile_result import ReconcileResult, Requeue, secret_key
from chandlery.reconcile.status_draft import StatusDraft, joined
from chandlery.retry.schedule import DEPENDENCIES
from chandlery_binder.absorb.binding_remedies import ROTATING, failed_for_good, how_to_rotate
from chandlery_binder.facts.binding_notes import BindingMemory, BindingPurpose, OpenBindingRequest, presumed
from chandlery_binder.facts.binding_snapshot import BindingSnapshot
from chandlery_binder.facts.rotation_notes import BackgroundOperationKind, Placement, Retired
from chandlery_binder.facts.sealed_binding_notes import SealedNotes
from chandlery_binder.rotation.rotation_schedule import expiry, next_look


class BindingStatusDraft(StatusDraft[ServiceBindingStatus, BindingMemory]):
    """Collects what changes; `BindingDraft` makes the result of it."""

    def __init__(self, snapshot: BindingSnapshot, now: datetime) -> None:
        super().__init__(
            snapshot.binding.status,
            snapshot.memory,
            offering=snapshot.offering,
            attempt=0 if snapshot.is_retry_requested else snapshot.attempt,
            now=now,
            policy=snapshot.policy,
        )
        self._snapshot = snapshot
        self.is_interrupting = False
        self.sealed = SealedNotes(delivered=None if snapshot.is_deleted else snapshot.sealed.delivered)
        """What is kept: a copy of what is in the Secret, unless nobody wants it any more."""
        self.remember(retry_seen=snapshot.requested_actions.retry or snapshot.memory.retry_seen)
        if snapshot.is_retry_requested and self.status.operation_start_time:
            # It has its whole time once more.
            self.set(operation_start_time=now)
        self._before = self.status

    @classmethod
    def begin(cls, snapshot: BindingSnapshot, sent: OpenBindingRequest, now: datetime) -> Self:
        """A draft for the answer to a request: the status says that the operation has begun."""
        draft = cls(snapshot, now)
        if sent.purpose == BindingPurpose.ROTATE:
            draft.memory = presumed(draft.memory, sent)
        if draft.memory.rotation.waits:
            # What was missing is there.
            draft.remember(rotation=draft.memory.rotation.model_copy(update={"problem": ""}))
        draft.is_interrupting = sent.purpose.traits.is_deletion and draft.status.async_op_in_progress
        if draft.is_interrupting:
            draft.end_poll()
        operation = sent.purpose.traits.operation
        if operation is None:
            return draft
        if draft.status.current_operation != operation:
            draft.set(current_operation=operation, operation_start_time=datetime.fromtimestamp(sent.started_at, UTC))
            # What failed before, or was waited for, was something else.
            draft.attempt = 0
        if sent.purpose == BindingPurpose.UNBIND:
            draft.drop(ConditionType.RECONCILING)
        if sent.purpose == BindingPurpose.BIND:
            draft.set(in_progress_properties=sent.properties)
            draft.remember(placement=sent.placement, is_fetch_due=False, fetches=0)
        draft.set(unbind_status="Required")
        return draft

    @property
    def now(self) -> datetime:
        """The moment of the round."""
        return self._now

    @property
    def snapshot(self) -> BindingSnapshot:
        """What the round begins with."""
        return self._snapshot

    @property
    def metadata(self) -> ObjectMeta:
        """Name and namespace, for what people are told to do."""
        return self._snapshot.binding.metadata

    @property
    def is_deleted(self) -> bool:
        """Whether a user wants the binding gone."""
        return self._snapshot.is_deleted

    @property
    def is_forced(self) -> bool:
        """Whether a user wants the binding gone whatever the broker answers."""
        return self.is_deleted and self._snapshot.requested_actions.forces_deletion

    @property
    def is_waived(self) -> bool:
        """Whether a user wants what a failed bind may have left to be left alone."""
        return self._snapshot.mitigation == Mitigation.WAIVE and not self.is_deleted

    @property
    def is_unbinding(self) -> bool:
        """Whether what the broker works on, or is asked for, is an unbind."""
        return self.status.current_operation == "Unbind" or self.status.orphan_mitigation_in_progress

    def keep_delivered(self, credentials: JsonObject) -> None:
        """Keep a copy of what is in the Secret, so that it can be written again without the broker."""
        self.sealed = SealedNotes(delivered=credentials)

    def keep_open(self, request: OpenBindingRequest | None) -> None:
        """What came of the request is as unknown as before: have it repeated again."""
        self.sealed = replace(self.sealed, request=request)

    def ready(self, status: ConditionStatus, reason: str, *, message: str) -> None:
        """See StatusDraft. `kubectl wait` asks of which generation it speaks."""
        self.set(observed_generation=self._snapshot.binding.metadata.generation or 1)
        super().ready(status, reason, message=message)

    def fail(self, ready_reason: str, failed_reason: str, *, message: str) -> None:
        """See StatusDraft. The conditions name the remedy."""
        shown = failed_for_good(message, self.metadata)
        self.ready(ConditionStatus.FALSE, ready_reason, message=shown)
        self.condition(ConditionType.FAILED, ConditionStatus.TRUE, reason=failed_reason, message=shown)
        self.say(failed_reason, message, is_warning=True)

    def end_operation(self) -> None:
        """Nothing is being done any more."""
        super().end_operation()
        self.remember(is_fetch_due=False, fetches=0, unbind_deferred=False)

    def succeed(self, message: str) -> None:
        """The Secret holds the credentials."""
        self.set(
            external_properties=self.status.in_progress_properties or self.status.external_properties,
            reconciled_generation=self._snapshot.binding.metadata.generation or 1,
        )
        self.end_operation()
        self.drop(ConditionType.FAILED)
        self.drop(ConditionType.ORPHAN_MITIGATION)
        self.ready(ConditionStatus.TRUE, BindingReason.INJECTED, message=message)
        self.say(BindingReason.INJECTED, message)

    def tell(self, reason: str, message: str) -> None:
        """Record a warning about what is wrong beside a Ready condition, unless that says so already."""
        conditions = self._snapshot.binding.status.conditions
        shown = (find_condition(conditions, kind) for kind in (ConditionType.READY, ConditionType.RECONCILING))
        if not any(each is not None and message in each.message for each in shown):
            self.say_once(reason, message, is_warning=True)


BindingResult = ReconcileResult[ServiceBinding]
INJECTED = "Injected bind result"


class BindingDraft(BindingStatusDraft):
    """Collects what changes; `rest`, `again`, `retry_after`, `wait` and `gone` make the result of it."""

    def rest(self) -> BindingResult:
        """Nothing more to do; a deletion is looked at straight away, and one that is ready when something is due."""
        has_acted = self.status != self._before
        self.expect_no_attempt()
        if self.is_deleted:
            return self._result(Requeue(due_at=self._now if has_acted else None))
        if self._drafted.is_ready:
            return self.rest_ready()
        # An operator may change what the broker's policy says of orphan mitigation.
        return self._result(Requeue(waiting_for=self.memory.lane or None if self._drafted.is_mitigation_held else None))

    def rest_ready(
        self, *, due_at: datetime | None = None, attempt: int = 0, waiting_for: str | None = None
    ) -> BindingResult:
        """Rest as one that is ready: until something is due, or somebody lays hands on the Secret.

        `waiting_for` is the key of what else is missing.
        """
        rotation = self.memory.rotation
        is_pending = self._show_rotation()
        words = [INJECTED, self.memory.secret_problem, "" if is_pending else rotation.problem, self._expired()]
        self.ready(ConditionStatus.TRUE, BindingReason.INJECTED, message="; ".join(filter(None, words)))
        self.expect_no_attempt()
        if rotation.attempts:
            self.set(attempts=rotation.attempts, next_attempt_time=datetime.fromtimestamp(rotation.next_at, UTC))
        if due_at is None:
            look = next_look(self._drafted, self._now.timestamp())
            due_at = None if look is None else max(self._now, datetime.fromtimestamp(look, UTC))
        self.remember(rotation=rotation.model_copy(update={"waits": waiting_for is not None}))
        given = () if waiting_for is None else (waiting_for,)
        own = self._own_secret
        interests = given if waiting_for is not None or rotation.waits else None
        return self._result(Requeue(due_at=due_at, attempt=attempt, waiting_for=own, interests=interests))

    def rest_ready_later(self, waiting_for: str | None) -> BindingResult:
        """Rest as one that is ready, until what is missing has come, or for a while."""
        attempt = self.attempt + 1
        return self.rest_ready(due_at=self._now + DEPENDENCIES.delay(attempt), attempt=attempt, waiting_for=waiting_for)

    def again(self, delay: timedelta, *, attempt: int) -> BindingResult:
        """Come back after the delay, with something else than what failed."""
        self.expect_no_attempt()
        return self._result(Requeue(due_at=self._now + delay, attempt=attempt))

    def after(self, pause: timedelta, *, attempt: int) -> BindingResult:
        """Come back after the pause that the status shows."""
        return self._result(Requeue(due_at=self._now + pause, attempt=attempt))

    def retry_after(self, retry_after_seconds: float | None, *, attempt: int) -> BindingResult:
        """Come back with back-off, or as late as the broker asks, within the longest back-off."""
        return self.after(self.expect_attempt(attempt, retry_after_seconds), attempt=attempt)

    def poll_after(self, retry_after_seconds: float | None) -> BindingResult:
        """Poll after a short pause or the one that the broker asks for, and once more when the time is up."""
        return self.again(self.poll_pause(retry_after_seconds), attempt=self.attempt)

    def defer_unbind(self) -> BindingResult:
        """The broker will not be interrupted in its bind: go on polling that, as if nothing had been asked."""
        self.status = self._before
        before = self._snapshot.memory
        seen = self.memory.retry_seen
        # What it will not be interrupted in may be the very unbind that it was asked for once more.
        self.memory = before.model_copy(update={"unbind_deferred": not self.is_unbinding, "retry_seen": seen})
        return self.poll_after(None)

    def wait(self, waiting_for: str | None, *, interests: tuple[str, ...] | None = None) -> BindingResult:
        """Come back when woken, or after a while all the same."""
        attempt = self.attempt + 1
        self.expect_no_attempt()
        due_at = self._now + DEPENDENCIES.delay(attempt)
        return self._result(Requeue(due_at=due_at, attempt=attempt, waiting_for=waiting_for, interests=interests))

    def defer(self, deferral: Deferral) -> BindingResult:
        """Come back when the call may be made."""
        return self._result(deferral.requeue(attempt=self.attempt))

    def gone(self) -> BindingResult:
        """The finalizer goes, and with it the object."""
        return self._result(Requeue(), is_finished=True)

    def turn_to_next(self) -> BindingResult | None:
        """Unbind what else the broker has of a deleted binding; None if there is nothing else."""
        others = self._drafted.others
        if not others:
            return None
        first, *rest = others
        self.remember(placement=first.placement, retired=tuple(rest), background_operation=None)
        self.set(unbind_status="Required", external_id=self._id_of(first.placement))
        return self.again(timedelta(0), attempt=0)

    def shown(self) -> BindingResult:
        """Nothing but the status changes."""
        return self._result(Requeue())

    def _show_rotation(self) -> bool:
        """Say beside Ready that other credentials are wanted, as long as anything more is done about that."""
        notes, background = self.memory.rotation, self.memory.background_operation
        is_under_way = background is not None and background.kind == BackgroundOperationKind.ROTATE
        is_pending = bool(notes.problem) and not notes.is_refused
        if not is_pending and not is_under_way:
            self.drop(ConditionType.RECONCILING)
            return False
        pending = BindingReason.ROTATION_FAILED if notes.attempts else BindingReason.ROTATION_PENDING
        reason = BindingReason.ROTATING if is_under_way else pending
        message = notes.problem if is_pending else ROTATING
        self.condition(ConditionType.RECONCILING, ConditionStatus.TRUE, reason=reason, message=message)
        return is_pending

    def _expired(self) -> str:
        end = expiry(self.status)
        if end is None or end > self._now.timestamp():
            return ""
        since = to_timestamp(datetime.fromtimestamp(end, UTC))
        message = joined(f"the credentials expired at {since}", how_to_rotate(self.metadata))
        self.tell(BindingReason.EXPIRED, message)
        return message

    @property
    def _drafted(self) -> BindingSnapshot:
        binding = self._snapshot.binding.model_copy(update={"status": self.status})
        return replace(self._snapshot, binding=binding, memory=self.memory)

    @property
    def _own_secret(self) -> str:
        binding = self._snapshot.binding
        return secret_key(binding.metadata.namespace, binding.spec.secret_name or binding.metadata.name)

    def _id_of(self, placement: Placement) -> str:
        return placement.binding_id or self._snapshot.binding.spec.external_id

    def _shown(self, retired: Retired) -> RetiringBinding:
        moment = datetime.fromtimestamp(retired.next_at, UTC) if retired.next_at else self._now
        return RetiringBinding(external_id=self._id_of(retired.placement), unbind_time=moment)

    def _result(self, following: Requeue, *, is_finished: bool = False) -> BindingResult:
        shown = tuple(map(self._shown, self.memory.retired))
        if shown or self.status.retiring:
            self.set(retiring=shown or None)
        return self._result_of(self._snapshot.binding, following, is_finished=is_finished, sealed=self.sealed.stored())
