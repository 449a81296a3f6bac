"""The state machine of a service broker, second half: snapshot and what came of the task -> change. Pure.

Nothing is final for a service broker: it is asked for its catalog for ever, at most five minutes apart.
"""

from datetime import datetime, timedelta

from chandlery.model.brokers import ClusterServiceBroker
from chandlery.model.conditions import ConditionStatus
from chandlery.model.reasons import BrokerReason
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.change import instances_key
from chandlery.reconcile.offering import Unresolved
from chandlery_syncer.broker_draft import BrokerChange, BrokerDraft
from chandlery_syncer.broker_snapshot import CATALOG_FORMAT, BrokerSnapshot, Leftovers

FETCHED = "Successfully fetched catalog entries from broker."
_UNANSWERED = (Verdict.TIMED_OUT, Verdict.UNREACHABLE)


def idle(snapshot: BrokerSnapshot, now: datetime) -> BrokerChange:
    """Nothing is due."""
    return BrokerDraft(snapshot, now).rest(snapshot.memory.leftovers)


def synced(snapshot: BrokerSnapshot, *, etag: str | None, leftovers: Leftovers, now: datetime) -> BrokerChange:
    """Classes and plans are what the broker offers; `leftovers` are those that only instances still need."""
    draft = BrokerDraft(snapshot, now)
    draft.succeed(BrokerReason.FETCHED_CATALOG, FETCHED)
    draft.remember(
        etag=etag,
        etag_url=snapshot.broker.spec.url,
        etag_generation=snapshot.generation,
        etag_format=CATALOG_FORMAT,
        tried_generation=snapshot.generation,
    )
    return draft.rest(leftovers)


def tidied(snapshot: BrokerSnapshot, leftovers: Leftovers, now: datetime) -> BrokerChange:
    """Some leftovers are gone, these remain."""
    return BrokerDraft(snapshot, now).rest(leftovers)


def inaccessible(snapshot: BrokerSnapshot, access: Unresolved, now: datetime) -> BrokerChange:
    """The credentials are missing; their Secret wakes the broker."""
    draft = BrokerDraft(snapshot, now)
    draft.fail(BrokerReason.ERROR_FETCHING_CATALOG, access.message, fact=access.reason)
    return draft.wait(access.waiting_for)


def fetch_failed(snapshot: BrokerSnapshot, answer: Answer, now: datetime) -> BrokerChange:
    """The broker did not hand out its catalog; the last good one stays. New credentials may help, so they wake it."""
    draft = BrokerDraft(snapshot, now)
    how = "Error communicating with the broker" if answer.verdict in _UNANSWERED else "The broker refused"
    draft.fail(BrokerReason.ERROR_FETCHING_CATALOG, f"Error fetching catalog. {how}: {answer.sentence}")
    asked = timedelta(seconds=answer.retry_after_seconds or 0)
    return draft.again(asked=asked, waiting_for=snapshot.credentials_key)


def sync_failed(snapshot: BrokerSnapshot, problem: str, now: datetime) -> BrokerChange:
    """The catalog breaks the rules, or another broker's: nothing of it was taken over, and the last good one stays."""
    draft = BrokerDraft(snapshot, now)
    draft.fail(BrokerReason.ERROR_SYNCING_CATALOG, f"Error syncing catalog from the broker: {problem}")
    # Without the validator the whole catalog comes again, and is checked again.
    draft.remember(etag=None)
    return draft.again()


def blocked(snapshot: BrokerSnapshot, instances: int, now: datetime) -> BrokerChange:
    """The broker stays until its last instance is gone, which wakes it."""
    draft = BrokerDraft(snapshot, now)
    left = (
        "1 ServiceInstance of this broker is" if instances == 1 else f"{instances} ServiceInstances of this broker are"
    )
    message = f"{left} left; delete them first: only the broker can deprovision them"
    draft.ready(ConditionStatus.FALSE, BrokerReason.DELETION_BLOCKED, message)
    return draft.wait(instances_key(snapshot.lane))


def dismantled(snapshot: BrokerSnapshot, now: datetime) -> BrokerChange:
    """Nothing of the broker is left."""
    broker = snapshot.broker
    is_cluster = isinstance(broker, ClusterServiceBroker)
    reason = BrokerReason.DELETED_CLUSTER_BROKER if is_cluster else BrokerReason.DELETED
    return BrokerDraft(snapshot, now).gone(reason, f"The broker {broker.metadata.name} was deleted successfully.")
