"""What is done with a service broker, and what becomes of it: both halves of its state machine as tables."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.conditions import ConditionStatus, ConditionType
from chandlery.reconcile.answers import Answer, CatalogMark, Verdict
from chandlery.reconcile.policies.broker_policy import policy_of
from chandlery.reconcile.reconcile_result import Idle
from chandlery.reconcile.wake_keys import woken_by
from chandlery.retry.circuit import OpenCircuit
from chandlery_syncer.absorb import broker_outcomes as outcomes
from chandlery_syncer.absorb import broker_remedies as advice
from chandlery_syncer.catalog.catalog_objects import NO_OFFERINGS
from chandlery_syncer.decide.broker_machine import decide, decide_step
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
from chandlery_syncer.facts.broker_notes import (
    CATALOG_FORMAT,
    BrokerMemory,
    Compared,
    KnownCatalog,
    Leftovers,
    StoredCount,
)
from chandlery_syncer.facts.broker_snapshot import RELIST_PAUSE
from chandlery_syncer.facts.fetched_catalog import FetchedCatalog
from tests.unit.syncer.builders import (
    HOUR,
    NO_SECRET,
    NOW,
    URL,
    condition,
    failing_status,
    make_answer,
    make_broker,
    make_snapshot,
    ready_status,
    reasons,
    shown,
)

LEFT = Leftovers(classes=("db",), plans=("small",))
CATALOG = KnownCatalog(
    etag='"one"', digest="d", url=URL, generation=1, access="ann", format=CATALOG_FORMAT, stored=StoredCount(plans=2)
)
KNOWN = BrokerMemory(known=CATALOG, revision_seen=4)
MARK = CatalogMark(etag='"one"', digest="d")
AS_KNOWN = {"memory": KNOWN, "access_fingerprint": "ann", "stored": StoredCount(plans=2), "revision": 4}
OLD = make_broker(status=ready_status(fetched=24 * HOUR))
ON_REQUEST = make_broker(status=ready_status(), generation=2, relistRequests=1)
COMPARED = Compared(spec=make_snapshot(OLD).spec_digest, versions="7 9")
AS_REQUESTED = {**AS_KNOWN, "memory": BrokerMemory(known=CATALOG, compared=COMPARED), "versions": "7 9"}
RETRY = {"chandlery.io/retry-requested-at": "noon"}
RETRIED = BrokerMemory(retry_seen="noon")
FORCED = {"chandlery.io/force-delete": "true"}
JUST_NOW = timedelta(seconds=3)


def relisted(ago: timedelta, **notes: Any) -> BrokerMemory:
    """Notes on a catalog that was found to be out of date so long ago."""
    return BrokerMemory(relisted_at=(NOW - ago).timestamp(), **notes)


MINUTES_5 = timedelta(minutes=5)
WEEK = timedelta(days=7)


@pytest.mark.parametrize(
    ("broker", "more", "expected"),
    [
        pytest.param(make_broker(), {}, FetchCatalog(None, ()), id="new broker is asked"),
        pytest.param(make_broker(), {"access": NO_SECRET}, Inaccessible(NO_SECRET), id="without its Secret it is not"),
        pytest.param(make_broker(status=ready_status()), {}, Idle(), id="fresh catalog rests"),
        pytest.param(make_broker(status=ready_status()), {"access": NO_SECRET}, Idle(), id="fresh needs no Secret"),
        pytest.param(
            make_broker(status=ready_status(fetched=24 * HOUR)), {}, FetchCatalog(None, ()), id="a day old is asked"
        ),
        pytest.param(
            make_broker(status=ready_status(fetched=24 * HOUR)),
            {"relist_interval": 48 * HOUR},
            Idle(),
            id="the setting decides for brokers that do not say",
        ),
        pytest.param(
            make_broker(status=ready_status(), relistDuration="30m"),
            {},
            FetchCatalog(None, ()),
            id="own duration counts",
        ),
        pytest.param(
            make_broker(status=ready_status(), relistDuration="nonsense"),
            {},
            Idle(),
            id="unreadable duration is passed over",
        ),
        pytest.param(
            make_broker(status=ready_status(fetched=900 * HOUR), relistBehavior="Manual"), {}, Idle(), id="Manual stays"
        ),
        pytest.param(
            make_broker(status=ready_status(), relistBehavior="Manual", generation=2),
            {},
            FetchCatalog(None, ()),
            id="Manual is asked after a change",
        ),
        pytest.param(
            make_broker(status=ready_status(), generation=2), {}, FetchCatalog(None, ()), id="new generation is asked"
        ),
        pytest.param(make_broker(status=failing_status()), {}, FetchCatalog(None, ()), id="failing broker is asked"),
        pytest.param(OLD, AS_KNOWN, FetchCatalog(MARK, ()), id="with the mark of the known catalog"),
        pytest.param(
            make_broker(status=ready_status(), generation=2),
            AS_KNOWN,
            FetchCatalog(None, ()),
            id="never across generations",
        ),
        pytest.param(
            ON_REQUEST, AS_REQUESTED, FetchCatalog(CatalogMark(digest="d"), ()), id="on request by the body alone"
        ),
        pytest.param(
            ON_REQUEST,
            {**AS_REQUESTED, "versions": "8 9"},
            FetchCatalog(None, ()),
            id="not after a stored plan was written",
        ),
        pytest.param(
            make_broker(status=ready_status(), generation=2, relistRequests=1, insecureSkipTLSVerify=True),
            AS_REQUESTED,
            FetchCatalog(None, ()),
            id="not if something else is asked for too",
        ),
        pytest.param(
            make_broker(status=ready_status(fetched=24 * HOUR), url="http://other.test"),
            AS_KNOWN,
            FetchCatalog(None, ()),
            id="never across addresses",
        ),
        pytest.param(
            OLD, {**AS_KNOWN, "access_fingerprint": "bob"}, FetchCatalog(None, ()), id="never across credentials"
        ),
        pytest.param(
            OLD,
            {**AS_KNOWN, "memory": BrokerMemory(known=CATALOG.model_copy(update={"format": CATALOG_FORMAT - 1}))},
            FetchCatalog(None, ()),
            id="never across releases that store otherwise",
        ),
        pytest.param(
            OLD,
            {**AS_KNOWN, "stored": StoredCount(plans=1)},
            FetchCatalog(None, ()),
            id="not after somebody has removed a plan",
        ),
        pytest.param(
            make_broker(status=ready_status(), annotations=RETRY),
            AS_KNOWN,
            FetchCatalog(None, ()),
            id="order to look now: all anew",
        ),
        pytest.param(
            make_broker(status=ready_status(), annotations=RETRY),
            {"memory": RETRIED},
            Idle(),
            id="order that was carried out",
        ),
        pytest.param(
            make_broker(status=ready_status()),
            {**AS_KNOWN, "revision": 5},
            FetchCatalog(MARK, ()),
            id="woken: out of date",
        ),
        pytest.param(
            make_broker(status=ready_status(fetched=JUST_NOW)),
            {"revision": 5},
            FetchCatalog(None, ()),
            id="woken soon after a fetch for another reason",
        ),
        pytest.param(
            make_broker(status=ready_status(fetched=JUST_NOW)),
            {"memory": relisted(JUST_NOW), "revision": 5},
            PostponeRelist(),
            id="woken too soon after a fetch for the same reason",
        ),
        pytest.param(
            make_broker(status=ready_status(fetched=RELIST_PAUSE)),
            {"memory": relisted(RELIST_PAUSE, relist_asked=True)},
            FetchCatalog(None, ()),
            id="and once the pause is over",
        ),
        pytest.param(
            make_broker(status=ready_status(), relistBehavior="Manual"),
            {"revision": 5},
            FetchCatalog(None, ()),
            id="Manual is asked when it is out of date",
        ),
        pytest.param(
            make_broker(status=ready_status(), relistBehavior="Manual"),
            {"memory": BrokerMemory(leftovers=LEFT), "revision": 5},
            Idle(),
            id="Manual with leftovers: it was an instance that went",
        ),
        pytest.param(
            make_broker(status=ready_status()), {"unused": LEFT, "revision": 5}, Tidy(), id="woken for its leftovers"
        ),
        pytest.param(make_broker(status=ready_status()), {"unused": LEFT}, Tidy(), id="unused leftovers are removed"),
        pytest.param(
            make_broker(status=ready_status()),
            {"memory": BrokerMemory(leftovers=LEFT)},
            Idle(),
            id="used leftovers stay",
        ),
        pytest.param(make_broker(deleted=True), {}, Dismantle(), id="deleted broker is dismantled"),
        pytest.param(
            make_broker(deleted=True), {"access": NO_SECRET}, Dismantle(), id="deletion needs neither Secret nor answer"
        ),
        pytest.param(make_broker(deleted=True), {"instances": 3}, Blocked(3), id="instances block deletion"),
        pytest.param(
            make_broker(deleted=True, annotations=FORCED),
            {"instances": 3},
            Dismantle(is_forced=True),
            id="unless they are to be passed over",
        ),
        pytest.param(
            make_broker(deleted=True, finalizers=("other/finalizer",)),
            {},
            Idle(),
            id="another's finalizer is waited for",
        ),
    ],
)
def test_decide(broker: AnyBroker, more: dict[str, Any], expected: Action) -> None:
    found = decide(make_snapshot(broker, **more), NOW)
    assert (replace(found, reasons=()) if isinstance(found, FetchCatalog) else found) == expected


@pytest.mark.parametrize(
    ("broker", "more", "expected"),
    [
        pytest.param(
            make_broker(), {}, (FetchReason.SPECIFICATION, FetchReason.NOT_READY, FetchReason.NEVER_FETCHED), id="new"
        ),
        pytest.param(make_broker(status=ready_status(), generation=2), {}, (FetchReason.SPECIFICATION,), id="changed"),
        pytest.param(
            make_broker(status=failing_status()),
            {},
            (FetchReason.SPECIFICATION, FetchReason.NOT_READY, FetchReason.INTERVAL),
            id="failing",
        ),
        pytest.param(
            make_broker(status=ready_status(), annotations=RETRY), {}, (FetchReason.REQUESTED,), id="asked for"
        ),
        pytest.param(make_broker(status=ready_status()), {"revision": 5}, (FetchReason.OUT_OF_DATE,), id="out of date"),
        pytest.param(make_broker(status=ready_status(fetched=24 * HOUR)), {}, (FetchReason.INTERVAL,), id="old"),
        pytest.param(
            make_broker(status=ready_status(fetched=24 * HOUR)),
            {"memory": relisted(JUST_NOW), "revision": 5},
            (FetchReason.OUT_OF_DATE, FetchReason.INTERVAL),
            id="out of date, old anyway",
        ),
    ],
)
def test_a_fetch_says_why(broker: AnyBroker, more: dict[str, Any], expected: tuple[FetchReason, ...]) -> None:
    found = decide(make_snapshot(broker, **more), NOW)
    assert isinstance(found, FetchCatalog)
    assert (found.reasons, found.is_relist) == (expected, FetchReason.OUT_OF_DATE in expected)


FETCH = FetchCatalog(None, (FetchReason.OUT_OF_DATE,))
UNCHANGED = make_answer(Verdict.UNCHANGED, 304)
REFUSED = make_answer(Verdict.REJECTED, 401)
HAD = make_answer(Verdict.SUCCEEDED, 200)
CATALOG_HAD = FetchedCatalog(HAD, NO_OFFERINGS)


@pytest.mark.parametrize(
    ("task", "fetched", "is_going", "step"),
    [
        pytest.param(Dismantle(is_forced=True), None, True, RemoveOfferings(is_forced=True), id="dismantle"),
        pytest.param(FETCH, CATALOG_HAD, True, LeaveAlone(), id="nothing is taken over for one that goes"),
        pytest.param(Tidy(), None, True, LeaveAlone(), id="nor tidied"),
        pytest.param(Tidy(), None, False, RemoveUnused(), id="tidy"),
        pytest.param(FETCH, FetchedCatalog(UNCHANGED), False, KeepCatalog(UNCHANGED, is_relist=True), id="unchanged"),
        pytest.param(FETCH, FetchedCatalog(REFUSED), False, FailFetch(REFUSED), id="refused"),
        pytest.param(FETCH, FetchedCatalog(HAD, problem="odd"), False, RefuseCatalog("odd"), id="not valid"),
        pytest.param(FETCH, CATALOG_HAD, False, TakeOver(CATALOG_HAD, NO_OFFERINGS, is_relist=True), id="take over"),
    ],
)
def test_decide_step(task: Task, fetched: FetchedCatalog | None, *, is_going: bool, step: Step) -> None:
    assert decide_step(task, fetched, is_going=is_going) == step


GOOD = make_answer(Verdict.SUCCEEDED, 200, etag='"two"', digest="dd")


def test_success_says_so_and_comes_back_for_the_relist() -> None:
    snapshot = make_snapshot(
        make_broker(generation=3, status=failing_status(failed=True), relistDuration="2h"), attempt=7
    )
    change = outcomes.synced(snapshot, GOOD, outcomes.Had(Leftovers(), StoredCount(plans=1)), NOW)

    status = change.document.status
    assert shown(change) == ("True", "FetchedCatalog")
    assert shown(change, ConditionType.FAILED) is None
    assert (status.reconciled_generation, status.observed_generation, status.operation_start_time) == (3, 3, None)
    assert (status.last_catalog_retrieval_time, status.last_condition_state) == (NOW, "Ready")
    assert (change.next.due_at, change.next.attempt, change.next.waiting_for) == (NOW + 2 * HOUR, 0, None)
    assert reasons(change) == ["FetchedCatalog"]
    assert (change.next.interests, status.attempts, status.next_attempt_time) == (
        ("relist:broker:/harbour",),
        None,
        None,
    )
    known = BrokerMemory.model_validate(change.memory).known
    assert known == KnownCatalog(
        etag='"two"',
        digest="dd",
        url=URL,
        generation=3,
        format=CATALOG_FORMAT,
        stored=StoredCount(plans=1),
    )


def test_success_of_a_manual_broker_has_no_next_time() -> None:
    snapshot = make_snapshot(make_broker(relistBehavior="Manual"))
    change = outcomes.synced(snapshot, GOOD, outcomes.Had(LEFT, StoredCount()), NOW)
    assert change.next.due_at is None
    assert change.next.waiting_for == "instances-of:broker:/harbour"


def test_repeated_success_records_no_event() -> None:
    none, left = StoredCount(), Leftovers()
    first = outcomes.synced(make_snapshot(), GOOD, outcomes.Had(left, none), NOW)
    again = outcomes.synced(make_snapshot(first.document), GOOD, outcomes.Had(left, none), NOW + HOUR)
    assert again.facts == ()
    assert again.document.status.conditions[0].last_transition_time == NOW


def test_unchanged_catalog_keeps_what_the_answer_does_not_repeat() -> None:
    snapshot = make_snapshot(OLD, **AS_KNOWN)
    answer = make_answer(Verdict.UNCHANGED, 304, last_modified="today")
    change = outcomes.synced(snapshot, answer, outcomes.Had(Leftovers(), StoredCount(plans=2)), NOW)
    known = BrokerMemory.model_validate(change.memory).known
    assert known == CATALOG.model_copy(update={"last_modified": "today"})


def test_being_woken_too_soon_is_remembered_until_the_pause_is_over() -> None:
    before = relisted(JUST_NOW)
    snapshot = make_snapshot(make_broker(status=ready_status(fetched=JUST_NOW)), memory=before, revision=9)
    assert decide(snapshot, NOW) == PostponeRelist()
    change = outcomes.relist_postponed(snapshot, NOW)
    memory = BrokerMemory.model_validate(change.memory)
    assert change.next.due_at == NOW - JUST_NOW + RELIST_PAUSE
    assert (memory.relist_asked, memory.revision_seen) == (True, 9)
    snapshot = make_snapshot(change.document, memory=memory, revision=9)
    fetched = outcomes.synced(snapshot, GOOD, outcomes.Had(LEFT, StoredCount(), is_relist=True), NOW + HOUR)
    after = BrokerMemory.model_validate(fetched.memory)
    assert (after.relist_asked, after.relisted_at) == (False, (NOW + HOUR).timestamp())


def test_fetch_of_a_new_specification_does_not_count_as_one_of_a_catalog_out_of_date() -> None:
    snapshot = make_snapshot(make_broker(status=ready_status(), generation=2), revision=9)
    action = decide(snapshot, NOW)
    assert isinstance(action, FetchCatalog)
    had = outcomes.Had(LEFT, StoredCount(), is_relist=action.is_relist)
    fetched = outcomes.synced(snapshot, GOOD, had, NOW)
    assert BrokerMemory.model_validate(fetched.memory).relisted_at == 0.0


def test_failing_broker_is_not_woken_by_those_who_find_it_out_of_date() -> None:
    change = outcomes.fetch_failed(make_snapshot(), make_answer(Verdict.BROKEN, 500), NOW)
    assert change.next.interests == ()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(make_answer(Verdict.BROKEN, 500, "disk full"), "Status: 500; Description: disk full", id="500"),
        pytest.param(make_answer(Verdict.REJECTED, 401, "who are you"), "The broker refused: Status: 401", id="401"),
        pytest.param(make_answer(Verdict.MALFORMED, 200, "no JSON"), "Description: no JSON", id="unreadable"),
        pytest.param(make_answer(Verdict.UNREACHABLE, None, "no route"), "Error communicating", id="unreachable"),
        pytest.param(make_answer(Verdict.TIMED_OUT, None, "60 s"), "Error communicating", id="timed out"),
    ],
)
def test_failed_fetch_keeps_the_notes_and_tells_the_brokers_words(answer: Answer, words: str) -> None:
    memory = KNOWN.model_copy(update={"leftovers": LEFT})
    change = outcomes.fetch_failed(make_snapshot(make_broker(status=ready_status()), memory=memory), answer, NOW)

    assert shown(change) == ("False", "ErrorFetchingCatalog")
    assert words in change.document.status.conditions[0].message
    assert change.document.status.operation_start_time == NOW
    assert reasons(change) == ["ErrorFetchingCatalog"]
    kept = BrokerMemory.model_validate(change.memory)
    assert (kept.known, kept.leftovers) == (CATALOG, LEFT)


@pytest.mark.parametrize(("attempt", "minutes"), [(0, 1), (1, 2), (5, 32), (20, 360)])
def test_catalog_that_is_too_large_is_told_so_and_fetched_ever_more_rarely(attempt: int, minutes: int) -> None:
    answer = make_answer(Verdict.MALFORMED, 200, "the body has 9 bytes and may have 8 bytes", is_too_large=True)
    change = outcomes.fetch_failed(make_snapshot(attempt=attempt), answer, NOW)
    message = change.document.status.conditions[0].message
    assert "The broker's catalog is too large: Status: 200; Description: the body has 9 bytes and may have 8" in message
    assert "fewer plans or smaller metadata and schemas" in message
    assert "CHANDLERY_CATALOG_MEBIBYTES" in message and "kubectl annotate" in message
    assert change.next.due_at is not None
    assert change.next.due_at - NOW == pytest.approx(timedelta(minutes=minutes), rel=0.06)


@pytest.mark.parametrize(
    ("attempt", "asked", "least", "most"),
    [
        pytest.param(0, None, 0.9, 1.1, id="first failure"),
        pytest.param(3, None, 7.2, 8.8, id="fourth failure"),
        pytest.param(50, None, 270, 330, id="never much more than five minutes"),
        pytest.param(0, 60.0, 60, 60, id="what the broker asks for"),
        pytest.param(0, 86400.0, 300, 300, id="within reason"),
    ],
)
def test_failed_fetch_is_repeated_by_schedule(attempt: int, asked: float | None, least: float, most: float) -> None:
    answer = make_answer(Verdict.BROKEN, 503, retry_after_seconds=asked)
    change = outcomes.fetch_failed(make_snapshot(attempt=attempt), answer, NOW)
    assert change.next.due_at is not None
    assert least <= (change.next.due_at - NOW).total_seconds() <= most
    assert change.next.attempt == attempt + 1
    status = change.document.status
    assert (status.attempts, status.next_attempt_time) == (attempt + 1, change.next.due_at)


@pytest.mark.parametrize(
    ("policy", "attempt", "asked", "least", "most"),
    [
        pytest.param({"maximumDelay": "20m"}, 50, None, 1080, 1320, id="longer than by default"),
        pytest.param({"maximumDelay": "4s"}, 50, None, 3.6, 4.4, id="shorter than by default"),
        pytest.param({"initialDelay": "30s", "factor": 1.0}, 5, None, 27, 33, id="always the same"),
        pytest.param({"maximumDelay": "4s"}, 0, 60.0, 60, 60, id="what the broker asks for all the same"),
    ],
)
def test_retry_policy_of_the_broker_counts(
    policy: dict[str, Any], attempt: int, asked: float | None, least: float, most: float
) -> None:
    broker = make_broker(retryPolicy=policy)
    snapshot = make_snapshot(broker, attempt=attempt, policy=policy_of(broker))
    change = outcomes.fetch_failed(snapshot, make_answer(Verdict.BROKEN, 503, retry_after_seconds=asked), NOW)
    assert change.next.due_at is not None
    assert least <= (change.next.due_at - NOW).total_seconds() <= most


TRY_NOW = "kubectl annotate clusterservicebroker harbour --overwrite chandlery.io/retry-requested-at="


@pytest.mark.parametrize(
    ("answer", "spec", "words"),
    [
        pytest.param(make_answer(Verdict.REJECTED, 401, "who?"), {}, "name it in spec.authInfo", id="401 without any"),
        pytest.param(
            make_answer(Verdict.REJECTED, 403, "not you"),
            {"authInfo": {"basic": {"secretRef": {"namespace": "ops", "name": "login"}}}},
            'credentials in the Secret "ops/login"',
            id="403 with credentials",
        ),
        pytest.param(
            make_answer(Verdict.REJECTED, 412, "need 2.14"), {}, "Version 2.17 of the Open Service Broker API", id="412"
        ),
        pytest.param(
            make_answer(Verdict.REJECTED, 412, "need 2.14"), {"osbAPIVersion": "2.13"}, "Version 2.13", id="412 pinned"
        ),
        pytest.param(make_answer(Verdict.REJECTED, 404, "nothing"), {}, "Check spec.url", id="404"),
        pytest.param(make_answer(Verdict.REJECTED, 302, "elsewhere"), {}, "Check spec.url", id="redirect"),
        pytest.param(make_answer(Verdict.UNREACHABLE, None, "no route"), {}, "spec.url is its address", id="unreached"),
        pytest.param(make_answer(Verdict.TIMED_OUT, None, "60 s"), {}, "raise spec.requestTimeout", id="timeout"),
        pytest.param(
            make_answer(Verdict.MALFORMED, 200, "a page"), {}, "Check that spec.url is the address", id="page"
        ),
        pytest.param(
            make_answer(Verdict.UNREACHABLE, None, "its certificate is refused. Put it into spec.caBundle"),
            {},
            "spec.caBundle. It is retried automatically",
            id="certificate",
        ),
        pytest.param(
            make_answer(Verdict.REJECTED, 400, "Client sent an HTTP request to an HTTPS server"),
            {"url": "http://broker"},
            "Write https:// in spec.url",
            id="plain request to a TLS port",
        ),
        pytest.param(
            make_answer(Verdict.TIMED_OUT, None, "The connection broke before a byte of the answer came"),
            {"url": "http://broker"},
            "if it uses TLS on this port, write https://",
            id="closed without a word",
        ),
        pytest.param(
            make_answer(Verdict.BROKEN, 500, "disk full"), {}, "disk full. It is retried automatically", id="500"
        ),
        pytest.param(
            make_answer(Verdict.REJECTED, 304, "unasked"), {}, "unasked. It is retried automatically", id="304"
        ),
    ],
)
def test_failed_fetch_tells_the_brokers_words_and_the_way_out(answer: Answer, spec: dict[str, Any], words: str) -> None:
    change = outcomes.fetch_failed(make_snapshot(make_broker(**spec)), answer, NOW)
    message = change.document.status.conditions[0].message
    assert answer.description is not None
    assert answer.description in message
    assert words in message
    assert TRY_NOW in message


def test_same_failure_again_is_the_same_event_again() -> None:
    """Equal events are counted: `kubectl describe` shows how often."""
    answer = make_answer(Verdict.BROKEN, 500, "disk full")
    first = outcomes.fetch_failed(make_snapshot(), answer, NOW)
    again = outcomes.fetch_failed(make_snapshot(first.document, attempt=1), answer, NOW + HOUR)
    assert again.facts == first.facts


def test_order_to_try_again_starts_the_time_of_failure_anew() -> None:
    status = failing_status(since=WEEK + HOUR, failed=True)
    snapshot = make_snapshot(make_broker(status=status, annotations=RETRY), memory=BrokerMemory(tried_generation=1))
    change = outcomes.fetch_failed(snapshot, make_answer(Verdict.BROKEN, 500), NOW)
    assert shown(change, ConditionType.FAILED) is None
    assert change.document.status.operation_start_time == NOW
    assert BrokerMemory.model_validate(change.memory).retry_seen == "noon"


@pytest.mark.parametrize(
    ("namespace", "secret", "key"),
    [
        pytest.param(None, {"namespace": "ops", "name": "login"}, "secret:ops/login", id="cluster-wide"),
        pytest.param("team", {"name": "login"}, "secret:team/login", id="namespaced"),
    ],
)
def test_refused_broker_is_woken_by_new_credentials(namespace: str | None, secret: dict[str, str], key: str) -> None:
    broker = make_broker(namespace=namespace, authInfo={"bearer": {"secretRef": secret}})
    change = outcomes.fetch_failed(make_snapshot(broker), make_answer(Verdict.REJECTED, 401), NOW)
    assert change.next.waiting_for == key


def test_missing_secret_is_named_by_the_event_and_wakes() -> None:
    change = outcomes.inaccessible(make_snapshot(), NO_SECRET, NOW)
    assert shown(change) == ("False", "ErrorFetchingCatalog")
    assert reasons(change) == ["ErrorGettingAuthCredentials"]
    assert change.next.waiting_for == "secret:ops/login"
    again = outcomes.inaccessible(make_snapshot(change.document), NO_SECRET, NOW)
    assert again.facts == ()


@pytest.mark.parametrize(
    ("auth", "why", "command"),
    [
        pytest.param(
            "basic",
            "does not exist",
            "kubectl create secret generic login -n ops --from-file=username=FILE --from-file=password=FILE",
            id="no Secret",
        ),
        pytest.param(
            "bearer",
            "does not exist",
            "kubectl create secret generic login -n ops --from-file=token=FILE",
            id="no Secret with a token",
        ),
        pytest.param("bearer", "has no key token", "kubectl edit secret login -n ops", id="no key"),
        pytest.param("bearer", "cannot be decrypted", "kubectl delete secret login -n ops", id="other encryption key"),
    ],
)
def test_credentials_that_cannot_be_read_are_told_with_the_command_that_mends_them(
    auth: str, why: str, command: str
) -> None:
    broker = make_broker(authInfo={auth: {"secretRef": {"namespace": "ops", "name": "login"}}})
    access = replace(NO_SECRET, message=f'the Secret "ops/login" {why}')
    change = outcomes.inaccessible(make_snapshot(broker), access, NOW)
    assert change.document.status.conditions[0].message.endswith(f"when that is corrected: {command}")


def test_refused_catalog_forgets_the_validator() -> None:
    change = outcomes.sync_failed(make_snapshot(memory=KNOWN), "services[0].id: is required", now=NOW)
    assert shown(change) == ("False", "ErrorSyncingCatalog")
    assert "services[0].id: is required" in change.document.status.conditions[0].message
    assert TRY_NOW in change.document.status.conditions[0].message
    assert BrokerMemory.model_validate(change.memory).known == KnownCatalog()


def test_broker_that_clashes_waits_for_the_other_to_go() -> None:
    change = outcomes.sync_failed(make_snapshot(), "ids are taken", remedy="Delete one", other="quay", now=NOW)
    assert "ids are taken. Delete one. It is retried" in change.document.status.conditions[0].message
    assert change.next.waiting_for == "broker:/quay"


@pytest.mark.parametrize(
    ("is_same", "words"),
    [
        pytest.param(True, "Both have the same URL. Delete one of them: harbour or quay", id="registered twice"),
        pytest.param(False, "spec.catalogRestrictions", id="two brokers"),
    ],
)
def test_way_out_of_a_collision_names_both_brokers(*, is_same: bool, words: str) -> None:
    told = advice.after_collision(make_broker(), "quay", is_same=is_same)
    assert words in told
    assert "harbour" in told
    assert "quay" in told


@pytest.mark.parametrize(
    ("status", "tried", "failed", "facts", "since"),
    [
        pytest.param(failing_status(since=HOUR), 1, False, 1, NOW - HOUR, id="not yet"),
        pytest.param(failing_status(since=WEEK + HOUR), 1, True, 2, NOW - WEEK - HOUR, id="after a week"),
        pytest.param(
            failing_status(since=WEEK + HOUR, failed=True), 1, True, 1, NOW - WEEK - HOUR, id="the event comes once"
        ),
        pytest.param(
            failing_status(since=WEEK + HOUR, failed=True), 0, False, 1, NOW, id="a new specification starts anew"
        ),
    ],
)
def test_long_failure_counts_as_failed_and_goes_on(
    status: Any, tried: int, *, failed: bool, facts: int, since: Any
) -> None:
    snapshot = make_snapshot(make_broker(status=status), memory=BrokerMemory(tried_generation=tried))
    change = outcomes.fetch_failed(snapshot, make_answer(Verdict.BROKEN, 500), NOW)
    expected = ("True", "ErrorReconciliationRetryTimeout") if failed else None
    assert shown(change, ConditionType.FAILED) == expected
    assert len(change.facts) == facts
    assert change.document.status.operation_start_time == since
    assert change.next.due_at is not None


@pytest.mark.parametrize(("instances", "words"), [(1, "1 ServiceInstance of"), (12, "12 ServiceInstances of")])
def test_blocked_deletion_tells_the_number_and_waits(instances: int, words: str) -> None:
    change = outcomes.blocked(make_snapshot(make_broker(deleted=True)), instances, NOW)
    assert shown(change) == ("False", "DeletionBlockedByExistingInstances")
    assert words in change.document.status.conditions[0].message
    assert "chandlery.io/force-delete=true" in change.document.status.conditions[0].message
    assert change.next.waiting_for == "instances-of:broker:/harbour"
    assert change.next.due_at is not None
    assert change.next.due_at <= NOW + MINUTES_5


def test_blocked_deletion_names_some_instances_and_the_command_for_the_first() -> None:
    names = [f"team/db-{number}" for number in range(5)]
    change = outcomes.blocked(make_snapshot(make_broker(deleted=True)), 12, NOW, names=names)
    message = change.document.status.conditions[0].message
    assert "left: team/db-0, team/db-1, team/db-2, team/db-3, team/db-4 and 7 more." in message
    assert "kubectl delete serviceinstance db-0 -n team" in message


@pytest.mark.parametrize(
    ("namespace", "reason", "key"),
    [
        pytest.param(None, "DeletedClusterServiceBrokerSuccessfully", "broker:/harbour", id="cluster-wide"),
        pytest.param("team", "DeletedSuccessfully", "broker:team/harbour", id="namespaced"),
    ],
)
def test_dismantled_broker_lets_go(namespace: str | None, reason: str, key: str) -> None:
    finalizers = ("kubernetes-incubator/service-catalog", "other/finalizer")
    broker = make_broker(namespace=namespace, deleted=True, finalizers=finalizers)
    change = outcomes.dismantled(make_snapshot(broker), NOW)
    assert change.is_finished
    assert change.document.metadata.finalizers == ["other/finalizer"]
    assert (reasons(change), woken_by(change.document, None)) == ([reason], (key,))


def test_forced_deletion_is_a_warning_with_the_number_of_instances() -> None:
    change = outcomes.dismantled(make_snapshot(make_broker(deleted=True)), NOW, instances=2)
    assert change.is_finished
    (forced, gone) = change.facts
    assert (forced.reason, forced.is_warning, gone.is_warning) == ("ForceDeleted", True, False)
    assert "2 ServiceInstances of this broker are left" in forced.message
    assert "register the broker again under the same name" in forced.message


def test_notes_of_another_release_are_read_as_far_as_they_are_known() -> None:
    old = {"etag": '"one"', "etag_url": URL, "tried_generation": 2, "leftovers": {"classes": ["a"], "plans": []}}
    memory = BrokerMemory.model_validate(old)
    assert (memory.tried_generation, memory.leftovers.classes, memory.known) == (2, ("a",), KnownCatalog())


def test_tidying_up_is_no_reason_to_take_the_catalog_over_again() -> None:
    snapshot = make_snapshot(make_broker(status=ready_status()), **AS_KNOWN)
    change = outcomes.tidied(snapshot, Leftovers(), stored=StoredCount(plans=1), now=NOW)
    assert BrokerMemory.model_validate(change.memory).known.stored == StoredCount(plans=1)
    meddled = make_snapshot(make_broker(status=ready_status()), **{**AS_KNOWN, "stored": StoredCount(plans=9)})
    change = outcomes.tidied(meddled, Leftovers(), stored=StoredCount(plans=8), now=NOW)
    assert BrokerMemory.model_validate(change.memory).known == CATALOG


def test_idle_keeps_the_status_and_comes_back_for_the_relist() -> None:
    snapshot = make_snapshot(make_broker(status=ready_status()), memory=BrokerMemory(leftovers=LEFT))
    change = outcomes.idle(snapshot, NOW)
    assert change.document.status.conditions == (condition(ConditionStatus.TRUE, "FetchedCatalog"),)
    assert change.next.due_at == NOW + 23 * HOUR
    assert change.next.waiting_for == "instances-of:broker:/harbour"


FAILING = OpenCircuit(opened_at=NOW, retry_at=NOW + timedelta(seconds=30), message="10 calls in a row have failed: 500")
HELD_BACK = condition(ConditionStatus.TRUE, "CircuitOpened", kind=ConditionType.CIRCUIT_OPEN)


def left_alone() -> AnyBroker:
    """A broker that shows that it is left alone."""
    status = ready_status()
    return make_broker(status=status.model_copy(update={"conditions": (HELD_BACK, *status.conditions)}))


def test_a_broker_that_is_left_alone_shows_it_before_what_status_columns_show() -> None:
    change = outcomes.idle(make_snapshot(make_broker(status=ready_status()), circuit=FAILING), NOW)
    first, last = change.document.status.conditions

    assert (first.type, first.status, first.reason) == (ConditionType.CIRCUIT_OPEN, "True", "CircuitOpened")
    assert "10 calls in a row have failed: 500. Calls to this broker are paused" in first.message
    assert (last.type, change.document.status.last_condition_state) == (ConditionType.READY, "Ready")
    assert reasons(change) == ["CircuitOpened"]


def test_a_broker_that_is_called_again_shows_it() -> None:
    change = outcomes.idle(make_snapshot(left_alone()), NOW)

    shown_first = change.document.status.conditions[0]
    assert (shown_first.type, shown_first.status) == (ConditionType.CIRCUIT_OPEN, "False")
    assert (shown_first.last_transition_time, reasons(change)) == (NOW, ["CircuitClosed"])


def test_a_circuit_that_stays_as_it_was_changes_nothing() -> None:
    broker = left_alone()
    change = outcomes.idle(make_snapshot(broker, circuit=FAILING), NOW)

    assert (change.document.status.conditions, change.facts) == (broker.status.conditions, ())


@pytest.mark.parametrize(("broker", "circuit"), [(make_broker(status=ready_status()), FAILING), (left_alone(), None)])
def test_news_of_a_circuit_does_not_have_the_catalog_fetched(broker: AnyBroker, circuit: OpenCircuit | None) -> None:
    snapshot = make_snapshot(broker, circuit=circuit, **AS_KNOWN | {"revision": 5})

    assert decide(snapshot, NOW) == Idle()


def test_a_catalog_that_somebody_asked_for_brings_back_what_waits_for_the_broker() -> None:
    asked = make_broker(status=ready_status(), annotations=RETRY)

    def wakes(broker: AnyBroker) -> tuple[str, ...]:
        answer = make_answer(Verdict.SUCCEEDED, 200)
        change = outcomes.synced(make_snapshot(broker), answer, outcomes.Had(Leftovers(), StoredCount()), NOW)
        return change.wakes

    assert (wakes(asked), wakes(OLD)) == (("circuit:broker:/harbour",), ())
