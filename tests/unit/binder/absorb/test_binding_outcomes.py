"""What becomes of a binding: the reaction matrix of OSB v2.17 row by row, and what the conditions say afterwards."""

from datetime import timedelta
from typing import Any

import pytest

from chandlery.model.objects.bindings import BindingPropertiesState, ServiceBinding
from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.model.objects.metadata import to_timestamp
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.operation.mitigation import Cause
from chandlery.reconcile.reconcile_result import Refuse, Wait
from chandlery.reconcile.wake_keys import woken_by
from chandlery_binder.absorb.binding_draft import BindingResult
from chandlery_binder.absorb.binding_outcomes import absorb, announce, credentials_of, finish, refuse, wait
from chandlery_binder.facts.binding_notes import BindingPurpose, OpenBindingRequest
from chandlery_binder.facts.binding_snapshot import (
    BindingSnapshot,
    InjectionProblem,
)
from chandlery_binder.facts.sealed_binding_notes import SealedNotes
from tests.unit.binder.binding_builders import (
    FAILED,
    HERE,
    MEMORY,
    NOW,
    answered,
    bound,
    make_binding,
    make_offering,
    make_snapshot,
    mitigating,
    pause,
    reaction,
    ready_reason,
    sent,
    unanswered,
    working,
)

CREDENTIALS = {"uri": "tcp://rope"}
WITH_CREDENTIALS = {"credentials": CREDENTIALS}
CONCURRENCY = {"error": "ConcurrencyError"}
LONG_KEY = {"operation": "x" * 10_001}
PROBLEM = InjectionProblem('Secret "ns/knot" exists and is not owned by this binding', "secret:ns/knot")
FETCH_DUE = make_snapshot(make_binding(unbind_status="Required", current_operation="Bind"), memory=MEMORY)
LONG_AGO = NOW - timedelta(days=8)


def absorbed(
    snapshot: BindingSnapshot, note: OpenBindingRequest, answer: Answer, problem: InjectionProblem | None = None
) -> BindingResult:
    return absorb(snapshot, note, answer=answer, now=NOW, problem=problem)


def row(status: int, body: Any, reaction_to_it: str, label: str, **fields: Any) -> Any:
    return pytest.param(status, body, fields, reaction_to_it, id=f"{status} {label} -> {reaction_to_it}")


BIND_ROWS: list[Any] = [
    row(200, WITH_CREDENTIALS, "ready", "object"),
    row(200, {}, "ready", "without credentials"),
    row(200, b"", "fail", "empty"),
    row(200, b"<html>", "fail", "no JSON"),
    row(200, {"credentials": "text"}, "fail", "credentials that are no object"),
    row(201, WITH_CREDENTIALS, "ready", "object"),
    row(201, b"[]", "fail and mitigate", "no object"),
    row(202, {"operation": "key-2"}, "poll", "asked"),
    row(202, WITH_CREDENTIALS, "poll", "with credentials that are not for use"),
    row(202, {"operation": 7}, "fail and mitigate", "operation that is no text"),
    row(202, LONG_KEY, "fail and mitigate", "operation too long"),
    row(202, b"", "fail and mitigate", "empty"),
    row(202, {}, "fail and mitigate", "not asked", asked_async=False),
    row(203, {}, "fail and mitigate", "unexpected"),
    row(204, b"", "fail and mitigate", "unexpected"),
    row(206, {}, "fail and mitigate", "unexpected"),
    row(302, {}, "bind again", "redirect"),
    row(400, {}, "fail", "bad request"),
    row(401, {}, "bind again", "our credentials"),
    row(403, {}, "bind again", "our credentials"),
    row(404, {}, "bind again", "router"),
    row(408, {}, "bind again", "request not read"),
    row(409, {}, "fail", "other parameters"),
    row(410, {}, "fail", "no answer to a bind"),
    row(412, {}, "bind again", "API version"),
    row(418, {}, "fail", "anything else"),
    row(422, CONCURRENCY, "bind again", "ConcurrencyError"),
    row(422, {"error": "AsyncRequired"}, "fail", "AsyncRequired"),
    row(422, {"error": "RequiresApp"}, "fail", "RequiresApp"),
    row(422, b"oops", "fail", "no body"),
    row(429, {}, "bind again", "too many requests"),
    row(500, {}, "mitigate", "broken"),
    row(501, {}, "mitigate", "broken"),
    row(502, b"<html>", "mitigate", "broken"),
    row(503, {}, "mitigate", "broken"),
    row(504, {}, "mitigate", "broken"),
]

