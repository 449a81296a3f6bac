"""An instance whose external id belongs to another at its service broker: nothing is asked of the broker. Pure.

New ones are refused when they are created. This is for those that found their broker later than another instance, and
for those from before ids were claimed: what the broker has under the id was never theirs to change or delete.
"""

from datetime import datetime

from chandlery.model.objects.conditions import ConditionStatus, ConditionType, find_condition, is_true
from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.reconcile_result import Disown, Idle, Wait, bindings_key
from chandlery.reconcile.status_draft import joined
from chandlery_provisioner.absorb import instance_remedies
from chandlery_provisioner.absorb.instance_draft import InstanceDraft, InstanceResult
from chandlery_provisioner.facts.instance_snapshot import Action, Cascade, InstanceSnapshot, LetGo

_LEFT = (
    "The instance was deleted without calling its service broker, because its external id belongs to another "
    "instance there"
)


def without_id(snapshot: InstanceSnapshot) -> Action:
    """What is to be done with it: bindings have ids of their own and go as usual, the instance itself just goes."""
    if not snapshot.is_deleted:
        return Idle() if _is_told(snapshot) else Disown()
    if snapshot.is_forced and snapshot.loose_bindings:
        return Cascade()
    if snapshot.bindings and not snapshot.is_abandoned and not snapshot.is_forced:
        return blocked_by_bindings(snapshot)
    return LetGo(InstanceReason.EXTERNAL_ID_IN_USE, _LEFT)


def blocked_by_bindings(snapshot: InstanceSnapshot) -> Wait:
    """A deletion that bindings hold up."""
    meta = snapshot.instance.metadata
    return Wait(
        InstanceReason.BLOCKED_BY_BINDINGS,
        f"All associated ServiceBindings must be removed before this ServiceInstance can be deleted; "
        f"{snapshot.bindings} left",
        bindings_key(meta.namespace, meta.name),
    )


def disown(snapshot: InstanceSnapshot, now: datetime) -> InstanceResult:
    """Nothing at the broker is this instance's, whatever its status said until now."""
    draft, reason = InstanceDraft(snapshot, now), InstanceReason.EXTERNAL_ID_IN_USE
    message = (
        f'The external id "{snapshot.instance.spec.external_id}" belongs to another instance of the same '
        "service broker, so the broker is not called for this one"
    )
    draft.observe(snapshot.generation)
    draft.end_operation()
    draft.set(
        provision_status="NotProvisioned",
        external_properties=None,
        deprovision_status="NotRequired",
        orphan_mitigation_in_progress=False,
        dashboard_url=None,
    )
    draft.drop(ConditionType.ORPHAN_MITIGATION)
    draft.remember(wanted_plan_id="", is_fetch_due=False)
    draft.say_once(reason, message, is_warning=True)
    shown = joined(message, instance_remedies.take_another_id(draft.metadata))
    draft.ready(ConditionStatus.FALSE, reason, message=shown)
    draft.condition(ConditionType.FAILED, ConditionStatus.TRUE, reason=reason, message=shown)
    return draft.rest()


def _is_told(snapshot: InstanceSnapshot) -> bool:
    status = snapshot.instance.status
    failed = find_condition(status.conditions, ConditionType.FAILED)
    is_of_this = failed is not None and failed.reason == InstanceReason.EXTERNAL_ID_IN_USE
    is_current = status.observed_generation >= snapshot.generation and not snapshot.is_retry_requested
    return is_of_this and is_current and is_true(status.conditions, ConditionType.FAILED)
