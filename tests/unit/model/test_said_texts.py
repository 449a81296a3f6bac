"""Every text that enters a condition or a recorded event is fit to be shown, whoever puts it there."""

import pytest

from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType, with_condition
from chandlery.model.objects.core import NamespaceCondition, RecordedFact
from chandlery.model.text.clean_text import CONDITION_LONGEST, EVENT_LONGEST
from tests.integration.store.samples import NOON

HOSTILE = "\x1b[31mred\x1b[0m \u202eover\u202c ze\u200bro\nline\x00"
SEEN = "red over zero line"


@pytest.mark.parametrize(
    "said",
    [
        lambda text: Condition(type=ConditionType.READY, status=ConditionStatus.FALSE, message=text).message,
        lambda text: Condition.model_validate({"type": "Ready", "status": "False", "message": text}).message,
        lambda text: (
            with_condition((), ConditionType.READY, status=ConditionStatus.FALSE, reason="R", message=text, now=NOON)[
                0
            ].message
        ),
        lambda text: NamespaceCondition(message=text).message,
        lambda text: RecordedFact("Reason", text).message,
    ],
    ids=["condition", "read", "set", "namespace", "event"],
)
def test_a_text_is_cleaned_and_cut_where_it_enters(said) -> None:  # type: ignore[no-untyped-def]
    assert said(HOSTILE) == SEEN
    long = said("begin " + "{" * 300_000 + " end")
    assert long.startswith("begin {")
    assert long.endswith(" end")
    assert len(long) <= CONDITION_LONGEST


def test_a_recorded_event_is_as_short_as_those_of_kubernetes() -> None:
    assert len(RecordedFact("Reason", "x" * 300_000).message) == EVENT_LONGEST
