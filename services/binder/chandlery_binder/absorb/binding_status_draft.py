"""A binding's status in the making: what its operations and orders mean in it. Pure; `binding_draft.py` goes on."""

from datetime import UTC, datetime
from typing import Self

from chandlery.model.objects.annotations import Mitigation
from chandlery.model.objects.bindings import ServiceBindingStatus
from chandlery.model.objects.conditions import ConditionStatus, ConditionType, find_condition
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.reasons import BindingReason
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.status_draft import StatusDraft
from chandlery_binder.absorb.binding_remedies import failed_for_good
from chandlery_binder.facts.binding_notes import BindingMemory, InFlight, Purpose, presumed
from chandlery_binder.facts.binding_snapshot import BindingSnapshot

_DELETIONS = (Purpose.UNBIND, Purpose.MITIGATE)
_OPERATIONS = {Purpose.BIND: "Bind", Purpose.UNBIND: "Unbind"}


class BindingStatusDraft(StatusDraft[ServiceBindingStatus, BindingMemory]):
    """Collects what changes; `BindingDraft` makes the change of it."""

    def __init__(self, snapshot: BindingSnapshot, now: datetime) -> None:
        super().__init__(
            snapshot.binding.status,
            snapshot.memory,
            offering=snapshot.offering,
            attempt=snapshot.attempt,
            now=now,
            policy=snapshot.policy,
        )
        self._snapshot = snapshot
        self.is_interrupting = False
        self.keep_in_flight: JsonObject | None = None
        self.facts.extend(snapshot.news)
        self.remember(retry_seen=snapshot.orders.retry or snapshot.memory.retry_seen)
        if snapshot.delivered is not None and not snapshot.is_deleted:
            self.keep_delivered(snapshot.delivered)

    @classmethod
    def begin(cls, snapshot: BindingSnapshot, sent: InFlight, now: datetime) -> Self:
        """A draft for the answer to a request: the status says that the operation has begun."""
        draft = cls(snapshot, now)
        if sent.purpose == Purpose.ROTATE:
            draft.memory = presumed(draft.memory, sent)
        if draft.memory.rotation.waits:
            # What was missing is there.
            draft.remember(rotation=draft.memory.rotation.model_copy(update={"problem": ""}))
        draft.is_interrupting = sent.purpose in _DELETIONS and draft.status.async_op_in_progress
        if draft.is_interrupting:
            draft.end_poll()
        operation = _OPERATIONS.get(sent.purpose)
        if operation is None:
            return draft
        if draft.status.current_operation != operation:
            draft.set(current_operation=operation, operation_start_time=datetime.fromtimestamp(sent.started_at, UTC))
            # What failed before, or was waited for, was something else.
            draft.attempt = 0
        if sent.purpose == Purpose.UNBIND:
            draft.drop(ConditionType.RECONCILING)
        if sent.purpose == Purpose.BIND:
            draft.set(in_progress_properties=sent.properties)
            draft.remember(placement=sent.placement, is_fetch_due=False, fetches=0)
        draft.set(unbind_status="Required")
        return draft

    @property
    def now(self) -> datetime:
        """The moment of the change."""
        return self._now

    @property
    def snapshot(self) -> BindingSnapshot:
        """What the change begins with."""
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
        return self.is_deleted and self._snapshot.orders.forces_deletion

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
        self.keep_in_flight = InFlight(purpose=Purpose.DELIVERED, credentials=credentials).to_wire()

    def ready(self, status: ConditionStatus, reason: str, *, message: str) -> None:
        """See StatusDraft. `kubectl wait` asks of which generation it speaks."""
        self.set(observed_generation=self._snapshot.binding.metadata.generation or 1)
        super().ready(status, reason, message=message)

    def fail(self, ready_reason: str, failed_reason: str, *, message: str) -> None:
        """See StatusDraft. The conditions name the way out."""
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
            self.say(reason, message, is_warning=True)