UNBIND_ROWS: list[Any] = [
    row(200, {}, "gone", "object"),
    row(200, b"", "gone", "empty"),
    row(200, b"<html>", "unbind again", "no JSON"),
    row(201, {}, "unbind again", "not listed"),
    row(202, {"operation": "key-2"}, "poll", "asked"),
    row(202, LONG_KEY, "unbind again", "operation too long"),
    row(202, b"", "unbind again", "empty"),
    row(204, b"", "unbind again", "unexpected"),
    row(302, {}, "unbind again", "redirect"),
    row(400, {}, "unbind again", "bad request"),
    row(401, {}, "unbind again", "our credentials"),
    row(403, {}, "unbind again", "our credentials"),
    row(404, {}, "unbind again", "brokers must say 410"),
    row(408, {}, "unbind again", "request not read"),
    row(409, {}, "unbind again", "conflict"),
    row(410, {}, "gone", "object"),
    row(410, b"", "gone", "empty"),
    row(412, {}, "unbind again", "API version"),
    row(422, CONCURRENCY, "unbind again", "ConcurrencyError"),
    row(422, {"error": "AsyncRequired"}, "unbind again", "AsyncRequired"),
    row(429, {}, "unbind again", "too many requests"),
    row(500, {}, "unbind again", "broken"),
    row(503, b"", "unbind again", "broken"),
]

# What is polled for decides what an answer means: columns are bind, unbind of a deleted binding, mitigation.
POLL_ROWS: list[Any] = [
    pytest.param(200, {"state": "in progress"}, ("poll", "poll", "poll"), id="in progress"),
    pytest.param(200, {"state": "succeeded"}, ("fetch", "gone", "bind again"), id="succeeded"),
    pytest.param(200, {"state": "failed"}, ("fail and mitigate", "unbind again", "unbind again"), id="failed"),
    pytest.param(200, {"state": "confused"}, ("poll", "poll", "poll"), id="unknown state"),
    pytest.param(200, b"", ("poll", "poll", "poll"), id="empty"),
    pytest.param(410, {}, ("poll", "gone", "bind again"), id="410"),
    pytest.param(400, {}, ("poll", "poll", "poll"), id="400"),
    pytest.param(404, {}, ("poll", "poll", "poll"), id="404"),
    pytest.param(429, {}, ("poll", "poll", "poll"), id="429"),
    pytest.param(500, {}, ("poll", "poll", "poll"), id="500"),
]

FETCH_ROWS: list[Any] = [
    row(200, WITH_CREDENTIALS, "ready", "object"),
    row(200, {}, "ready", "without credentials"),
    row(200, b"", "fetch", "empty"),
    row(202, {}, "fetch", "unexpected"),
    row(302, {}, "fetch", "redirect"),
    row(400, {}, "fetch", "bad request"),
    row(404, {}, "fetch", "not there yet"),
    row(410, {}, "fetch", "no answer to a fetch"),
    row(422, CONCURRENCY, "fetch", "ConcurrencyError"),
    row(500, {}, "fetch", "broken"),
]


@pytest.mark.parametrize(("status", "body", "fields", "expected"), BIND_ROWS)
def test_bind_answer(status: int, body: Any, fields: dict[str, Any], expected: str) -> None:
    change = absorbed(make_snapshot(), sent(BindingPurpose.BIND), answered(BindingPurpose.BIND, status, body, **fields))
    assert reaction(change) == expected
    refused = expected == "bind again" or (expected == "fail" and status >= 300)
    assert change.document.status.unbind_status == ("NotRequired" if refused else "Required")
    assert change.memory["placement"] == HERE.to_wire()


@pytest.mark.parametrize(("status", "body", "fields", "expected"), UNBIND_ROWS)
def test_unbind_answer(status: int, body: Any, fields: dict[str, Any], expected: str) -> None:
    answer = answered(BindingPurpose.UNBIND, status, body, **fields)
    change = absorbed(make_snapshot(bound(deleted=True)), sent(BindingPurpose.UNBIND), answer)
    assert reaction(change) == expected
    assert change.document.status.unbind_status == ("Succeeded" if expected == "gone" else "Required")


