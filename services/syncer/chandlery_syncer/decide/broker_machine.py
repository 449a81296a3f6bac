"""The state machine of a service broker, first half: what is to be done. Pure; `broker_outcomes.py` is the other half.

Comes in: a `BrokerSnapshot`, which the claim has read, and later, for a task that was called for, what came of it.
Goes out: `decide` answers with an action before the call, `decide_step` with a step after it. An action is a task
(fetch, tidy, dismantle), or something that only changes the status. A step is what is to be written to the catalog.

Order of questions before the call: is the broker to go, why should its catalog be fetched, may that be now, is
something left over from an earlier catalog. After it: is the broker to go by now, what did it answer, can that be used.
Called by: `broker_reconciler.py`, which carries out what is decided here and decides nothing itself.
"""

from datetime import datetime

from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.conditions import ConditionType, is_true
from chandlery.model.text.names import FINALIZER
from chandlery.reconcile.answers import Verdict
from chandlery.reconcile.reconcile_result import Idle
from chandlery_syncer.facts.broker_actions import (
    Action,
    Blocked,
    Dismantle,
    FailFetch,
    FetchCatalog,
    FetchReason,
    Inaccessible,
    KeepCatalog,
    LeaveAlone,
    PostponeRelist,
    RefuseCatalog,
    RemoveOfferings,
    RemoveUnused,
    Step,
    TakeOver,
    Task,
    Tidy,
)
from chandlery_syncer.facts.broker_snapshot import BrokerSnapshot
from chandlery_syncer.facts.fetched_catalog import FetchedCatalog


def decide(snapshot: BrokerSnapshot, now: datetime) -> Action:
    """What is to be done with the broker now."""
    if snapshot.broker.metadata.deletion_timestamp is not None:
        return _delete(snapshot)
    reasons = fetch_reasons(snapshot, now)
    must_wait = reasons == (FetchReason.OUT_OF_DATE,) and now < snapshot.may_relist_at
    if reasons and not must_wait:
        return Inaccessible(snapshot.access) if snapshot.access else FetchCatalog(snapshot.mark, reasons)
    if snapshot.unused:
        return Tidy()
    return PostponeRelist() if snapshot.is_relist_asked else Idle()


def fetch_reasons(snapshot: BrokerSnapshot, now: datetime) -> tuple[FetchReason, ...]:
    """Why the catalog should be fetched."""
    status = snapshot.broker.status
    holds = {
        FetchReason.SPECIFICATION: status.reconciled_generation != snapshot.generation,
        FetchReason.NOT_READY: not is_true(status.conditions, ConditionType.READY),
        FetchReason.NEVER_FETCHED: status.last_catalog_retrieval_time is None,
        FetchReason.REQUESTED: snapshot.is_retry_asked,
        FetchReason.OUT_OF_DATE: snapshot.is_relist_asked,
        FetchReason.INTERVAL: snapshot.relist_at is not None and now >= snapshot.relist_at,
    }
    return tuple(reason for reason, is_so in holds.items() if is_so)


def decide_step(task: Task, fetched: FetchedCatalog | None, *, is_going: bool) -> Step:
    """What is to be written now that the task is done. `is_going`: the broker is to go by now, or has gone."""
    if isinstance(task, Dismantle):
        return RemoveOfferings(task.is_forced)
    if is_going:
        # Nothing is taken over for a broker that is on its way out; the deletion has made it due again.
        return LeaveAlone()
    if isinstance(task, Tidy) or fetched is None:
        return RemoveUnused()
    if fetched.answer.verdict == Verdict.UNCHANGED:
        return KeepCatalog(fetched.answer, is_relist=task.is_relist)
    if fetched.answer.verdict != Verdict.SUCCEEDED:
        return FailFetch(fetched.answer)
    if fetched.desired is None:
        return RefuseCatalog(fetched.problem or "the catalog is not valid")
    return TakeOver(fetched, fetched.desired, is_relist=task.is_relist)


def in_the_way(snapshot: BrokerSnapshot, others: tuple[str, ...]) -> str | None:
    """The other broker that has what this one offers, and has to go or change first; None if it is none."""
    other = next(iter(others), None)
    return None if other == snapshot.broker.metadata.name else other


def is_same_broker(broker: AnyBroker, other: AnyBroker | None) -> bool:
    """Whether the two are one service broker, registered twice."""
    return other is not None and other.spec.url.rstrip("/") == broker.spec.url.rstrip("/")


def _delete(snapshot: BrokerSnapshot) -> Action:
    if FINALIZER not in (snapshot.broker.metadata.finalizers or []):
        # Our part is done; somebody else's finalizer is still there.
        return Idle()
    # Instances could never be deprovisioned without their broker. The broker itself need not answer for this.
    if snapshot.instances and not snapshot.requested_actions.forces_deletion:
        return Blocked(snapshot.instances)
    return Dismantle(is_forced=snapshot.requested_actions.forces_deletion)
