"""What users order by annotations, in every state of a binding: as decisions, and as what becomes of them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType, find_condition
from chandlery.reconcile.answers import Verdict
from chandlery.reconcile.operation.mitigation import AwaitMitigationDecision, WaiveMitigation
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.policies.broker_policy import BrokerPolicy
from chandlery.reconcile.reconcile_result import Finish, Idle, Wait
from chandlery_binder.absorb.binding_draft import BindingResult
from chandlery_binder.absorb.binding_outcomes import abandon, absorb, force_finish, idle, uncalled, wait
from chandlery_binder.decide.binding_machine import decide
from chandlery_binder.facts.binding_actions import (
    Abandon,
    Action,
    Bind,
    ForceFinish,
    PollBinding,
    StartMitigation,
    TryAgain,
    Unbind,
)
from chandlery_binder.facts.binding_notes import BindingMemory, BindingPurpose
from chandlery_binder.facts.binding_snapshot import BindingSnapshot
from chandlery_binder.facts.rotation_notes import BackgroundOperation, BackgroundOperationKind, Retired, RotationNotes
from chandlery_binder.facts.sealed_binding_notes import SealedNotes
from tests.unit.binder.binding_builders import (
    FAILED,
    HERE,
    MEMORY,
    NO_CLASS,
    NO_SECRET,
    NOW,
    READY,
    answered,
    bound,
    make_binding,
    make_snapshot,
    mitigating,
    reaction,
    ready_reason,
    sent,
    unanswered,
    working,
)

OPEN = sent(BindingPurpose.BIND, encoded={"verb": "Bind"})
UNDELIVERED = SealedNotes(undelivered={"uri": "x"})
MANUAL = BrokerPolicy(mitigates=False)
BIND = Bind(HERE, None, accepts_incomplete=False)
UNBIND = Unbind(HERE, is_mitigation=False)
MITIGATE = Unbind(HERE, is_mitigation=True)
OTHER = HERE.model_copy(update={"binding_id": "binding-2"})
HELD = Condition(
    type=ConditionType.ORPHAN_MITIGATION, status=ConditionStatus.TRUE, reason="OrphanMitigationRequired", message="?"
)
UNKNOWN = BindingMemory(lane="broker:/harbour")
REFUSED = make_binding(conditions=(FAILED,), unbind_status="NotRequired")
DOUBTFUL = make_binding(conditions=(FAILED,), unbind_status="Required")
HELD_BINDING = make_binding(conditions=(HELD,), unbind_status="Required", current_operation="Bind")
ROTATING = MEMORY.model_copy(
    update={
        "background_operation": BackgroundOperation(
            kind=BackgroundOperationKind.ROTATE, placement=OTHER, poll_until=NOW.timestamp() + 60
        ),
        "retired": (Retired(placement=HERE.model_copy(update={"binding_id": "binding-3"}), next_at=0.0),),
    }
)


FAILED_RETIREMENT = Retired(placement=OTHER, next_at=NOW.timestamp() + 900, attempts=3)
REQUESTED = (TryAgain, WaiveMitigation, AwaitMitigationDecision, StartMitigation)


def obeyed(snapshot: BindingSnapshot, now: datetime = NOW) -> BindingSnapshot:
    """The snapshot when all that is asked for has been done, each in a round of its own."""
    return rounds_of(snapshot, now)[-1][0]


def rounds_of(snapshot: BindingSnapshot, now: datetime = NOW) -> list[tuple[BindingSnapshot, BindingResult | None]]:
    """The snapshots from round to round, each with the change that led to it."""
    found: list[tuple[BindingSnapshot, BindingResult | None]] = [(snapshot, None)]
    for _ in range(5):
        action = decide(snapshot, now)
        if not isinstance(action, REQUESTED):
            return found
        change = uncalled(snapshot, action, now)
        assert change.next.due_at == now, "the next round is due at once"
        snapshot = replace(
            snapshot,
            binding=change.document,
            memory=BindingMemory.model_validate(change.memory),
            sealed=SealedNotes.from_stored(change.sealed),
            attempt=change.next.attempt,
        )
        found.append((snapshot, change))
    raise AssertionError("what is asked for is never done")


def ordered(snapshot: BindingSnapshot, **orders: str) -> BindingSnapshot:
    """The same with annotations; names are those after `chandlery.io/`."""
    annotations = {f"chandlery.io/{name.replace('_', '-')}": value for name, value in orders.items()}
    metadata = snapshot.binding.metadata.model_copy(update={"annotations": annotations})
    return replace(snapshot, binding=snapshot.binding.model_copy(update={"metadata": metadata}))


DELETED: list[Any] = [
    pytest.param(make_snapshot(make_binding(deleted=True)), id="never sent"),
    pytest.param(make_snapshot(make_binding(deleted=True), request=OPEN), id="in flight"),
    pytest.param(make_snapshot(bound(deleted=True)), id="bound"),
    pytest.param(make_snapshot(bound(deleted=True), sealed=UNDELIVERED), id="undelivered"),
    pytest.param(
        make_snapshot(bound(deleted=True), request=OPEN, access=NO_SECRET),
        id="in flight, no Secret",
    ),
    pytest.param(make_snapshot(working("Bind", deleted=True)), id="broker binds"),
    pytest.param(make_snapshot(working("Unbind", deleted=True), access=NO_SECRET), id="broker unbinds, no Secret"),
    pytest.param(make_snapshot(mitigating(deleted=True)), id="mitigated"),
    pytest.param(make_snapshot(mitigating(deleted=True), access=NO_SECRET), id="mitigated, no Secret"),
    pytest.param(make_snapshot(bound(deleted=True), instance=None, offering=None), id="instance gone"),
    pytest.param(make_snapshot(bound(deleted=True), offering=NO_CLASS, access=NO_SECRET), id="class and broker gone"),
    pytest.param(make_snapshot(bound(deleted=True), memory=UNKNOWN), id="place unknown"),
    pytest.param(make_snapshot(bound(deleted=True), memory=ROTATING), id="rotating"),
]


@pytest.mark.parametrize("snapshot", DELETED)
def test_abandoned_binding_goes_without_a_call_in_every_state(snapshot: BindingSnapshot) -> None:
    snapshot = obeyed(ordered(snapshot, abandon="true"), NOW)
    assert decide(snapshot, NOW) == Abandon()
    change = abandon(snapshot, NOW)
    assert (change.is_finished, change.document.metadata.finalizers) == (True, None)
    told = [(fact.reason, fact.is_warning) for fact in change.facts]
    assert told == ([("Abandoned", True)] if snapshot.may_exist else [])


def test_abandoned_binding_loses_its_secret_first() -> None:
    snapshot = make_snapshot(bound(deleted=True), eject_problem="not allowed")
    action = decide(ordered(snapshot, abandon="true", force_delete="true"), NOW)
    assert action == Wait("ErrorEjectingServiceBinding", "not allowed", None)


def test_abandoned_binding_that_is_wanted_stays() -> None:
    snapshot = ordered(make_snapshot(bound()), abandon="true", force_delete="true")
    assert decide(obeyed(snapshot, NOW), NOW) == Idle()


@pytest.mark.parametrize(
    ("snapshot", "action"),
    [
        pytest.param(make_snapshot(make_binding(deleted=True)), Finish(), id="never sent"),
        pytest.param(make_snapshot(make_binding(deleted=True), request=OPEN), UNBIND, id="in flight"),
        pytest.param(make_snapshot(bound(deleted=True)), UNBIND, id="bound"),
        pytest.param(make_snapshot(working("Bind", deleted=True)), UNBIND, id="broker binds"),
        pytest.param(
            make_snapshot(working("Bind", deleted=True), memory=MEMORY.model_copy(update={"unbind_deferred": True})),
            UNBIND,
            id="broker would not be interrupted",
        ),
        pytest.param(make_snapshot(working("Unbind", deleted=True)), PollBinding(HERE, "key-1"), id="broker unbinds"),
        pytest.param(make_snapshot(mitigating(deleted=True)), UNBIND, id="mitigated"),
        pytest.param(
            make_snapshot(bound(deleted=True), access=NO_SECRET), ForceFinish(NO_SECRET.message), id="no Secret"
        ),
        pytest.param(
            make_snapshot(working("Unbind", deleted=True), access=NO_SECRET),
            ForceFinish(NO_SECRET.message),
            id="broker unbinds, no Secret",
        ),
    ],
)
def test_forced_deletion_asks_once_if_the_broker_can_be_asked(snapshot: BindingSnapshot, action: Action) -> None:
    assert decide(obeyed(ordered(snapshot, force_delete="true"), NOW), NOW) == action


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(200, {}, "gone", id="200"),
        pytest.param(202, {"operation": "u"}, "poll", id="202"),
        pytest.param(400, {}, "gone", id="400"),
        pytest.param(404, {}, "gone", id="404"),
        pytest.param(422, {"error": "ConcurrencyError"}, "gone", id="ConcurrencyError"),
        pytest.param(500, {"description": "out of rope"}, "gone", id="500"),
    ],
)
def test_forced_deletion_ends_with_the_answer(status: int, body: Any, expected: str) -> None:
    snapshot = ordered(make_snapshot(working("Bind", deleted=True)), force_delete="true")
    change = _absorbed(snapshot, BindingPurpose.UNBIND, status, body)
    assert reaction(change) == expected
    assert [fact.reason for fact in change.facts][-1:] == (
        ["ForceDeleted"] if status >= 400 else [change.facts[-1].reason]
    )
    if status == 500:
        assert "out of rope" in change.facts[-1].message


@pytest.mark.parametrize(
    ("body", "minutes", "expected"),
    [
        pytest.param({"state": "in progress"}, 1, "poll", id="in progress"),
        pytest.param({"state": "failed"}, 1, "gone", id="failed"),
        pytest.param({"state": "in progress"}, 0, "gone", id="time is over"),
    ],
)
def test_forced_deletion_polls_to_the_end(body: Any, minutes: int, expected: str) -> None:
    memory = MEMORY.model_copy(update={"poll_until": NOW.timestamp() + 60 * minutes})
    snapshot = ordered(make_snapshot(working("Unbind", deleted=True), memory=memory), force_delete="true")
    assert reaction(_absorbed(snapshot, BindingPurpose.POLL, 200, body)) == expected


def test_forced_deletion_without_a_broker_is_told() -> None:
    snapshot = ordered(make_snapshot(bound(deleted=True), access=NO_SECRET), force_delete="true")
    change = force_finish(snapshot, ForceFinish("the Secret is missing"), NOW)
    assert (change.is_finished, change.facts[-1].reason) == (True, "ForceDeleted")
    assert "the Secret is missing" in change.facts[-1].message


@pytest.mark.parametrize("orders", [{}, {"force_delete": "true"}], ids=["plain", "forced"])
@pytest.mark.parametrize("status", [200, 410])
def test_deletion_goes_on_to_the_other_ids(status: int, orders: dict[str, str]) -> None:
    snapshot = ordered(make_snapshot(bound(deleted=True), memory=ROTATING), **orders)
    seen = []
    for _ in range(3):
        action = decide(snapshot, NOW)
        assert isinstance(action, Unbind)
        seen.append(action.placement.binding_id)
        change = _absorbed(snapshot, BindingPurpose.UNBIND, status, {})
        memory = BindingMemory.model_validate(change.memory)
        snapshot = replace(snapshot, binding=change.document, memory=memory)
    assert (seen, change.is_finished) == (["", "binding-3", "binding-2"], True)


RETRY_ROWS: list[Any] = [
    pytest.param(make_snapshot(REFUSED), BIND, id="refused"),
    pytest.param(make_snapshot(DOUBTFUL), MITIGATE, id="failed, something may exist"),
    pytest.param(make_snapshot(DOUBTFUL, policy=MANUAL), Idle(), id="failed, something may exist, manual"),
    pytest.param(make_snapshot(mitigating(conditions=(FAILED,))), MITIGATE, id="failed, mitigated already"),
    pytest.param(make_snapshot(bound()), Idle(), id="ready"),
    pytest.param(make_snapshot(request=OPEN), Repeat(OPEN), id="in flight"),
    pytest.param(make_snapshot(working("Bind")), PollBinding(HERE, "key-1"), id="broker binds"),
    pytest.param(make_snapshot(bound(deleted=True)), UNBIND, id="deleted"),
]


@pytest.mark.parametrize(
    ("snapshot", "annotations", "action"),
    [
        pytest.param(make_snapshot(REFUSED), {"retry_requested_at": "now"}, TryAgain(), id="try again"),
        pytest.param(
            make_snapshot(bound(), memory=MEMORY.model_copy(update={"retired": (FAILED_RETIREMENT,)})),
            {"retry_requested_at": "now"},
            TryAgain(),
            id="hasten what is left",
        ),
        pytest.param(
            make_snapshot(HELD_BINDING), {"orphan_mitigation": "Waive"}, WaiveMitigation(), id="waive a mitigation"
        ),
        pytest.param(
            make_snapshot(mitigating()), {"orphan_mitigation": "Manual"}, AwaitMitigationDecision(), id="stop it"
        ),
        pytest.param(make_snapshot(HELD_BINDING), {"orphan_mitigation": "Automatic"}, StartMitigation(), id="start it"),
    ],
)
def test_what_is_asked_for_is_decided_as_an_action(
    snapshot: BindingSnapshot, annotations: dict[str, str], action: Action
) -> None:
    asked = ordered(snapshot, **annotations)
    assert decide(asked, NOW) == action
    assert decide(obeyed(asked), NOW) != action, "it is done once"


@pytest.mark.parametrize(("snapshot", "action"), RETRY_ROWS)
def test_order_to_try_again_is_obeyed_in_every_state(snapshot: BindingSnapshot, action: Action) -> None:
    tried = obeyed(ordered(snapshot, retry_requested_at="now"), NOW)
    assert decide(tried, NOW) == action
    assert (tried.is_failed, tried.attempt) == (False, 0)
    seen = replace(snapshot, memory=snapshot.memory.model_copy(update={"retry_seen": "now"}))
    assert obeyed(ordered(seen, retry_requested_at="now"), NOW).is_failed == snapshot.is_failed


def test_order_to_try_again_waives_a_mitigation_that_is_waived() -> None:
    snapshot = obeyed(ordered(make_snapshot(DOUBTFUL), retry_requested_at="now", orphan_mitigation="Waive"), NOW)
    assert decide(snapshot, NOW) == BIND


def test_order_to_try_again_is_noted_when_the_round_ends() -> None:
    snapshot = obeyed(ordered(make_snapshot(REFUSED), retry_requested_at="now"), NOW)
    assert snapshot.memory.retry_seen == ""
    change = _absorbed(snapshot, BindingPurpose.BIND, 400, {})
    assert (change.memory["retrySeen"], reaction(change)) == ("now", "fail")


def test_order_to_try_again_gives_the_operation_its_whole_time() -> None:
    long_ago = NOW - timedelta(days=8)
    binding = make_binding(current_operation="Bind", operation_start_time=long_ago)
    assert reaction(_absorbed(make_snapshot(binding), BindingPurpose.BIND, 429, {})) == "fail"
    snapshot = obeyed(ordered(make_snapshot(binding), retry_requested_at="now"), NOW)
    assert reaction(_absorbed(snapshot, BindingPurpose.BIND, 429, {})) == "bind again"


def test_order_to_try_again_hastens_what_failed_and_not_what_has_its_grace() -> None:
    failed = Retired(placement=OTHER, next_at=NOW.timestamp() + 900, attempts=3, is_leftover=True)
    in_grace = Retired(placement=HERE, next_at=NOW.timestamp() + 100)
    rotation = RotationNotes(attempts=4, next_at=NOW.timestamp() + 900, is_refused=True)
    memory = MEMORY.model_copy(update={"retired": (failed, in_grace), "rotation": rotation})
    tried = obeyed(ordered(make_snapshot(bound(), memory=memory), retry_requested_at="now"), NOW)
    assert [each.next_at for each in tried.memory.retired] == [0.0, NOW.timestamp() + 100]
    assert tried.memory.rotation == RotationNotes()


# What a failed bind leads to, by the policy of its broker and the word of a user.
@pytest.mark.parametrize(
    ("mitigates", "order", "expected"),
    [
        pytest.param(True, None, "mitigate", id="broker says automatic"),
        pytest.param(False, None, "held", id="broker says manual"),
        pytest.param(True, "Manual", "held", id="user says manual"),
        pytest.param(False, "Automatic", "mitigate", id="user says automatic"),
        pytest.param(False, "Waive", "bind again", id="user waives"),
    ],
)
@pytest.mark.parametrize("is_final", [False, True])
def test_policy_says_what_becomes_of_a_failed_bind(
    *, mitigates: bool, order: str | None, expected: str, is_final: bool
) -> None:
    orders = {"orphan_mitigation": order} if order else {}
    snapshot = ordered(make_snapshot(policy=BrokerPolicy(mitigates=mitigates)), **orders)
    change = _absorbed(snapshot, BindingPurpose.BIND, 204 if is_final else 500, {})
    status = change.document.status
    held = find_condition(status.conditions, ConditionType.ORPHAN_MITIGATION)
    assert status.unbind_status == "Required"
    assert status.orphan_mitigation_in_progress == (expected == "mitigate")
    if expected == "held":
        assert (held and held.reason, change.next.due_at) == ("OrphanMitigationRequired", None)
        assert "chandlery.io/orphan-mitigation=Automatic" in (held.message if held else "")
        assert (status.last_condition_state, change.next.waiting_for) == ("OrphanMitigation", MEMORY.lane)
    else:
        assert (held is not None) == (expected == "mitigate")
        assert reaction(change) == {"bind again": "fail" if is_final else expected}.get(
            expected, f"fail and {expected}" if is_final else expected
        )


@pytest.mark.parametrize(
    ("orders", "policy", "action"),
    [
        pytest.param({}, MANUAL, Idle(), id="held"),
        pytest.param({"orphan_mitigation": "Automatic"}, MANUAL, MITIGATE, id="started by a user"),
        pytest.param({}, BrokerPolicy(), MITIGATE, id="started by the broker's policy"),
        pytest.param({"orphan_mitigation": "Waive"}, MANUAL, BIND, id="waived"),
    ],
)
def test_held_mitigation_waits_for_a_word(orders: dict[str, str], policy: BrokerPolicy, action: Action) -> None:
    snapshot = obeyed(ordered(make_snapshot(HELD_BINDING, policy=policy), **orders), NOW)
    assert decide(snapshot, NOW) == action


def test_held_mitigation_does_not_keep_a_deleted_binding_from_being_unbound() -> None:
    binding = make_binding(deleted=True, conditions=(HELD,), unbind_status="Required")
    assert decide(obeyed(make_snapshot(binding, policy=MANUAL), NOW), NOW) == UNBIND


@pytest.mark.parametrize(
    ("binding", "order", "action"),
    [
        pytest.param(mitigating(), "Manual", Idle(), id="stopped"),
        pytest.param(mitigating(), "Waive", BIND, id="waived"),
        pytest.param(mitigating(conditions=(FAILED,)), "Waive", Idle(), id="waived after a failure"),
        pytest.param(
            working("Bind", orphan_mitigation_in_progress=True),
            "Manual",
            PollBinding(HERE, "key-1"),
            id="polled to its end",
        ),
        pytest.param(working("Bind", orphan_mitigation_in_progress=True), "Waive", BIND, id="waived while polled"),
    ],
)
def test_mitigation_under_way_obeys(binding: ServiceBinding, order: str, action: Action) -> None:
    assert decide(obeyed(ordered(make_snapshot(binding), orphan_mitigation=order), NOW), NOW) == action


def test_waived_mitigation_is_told_once() -> None:
    *_, (snapshot, waived) = rounds_of(ordered(make_snapshot(HELD_BINDING), orphan_mitigation="Waive"))
    change = _absorbed(snapshot, BindingPurpose.BIND, 201, {"credentials": {}})
    facts = [*(waived.facts if waived else ()), *change.facts]
    assert [fact.reason for fact in facts] == ["OrphanMitigationWaived", "InjectedBindResult"]
    again = obeyed(replace(snapshot, binding=change.document), NOW)
    assert idle(again, NOW).facts == ()


def test_waived_mitigation_ends_with_the_conflict_that_it_risks() -> None:
    snapshot = obeyed(ordered(make_snapshot(HELD_BINDING), orphan_mitigation="Waive"), NOW)
    assert reaction(_absorbed(snapshot, BindingPurpose.BIND, 409, {})) == "fail"


@pytest.mark.parametrize(
    "snapshot",
    [
        pytest.param(make_snapshot(bound(deleted=True), access=NO_SECRET), id="no Secret of the broker"),
        pytest.param(make_snapshot(working("Unbind", deleted=True), access=NO_SECRET), id="while polled"),
        pytest.param(make_snapshot(bound(deleted=True), memory=UNKNOWN), id="place unknown"),
    ],
)
def test_deletion_that_cannot_go_on_names_the_way_out(snapshot: BindingSnapshot) -> None:
    action = decide(snapshot, NOW)
    assert isinstance(action, Wait)
    change = wait(snapshot, action, NOW)
    assert "chandlery.io/abandon=true" in _ready_message(change)
    assert ready_reason(change)[0] == "Unknown"


def test_unbind_that_fails_names_the_way_out() -> None:
    assert "chandlery.io/abandon=true" in _ready_message(
        _absorbed(make_snapshot(bound(deleted=True)), BindingPurpose.UNBIND, 500, {})
    )


@pytest.mark.parametrize("status", [400, 204])
def test_failed_binding_names_the_way_out(status: int) -> None:
    change = _absorbed(make_snapshot(), BindingPurpose.BIND, status, {})
    failed = find_condition(change.document.status.conditions, ConditionType.FAILED)
    assert failed is not None
    assert "chandlery.io/retry-requested-at" in failed.message


# Attempts and the time of the next one are shown for calls that failed, and for nothing else.
BINDING_AGAIN = make_snapshot(make_binding(current_operation="Bind"), attempt=2)
UNBINDING_AGAIN = make_snapshot(
    make_binding(deleted=True, current_operation="Unbind", unbind_status="Required"), attempt=1
)


@pytest.mark.parametrize(
    ("snapshot", "purpose", "status", "body", "shown"),
    [
        pytest.param(BINDING_AGAIN, BindingPurpose.BIND, 429, {}, 3, id="bind failed"),
        pytest.param(make_snapshot(attempt=2), BindingPurpose.BIND, 202, {}, None, id="bind accepted"),
        pytest.param(make_snapshot(attempt=2), BindingPurpose.BIND, 201, {}, None, id="bound"),
        pytest.param(make_snapshot(attempt=2), BindingPurpose.BIND, 400, {}, None, id="refused"),
        pytest.param(make_snapshot(attempt=2), BindingPurpose.BIND, 500, {}, None, id="mitigation begins"),
        pytest.param(
            make_snapshot(mitigating(), attempt=2), BindingPurpose.MITIGATE, 500, {}, 3, id="mitigation failed"
        ),
        pytest.param(make_snapshot(mitigating(), attempt=2), BindingPurpose.MITIGATE, 200, {}, 1, id="mitigated"),
        pytest.param(make_snapshot(working("Bind")), BindingPurpose.POLL, 500, {}, None, id="poll failed"),
        pytest.param(UNBINDING_AGAIN, BindingPurpose.UNBIND, 500, {}, 2, id="unbind failed"),
        pytest.param(
            make_snapshot(bound(deleted=True), attempt=1), BindingPurpose.UNBIND, 202, {}, None, id="unbinding"
        ),
        pytest.param(
            make_snapshot(make_binding(unbind_status="Required")), BindingPurpose.FETCH, 404, {}, 1, id="fetch failed"
        ),
    ],
)
def test_attempts_are_shown_while_a_call_fails(
    snapshot: BindingSnapshot, purpose: BindingPurpose, status: int, body: Any, shown: int | None
) -> None:
    before = snapshot.binding.status.model_copy(update={"attempts": 7, "next_attempt_time": NOW})
    snapshot = replace(snapshot, binding=snapshot.binding.model_copy(update={"status": before}))
    change = _absorbed(snapshot, purpose, status, body)
    after = change.document.status
    assert after.attempts == shown
    assert after.next_attempt_time == (change.next.due_at if shown else None)


def test_attempts_are_not_shown_while_something_is_missing() -> None:
    binding = make_binding(attempts=3, next_attempt_time=NOW)
    change = wait(make_snapshot(binding), Wait("ErrorInstanceNotReady", "not ready", "instance:ns/rope"), NOW)
    assert (change.document.status.attempts, change.document.status.next_attempt_time) == (None, None)


def test_call_that_could_not_be_sent_counts_as_failed() -> None:
    change = absorb(
        make_snapshot(), sent(BindingPurpose.BIND), answer=unanswered(BindingPurpose.BIND, Verdict.UNREACHABLE), now=NOW
    )
    assert change.document.status.attempts == 1


def test_ready_binding_without_a_word_has_nothing_to_do() -> None:
    assert (
        decide(
            obeyed(make_snapshot(make_binding(conditions=(READY,), unbind_status="Required")), NOW),
            NOW,
        )
        == Idle()
    )


def test_placement_with_an_id_of_its_own_is_asked_for_by_it() -> None:
    memory = MEMORY.model_copy(update={"placement": HERE.model_copy(update={"binding_id": "binding-9"})})
    action = decide(make_snapshot(bound(deleted=True), memory=memory), NOW)
    assert isinstance(action, Unbind)
    assert action.placement.binding_id == "binding-9"


def _absorbed(snapshot: BindingSnapshot, purpose: BindingPurpose, status: int, body: Any) -> BindingResult:
    return absorb(snapshot, sent(purpose), answer=answered(purpose, status, body), now=NOW)


def _ready_message(change: BindingResult) -> str:
    ready = find_condition(change.document.status.conditions, ConditionType.READY)
    assert ready is not None
    return ready.message