@pytest.mark.parametrize(("status", "body", "fields", "expected"), UNBIND_ROWS)
def test_mitigation_answer(status: int, body: Any, fields: dict[str, Any], expected: str) -> None:
    answer = answered(BindingPurpose.MITIGATE, status, body, **fields)
    change = absorbed(make_snapshot(mitigating()), sent(BindingPurpose.MITIGATE), answer)
    assert reaction(change) == {"gone": "bind again"}.get(expected, expected)
    if expected == "unbind again":
        assert ready_reason(change) == ("Unknown", "OrphanMitigationFailed")


@pytest.mark.parametrize(("status", "body", "expected"), POLL_ROWS)
@pytest.mark.parametrize(
    ("column", "binding"),
    [
        pytest.param(0, working("Bind"), id="bind"),
        pytest.param(1, working("Unbind", deleted=True), id="unbind"),
        pytest.param(2, working("Bind", orphan_mitigation_in_progress=True), id="mitigation"),
    ],
)
def test_poll_answer(
    column: int, binding: ServiceBinding, status: int, body: Any, expected: tuple[str, str, str]
) -> None:
    snapshot = make_snapshot(binding, memory=MEMORY.model_copy(update={"poll_until": NOW.timestamp() + 60, "polls": 3}))
    change = absorbed(snapshot, sent(BindingPurpose.POLL), answered(BindingPurpose.POLL, status, body))
    assert reaction(change) == expected[column]


@pytest.mark.parametrize(("status", "body", "fields", "expected"), FETCH_ROWS)
def test_fetch_answer(status: int, body: Any, fields: dict[str, Any], expected: str) -> None:
    change = absorbed(FETCH_DUE, sent(BindingPurpose.FETCH), answered(BindingPurpose.FETCH, status, body, **fields))
    assert reaction(change) == expected
    assert change.document.status.unbind_status == "Required"
    if expected == "fetch":
        assert ready_reason(change) == ("False", "FetchingBindingFailed")


@pytest.mark.parametrize(
    ("purpose", "binding", "verdict", "expected"),
    [
        pytest.param(BindingPurpose.BIND, make_binding(), Verdict.TIMED_OUT, "mitigate", id="bind timed out"),
        pytest.param(BindingPurpose.BIND, make_binding(), Verdict.UNREACHABLE, "bind again", id="bind not sent"),
        pytest.param(
            BindingPurpose.UNBIND, bound(deleted=True), Verdict.TIMED_OUT, "unbind again", id="unbind timed out"
        ),
        pytest.param(
            BindingPurpose.UNBIND, bound(deleted=True), Verdict.UNREACHABLE, "unbind again", id="unbind not sent"
        ),
        pytest.param(
            BindingPurpose.MITIGATE, mitigating(), Verdict.TIMED_OUT, "unbind again", id="mitigation timed out"
        ),
        pytest.param(BindingPurpose.FETCH, FETCH_DUE.binding, Verdict.TIMED_OUT, "fetch", id="fetch timed out"),
        pytest.param(BindingPurpose.FETCH, FETCH_DUE.binding, Verdict.UNREACHABLE, "fetch", id="fetch not sent"),
        pytest.param(BindingPurpose.POLL, working("Bind"), Verdict.TIMED_OUT, "poll", id="poll timed out"),
        pytest.param(BindingPurpose.POLL, working("Bind"), Verdict.UNREACHABLE, "poll", id="poll not sent"),
    ],
)
def test_no_answer(purpose: BindingPurpose, binding: ServiceBinding, verdict: Verdict, expected: str) -> None:
    change = absorbed(make_snapshot(binding), sent(purpose), unanswered(purpose, verdict))
    assert reaction(change) == expected


def test_bind_never_sent_requires_no_unbind() -> None:
    change = absorbed(make_snapshot(), sent(BindingPurpose.BIND), unanswered(BindingPurpose.BIND, Verdict.UNREACHABLE))
    assert change.document.status.unbind_status == "NotRequired"


