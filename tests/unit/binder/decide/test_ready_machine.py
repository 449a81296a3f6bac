"""A binding that is ready: every early return of its machine, when it looks again, and what answers make of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.reconcile.answers import Verdict
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.parameters.parameters import Parameters
from chandlery.reconcile.reconcile_result import Idle
from chandlery_binder.absorb.binding_draft import BindingResult
from chandlery_binder.absorb.binding_outcomes import absorb, idle, postpone
from chandlery_binder.decide.binding_machine import decide
from chandlery_binder.facts.binding_actions import (
    Action,
    PollBackgroundOperation,
    Postpone,
    Recover,
    ReportLost,
    Restore,
    Retire,
    Rotate,
)
from chandlery_binder.facts.binding_notes import BindingMemory, BindingPurpose, InstanceNotes, OpenBindingRequest
from chandlery_binder.facts.binding_snapshot import BindingSnapshot, SecretState
from chandlery_binder.facts.rotation_notes import BackgroundOperation, BackgroundOperationKind, Retired, RotationNotes
from chandlery_binder.facts.sealed_binding_notes import SealedNotes
from chandlery_binder.rotation.rotation_schedule import renewal
from tests.unit.binder.binding_builders import (
    HERE,
    MEMORY,
    NO_SECRET,
    NOT_READY,
    NOW,
    READY,
    answered,
    bound,
    make_binding,
    make_instance,
    make_offering,
    make_snapshot,
    ready_reason,
    sent,
    unanswered,
)

T = NOW.timestamp()
CREDENTIALS = {"uri": "tcp://rope"}
COPY = SealedNotes(delivered=CREDENTIALS)
NEW = HERE.model_copy(update={"binding_id": "binding-2"})
OLD = HERE.model_copy(update={"binding_id": "binding-0"})
ROTATABLE = make_offering(binding_rotatable=True)
POLLED = BackgroundOperation(
    kind=BackgroundOperationKind.ROTATE,
    placement=NEW,
    started_at=T - 5,
    poll_until=T + 60,
    next_at=T,
    rotation_request="now",
)
FETCHED = POLLED.model_copy(update={"poll_until": None})
RETIRING = BackgroundOperation(
    kind=BackgroundOperationKind.RETIRE, placement=OLD, started_at=T - 5, poll_until=T + 60, next_at=T
)
COLOUR = Parameters({"colour": "red"}, {"colour": "red"}, "c0ffee")
POSTPONED = Postpone(NO_SECRET.reason, NO_SECRET.message, NO_SECRET.waiting_for)
ROTATE = Rotate(HERE, HERE, None, accepts_incomplete=False)
REBIND = Rotate(HERE, None, None, accepts_incomplete=False)


def ready(*, rotate: str | None = None, **status: Any) -> ServiceBinding:
    """A binding that is ready, and ordered to be rotated if a value says so."""
    binding = make_binding(conditions=(READY,), unbind_status="Required", **status)
    annotations = {"chandlery.io/rotate-requested-at": rotate} if rotate else None
    return binding.model_copy(update={"metadata": binding.metadata.model_copy(update={"annotations": annotations})})


def noting(**notes: Any) -> BindingMemory:
    return MEMORY.model_copy(update=notes)


ORDERED = ready(rotate="now")
LEFT = Retired(placement=NEW, next_at=T, is_leftover=True)
WAIVED = LEFT.model_copy(update={"is_waived": True})

ROWS: list[Any] = [
    pytest.param(make_snapshot(bound(), sealed=COPY), Idle(), id="idle with a copy"),
    pytest.param(
        make_snapshot(bound(), sealed=COPY, secret=SecretState.MISSING, access=NO_SECRET),
        Restore(CREDENTIALS),
        id="restore without the broker",
    ),
    pytest.param(make_snapshot(bound(), sealed=COPY, secret=SecretState.CHANGED), Restore(CREDENTIALS), id="put back"),
    pytest.param(make_snapshot(bound(), sealed=COPY, secret=SecretState.FOREIGN), Restore(CREDENTIALS), id="complain"),
    pytest.param(make_snapshot(bound(), secret=SecretState.FOREIGN), Idle(), id="leave a stranger's without a copy"),
    pytest.param(make_snapshot(bound(), secret=SecretState.MISSING), ReportLost(), id="report what is lost"),
    pytest.param(
        make_snapshot(bound(), secret=SecretState.MISSING, memory=noting(secret_problem="lost")),
        Idle(),
        id="report it once",
    ),
    pytest.param(
        make_snapshot(bound(), secret=SecretState.MISSING, offering=make_offering(retrievable=True)),
        Recover(HERE),
        id="recover from a broker that shows bindings",
    ),
    pytest.param(
        make_snapshot(ORDERED, secret=SecretState.MISSING, offering=make_offering(binding_rotatable=True)),
        ROTATE,
        id="rotate rather than report",
    ),
    pytest.param(make_snapshot(ORDERED, offering=ROTATABLE), ROTATE, id="rotate"),
    pytest.param(make_snapshot(ORDERED, offering=ROTATABLE, parameters=COLOUR), ROTATE, id="rotate without parameters"),
    pytest.param(make_snapshot(ORDERED), REBIND, id="bind anew where nothing can be rotated"),
    pytest.param(
        make_snapshot(ORDERED, parameters=COLOUR),
        Rotate(HERE, None, {"colour": "red"}, accepts_incomplete=False),
        id="bind anew with parameters",
    ),
    pytest.param(
        make_snapshot(ORDERED, offering=make_offering(retrievable=True, binding_rotatable=True)),
        Rotate(HERE, HERE, None, accepts_incomplete=True),
        id="rotate asynchronously",
    ),
    pytest.param(
        make_snapshot(ready(rotate="now", expires_at=NOW), offering=ROTATABLE),
        REBIND,
        id="leave an expired predecessor",
    ),
    pytest.param(
        make_snapshot(
            ORDERED, offering=ROTATABLE, instance_notes=InstanceNotes(service_id="service-1", plan_id="plan-other")
        ),
        Rotate(HERE.model_copy(update={"plan_id": "plan-other"}), None, None, accepts_incomplete=False),
        id="judge by the plan that the broker has",
    ),
    pytest.param(
        make_snapshot(ORDERED, memory=noting(rotation=RotationNotes(seen="now", tried="now"))), Idle(), id="once"
    ),
    pytest.param(
        make_snapshot(ORDERED, memory=noting(rotation=RotationNotes(tried="now", attempts=1, next_at=T + 9))),
        Idle(),
        id="not before the back-off is over",
    ),
    pytest.param(
        make_snapshot(ORDERED, memory=noting(rotation=RotationNotes(tried="now", attempts=1, next_at=T))),
        REBIND,
        id="again after the back-off",
    ),
    pytest.param(
        make_snapshot(ready(rotate="later"), memory=noting(rotation=RotationNotes(tried="now", next_at=T + 9))),
        REBIND,
        id="a new request does not wait",
    ),
    pytest.param(
        make_snapshot(ORDERED, memory=noting(rotation=RotationNotes(tried="now", is_refused=True))),
        Idle(),
        id="not what was refused",
    ),
    pytest.param(
        make_snapshot(ready(rotate="later"), memory=noting(rotation=RotationNotes(tried="now", is_refused=True))),
        REBIND,
        id="a new request after a refusal",
    ),
    pytest.param(make_snapshot(ORDERED, access=NO_SECRET), POSTPONED, id="postpone without a way to the broker"),
    pytest.param(
        make_snapshot(ORDERED, memory=noting(background_operation=POLLED)),
        PollBackgroundOperation(POLLED),
        id="poll a rotation",
    ),
    pytest.param(
        make_snapshot(ORDERED, memory=noting(background_operation=FETCHED)),
        PollBackgroundOperation(FETCHED),
        id="fetch a rotation",
    ),
    pytest.param(
        make_snapshot(ORDERED, memory=noting(background_operation=POLLED.model_copy(update={"next_at": T + 1}))),
        Idle(),
        id="not before the next poll",
    ),
    pytest.param(
        make_snapshot(bound(), memory=noting(background_operation=POLLED), access=NO_SECRET),
        POSTPONED,
        id="postpone a poll",
    ),
    pytest.param(make_snapshot(bound(), memory=noting(retired=(LEFT,))), Retire(NEW), id="clean up"),
    pytest.param(
        make_snapshot(ORDERED, memory=noting(retired=(LEFT.model_copy(update={"next_at": T + 9}),))),
        Idle(),
        id="no rotation before the last is cleaned up",
    ),
    pytest.param(make_snapshot(ORDERED, memory=noting(retired=(WAIVED,))), REBIND, id="unless that is waived"),
    pytest.param(
        make_snapshot(bound(), memory=noting(retired=(Retired(placement=OLD, next_at=T + 1),))),
        Idle(),
        id="no revocation within the grace",
    ),
    pytest.param(
        make_snapshot(ready(renew_before=NOW + timedelta(hours=1)), offering=ROTATABLE), ROTATE, id="renew in time"
    ),
    pytest.param(
        make_snapshot(
            ready(expires_at=NOW + timedelta(hours=9)), memory=noting(rotation=RotationNotes(granted_at=T - 9))
        ),
        Idle(),
        id="not too early",
    ),
    pytest.param(
        make_snapshot(bound(), request=sent(BindingPurpose.ROTATE)),
        Repeat(sent(BindingPurpose.ROTATE)),
        id="repeat",
    ),
    pytest.param(
        make_snapshot(bound(), request=sent(BindingPurpose.ROTATE), access=NO_SECRET),
        POSTPONED,
        id="postpone a repeat",
    ),
    pytest.param(
        make_snapshot(bound(), request=sent(BindingPurpose.RETIRE)),
        Idle(),
        id="look anew at a revocation",
    ),
]


@pytest.mark.parametrize(("snapshot", "action"), ROWS)
def test_decide_answers_with_one_action(snapshot: BindingSnapshot, action: Action) -> None:
    assert decide(snapshot, NOW) == action


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"instance": None, "offering": None}, "does not exist", id="missing"),
        pytest.param({"instance": make_instance(ready=NOT_READY)}, "not ready", id="not ready"),
        pytest.param({"instance": make_instance(deleted=True)}, "being deleted", id="deleted"),
        pytest.param({"instance_notes": InstanceNotes(is_unusable=True)}, "cannot be used", id="unusable"),
        pytest.param({"offering": make_offering(bindable=False)}, "is not bindable", id="not bindable"),
        pytest.param(
            {"memory": noting(placement=HERE.model_copy(update={"instance_id": "older"}))},
            "created again",
            id="replaced",
        ),
    ],
)
def test_rotation_that_cannot_be_sent_is_postponed(fields: dict[str, Any], words: str) -> None:
    snapshot = make_snapshot(ORDERED, sealed=COPY, **fields)
    action = decide(snapshot, NOW)
    assert isinstance(action, Postpone)
    assert words in action.message
    change = postpone(snapshot, action, NOW)
    assert ready_reason(change) == ("True", "InjectedBindResult")
    wanted = find_condition(change.document.status.conditions, ConditionType.RECONCILING)
    assert wanted is not None
    assert (wanted.reason, words in wanted.message) == ("RotationPending", True)
    assert (change.next.due_at is not None, change.sealed) == (True, COPY.stored())


@pytest.mark.parametrize(
    ("expires", "renew", "granted", "expected"),
    [
        pytest.param(None, None, 0, None, id="no end"),
        pytest.param(100, None, 0, 90, id="a tenth before the end"),
        pytest.param(100, 50, 0, 45, id="before the renewal"),
        pytest.param(360_000, None, 0, 356_400, id="an hour before a far end"),
        pytest.param(100, 0, 50, 95, id="renewal was over when it was given"),
        pytest.param(0, None, 50, None, id="end was over when it was given"),
        pytest.param(51, None, 50.5, 51.5, id="a second at least"),
    ],
)
def test_renewal_comes_shortly_before_the_deadline(
    expires: float | None, renew: float | None, granted: float, expected: float | None
) -> None:
    status = ready(expires_at=_at(expires), renew_before=_at(renew)).status
    found = renewal(status, RotationNotes(granted_at=T + granted))
    assert found == (None if expected is None else pytest.approx(T + expected))


@pytest.mark.parametrize(
    ("memory", "status", "seconds"),
    [
        pytest.param(noting(), {}, None, id="nothing to come"),
        pytest.param(noting(background_operation=POLLED.model_copy(update={"next_at": T + 7})), {}, 7, id="poll"),
        pytest.param(noting(retired=(Retired(placement=OLD, next_at=T + 300),)), {}, 300, id="revocation"),
        pytest.param(
            noting(rotation=RotationNotes(granted_at=T)), {"expires_at": NOW + timedelta(seconds=50)}, 45, id="renewal"
        ),
        pytest.param(
            noting(rotation=RotationNotes(granted_at=T, is_refused=True)),
            {"expires_at": NOW + timedelta(seconds=50)},
            50,
            id="the end, to tell it",
        ),
    ],
)
def test_binding_that_is_ready_looks_again_in_time(
    memory: BindingMemory, status: dict[str, Any], seconds: float | None
) -> None:
    change = idle(make_snapshot(ready(**status), memory=memory, sealed=COPY), NOW)
    due = None if change.next.due_at is None else (change.next.due_at - NOW).total_seconds()
    assert (due, change.next.waiting_for) == (seconds, "secret:ns/knot")


def test_end_of_the_credentials_is_told_once() -> None:
    memory = noting(rotation=RotationNotes(is_refused=True))
    change = idle(make_snapshot(ready(expires_at=NOW - timedelta(seconds=1)), memory=memory), NOW)
    assert [fact.reason for fact in change.facts] == ["CredentialsExpired"]
    assert "expired" in _message(change)
    again = idle(make_snapshot(change.document, memory=memory), NOW + timedelta(hours=1))
    assert again.facts == ()


# What a rotation's answer leaves: the problem is told, the new id may be left, and when it is tried again.
ANSWERS: list[Any] = [
    pytest.param(400, {}, False, True, id="400"),
    pytest.param(401, {}, False, False, id="401"),
    pytest.param(404, {}, False, False, id="404"),
    pytest.param(408, {}, False, False, id="408"),
    pytest.param(409, {}, False, True, id="409"),
    pytest.param(410, {}, False, True, id="410"),
    pytest.param(422, {"error": "ConcurrencyError"}, False, False, id="ConcurrencyError"),
    pytest.param(422, {"error": "RequiresApp"}, False, True, id="RequiresApp"),
    pytest.param(429, {}, False, False, id="429"),
    pytest.param(302, {}, False, False, id="302"),
    pytest.param(500, {}, True, False, id="500"),
    pytest.param(503, {}, True, False, id="503"),
    pytest.param(204, b"", True, True, id="204"),
    pytest.param(201, b"[]", True, True, id="201 malformed"),
    pytest.param(200, b"[]", True, True, id="200 malformed"),
    pytest.param(202, b"", True, True, id="202 malformed"),
]


@pytest.mark.parametrize(("status", "body", "is_left", "is_refused"), ANSWERS)
def test_rotation_that_fails_leaves_the_binding_ready(
    status: int, body: Any, *, is_left: bool, is_refused: bool
) -> None:
    change = _absorbed(make_snapshot(ORDERED, sealed=COPY), _rotation(), status, body)
    memory = BindingMemory.model_validate(change.memory)
    assert (ready_reason(change), change.sealed) == (("True", "InjectedBindResult"), COPY.stored())
    assert [(each.placement, each.is_leftover) for each in memory.retired] == ([(NEW, True)] if is_left else [])
    assert (memory.rotation.is_refused, memory.rotation.tried) == (is_refused, "now")
    assert (memory.placement, change.document.status.external_id) == (HERE, None)
    assert "RotationFailed" in [fact.reason for fact in change.facts]


@pytest.mark.parametrize(
    ("verdict", "is_left"), [(Verdict.TIMED_OUT, True), (Verdict.UNREACHABLE, False)], ids=["timed out", "never sent"]
)
def test_rotation_without_an_answer_is_tried_again(verdict: Verdict, *, is_left: bool) -> None:
    answer = unanswered(BindingPurpose.BIND, verdict)
    change = absorb(make_snapshot(ORDERED, sealed=COPY), _rotation(), answer=answer, now=NOW)
    memory = BindingMemory.model_validate(change.memory)
    assert (bool(memory.retired), memory.rotation.attempts) == (is_left, 1)


@pytest.mark.parametrize("status", [400, 409, 429])
def test_repeated_rotation_that_fails_may_have_left_something(status: int) -> None:
    change = _absorbed(make_snapshot(ORDERED, request=_rotation()), _rotation(), status, {})
    assert [each.placement for each in BindingMemory.model_validate(change.memory).retired] == [NEW]


def test_repeated_rotation_without_credentials_is_not_believed() -> None:
    change = _absorbed(make_snapshot(ORDERED, request=_rotation()), _rotation(), 200, {})
    memory = BindingMemory.model_validate(change.memory)
    assert ([each.placement for each in memory.retired], memory.placement) == ([NEW], HERE)


@pytest.mark.parametrize("status", [200, 202, 400, 500])
def test_rotation_of_a_deleted_binding_is_unbound_with_the_rest(status: int) -> None:
    binding = ORDERED.model_copy(update={"metadata": ORDERED.metadata.model_copy(update={"deletion_timestamp": NOW})})
    change = _absorbed(make_snapshot(binding, request=_rotation()), _rotation(), status, {"credentials": {}})
    memory = BindingMemory.model_validate(change.memory)
    assert ([each.placement for each in memory.retired], change.next.due_at) == ([NEW], NOW)


@pytest.mark.parametrize(
    ("body", "minutes", "expected"),
    [
        pytest.param({"state": "in progress"}, 1, "polled", id="in progress"),
        pytest.param({}, 1, "polled", id="no state"),
        pytest.param({"state": "succeeded"}, 1, "fetched", id="succeeded"),
        pytest.param({"state": "failed"}, 1, "left", id="failed"),
        pytest.param({"state": "in progress"}, 0, "left", id="time is over"),
    ],
)
def test_rotation_is_polled(body: Any, minutes: int, expected: str) -> None:
    background = POLLED.model_copy(update={"poll_until": T + 60 * minutes})
    snapshot = make_snapshot(ORDERED, memory=noting(background_operation=background), sealed=COPY)
    note = sent(BindingPurpose.POLL_ROTATION).model_copy(update={"placement": NEW})
    change = absorb(snapshot, note, answer=answered(BindingPurpose.POLL, 200, body), now=NOW)
    memory = BindingMemory.model_validate(change.memory)
    found = (
        "left"
        if memory.background_operation is None
        else ("fetched" if memory.background_operation.is_fetch_due else "polled")
    )
    assert (found, ready_reason(change)[0]) == (expected, "True")
    assert bool(memory.retired) == (expected == "left")


def test_rotation_is_not_fetched_for_ever() -> None:
    background = FETCHED.model_copy(update={"started_at": T - 8 * 86400})
    snapshot = make_snapshot(ORDERED, memory=noting(background_operation=background), sealed=COPY)
    note = sent(BindingPurpose.FETCH_ROTATION).model_copy(update={"placement": NEW})
    change = absorb(snapshot, note, answer=answered(BindingPurpose.FETCH, 404, {}), now=NOW)
    assert [each.placement for each in BindingMemory.model_validate(change.memory).retired] == [NEW]


@pytest.mark.parametrize(
    ("purpose", "status", "body", "expected"),
    [
        pytest.param(BindingPurpose.RETIRE, 200, {}, "gone", id="200"),
        pytest.param(BindingPurpose.RETIRE, 410, b"", "gone", id="410"),
        pytest.param(BindingPurpose.RETIRE, 202, {}, "polled", id="202"),
        pytest.param(BindingPurpose.RETIRE, 404, {}, "again", id="404"),
        pytest.param(BindingPurpose.RETIRE, 500, {}, "again", id="500"),
        pytest.param(BindingPurpose.RETIRE, 422, {"error": "ConcurrencyError"}, "again", id="ConcurrencyError"),
        pytest.param(BindingPurpose.POLL_RETIREMENT, 200, {"state": "succeeded"}, "gone", id="poll succeeded"),
        pytest.param(BindingPurpose.POLL_RETIREMENT, 410, {}, "gone", id="poll 410"),
        pytest.param(BindingPurpose.POLL_RETIREMENT, 200, {"state": "failed"}, "again", id="poll failed"),
        pytest.param(BindingPurpose.POLL_RETIREMENT, 500, {}, "polled", id="poll 500"),
    ],
)
def test_revocation_answer(purpose: BindingPurpose, status: int, body: Any, expected: str) -> None:
    is_poll = purpose == BindingPurpose.POLL_RETIREMENT
    memory = noting(retired=(Retired(placement=OLD, next_at=T),), background_operation=RETIRING if is_poll else None)
    note = sent(purpose).model_copy(update={"placement": OLD})
    answer = answered(BindingPurpose.POLL if is_poll else BindingPurpose.UNBIND, status, body)
    change = absorb(make_snapshot(bound(), memory=memory, sealed=COPY), note, answer=answer, now=NOW)
    after = BindingMemory.model_validate(change.memory)
    found = "gone" if not after.retired else ("polled" if after.background_operation else "again")
    assert (found, ready_reason(change)[0], change.sealed) == (expected, "True", COPY.stored())
    assert (change.document.status.retiring is None) == (expected == "gone")
    if expected == "again":
        assert (after.retired[0].attempts, after.retired[0].next_at > T) == (1, True)


def test_copy_stays_with_every_note_and_goes_with_the_binding() -> None:
    kept = SealedNotes(request=sent(BindingPurpose.RETIRE), delivered=CREDENTIALS)
    assert idle(make_snapshot(bound(), sealed=kept), NOW).sealed == COPY.stored()
    assert idle(make_snapshot(bound(deleted=True), sealed=kept), NOW).sealed is None


def test_notes_of_a_binding_that_was_never_rotated_are_short() -> None:
    wire = MEMORY.to_wire()
    assert {"rotation", "retired", "errand"}.isdisjoint(wire)
    assert BindingMemory.model_validate(wire) == MEMORY
    rich = noting(retired=(LEFT,), background_operation=POLLED, rotation=RotationNotes(seen="now"))
    assert BindingMemory.model_validate(rich.to_wire()) == rich


def _rotation() -> OpenBindingRequest:
    return sent(BindingPurpose.ROTATE, rotation_request="now").model_copy(update={"placement": NEW})


def _absorbed(snapshot: BindingSnapshot, note: OpenBindingRequest, status: int, body: Any) -> BindingResult:
    return absorb(snapshot, note, answer=answered(BindingPurpose.BIND, status, body), now=NOW)


def _message(change: BindingResult) -> str:
    found = find_condition(change.document.status.conditions, ConditionType.READY)
    assert found is not None
    return found.message


def _at(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(T + seconds, UTC)
