"""The state machine of a service broker, second half: what becomes of it. Pure; `broker_machine.py` is the first half.

Comes in: the snapshot, and what came of the task: the answer of the broker, what was written to the catalog and
what is left over. Goes out: a `BrokerResult`, which is the broker's status, the notes, the events, whom to wake,
and when to look again.

Nothing is final for a service broker: it is asked for its catalog for ever, by default at most five minutes apart.

Called by: `broker_reconciler.py`, one function for each action and each step that the machine knows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chandlery.model.objects.brokers import ClusterServiceBroker
from chandlery.model.objects.conditions import ConditionStatus
from chandlery.model.objects.core import RecordedFact
from chandlery.model.objects.reasons import BrokerReason
from chandlery.reconcile.answers import Answer, CatalogMark, Verdict
from chandlery.reconcile.offering import Unresolved
from chandlery.reconcile.reconcile_result import broker_key, instances_key
from chandlery_syncer.absorb import broker_remedies as advice
from chandlery_syncer.absorb.broker_draft import LARGE_CATALOGS, BrokerDraft, BrokerResult
from chandlery_syncer.facts.broker_notes import CATALOG_FORMAT, UNKNOWN, Compared, KnownCatalog, Leftovers, StoredCount
from chandlery_syncer.facts.broker_snapshot import BrokerSnapshot


@dataclass(frozen=True)
class CatalogReport:
    """What people are told of a catalog that was had: events, and what the condition adds (None: as it did before)."""

    facts: Iterable[RecordedFact] = ()
    note: str | None = None


AS_BEFORE = CatalogReport()


@dataclass(frozen=True)
class Had:
    """What has become of a catalog that was had."""

    leftovers: Leftovers
    """Classes and plans that only instances still need."""
    stored: StoredCount
    report: CatalogReport = AS_BEFORE
    versions: str | None = None
    """What was stored when it was held against the catalog; None if it was not."""
    is_relist: bool = False
    """It was fetched because it had been found out of date."""


FETCHED = "Successfully fetched catalog entries from broker."
_CATALOG_IS_WRONG = "The broker's catalog must be corrected"
_UNANSWERED = (Verdict.TIMED_OUT, Verdict.UNREACHABLE)


def idle(snapshot: BrokerSnapshot, now: datetime) -> BrokerResult:
    """Nothing is due."""
    return BrokerDraft(snapshot, now).rest(snapshot.memory.leftovers)


def relist_postponed(snapshot: BrokerSnapshot, now: datetime) -> BrokerResult:
    """The catalog is fetched as soon as that may be."""
    draft = BrokerDraft(snapshot, now)
    draft.remember(relist_asked=True)
    return draft.rest(snapshot.memory.leftovers)


def synced(snapshot: BrokerSnapshot, answer: Answer, had: Had, now: datetime) -> BrokerResult:
    """Classes and plans are what the broker offers."""
    draft = BrokerDraft(snapshot, now)
    note = snapshot.memory.known.note if had.report.note is None else had.report.note
    draft.succeed(BrokerReason.FETCHED_CATALOG, f"{FETCHED} {note}".rstrip(), is_relist=had.is_relist)
    for fact in had.report.facts:
        draft.say(fact.reason, fact.message, is_warning=fact.is_warning)
    # A 304 need not repeat the validators, and has no body to take a digest of.
    kept = (snapshot.mark if answer.verdict == Verdict.UNCHANGED else None) or CatalogMark()
    draft.remember(
        known=KnownCatalog(
            etag=answer.etag or kept.etag,
            last_modified=answer.last_modified or kept.last_modified,
            digest=answer.digest or kept.digest,
            url=snapshot.broker.spec.url,
            generation=snapshot.generation,
            access=snapshot.access_fingerprint,
            format=CATALOG_FORMAT,
            stored=had.stored,
            note=note,
        ),
        compared=snapshot.memory.compared
        if had.versions is None
        else Compared(spec=snapshot.spec_digest, versions=had.versions),
    )
    return draft.rest(had.leftovers)


def tidied(snapshot: BrokerSnapshot, leftovers: Leftovers, *, stored: StoredCount, now: datetime) -> BrokerResult:
    """Some leftovers are gone, these remain; nothing else has become of the catalog that is known."""
    draft = BrokerDraft(snapshot, now)
    if snapshot.memory.known.stored == snapshot.stored:
        draft.remember(known=snapshot.memory.known.model_copy(update={"stored": stored}))
    return draft.rest(leftovers)


def inaccessible(snapshot: BrokerSnapshot, access: Unresolved, now: datetime) -> BrokerResult:
    """The credentials are missing; their Secret wakes the broker."""
    draft = BrokerDraft(snapshot, now)
    message = f"{access.message}. {advice.mend_credentials(snapshot.broker, access.message)}"
    draft.fail(BrokerReason.ERROR_FETCHING_CATALOG, message, fact=access.reason)
    return draft.wait(access.waiting_for)


def fetch_failed(snapshot: BrokerSnapshot, answer: Answer, now: datetime) -> BrokerResult:
    """The broker did not hand out its catalog; the last good one stays. New credentials may help, so they wake it."""
    draft = BrokerDraft(snapshot, now)
    message = f"Error fetching catalog. {_how(answer)}: {answer.sentence.rstrip('. ')}"
    message = f"{message}. {advice.after_failed_fetch(snapshot.broker, answer)}"
    draft.fail(BrokerReason.ERROR_FETCHING_CATALOG, message, is_repeated=True)
    asked = timedelta(seconds=answer.retry_after_seconds or 0)
    schedule = LARGE_CATALOGS if answer.is_too_large else None
    return draft.again(asked=asked, waiting_for=snapshot.credentials_keys, schedule=schedule)


def _how(answer: Answer) -> str:
    if answer.verdict in _UNANSWERED:
        return "Error communicating with the broker"
    if answer.is_too_large:
        return "The broker's catalog is too large"
    if answer.verdict in (Verdict.MALFORMED, Verdict.UNEXPECTED):
        return "The broker's answer is not a catalog"
    return "The broker refused"


def sync_failed(
    snapshot: BrokerSnapshot, problem: str, *, remedy: str | None = None, other: str | None = None, now: datetime
) -> BrokerResult:
    """The catalog breaks the rules, or another broker's: nothing of it was taken over, and the last good one stays.

    `other` is the broker that has to go or change first; when it goes, that wakes this one.
    """
    draft = BrokerDraft(snapshot, now)
    remedy = f"{remedy or _CATALOG_IS_WRONG}. {advice.tries_again(snapshot.broker)}"
    message = f"Error syncing catalog from the broker: {problem.rstrip('. ')}. {remedy}"
    draft.fail(BrokerReason.ERROR_SYNCING_CATALOG, message, is_repeated=True)
    # Without its mark the whole catalog comes again, and is checked again.
    draft.remember(known=UNKNOWN)
    return draft.again(waiting_for=(broker_key(snapshot.broker.metadata.namespace, other),) if other else ())


def blocked(snapshot: BrokerSnapshot, instances: int, now: datetime, *, names: Sequence[str] = ()) -> BrokerResult:
    """The broker stays until its last instance is gone, which wakes it. `names` are those of some of them."""
    draft = BrokerDraft(snapshot, now)
    message = (
        f"{_counted(instances)} left{_named(names, instances)}. Delete them first, because only the broker "
        f"can deprovision them ({advice.instance_deletion(names)}), or "
        f"{advice.force_deletion(snapshot.broker)}"
    )
    draft.ready(ConditionStatus.FALSE, BrokerReason.DELETION_BLOCKED, message)
    return draft.wait(instances_key(snapshot.lane))


def dismantled(
    snapshot: BrokerSnapshot, now: datetime, *, instances: int = 0, is_forced: bool = True, names: Sequence[str] = ()
) -> BrokerResult:
    """Nothing of the broker is left but what so many instances, that were to be passed over, still refer to."""
    if instances and not is_forced:
        return blocked(snapshot, instances, now, names=names)
    broker = snapshot.broker
    is_cluster = isinstance(broker, ClusterServiceBroker)
    reason = BrokerReason.DELETED_CLUSTER_BROKER if is_cluster else BrokerReason.DELETED
    draft = BrokerDraft(snapshot, now)
    if instances:
        message = (
            f"The broker was deleted, although {_counted(instances)} left. Their classes and plans stay, "
            "marked as removed. To keep using the instances, register the broker again under the same "
            "name. To delete them without calling the broker, abandon them"
        )
        draft.say(BrokerReason.FORCE_DELETED, message, is_warning=True)
    return draft.gone(reason, f"The broker {broker.metadata.name} was deleted successfully.")


def _named(names: Sequence[str], instances: int) -> str:
    more = f" and {instances - len(names)} more" if instances > len(names) else ""
    return f": {', '.join(names)}{more}" if names else ""


def _counted(instances: int) -> str:
    return (
        "1 ServiceInstance of this broker is" if instances == 1 else f"{instances} ServiceInstances of this broker are"
    )
