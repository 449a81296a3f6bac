"""The page says of each feature of an API server whether it is served, and which test shows that. These tests exist."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from tests.unit.docs.named_tests import REFERENCE, TESTS, not_understood, unknown_tests

TEXT: Final = (TESTS.parent / "docs/cluster.md").read_text(encoding="utf-8")
TITLE: Final = "## What of an API server there is"
NOTHING_TO_TEST: Final = "none needed"


class Row(NamedTuple):
    feature: str
    answer: str
    tests: str


def rows(text: str) -> Iterator[Row]:
    """All rows of the tables below the title."""
    section = text.partition(f"\n{TITLE}\n")[2].partition("\n## ")[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and cells[0] != "feature":
            assert len(cells) == 3, line
            yield Row(*cells)


ROWS: Final = list(rows(TEXT))


def test_every_feature_is_told_once() -> None:
    assert len({row.feature for row in ROWS}) == len(ROWS) > 30


def test_every_answer_begins_with_a_word_that_says_it() -> None:
    assert [
        row for row in ROWS if not row.answer.startswith(("served", "not: ", "not, ", "not here: ", "counted, "))
    ] == []


def test_every_test_that_is_named_exists() -> None:
    assert [name for row in ROWS for name in unknown_tests(row.tests)] == []


def test_what_is_served_has_a_test_and_only_what_is_not_may_do_without() -> None:
    for row in ROWS:
        if row.tests == NOTHING_TO_TEST:
            assert row.answer.startswith("not"), row.feature
        else:
            assert REFERENCE.search(row.tests), row.feature
            assert not_understood(row.tests) == "", row.feature
