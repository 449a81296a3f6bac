"""What the drafts of instances and bindings share: what is told and how often, pauses have their bounds."""

from datetime import UTC, datetime, timedelta

import pytest

from chandlery.model.objects.bindings import ServiceBindingStatus
from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType
from chandlery.model.text.clean_text import CONDITION_LONGEST
from chandlery.reconcile.policies.broker_policy import BrokerPolicy
from chandlery.reconcile.status_draft import OperationNotes, StatusDraft, joined

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
TOLD = Condition(type=ConditionType.READY, status=ConditionStatus.FALSE, reason="Busy", message="it is busy")


def draft(
    notes: OperationNotes | None = None, *conditions: Condition
) -> StatusDraft[ServiceBindingStatus, OperationNotes]:
    return StatusDraft(
        ServiceBindingStatus(conditions=conditions),
        notes or OperationNotes(),
        offering=None,
        attempt=0,
        now=NOW,
        policy=BrokerPolicy(give_up_after=timedelta(hours=1)),
    )


def test_the_same_fact_is_recorded_once_in_one_change() -> None:
    making = draft()
    making.fail("BindCallFailed", "BindCallFailed", message="no")
    making.say("BindCallFailed", "no", is_warning=True)
    making.say("BindCallFailed", "no, really", is_warning=True)

    assert [fact.message for fact in making.facts] == ["no", "no, really"]


def test_a_fact_that_a_condition_told_before_is_not_recorded() -> None:
    making = draft(None, TOLD)
    making.say_once("Busy", "it is busy")

    assert making.facts == []


def test_what_happens_again_is_recorded_again_to_be_counted() -> None:
    making = draft(None, TOLD)
    making.say("Busy", "it is busy")

    assert [fact.message for fact in making.facts] == ["it is busy"]


@pytest.mark.parametrize(
    ("asked", "until", "expected"),
    [
        pytest.param(600.0, 60.0, 60.0, id="once more at the end"),
        pytest.param(None, -5.0, 0.0, id="at once when the time is up"),
        pytest.param(86_400.0, None, 3600.0, id="within the platform's limit when the end is unknown"),
    ],
)
def test_polls_pause_within_the_time_of_the_operation(
    asked: float | None, until: float | None, expected: float
) -> None:
    notes = OperationNotes(polls=1, poll_until=None if until is None else NOW.timestamp() + until)

    assert draft(notes).poll_pause(asked) == timedelta(seconds=expected)


def test_polls_keep_the_pause_that_the_broker_asks_for_and_drift_apart_by_a_little() -> None:
    notes = OperationNotes(polls=1, poll_until=NOW.timestamp() + 60)
    pauses = [draft(notes).poll_pause(7.0).total_seconds() for _ in range(100)]
    assert min(pauses) >= 7.0
    assert max(pauses) <= 7.0 * 1.03
    assert len(set(pauses)) > 1


def test_polling_is_no_busy_loop_when_its_end_is_unknown() -> None:
    assert draft(OperationNotes(polls=1)).poll_pause(None) > timedelta(seconds=0.9)


def test_the_next_attempt_can_be_seen_until_there_is_none() -> None:
    making = draft()
    pause = making.expect_attempt(3, 90.0)

    assert pause == timedelta(seconds=90)
    assert (making.status.attempts, making.status.next_attempt_time) == (3, NOW + pause)

    making.end_operation()
    assert (making.status.attempts, making.status.next_attempt_time) == (None, None)


def test_what_others_said_is_cleaned_and_cut_wherever_it_is_told_and_known_again() -> None:
    said = "\x1b[31mred\x1b[0m " + "x" * 300_000 + ". Do this"
    first = draft()
    first.fail("BindCallFailed", "BindCallFailed", message=said)
    told = [*(condition.message for condition in first.status.conditions), *(fact.message for fact in first.facts)]

    assert len(told) == 3
    for message in told:
        assert message.startswith("red xxx")
        assert message.endswith("x. Do this")
        assert len(message) <= CONDITION_LONGEST

    again = draft(None, *first.status.conditions)
    again.fail("BindCallFailed", "BindCallFailed", message=said)
    assert again.facts == first.facts
    waiting = draft(None, *first.status.conditions)
    waiting.say_once("BindCallFailed", said)
    assert waiting.facts == []


def test_a_sentence_that_ends_with_a_question_gets_no_full_stop() -> None:
    assert joined('did you mean "small"?', "To list them: kubectl get it.") == (
        'did you mean "small"? To list them: kubectl get it'
    )
    assert joined("It failed. ", "Try again") == "It failed. Try again"
