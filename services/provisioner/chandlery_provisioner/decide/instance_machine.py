"""The state machine of an instance, first half: what is to be done. Pure; `instance_outcomes.py` is the other half.

Comes in: an `InstanceSnapshot`, which the claim has read: the object, its offering, its parameters, the notes, a
request of unknown fate, and whether its broker can be called. Goes out: one action. That is a call to the broker
(`planned_calls.py` makes its request), the deletion of the bindings, or something that only changes the status.

Order of questions: is its id at the broker its own, is the instance to go whatever its broker says, is a request of
unknown fate open, is the broker at work, may something be left over, is the instance to go, is its specification newer
than what was acted on. Each early return is one answer. `desired_instance.py` goes on where something is to be asked
for. What users ask for by annotations is part of these questions.

Called by: `instance_reconciler.py`, in the transaction of the claim.
"""

from chandlery.model.objects.annotations import Mitigation
from chandlery.model.objects.conditions import ConditionType, is_true
from chandlery.model.objects.reasons import InstanceReason
from chandlery.model.text.names import FINALIZER
from chandlery.reconcile.operation.mitigation import AwaitMitigationDecision, WaiveMitigation
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.reconcile_result import Finish, Idle
from chandlery_provisioner.absorb.foreign_instances import blocked_by_bindings, without_id
from chandlery_provisioner.decide.desired_instance import reach_desired_state, unprompted
from chandlery_provisioner.facts.instance_notes import OpenInstanceRequest
from chandlery_provisioner.facts.instance_snapshot import (
    Action,
    Cascade,
    Deprovision,
    FetchInstance,
    InstanceSnapshot,
    LetGo,
    PollInstance,
)


def decide(snapshot: InstanceSnapshot) -> Action:
    """What is to be done with the instance now."""
    instance, status = snapshot.instance, snapshot.instance.status
    if FINALIZER not in (instance.metadata.finalizers or []):
        return Idle()
    if snapshot.is_id_foreign:
        return without_id(snapshot)
    if snapshot.is_abandoned:
        return _abandon(snapshot)
    if snapshot.is_forced:
        return _force(snapshot)
    if snapshot.request is not None and not _is_overtaken(snapshot, snapshot.request):
        # Before anything else: only the same request, repeated, tells what came of the first.
        return snapshot.unreachable or Repeat(snapshot.request)
    if status.async_op_in_progress and not _may_interrupt(snapshot):
        return _poll(snapshot)
    if snapshot.is_mitigation_pending:
        return _mitigate(snapshot)
    if snapshot.is_deleted:
        return _delete(snapshot)
    return _rest(snapshot) if _is_reconciled(snapshot) else reach_desired_state(snapshot)


def _abandon(snapshot: InstanceSnapshot) -> Action:
    if snapshot.is_certainly_absent:
        return Finish()
    left = f"; {snapshot.bindings} of its ServiceBindings remain" if snapshot.bindings else ""
    message = (
        "The instance was deleted without calling its service broker. Anything the broker still holds for it "
        f"stays there{left}"
    )
    return LetGo(InstanceReason.ABANDONED, message)


def _force(snapshot: InstanceSnapshot) -> Action:
    status, access = snapshot.instance.status, snapshot.access
    if snapshot.loose_bindings:
        return Cascade()
    if snapshot.is_certainly_absent:
        return Finish()
    if access is not None:
        message = f"The instance was deleted by force, and its service broker was not called: {access.message}"
        return LetGo(InstanceReason.FORCE_DELETED, message)
    if snapshot.request is not None and snapshot.request.purpose.traits.is_deletion:
        return Repeat(snapshot.request)
    if status.async_op_in_progress and _is_deleting(snapshot):
        return _poll(snapshot)
    return _deprovision(snapshot, is_mitigation=False)


def _is_overtaken(snapshot: InstanceSnapshot, open_request: OpenInstanceRequest) -> bool:
    # Unless a worker died, the status tells what may be at the broker: what is newer need not wait for a clear answer.
    if open_request.purpose.traits.is_mitigation:
        return not snapshot.is_deleted and snapshot.mitigation != Mitigation.AUTOMATIC
    return open_request.is_answered and (snapshot.is_deleted or snapshot.generation > open_request.generation)


def _may_interrupt(snapshot: InstanceSnapshot) -> bool:
    # OSB lets a platform delete while a creation runs, and the broker has to halt it. One that will not is polled.
    # Bindings have to go first; until they have, the operation is polled as if nobody had asked.
    if _is_deleting(snapshot) and snapshot.is_retry_requested:
        # The same DELETE once more is harmless by OSB, and tells anew what has become of the first.
        return True
    if snapshot.is_mitigation_pending:
        return not snapshot.is_deleted and snapshot.mitigation == Mitigation.WAIVE
    return (
        snapshot.is_deleted
        and not snapshot.bindings
        and not _is_deleting(snapshot)
        and (not snapshot.memory.delete_deferred or snapshot.is_retry_requested)
    )


def _is_deleting(snapshot: InstanceSnapshot) -> bool:
    status = snapshot.instance.status
    return status.current_operation == "Deprovision" or status.orphan_mitigation_in_progress


def _is_reconciled(snapshot: InstanceSnapshot) -> bool:
    status = snapshot.instance.status
    if status.observed_generation < snapshot.generation:
        return False
    if is_true(status.conditions, ConditionType.FAILED):
        return not snapshot.is_retry_requested
    # An instance stays ready while a failed update is tried again.
    is_done = status.reconciled_generation >= status.observed_generation and status.current_operation is None
    if is_true(status.conditions, ConditionType.RECONCILING):
        # Something held up what came of a Secret or a namespace; it may be over, or the reason for it.
        return False
    return is_done and is_true(status.conditions, ConditionType.READY)


def _rest(snapshot: InstanceSnapshot) -> Action:
    status, memory, access = snapshot.instance.status, snapshot.memory, snapshot.access
    is_ready = is_true(status.conditions, ConditionType.READY)
    if is_ready and access is not None and access.reason == InstanceReason.NO_SUCH_BROKER:
        return access.wait
    if memory.is_fetch_due and access is None:
        return FetchInstance(memory.service_id, memory.plan_id)
    return unprompted(snapshot) or Idle()


def _poll(snapshot: InstanceSnapshot) -> Action:
    memory = snapshot.memory
    return snapshot.unreachable or PollInstance(
        memory.service_id, memory.plan_id, snapshot.instance.status.last_operation
    )


def _mitigate(snapshot: InstanceSnapshot) -> Action:
    # Bindings do not hold it up: there is none of an instance that has never been there.
    if not snapshot.is_deleted and snapshot.mitigation == Mitigation.WAIVE:
        return WaiveMitigation()
    if not snapshot.is_deleted and snapshot.mitigation == Mitigation.MANUAL:
        return AwaitMitigationDecision()
    return snapshot.unreachable or _deprovision(snapshot, is_mitigation=not snapshot.is_deleted)


def _delete(snapshot: InstanceSnapshot) -> Action:
    if snapshot.bindings:
        return blocked_by_bindings(snapshot)
    if snapshot.is_certainly_absent:
        return Finish()
    return snapshot.unreachable or _deprovision(snapshot, is_mitigation=False)


def _deprovision(snapshot: InstanceSnapshot, *, is_mitigation: bool) -> Deprovision:
    # From memory, not from the catalog: the class may be gone by now, and a failed update must not change the plan.
    return Deprovision(snapshot.memory.service_id, snapshot.memory.plan_id, is_mitigation)