def test_successful_bind_tells_the_world_once() -> None:
    properties = BindingPropertiesState(parameters={"colour": "red"}, parameter_checksum="c0ffee")
    change = absorbed(
        make_snapshot(),
        sent(BindingPurpose.BIND, properties=properties),
        answered(BindingPurpose.BIND, 201, WITH_CREDENTIALS),
    )
    status = change.document.status
    assert ready_reason(change) == ("True", "InjectedBindResult")
    assert status.external_properties == properties
    assert (status.in_progress_properties, status.current_operation, status.operation_start_time) == (None, None, None)
    assert (status.reconciled_generation, status.observed_generation, status.last_condition_state) == (1, 1, "Ready")
    assert [(fact.reason, fact.message, fact.is_warning) for fact in change.facts] == [
        ("InjectedBindResult", "Injected bind result", False)
    ]
    kept = SealedNotes.from_stored(change.sealed)
    assert kept == SealedNotes(delivered=CREDENTIALS)
    assert (change.next.due_at, change.next.waiting_for, change.next.interests) == (None, "secret:ns/knot", None)


def test_refused_bind_has_the_conditions_of_the_reference() -> None:
    change = absorbed(
        make_snapshot(), sent(BindingPurpose.BIND), answered(BindingPurpose.BIND, 400, {"description": "no such knot"})
    )
    failed = find_condition(change.document.status.conditions, ConditionType.FAILED)
    assert ready_reason(change) == ("False", "BindCallFailed")
    assert failed is not None
    assert failed.reason == "ServiceBindingReturnedFailure"
    assert "no such knot" in failed.message
    assert change.next.due_at is None


def test_bind_that_needs_asynchrony_explains_itself() -> None:
    answer = answered(BindingPurpose.BIND, 422, {"error": "AsyncRequired"}, asked_async=False)
    change = absorbed(make_snapshot(), sent(BindingPurpose.BIND), answer)
    assert "bindings_retrievable" in change.facts[-1].message


def test_bind_that_needs_an_application_names_the_field_for_it() -> None:
    answer = answered(BindingPurpose.BIND, 422, {"error": "RequiresApp", "description": "only for apps"})
    change = absorbed(make_snapshot(), sent(BindingPurpose.BIND), answer)
    assert "spec.bindResource.appGUID" in change.facts[-1].message


@pytest.mark.parametrize(
    ("snapshot", "status", "expected"),
    [
        pytest.param(
            make_snapshot(request=sent(BindingPurpose.BIND)),
            409,
            "mitigate",
            id="repeat meets its own binding",
        ),
        pytest.param(
            make_snapshot(request=sent(BindingPurpose.BIND)),
            400,
            "fail and mitigate",
            id="repeat is refused",
        ),
        pytest.param(
            make_snapshot(request=sent(BindingPurpose.BIND)),
            403,
            "bind again",
            id="repeat is turned away",
        ),
        pytest.param(make_snapshot(make_binding(unbind_status="Required")), 409, "mitigate", id="doubt from before"),
    ],
)
def test_refusal_of_a_repeat_does_not_prove_that_nothing_exists(
    snapshot: BindingSnapshot, status: int, expected: str
) -> None:
    change = absorbed(snapshot, sent(BindingPurpose.BIND), answered(BindingPurpose.BIND, status, {}))
    assert reaction(change) == expected
    assert change.document.status.unbind_status == "Required"


@pytest.mark.parametrize(
    ("snapshot", "purpose"),
    [
        pytest.param(
            make_snapshot(request=sent(BindingPurpose.BIND)),
            BindingPurpose.BIND,
            id="repeated bind",
        ),
        pytest.param(
            make_snapshot(FETCH_DUE.binding, request=sent(BindingPurpose.FETCH)),
            BindingPurpose.FETCH,
            id="repeated fetch",
        ),
        pytest.param(
            make_snapshot(FETCH_DUE.binding, memory=MEMORY.model_copy(update={"is_fetch_due": True, "fetches": 1})),
            BindingPurpose.FETCH,
            id="second fetch",
        ),
    ],
)
def test_credentials_shown_only_once_and_lost_lead_to_a_new_bind(
    snapshot: BindingSnapshot, purpose: BindingPurpose
) -> None:
    change = absorbed(snapshot, sent(purpose), answered(purpose, 200, {}))
    assert reaction(change) == "mitigate"
    assert change.memory["isFetchDue"] is False


