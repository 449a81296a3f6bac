"""The threat model says with which test each control is shown. These tests exist."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest

from tests.unit.docs.named_tests import REFERENCE, TESTS, not_understood, unknown_tests

PAGE: Final = TESTS.parent / "docs/security.md"
GROUPS: Final = (
    "Outsider",
    "Tenant against tenant",
    "Tenant against operator",
    "Service broker",
    "Network",
    "Database reader",
    "Stolen backup",
    "Insider admin",
    "Supply chain",
    "Browser",
)


class Row(NamedTuple):
    group: str
    threat: str
    control: str
    tests: str


def rows(text: str) -> Iterator[Row]:
    """All rows of the tables below the titles of the groups."""
    group = ""
    for line in text.splitlines():
        if line.startswith("#"):
            group = line.lstrip("# ")
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if group in GROUPS and line.startswith("| ") and cells[0] != "threat":
            assert len(cells) == 3, line
            yield Row(group, *cells)


def missing(found: list[Row]) -> list[str]:
    """What is wrong with the rows: no test, or one that does not exist."""
    problems = [f"{row.threat}: no test" for row in found if not REFERENCE.search(row.tests)]
    for row in found:
        if not_understood(row.tests):
            problems.append(f"{row.threat}: not understood: {row.tests}")
        problems += unknown_tests(row.tests)
    return problems


ROWS: Final = list(rows(PAGE.read_text(encoding="utf-8")))


def test_every_row_of_the_threat_model_names_tests_that_exist() -> None:
    assert missing(ROWS) == []


def test_every_kind_of_attacker_has_rows_and_no_threat_is_told_twice() -> None:
    assert {row.group for row in ROWS} == set(GROUPS)
    assert len({row.threat for row in ROWS}) == len(ROWS) > 60
    assert all(len(row.control) > 10 for row in ROWS)


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "`unit/docs/test_threat_model.py::test_that_is_not_there`",
        "`unit/docs/test_nothing.py::test_every_row_of_the_threat_model_names_tests_that_exist`",
        "see there",
        "`unit/docs/test_threat_model.py::test_every_kind_of_attacker_has_rows_and_no_threat_is_told_twice` and more",
    ],
)
def test_row_without_a_test_is_noticed(cell: str) -> None:
    assert missing([*rows(f"### Browser\n| a threat | a control | {cell} |\n")])
