"""Conditions: how they change, and what the STATUS column makes of them."""

from datetime import UTC, datetime, timedelta

import pytest

from chandlery.model.objects.conditions import (
    Condition,
    Conditions,
    ConditionStatus,
    ConditionType,
    find_condition,
    is_true,
    last_condition_state,
    with_condition,
    without_condition,
)

BEFORE = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NOW = BEFORE + timedelta(hours=1)
READY, FAILED, ORPHAN = ConditionType.READY, ConditionType.FAILED, ConditionType.ORPHAN_MITIGATION
TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def condition(kind: ConditionType, status: ConditionStatus, reason: str = "Because") -> Condition:
    return Condition(type=kind, status=status, reason=reason, message="before", last_transition_time=BEFORE)


@pytest.mark.parametrize("before", [TRUE, FALSE, UNKNOWN])
@pytest.mark.parametrize("after", [TRUE, FALSE, UNKNOWN])
def test_the_transition_time_moves_only_when_the_status_flips(before: ConditionStatus, after: ConditionStatus) -> None:
    changed = with_condition((condition(READY, before),), READY, status=after, reason="Other", message="after", now=NOW)

    expected = BEFORE if before == after else NOW
    assert changed == (
        Condition(type=READY, status=after, reason="Other", message="after", last_transition_time=expected),
    )


def test_a_new_condition_comes_last_and_holds_from_now_on() -> None:
    ready = condition(READY, FALSE)

    changed = with_condition((ready,), FAILED, status=TRUE, reason="Other", message="", now=NOW)

    assert changed[0] == ready
    assert (changed[1].type, changed[1].last_transition_time) == (FAILED, NOW)


def test_a_changed_condition_keeps_its_place() -> None:
    conditions = (condition(READY, FALSE), condition(FAILED, TRUE), condition(ORPHAN, TRUE))

    changed = with_condition(conditions, FAILED, status=FALSE, reason="", message="", now=NOW)

    assert [found.type for found in changed] == [READY, FAILED, ORPHAN]
    assert (changed[0], changed[2]) == (conditions[0], conditions[2])


def test_a_dropped_condition_leaves_the_others() -> None:
    conditions = (condition(READY, FALSE), condition(FAILED, TRUE))

    assert without_condition(conditions, FAILED) == conditions[:1]
    assert without_condition(conditions, ORPHAN) == conditions


@pytest.mark.parametrize(("status", "expected"), [(TRUE, True), (FALSE, False), (UNKNOWN, False)])
def test_a_condition_holds_only_when_it_is_true(status: ConditionStatus, *, expected: bool) -> None:
    assert is_true((condition(READY, status),), READY) is expected
    assert not is_true((condition(READY, status),), FAILED)


def test_a_condition_is_found_by_its_type() -> None:
    ready = condition(READY, TRUE)

    assert find_condition((condition(FAILED, FALSE), ready), READY) == ready
    assert find_condition((), READY) is None


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param((), "", id="none"),
        pytest.param((condition(READY, TRUE),), "Ready", id="ready"),
        pytest.param((condition(READY, FALSE, "Provisioning"),), "Provisioning", id="not ready"),
        pytest.param((condition(READY, UNKNOWN, "DeprovisionCallFailed"),), "DeprovisionCallFailed", id="unknown"),
        pytest.param((condition(READY, FALSE, "ProvisionCallFailed"), condition(FAILED, TRUE)), "Failed", id="failed"),
        pytest.param((condition(READY, FALSE), condition(ORPHAN, TRUE)), "OrphanMitigation", id="orphan"),
    ],
)
def test_the_status_column_shows_the_last_condition(conditions: Conditions, expected: str) -> None:
    assert last_condition_state(conditions) == expected


def test_a_condition_has_the_reference_form_on_the_wire() -> None:
    assert condition(READY, TRUE).to_wire() == {
        "type": "Ready",
        "status": "True",
        "reason": "Because",
        "message": "before",
        "lastTransitionTime": "2026-03-01T12:00:00Z",
    }