def test_answer_that_was_kept_is_believed_although_it_gives_no_credentials() -> None:
    kept = sent(BindingPurpose.BIND, granted={})
    change = absorbed(make_snapshot(request=kept), kept, answered(BindingPurpose.BIND, 200, {}))
    assert reaction(change) == "ready"


@pytest.mark.parametrize("deleted", [False, True], ids=["wanted", "deleted"])
@pytest.mark.parametrize("status", [403, 429])
def test_repeat_that_is_turned_away_stays_open_while_it_is_wanted(status: int, deleted: bool) -> None:
    note = sent(BindingPurpose.BIND, encoded={"verb": "Bind"})
    snapshot = make_snapshot(make_binding(deleted=deleted), request=note)
    change = absorbed(snapshot, note, answered(BindingPurpose.BIND, status, {}))
    assert change.sealed == (None if deleted else SealedNotes(request=note).stored())
    assert (pause(change) > 0) is not deleted


def test_mitigation_begins_at_once_and_is_told() -> None:
    change = absorbed(
        make_snapshot(), sent(BindingPurpose.BIND), answered(BindingPurpose.BIND, 500, {"description": "oops"})
    )
    assert ready_reason(change) == ("False", "ServiceBindingNeedsOrphanMitigation")
    assert [fact.reason for fact in change.facts] == ["BindCallFailed", "ServiceBindingNeedsOrphanMitigation"]
    assert pause(change) == 0


def test_confirmed_mitigation_leads_to_another_bind_with_back_off() -> None:
    cause = Cause(reason="BindCallFailed", message="The bind call failed: Status: 500; Description: oops")
    memory = MEMORY.model_copy(update={"cause": cause, "creation_attempts": 3})
    snapshot = make_snapshot(mitigating(), attempt=9, memory=memory)
    change = absorbed(snapshot, sent(BindingPurpose.MITIGATE), answered(BindingPurpose.MITIGATE, 410, b""))
    assert ready_reason(change) == ("False", "BindCallFailed")
    message = change.document.status.conditions[0].message
    assert message.startswith("The bind call failed: Status: 500; Description: oops. Anything it may have left")
    assert change.next.due_at is not None
    assert to_timestamp(change.next.due_at) in message
    assert change.document.status.orphan_mitigation_in_progress is False
    assert (change.document.status.unbind_status, change.next.attempt) == ("Succeeded", 3)
    assert 3.5 < pause(change) < 4.5


def test_confirmed_mitigation_leaves_a_failed_binding_failed() -> None:
    change = absorbed(
        make_snapshot(mitigating(conditions=(FAILED,))),
        sent(BindingPurpose.MITIGATE),
        answered(BindingPurpose.MITIGATE, 200, {}),
    )
    assert reaction(change) == "fail"
    assert change.next.due_at is None


@pytest.mark.parametrize(
    ("binding", "purpose", "expected"),
    [
        pytest.param(
            make_binding(current_operation="Bind", operation_start_time=LONG_AGO),
            BindingPurpose.BIND,
            "fail",
            id="bind",
        ),
        pytest.param(
            make_binding(current_operation="Bind", operation_start_time=LONG_AGO, unbind_status="Required"),
            BindingPurpose.FETCH,
            "fail and mitigate",
            id="fetch",
        ),
    ],
)
def test_retries_end_when_their_time_is_over(binding: ServiceBinding, purpose: BindingPurpose, expected: str) -> None:
    change = absorbed(make_snapshot(binding), sent(purpose), answered(purpose, 429, {}))
    failed = find_condition(change.document.status.conditions, ConditionType.FAILED)
    assert reaction(change) == expected
    assert failed is not None
    assert failed.reason == "ErrorReconciliationRetryTimeout"


def test_unbind_is_retried_however_long_it_takes() -> None:
    binding = make_binding(
        deleted=True, unbind_status="Required", current_operation="Unbind", operation_start_time=LONG_AGO
    )
    change = absorbed(
        make_snapshot(binding, attempt=30), sent(BindingPurpose.UNBIND), answered(BindingPurpose.UNBIND, 500, {})
    )
    assert (reaction(change), ready_reason(change)) == ("unbind again", ("Unknown", "UnbindCallFailed"))
    assert 17 * 60 < pause(change) < 23 * 60


