"""What is done with a service broker, and what becomes of it: both halves of its state machine as tables."""

from datetime import timedelta
from typing import Any

import pytest

from chandlery.model.brokers import AnyBroker
from chandlery.model.conditions import ConditionStatus, ConditionType
from chandlery.reconcile.answers import Answer, Verdict
from chandlery_syncer import broker_outcomes as outcomes
from chandlery_syncer.broker_machine import decide
from chandlery_syncer.broker_snapshot import (
    CATALOG_FORMAT,
    Action,
    Blocked,
    BrokerMemory,
    Dismantle,
    Fetch,
    Idle,
    Inaccessible,
    Leftovers,
    Tidy,
)
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
KNOWN = BrokerMemory(etag='"one"', etag_url=URL, etag_generation=1, etag_format=CATALOG_FORMAT)
MINUTES_5 = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("broker", "more", "expected"),
    [
        pytest.param(make_broker(), {}, Fetch(None), id="new broker is asked"),
        pytest.param(make_broker(), {"access": NO_SECRET}, Inaccessible(NO_SECRET), id="without its Secret it is not"),
        pytest.param(make_broker(status=ready_status()), {}, Idle(), id="fresh catalog rests"),
        pytest.param(make_broker(status=ready_status()), {"access": NO_SECRET}, Idle(), id="fresh needs no Secret"),
        pytest.param(make_broker(status=ready_status(fetched=24 * HOUR)), {}, Fetch(None), id="a day old is asked"),
        pytest.param(
            make_broker(status=ready_status(fetched=24 * HOUR)),
            {"relist_interval": 48 * HOUR},
            Idle(),
            id="the setting decides for brokers that do not say",
        ),
        pytest.param(
            make_broker(status=ready_status(), relistDuration="30m"), {}, Fetch(None), id="own duration counts"
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
            Fetch(None),
            id="Manual is asked after a change",
        ),
        pytest.param(make_broker(status=ready_status(), generation=2), {}, Fetch(None), id="new generation is asked"),
        pytest.param(make_broker(status=failing_status()), {}, Fetch(None), id="failing broker is asked"),
        pytest.param(
            make_broker(status=ready_status(fetched=24 * HOUR)),
            {"memory": KNOWN},
            Fetch('"one"'),
            id="with its validator",
        ),
        pytest.param(
            make_broker(status=ready_status(), generation=2),
            {"memory": KNOWN},
            Fetch(None),
            id="never across generations",
        ),
        pytest.param(
            make_broker(status=ready_status(fetched=24 * HOUR)),
            {"memory": KNOWN.model_copy(update={"etag_url": "http://other.test"})},
            Fetch(None),
            id="never across addresses",
        ),
        pytest.param(
            make_broker(status=ready_status(fetched=24 * HOUR)),
            {"memory": KNOWN.model_copy(update={"etag_format": CATALOG_FORMAT - 1})},
            Fetch(None),
            id="never across releases that store otherwise",
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
            make_broker(deleted=True, finalizers=("other/finalizer",)),
            {},
            Idle(),
            id="another's finalizer is waited for",
        ),
    ],
)
def test_decide(broker: AnyBroker, more: dict[str, Any], expected: Action) -> None:
    assert decide(make_snapshot(broker, **more), NOW) == expected


def test_success_says_so_and_comes_back_for_the_relist() -> None:
    snapshot = make_snapshot(
        make_broker(generation=3, status=failing_status(failed=True), relistDuration="2h"), attempt=7
    )
    change = outcomes.synced(snapshot, etag='"two"', leftovers=Leftovers(), now=NOW)

    status = change.document.status
    assert shown(change) == ("True", "FetchedCatalog")
    assert shown(change, ConditionType.FAILED) is None
    assert (status.reconciled_generation, status.operation_start_time) == (3, None)
    assert (status.last_catalog_retrieval_time, status.last_condition_state) == (NOW, "Ready")
    assert (change.next.due_at, change.next.attempt, change.next.waiting_for) == (NOW + 2 * HOUR, 0, None)
    assert reasons(change) == ["FetchedCatalog"]
    assert BrokerMemory.model_validate(change.memory).etag_generation == 3


def test_success_of_a_manual_broker_has_no_next_time() -> None:
    change = outcomes.synced(make_snapshot(make_broker(relistBehavior="Manual")), etag=None, leftovers=LEFT, now=NOW)
    assert change.next.due_at is None
    assert change.next.waiting_for == "instances-of:broker:/harbour"


def test_repeated_success_records_no_event() -> None:
    first = outcomes.synced(make_snapshot(), etag=None, leftovers=Leftovers(), now=NOW)
    again = outcomes.synced(make_snapshot(first.document), etag=None, leftovers=Leftovers(), now=NOW + HOUR)
    assert again.facts == ()
    assert again.document.status.conditions[0].last_transition_time == NOW


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
    assert (kept.etag, kept.leftovers) == ('"one"', LEFT)


@pytest.mark.parametrize(
    ("attempt", "asked", "least", "most"),
    [
        pytest.param(0, None, 0.9, 1.1, id="first failure"),
        pytest.param(3, None, 7.2, 8.8, id="fourth failure"),
        pytest.param(50, None, 270, 330, id="never much more than five minutes"),
        pytest.param(0, 60.0, 60, 60, id="the broker's own wish"),
        pytest.param(0, 86400.0, 300, 300, id="within reason"),
    ],
)
def test_failed_fetch_is_repeated_by_schedule(attempt: int, asked: float | None, least: float, most: float) -> None:
    answer = make_answer(Verdict.BROKEN, 503, retry_after_seconds=asked)
    change = outcomes.fetch_failed(make_snapshot(attempt=attempt), answer, NOW)
    assert change.next.due_at is not None
    assert least <= (change.next.due_at - NOW).total_seconds() <= most
    assert change.next.attempt == attempt + 1


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


def test_refused_catalog_forgets_the_validator() -> None:
    change = outcomes.sync_failed(make_snapshot(memory=KNOWN), "services[0].id: is required", NOW)
    assert shown(change) == ("False", "ErrorSyncingCatalog")
    assert "services[0].id: is required" in change.document.status.conditions[0].message
    assert BrokerMemory.model_validate(change.memory).etag is None


WEEK = timedelta(days=7)


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
    assert change.next.waiting_for == "instances-of:broker:/harbour"
    assert change.next.due_at is not None
    assert change.next.due_at <= NOW + MINUTES_5


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
    assert (reasons(change), change.wakes) == ([reason], (key,))


def test_idle_keeps_the_status_and_comes_back_for_the_relist() -> None:
    snapshot = make_snapshot(make_broker(status=ready_status()), memory=BrokerMemory(leftovers=LEFT))
    change = outcomes.idle(snapshot, NOW)
    assert change.document.status.conditions == (condition(ConditionStatus.TRUE, "FetchedCatalog"),)
    assert change.next.due_at == NOW + 23 * HOUR
    assert change.next.waiting_for == "instances-of:broker:/harbour"
