"""Dashboard, usability, time limits, interruptions, repeats: the rules beside the reaction matrix."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chandlery.model.objects.conditions import ConditionType
from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.policies.broker_policy import BrokerPolicy
from chandlery.reconcile.reconcile_result import Refuse, Wait
from chandlery.reconcile.secrecy.known_secrets import KnownSecrets
from chandlery_provisioner.absorb import instance_outcomes as outcomes
from chandlery_provisioner.absorb.instance_draft import InstanceResult
from chandlery_provisioner.absorb.instance_outcomes import absorb
from chandlery_provisioner.decide.instance_machine import decide
from chandlery_provisioner.facts.instance_notes import InstancePurpose
from chandlery_provisioner.facts.instance_snapshot import Deprovision, InstanceSnapshot, PollInstance, Provision
from tests.unit.provisioner.builders import (
    FAILED,
    NO_CLASS,
    NO_SECRET,
    NOT_READY,
    NOW,
    READY,
    SERVICE,
    SMALL,
    fact_reasons,
    make_instance,
    make_offering,
    make_snapshot,
    mitigating,
    notes,
    pause,
    provisioned,
    remembering,
    reply,
    sent,
    timed_out,
    told,
    told_message,
    unreachable,
    working,
)

PROVISION, UPDATE, DEPROVISION, MITIGATE, POLL = (
    InstancePurpose.PROVISION,
    InstancePurpose.UPDATE,
    InstancePurpose.DEPROVISION,
    InstancePurpose.MITIGATE,
    InstancePurpose.POLL,
)
OLD, NEW = "https://old.example.com", "https://new.example.com"
AS_BEFORE = ("True", "ProvisionedSuccessfully")
DAYS_8 = timedelta(days=8)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"dashboard_url": NEW}, NEW, id="new"),
        pytest.param({"dashboard_url": None}, OLD, id="null"),
        pytest.param({"dashboard_url": ""}, OLD, id="empty"),
        pytest.param({"dashboard_url": 7}, OLD, id="number"),
        pytest.param({}, OLD, id="absent"),
    ],
)
@pytest.mark.parametrize("status", [200, 202])
def test_an_update_replaces_the_dashboard_only_by_another(status: int, body: dict[str, Any], expected: str) -> None:
    before = provisioned(generation=2, dashboard_url=OLD)

    change = absorb(make_snapshot(before, memory=remembering()), sent(UPDATE), reply(UPDATE, status, body), NOW)

    assert change.document.status.dashboard_url == expected


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param("javascript:alert(1)", "is not an http or https URL", id="script"),
        pytest.param("https://admin:PW@example.com", "has a user name or password in it", id="password"),
        pytest.param("https://example.com/?key=hunter2-value", "repeats a secret value", id="secret"),
        pytest.param(7, "is not a string", id="number"),
    ],
)
@pytest.mark.parametrize("purpose", [PROVISION, UPDATE])
def test_a_dashboard_that_could_do_harm_is_told_of_and_not_shown(
    purpose: InstancePurpose, url: object, problem: str
) -> None:
    before = provisioned(generation=2, dashboard_url=None)
    snapshot = make_snapshot(before, memory=remembering())
    answer = reply(purpose, 200, {"dashboard_url": url, "metadata": {"attributes": {"note": "is hunter2-value"}}})

    change = absorb(snapshot, sent(purpose), answer.knowing(KnownSecrets(["hunter2-value"])).struck(), NOW)

    assert change.document.status.dashboard_url is None
    told_of = [fact for fact in change.facts if fact.reason == InstanceReason.DASHBOARD_REFUSED]
    assert [(fact.is_warning, problem in fact.message, "PW" in fact.message) for fact in told_of] == [
        (True, True, False)
    ]
    shown = change.document.status.broker_metadata
    assert shown is not None
    assert shown.attributes == {"note": "is <redacted>"}


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_creation_shows_its_dashboard_from_the_first_answer_on(status: int) -> None:
    change = absorb(make_snapshot(), sent(PROVISION), reply(PROVISION, status, {"dashboard_url": NEW}), NOW)

    assert change.document.status.dashboard_url == NEW


def test_the_end_of_a_creation_keeps_the_dashboard_of_its_beginning() -> None:
    before = working("Provision", dashboard_url=OLD)

    change = absorb(
        make_snapshot(before, memory=remembering()), sent(POLL), reply(POLL, 200, {"state": "succeeded"}), NOW
    )

    assert change.document.status.dashboard_url == OLD


def failed_update(body: dict[str, Any] | None, *, is_unusable: bool = False) -> InstanceResult:
    """An update that failed; without a body there was no answer."""
    snapshot = make_snapshot(provisioned(generation=2), memory=remembering(is_unusable=is_unusable))
    return absorb(snapshot, sent(UPDATE), timed_out(UPDATE) if body is None else reply(UPDATE, 500, body), NOW)


@pytest.mark.parametrize(
    ("before", "body", "after"),
    [
        pytest.param(False, {"instance_usable": False}, True, id="the broker says so"),
        pytest.param(False, {"instance_usable": True}, False, id="the broker says the contrary"),
        pytest.param(False, {}, False, id="the broker says nothing"),
        pytest.param(False, {"instance_usable": "false"}, False, id="not a boolean"),
        pytest.param(True, {"instance_usable": True}, False, id="usable again"),
        pytest.param(True, {}, True, id="known before and not taken back"),
        pytest.param(True, None, True, id="known before and no answer"),
    ],
)
def test_an_instance_is_unusable_from_the_brokers_word_on(
    *, before: bool, body: dict[str, Any] | None, after: bool
) -> None:
    assert notes(failed_update(body, is_unusable=before)).is_unusable == after


def test_an_instance_is_usable_again_after_an_update_that_succeeds() -> None:
    snapshot = make_snapshot(provisioned(generation=2), memory=remembering(is_unusable=True))

    assert not notes(absorb(snapshot, sent(UPDATE), reply(UPDATE, 200), NOW)).is_unusable


@pytest.mark.parametrize("operation", ["Update", "Deprovision"])
def test_an_operation_that_fails_may_leave_the_instance_unusable(operation: str) -> None:
    snapshot = make_snapshot(working(operation, deleted=operation == "Deprovision"), memory=remembering())
    answer = reply(POLL, 200, {"state": "failed", "instance_usable": False})

    assert notes(absorb(snapshot, sent(POLL), answer, NOW)).is_unusable


def test_a_failed_deletion_may_leave_the_instance_unusable() -> None:
    snapshot = make_snapshot(provisioned(deleted=True), memory=remembering())

    change = absorb(snapshot, sent(DEPROVISION), reply(DEPROVISION, 500, {"instance_usable": False}), NOW)

    assert notes(change).is_unusable


def test_an_instance_that_is_created_anew_is_usable() -> None:
    snapshot = make_snapshot(make_instance(observed_generation=1), memory=remembering(is_unusable=True))

    assert not notes(absorb(snapshot, sent(PROVISION), reply(PROVISION, 201), NOW)).is_unusable


def retrying(operation: str, age: timedelta, **fields: Any) -> Any:
    """An instance whose synchronous operation has failed for so long."""
    plain = {"current_operation": operation, "operation_start_time": NOW - age, "conditions": (NOT_READY,)}
    if operation == "Update":
        return provisioned(**{**plain, **fields})
    return make_instance(**{"observed_generation": 1, "deprovision_status": "Required", **plain, **fields})


@pytest.mark.parametrize(("purpose", "operation"), [(PROVISION, "Provision"), (UPDATE, "Update")])
@pytest.mark.parametrize("how", [unreachable, lambda purpose: reply(purpose, 422)], ids=["unreachable", "422"])
def test_retries_end_when_the_operations_time_is_up(purpose: InstancePurpose, operation: str, how: Any) -> None:
    snapshot = make_snapshot(retrying(operation, DAYS_8), memory=remembering(), attempt=40)

    change = absorb(snapshot, sent(purpose), how(purpose), NOW)

    assert (told(change) or ("", ""))[0] == str(operation == "Update")
    assert told(change, ConditionType.FAILED) == ("True", "ErrorReconciliationRetryTimeout")
    assert change.next.due_at is None
    assert change.document.status.current_operation is None
    assert change.document.status.operation_start_time is None
    assert decide(make_snapshot(change.document, memory=notes(change))).__class__.__name__ == "Idle"


def test_an_open_request_is_given_up_with_its_operation_and_leaves_its_doubt() -> None:
    note = sent(PROVISION)
    snapshot = make_snapshot(retrying("Provision", DAYS_8), memory=remembering(), request=note)

    change = absorb(snapshot, note, unreachable(PROVISION), NOW)

    assert change.sealed is None
    assert change.document.status.deprovision_status == "Required"


def test_retries_go_on_within_the_operations_time() -> None:
    snapshot = make_snapshot(retrying("Provision", timedelta(days=6)), memory=remembering(), attempt=40)

    change = absorb(snapshot, sent(PROVISION), reply(PROVISION, 429), NOW)

    assert told(change, ConditionType.FAILED) is None
    assert change.next.attempt == 41
    assert pause(change) == pytest.approx(20 * 60, rel=0.11)


def test_retries_of_a_deletion_never_end() -> None:
    snapshot = make_snapshot(
        retrying("Deprovision", timedelta(days=400), deleted=True), memory=remembering(), attempt=10_000
    )

    change = absorb(snapshot, sent(DEPROVISION), reply(DEPROVISION, 500), NOW)

    assert told(change, ConditionType.FAILED) is None
    assert pause(change) == pytest.approx(20 * 60, rel=0.11)


def test_a_mitigation_of_an_old_operation_is_its_last() -> None:
    before = mitigating(operation_start_time=NOW - DAYS_8)

    change = absorb(make_snapshot(before, memory=remembering(), attempt=40), sent(MITIGATE), reply(MITIGATE, 410), NOW)

    assert told(change, ConditionType.FAILED) == ("True", "ErrorReconciliationRetryTimeout")
    assert change.document.status.deprovision_status == "Succeeded"
    assert not change.document.status.orphan_mitigation_in_progress
    assert change.next.due_at is None


@pytest.mark.parametrize(("purpose", "operation"), [(PROVISION, "Provision"), (UPDATE, "Update")])
def test_a_newer_desired_state_gets_the_full_time(purpose: InstancePurpose, operation: str) -> None:
    snapshot = make_snapshot(retrying(operation, DAYS_8, generation=2), memory=remembering())

    change = absorb(snapshot, sent(purpose, generation=2), reply(purpose, 422), NOW)

    assert told(change, ConditionType.FAILED) is None
    assert change.document.status.operation_start_time == NOW


def test_a_repeated_attempt_keeps_the_time_of_the_first() -> None:
    snapshot = make_snapshot(retrying("Provision", timedelta(hours=3)), memory=remembering())

    change = absorb(snapshot, sent(PROVISION), reply(PROVISION, 422), NOW)

    assert change.document.status.operation_start_time == NOW - timedelta(hours=3)


@pytest.mark.parametrize(
    ("plan_limit", "platform_limit", "expected"),
    [
        pytest.param(5, timedelta(days=7), 5, id="the plan's"),
        pytest.param(10**9, timedelta(hours=1), 3600, id="the platform's"),
        pytest.param(None, timedelta(hours=1), 3600, id="the platform's alone"),
    ],
)
def test_polling_ends_at_the_earlier_limit(plan_limit: int | None, platform_limit: timedelta, expected: int) -> None:
    offering = make_offering(maximum_polling_duration=plan_limit)
    snapshot = make_snapshot(offering=offering, policy=BrokerPolicy(give_up_after=platform_limit))

    change = absorb(snapshot, sent(PROVISION), reply(PROVISION, 202), NOW)

    assert notes(change).poll_until == NOW.timestamp() + expected


@pytest.mark.parametrize(
    ("retry_after", "left", "expected"),
    [
        pytest.param(None, 3600, 1, id="our own pause"),
        pytest.param("10", 3600, 10, id="the broker's spec"),
        pytest.param("0", 3600, 1, id="a spec that is too short"),
        pytest.param("86400", 3600, 3600, id="not beyond the end"),
        pytest.param(None, 0.5, 0.5, id="the last poll is at the end"),
    ],
)
def test_the_pause_between_polls_respects_the_broker_and_the_end(
    retry_after: str | None, left: float, expected: float
) -> None:
    memory = remembering(poll_until=NOW.timestamp() + left, polls=0)
    answer = reply(POLL, 200, {"state": "in progress"}, retry_after=retry_after)

    change = absorb(make_snapshot(working("Provision"), memory=memory), sent(POLL), answer, NOW)

    assert pause(change) == pytest.approx(expected, rel=0.06)


def test_the_pause_between_polls_is_ten_seconds_at_most_at_first() -> None:
    memory = remembering(poll_until=NOW.timestamp() + 86_400, polls=500)

    change = absorb(
        make_snapshot(working("Provision"), memory=memory), sent(POLL), reply(POLL, 200, {"state": "in progress"}), NOW
    )

    assert pause(change) == pytest.approx(10, rel=0.06)


def test_polling_is_no_busy_loop_when_its_end_is_unknown() -> None:
    snapshot = make_snapshot(working("Provision"), memory=remembering(poll_until=None))

    change = absorb(snapshot, sent(POLL), reply(POLL, 200, {"state": "in progress"}), NOW)

    assert pause(change) == pytest.approx(1, rel=0.06)


def test_a_deletion_interrupts_a_creation_and_is_polled_itself() -> None:
    memory = remembering(poll_until=NOW.timestamp() + 60, polls=9)
    snapshot = make_snapshot(working("Provision", deleted=True), memory=memory)
    assert decide(snapshot) == Deprovision(SERVICE, SMALL, is_mitigation=False)

    change = absorb(snapshot, sent(DEPROVISION), reply(DEPROVISION, 202, {"operation": "key-2"}), NOW)

    status = change.document.status
    assert (status.current_operation, status.last_operation, status.async_op_in_progress) == (
        "Deprovision",
        "key-2",
        True,
    )
    assert notes(change).polls == 1
    assert notes(change).poll_until == NOW.timestamp() + timedelta(days=7).total_seconds()


@pytest.mark.parametrize("operation", ["Provision", "Update"])
def test_a_broker_that_will_not_be_interrupted_is_polled_on(operation: str) -> None:
    memory = remembering(poll_until=NOW.timestamp() + 60, polls=9, wanted_plan_id="plan-large")
    before = working(operation, deleted=True)

    change = absorb(
        make_snapshot(before, memory=memory),
        sent(DEPROVISION),
        reply(DEPROVISION, 422, {"error": "ConcurrencyError"}),
        NOW,
    )

    status = change.document.status
    assert (status.current_operation, status.last_operation, status.async_op_in_progress) == (operation, "key-1", True)
    assert notes(change) == memory.model_copy(update={"delete_deferred": True})
    assert pause(change) == pytest.approx(1, rel=0.06)
    assert decide(make_snapshot(change.document, memory=notes(change))) == PollInstance(SERVICE, SMALL, "key-1")


@pytest.mark.parametrize("operation", ["Provision", "Update"])
def test_a_deferred_deletion_is_sent_when_the_operation_has_succeeded(operation: str) -> None:
    snapshot = make_snapshot(working(operation, deleted=True), memory=remembering(delete_deferred=True))

    change = absorb(snapshot, sent(POLL), reply(POLL, 200, {"state": "succeeded"}), NOW)

    assert pause(change) == 0
    assert isinstance(decide(make_snapshot(change.document, memory=notes(change))), Deprovision)


@pytest.mark.parametrize("status", [500, 404, 422, 204])
def test_an_interruption_that_fails_otherwise_is_tried_again(status: int) -> None:
    snapshot = make_snapshot(working("Provision", deleted=True), memory=remembering())

    change = absorb(snapshot, sent(DEPROVISION), reply(DEPROVISION, status), NOW)

    assert told(change) == ("Unknown", "DeprovisionCallFailed")
    assert isinstance(decide(make_snapshot(change.document, memory=notes(change))), Deprovision)


def test_a_deletion_of_an_orphan_ends_the_mitigation_with_the_object() -> None:
    before = mitigating(deleted=True, finalizers=("kubernetes-incubator/service-catalog", "someone/else"))

    change = absorb(make_snapshot(before, memory=remembering()), sent(DEPROVISION), reply(DEPROVISION, 410), NOW)

    assert change.is_finished
    assert not change.document.status.orphan_mitigation_in_progress
    assert told(change, ConditionType.ORPHAN_MITIGATION) is None


def test_a_mitigation_that_ends_after_the_user_deleted_ends_the_object() -> None:
    snapshot = make_snapshot(mitigating(deleted=True), memory=remembering(), request=sent(MITIGATE))

    assert absorb(snapshot, sent(MITIGATE), reply(MITIGATE, 410), NOW).is_finished


def test_a_failed_creation_stays_failed_after_its_mitigation() -> None:
    before = mitigating(conditions=(NOT_READY, FAILED))

    change = absorb(make_snapshot(before, memory=remembering()), sent(MITIGATE), reply(MITIGATE, 200), NOW)

    assert told(change, ConditionType.FAILED) == ("True", "ProvisionCallFailed")
    assert change.document.status.current_operation is None
    assert change.next.due_at is None


def test_a_newer_desired_state_follows_the_mitigation_of_a_failed_creation_at_once() -> None:
    before = mitigating(generation=2, conditions=(NOT_READY, FAILED))

    change = absorb(make_snapshot(before, memory=remembering()), sent(MITIGATE), reply(MITIGATE, 200), NOW)

    assert pause(change) == 0
    assert isinstance(decide(make_snapshot(change.document, memory=notes(change))), Provision)


def test_a_new_attempt_takes_the_failed_condition_away() -> None:
    before = make_instance(generation=2, observed_generation=1, conditions=(NOT_READY, FAILED))

    change = absorb(make_snapshot(before), sent(PROVISION, generation=2), reply(PROVISION, 202), NOW)

    assert told(change, ConditionType.FAILED) is None


def test_a_desired_state_that_grew_old_while_it_was_granted_is_followed_by_the_next_at_once() -> None:
    change = absorb(
        make_snapshot(make_instance(generation=3)), sent(PROVISION, generation=2), reply(PROVISION, 201), NOW
    )

    assert change.document.status.observed_generation == 2
    assert pause(change) == 0


def test_a_repeat_is_recorded_as_the_request_of_its_own_generation() -> None:
    note = sent(PROVISION, generation=2, started_at=(NOW - timedelta(minutes=5)).timestamp())
    snapshot = make_snapshot(make_instance(generation=3), request=note)

    change = absorb(snapshot, note, reply(PROVISION, 202), NOW)

    assert change.document.status.observed_generation == 2
    assert change.document.status.operation_start_time == datetime(2026, 3, 1, 11, 55, tzinfo=UTC)


@pytest.mark.parametrize(
    ("purpose", "reason"),
    [
        (PROVISION, "ProvisionRequestInFlight"),
        (UPDATE, "UpdateInstanceRequestInFlight"),
        (DEPROVISION, "DeprovisionRequestInFlight"),
    ],
)
def test_a_slow_call_is_announced(purpose: InstancePurpose, reason: str) -> None:
    change = outcomes.announce(make_snapshot(provisioned(), memory=remembering()), sent(purpose), NOW)

    assert told(change) == (AS_BEFORE if purpose == UPDATE else ("False", reason))
    assert told(change, ConditionType.RECONCILING) == (("True", reason) if purpose == UPDATE else None)
    assert change.document.status.deprovision_status == "Required"
    assert change.document.status.operation_start_time == NOW


def test_a_slow_mitigation_keeps_its_condition() -> None:
    before = mitigating()

    change = outcomes.announce(make_snapshot(before, memory=remembering()), sent(MITIGATE), NOW)

    assert change.document.status.conditions == before.status.conditions


@pytest.mark.parametrize("missing", [NO_CLASS, NO_SECRET], ids=["class", "secret"])
def test_waiting_says_what_is_missing_and_what_brings_it_back(missing: Any) -> None:
    action = Wait(missing.reason, missing.message, missing.waiting_for)

    change = outcomes.wait(make_snapshot(attempt=2), action, NOW)

    assert told(change) == ("False", missing.reason)
    assert fact_reasons(change) == [missing.reason]
    assert change.facts[0].is_warning
    assert change.next.waiting_for == missing.waiting_for
    assert change.next.attempt == 3
    assert pause(change) == pytest.approx(20, rel=0.11)


def test_waiting_for_the_same_thing_is_recorded_once() -> None:
    action = Wait(NO_CLASS.reason, NO_CLASS.message, NO_CLASS.waiting_for)
    first = outcomes.wait(make_snapshot(), action, NOW)

    second = outcomes.wait(make_snapshot(first.document), action, NOW + timedelta(minutes=1))

    assert second.facts == ()
    assert second.document.status == first.document.status


def test_waiting_keeps_an_open_request() -> None:
    note = sent(PROVISION)
    action = Wait(NO_SECRET.reason, NO_SECRET.message, NO_SECRET.waiting_for)

    assert outcomes.wait(make_snapshot(request=note), action, NOW).sealed == note.to_wire()


@pytest.mark.parametrize(
    ("reason", "expected"),
    [(NO_SECRET.reason, "Unknown"), (InstanceReason.BLOCKED_BY_BINDINGS, "False")],
    ids=["broker", "bindings"],
)
def test_waiting_to_be_deleted_leaves_open_whether_the_instance_works(reason: str, expected: str) -> None:
    change = outcomes.wait(
        make_snapshot(provisioned(deleted=True), memory=remembering()), Wait(reason, "why", None), NOW
    )

    assert told(change) == (expected, reason)


def test_a_refused_desired_state_fails_until_it_changes() -> None:
    before = provisioned(generation=2, current_operation="Update", operation_start_time=NOW - DAYS_8)

    change = outcomes.refuse(
        make_snapshot(before, memory=remembering()), Refuse(InstanceReason.UPDATE_FAILED, "no"), NOW
    )

    assert told(change, ConditionType.FAILED) == ("True", "UpdateInstanceCallFailed")
    assert change.document.status.observed_generation == 2
    assert change.document.status.current_operation is None
    assert change.document.status.operation_start_time is None
    assert change.next.due_at is None


def test_finishing_takes_only_our_finalizer() -> None:
    before = make_instance(deleted=True, finalizers=("someone/else", "kubernetes-incubator/service-catalog"))

    change = outcomes.finish(make_snapshot(before), NOW)

    assert change.is_finished
    assert change.document.metadata.finalizers == ["someone/else"]
    assert change.wakes == ()


def test_an_idle_instance_is_left_in_peace() -> None:
    first = outcomes.idle(make_snapshot(provisioned(), memory=remembering()), NOW)

    second = outcomes.idle(make_snapshot(first.document, memory=notes(first)), NOW)

    assert second.document == first.document
    assert second.facts == ()
    assert second.wakes == ()
    assert second.next.due_at is None


def test_an_instance_that_waits_for_the_finalizers_of_others_is_no_busy_loop() -> None:
    first = outcomes.idle(make_snapshot(make_instance(deleted=True, finalizers=("someone/else",))), NOW)

    second = outcomes.idle(make_snapshot(first.document), NOW)

    assert second.next.due_at is None


def test_a_plan_that_was_left_open_is_shown_by_its_name() -> None:
    before = make_instance(spec={"cluster_service_plan_external_name": None})

    assert outcomes.idle(make_snapshot(before), NOW).document.status.user_specified_plan_name == "small"
    assert outcomes.idle(make_snapshot(before, offering=NO_CLASS), NOW).document.status.user_specified_plan_name == ""


def test_a_failure_that_repeats_is_recorded_in_the_same_words_so_that_it_is_counted() -> None:
    first = absorb(make_snapshot(), sent(PROVISION), reply(PROVISION, 429), NOW)

    second = absorb(make_snapshot(first.document, memory=notes(first)), sent(PROVISION), reply(PROVISION, 429), NOW)

    assert fact_reasons(first) == ["ProvisionCallFailed"]
    assert second.facts == first.facts
    assert told(second) == told(first)


def test_an_instance_that_becomes_ready_tells_since_when() -> None:
    later = NOW + timedelta(minutes=1)
    first = absorb(make_snapshot(), sent(PROVISION), reply(PROVISION, 202), NOW)

    second = absorb(
        make_snapshot(first.document, memory=notes(first)), sent(POLL), reply(POLL, 200, {"state": "succeeded"}), later
    )

    assert first.document.status.conditions[0].last_transition_time == NOW
    assert second.document.status.conditions[0].last_transition_time == later
    assert second.document.status.conditions[0].type == READY.type


RETRY_AFTER: list[Any] = [
    pytest.param(make_snapshot(), PROVISION, 429, id="a creation"),
    pytest.param(make_snapshot(), PROVISION, 503, id="the mitigation of a creation"),
    pytest.param(make_snapshot(provisioned(generation=2), memory=remembering()), UPDATE, 429, id="an update, 429"),
    pytest.param(make_snapshot(provisioned(generation=2), memory=remembering()), UPDATE, 503, id="an update, 503"),
    pytest.param(
        make_snapshot(provisioned(deleted=True), memory=remembering()), DEPROVISION, 429, id="a deletion, 429"
    ),
    pytest.param(
        make_snapshot(provisioned(deleted=True), memory=remembering()), DEPROVISION, 503, id="a deletion, 503"
    ),
    pytest.param(make_snapshot(mitigating(), memory=remembering()), InstancePurpose.MITIGATE, 503, id="a mitigation"),
]


@pytest.mark.parametrize(("snapshot", "purpose", "status"), RETRY_AFTER)
@pytest.mark.parametrize(("retry_after", "expected"), [("90", 90), ("86400", 1200)])
def test_the_next_attempt_waits_as_long_as_the_broker_asks_up_to_the_longest_back_off(
    snapshot: InstanceSnapshot, purpose: InstancePurpose, status: int, *, retry_after: str, expected: float
) -> None:
    change = absorb(snapshot, sent(purpose), reply(purpose, status, retry_after=retry_after), NOW)

    assert pause(change) == expected
    is_counted_apart = purpose == PROVISION and status == 503
    assert (change.next.attempt, notes(change).creation_attempts) == ((0, 1) if is_counted_apart else (1, 0))


def test_a_broker_cannot_ask_for_less_than_the_back_off() -> None:
    instance = make_instance(current_operation="Provision", observed_generation=1, operation_start_time=NOW)
    change = absorb(make_snapshot(instance, attempt=5), sent(PROVISION), reply(PROVISION, 429, retry_after="1"), NOW)

    assert pause(change) == pytest.approx(32, rel=0.11)


def test_one_failure_is_recorded_once_although_two_conditions_tell_it() -> None:
    memory = remembering(poll_until=NOW.timestamp() + 60)

    change = absorb(
        make_snapshot(working("Provision"), memory=memory),
        sent(POLL),
        reply(POLL, 200, {"state": "failed", "description": "no rope left"}),
        NOW,
    )

    assert fact_reasons(change) == ["ProvisionCallFailed", "StartingInstanceOrphanMitigation"]


ASKING = [
    InstanceReason.NO_SUCH_CLASS,
    InstanceReason.NO_SUCH_PLAN,
    InstanceReason.NO_SUCH_BROKER,
    InstanceReason.DELETED_CLASS,
    InstanceReason.DELETED_PLAN,
    InstanceReason.ERROR_WITH_PARAMETERS,
    InstanceReason.ERROR_WITH_CREDENTIALS,
]


@pytest.mark.parametrize("reason", ASKING)
@pytest.mark.parametrize("is_deleted", [False, True], ids=["wanted", "deleted"])
def test_what_an_instance_waits_for_comes_with_a_command(reason: str, *, is_deleted: bool) -> None:
    snapshot = make_snapshot(provisioned(generation=2, deleted=is_deleted), memory=remembering())

    change = outcomes.wait(snapshot, Wait(reason, "Something is missing", None), NOW)

    shown = told_message(change, ConditionType.RECONCILING) or told_message(change)
    assert shown.startswith("Something is missing. ")
    assert "kubectl " in shown
    assert "kubectl" not in change.facts[0].message