@pytest.mark.parametrize(
    ("retry_after", "low", "high"),
    [
        pytest.param("90", 90, 90, id="longer than the back-off"),
        pytest.param("0", 0.8, 1.2, id="shorter than the back-off"),
        pytest.param("86400", 1200, 1200, id="longer than the longest back-off"),
    ],
)
def test_bind_obeys_retry_after(retry_after: str, low: float, high: float) -> None:
    answer = answered(BindingPurpose.BIND, 429, {}, retry_after=retry_after)
    assert low <= pause(absorbed(make_snapshot(), sent(BindingPurpose.BIND), answer)) <= high


@pytest.mark.parametrize(
    ("binding", "expected"),
    [
        pytest.param(working("Bind"), "fail and mitigate", id="bind"),
        pytest.param(working("Unbind", deleted=True), "unbind again", id="unbind"),
    ],
)
def test_poll_past_the_deadline_ends_the_operation(binding: ServiceBinding, expected: str) -> None:
    snapshot = make_snapshot(binding, memory=MEMORY.model_copy(update={"poll_until": NOW.timestamp()}))
    change = absorbed(snapshot, sent(BindingPurpose.POLL), answered(BindingPurpose.POLL, 200, {"state": "in progress"}))
    reasons = [condition.reason for condition in change.document.status.conditions]
    assert reaction(change) == expected
    assert "AsyncOperationTimeout" in reasons


def test_polling_is_bounded_by_the_plan() -> None:
    snapshot = make_snapshot(offering=make_offering(retrievable=True, maximum_polling_duration=30))
    change = absorbed(snapshot, sent(BindingPurpose.BIND), answered(BindingPurpose.BIND, 202, {"operation": "key-2"}))
    assert change.document.status.last_operation == "key-2"
    assert change.memory["pollUntil"] == NOW.timestamp() + 30
    assert ready_reason(change) == ("False", "Binding")


def test_poll_shows_the_words_of_the_broker() -> None:
    answer = answered(BindingPurpose.POLL, 200, {"state": "in progress", "description": "splicing"})
    change = absorbed(make_snapshot(working("Bind")), sent(BindingPurpose.POLL), answer)
    ready = find_condition(change.document.status.conditions, ConditionType.READY)
    assert ready is not None
    assert ready.message == "The binding is being created asynchronously (splicing)"


def test_interrupted_bind_is_polled_again_when_the_broker_will_not_unbind() -> None:
    binding = working("Bind", deleted=True)
    snapshot = make_snapshot(binding, memory=MEMORY.model_copy(update={"poll_until": NOW.timestamp() + 60, "polls": 1}))
    change = absorbed(snapshot, sent(BindingPurpose.UNBIND), answered(BindingPurpose.UNBIND, 422, CONCURRENCY))
    assert change.document.status.current_operation == "Bind"
    assert change.document.status.last_operation == "key-1"
    assert (reaction(change), change.memory["unbindDeferred"]) == ("poll", True)


def test_unbound_binding_goes_and_wakes_its_instance() -> None:
    change = absorbed(
        make_snapshot(bound(deleted=True)), sent(BindingPurpose.UNBIND), answered(BindingPurpose.UNBIND, 200, {})
    )
    assert change.is_finished
    assert change.document.metadata.finalizers is None
    assert woken_by(change.document, None) == ("bindings-of:ns/rope",)
    assert [fact.reason for fact in change.facts] == ["UnboundSuccessfully"]


def test_binding_without_a_trace_at_the_broker_goes_without_a_call() -> None:
    change = finish(make_snapshot(make_binding(deleted=True)), NOW)
    assert (change.is_finished, woken_by(change.document, None)) == (True, ("bindings-of:ns/rope",))


def test_undeliverable_credentials_are_kept_for_the_next_round() -> None:
    answer = answered(BindingPurpose.BIND, 201, WITH_CREDENTIALS)
    change = absorbed(make_snapshot(), sent(BindingPurpose.BIND), answer, PROBLEM)
    assert ready_reason(change) == ("False", "ErrorInjectingBindResult")
    assert change.next.waiting_for == "secret:ns/knot"
    kept = SealedNotes.from_stored(change.sealed)
    assert kept == SealedNotes(undelivered=CREDENTIALS)
    assert "tcp://rope" not in repr(change)


