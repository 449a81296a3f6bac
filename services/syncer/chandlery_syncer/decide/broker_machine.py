"""The state machine of a service broker, first half: snapshot -> action. Pure; `broker_outcomes.py` is the other half.

Order of questions: is the broker to go, is its catalog due, is something left over from an earlier catalog.
"""

from datetime import datetime

from chandlery.model.objects.conditions import ConditionType, is_true
from chandlery.model.text.names import FINALIZER
from chandlery_syncer.facts.broker_snapshot import (
    Action,
    Blocked,
    BrokerSnapshot,
    Dismantle,
    FetchCatalog,
    Idle,
    Inaccessible,
    Tidy,
)


def decide(snapshot: BrokerSnapshot, now: datetime) -> Action:
    """What is to be done with the broker now."""
    if snapshot.broker.metadata.deletion_timestamp is not None:
        return _delete(snapshot)
    if is_due(snapshot, now):
        return Inaccessible(snapshot.access) if snapshot.access else FetchCatalog(snapshot.mark)
    return Tidy() if snapshot.unused else Idle()


def is_due(snapshot: BrokerSnapshot, now: datetime) -> bool:
    """Whether the catalog has to be fetched: never fetched as now specified, in trouble, asked for, or too old."""
    status = snapshot.broker.status
    if status.reconciled_generation != snapshot.generation:
        return True
    if not is_true(status.conditions, ConditionType.READY):
        return True
    if status.last_catalog_retrieval_time is None:
        return True
    if snapshot.is_retry_asked:
        return True
    if snapshot.is_relist_asked and now >= snapshot.may_relist_at:
        return True
    return snapshot.relist_at is not None and now >= snapshot.relist_at


def _delete(snapshot: BrokerSnapshot) -> Action:
    if FINALIZER not in (snapshot.broker.metadata.finalizers or []):
        # Our part is done; somebody else's finalizer is still there.
        return Idle()
    # Instances could never be deprovisioned without their broker. The broker itself need not answer for this.
    if snapshot.instances and not snapshot.requested_actions.forces_deletion:
        return Blocked(snapshot.instances)
    return Dismantle(is_forced=snapshot.requested_actions.forces_deletion)