def test_kept_credentials_are_delivered_without_another_bind() -> None:
    note = sent(BindingPurpose.INJECT)
    snapshot = make_snapshot(FETCH_DUE.binding, undelivered=CREDENTIALS)
    answer = answered(BindingPurpose.INJECT, 200, WITH_CREDENTIALS)
    assert credentials_of(snapshot, note, answer) == CREDENTIALS
    assert reaction(absorbed(snapshot, note, answer)) == "ready"


def test_credentials_that_can_never_be_delivered_are_revoked() -> None:
    binding = make_binding(current_operation="Bind", operation_start_time=LONG_AGO, unbind_status="Required")
    note = sent(BindingPurpose.INJECT)
    change = absorbed(
        make_snapshot(binding, undelivered=CREDENTIALS),
        note,
        answered(BindingPurpose.INJECT, 200, WITH_CREDENTIALS),
        PROBLEM,
    )
    assert (reaction(change), change.sealed) == ("fail and mitigate", None)


def test_deleted_binding_gets_no_secret_any_more() -> None:
    snapshot = make_snapshot(make_binding(deleted=True), request=sent(BindingPurpose.BIND))
    answer = answered(BindingPurpose.BIND, 200, WITH_CREDENTIALS)
    assert credentials_of(snapshot, sent(BindingPurpose.BIND), answer) is None
    change = absorbed(snapshot, sent(BindingPurpose.BIND), answer)
    assert (change.document.status.unbind_status, pause(change)) == ("Required", 0)


@pytest.mark.parametrize("status", [400, 403, 500])
def test_repeated_bind_of_a_deleted_binding_makes_way_for_the_unbind_at_once(status: int) -> None:
    snapshot = make_snapshot(make_binding(deleted=True), request=sent(BindingPurpose.BIND))
    change = absorbed(snapshot, sent(BindingPurpose.BIND), answered(BindingPurpose.BIND, status, {}))
    assert (change.document.status.unbind_status, pause(change)) == ("Required", 0)


def test_wait_keeps_an_open_request_open() -> None:
    note = sent(BindingPurpose.BIND, encoded={"verb": "Bind"})
    change = wait(
        make_snapshot(request=note),
        Wait("ErrorGettingAuthCredentials", "no Secret", "secret:ns/x"),
        NOW,
    )
    assert change.sealed == SealedNotes(request=note).stored()
    assert change.next.waiting_for == "secret:ns/x"
    assert ready_reason(change) == ("False", "ErrorGettingAuthCredentials")


def test_refusal_is_final() -> None:
    change = refuse(make_snapshot(), Refuse("ErrorNonbindableServiceClass", "cannot be bound"), NOW)
    assert (reaction(change), change.next.due_at) == ("fail", None)
    assert change.document.status.unbind_status == "NotRequired"


def test_repeated_failure_is_told_in_the_same_words_so_that_it_is_counted() -> None:
    first = absorbed(make_snapshot(), sent(BindingPurpose.BIND), answered(BindingPurpose.BIND, 429, {}))
    second = absorbed(make_snapshot(first.document), sent(BindingPurpose.BIND), answered(BindingPurpose.BIND, 429, {}))
    assert ([fact.reason for fact in first.facts], second.facts) == (["BindCallFailed"], first.facts)


@pytest.mark.parametrize(
    ("purpose", "reason"),
    [
        pytest.param(BindingPurpose.BIND, "BindingRequestInFlight", id="bind"),
        pytest.param(BindingPurpose.UNBIND, "UnbindingRequestInFlight", id="unbind"),
        pytest.param(BindingPurpose.POLL, None, id="poll"),
        pytest.param(BindingPurpose.FETCH, None, id="fetch"),
        pytest.param(BindingPurpose.INJECT, None, id="inject"),
        pytest.param(BindingPurpose.MITIGATE, None, id="mitigate"),
    ],
)
def test_slow_call_is_announced(purpose: BindingPurpose, reason: str | None) -> None:
    change = announce(make_snapshot(), sent(purpose), NOW)
    assert (change and ready_reason(change)) == (("False", reason) if reason else None)
