"""The page of the obligations: complete, naming tests that exist, with nothing owed that fails."""

import ast
from functools import cache
from pathlib import Path

import pytest

from docs import generate_conformance
from docs.generate_conformance import FAILS, LEFT, MISSING, PASSES, Case, page, rows_of
from tests.conformance.obligations import LEFT_OUT, OBLIGATIONS, ids_of

SUITE = Path(__file__).parents[3] / "tests" / "conformance"
SHOWN = f"{generate_conformance.SUITE}/test_platform_ids.py::test_osb_027_x"
ROWS = {cells[0]: cells for cells in rows_of(generate_conformance.PAGE.read_text(encoding="utf-8"))}


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse(next(SUITE.rglob(file)).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_obligations_have_numbers_without_gaps() -> None:
    osb, cat = (sum(number.startswith(book) for number in OBLIGATIONS) for book in ("OSB", "CAT"))
    assert (osb, cat) == (170, 25)
    assert list(OBLIGATIONS) == [f"OSB-{n:03}" for n in range(1, 171)] + [f"CAT-{n:02}" for n in range(1, 26)]


def test_page_lists_every_obligation_once_and_as_it_is() -> None:
    assert [cells[:3] for cells in ROWS.values()] == [[each.id, each.level, each.text] for each in OBLIGATIONS.values()]


def test_page_names_only_tests_that_exist() -> None:
    for number, cells in ROWS.items():
        for test in cells[3].replace("`", "").split("<br>") if number not in LEFT_OUT else ():
            file, _, function = test.partition("::")
            assert function in functions(file), f"{number}: {test}"


@pytest.mark.parametrize("number", [each.id for each in OBLIGATIONS.values() if each.is_binding])
def test_what_is_owed_passes_on_both_backends_or_says_why_not(number: str) -> None:
    outcomes = ROWS[number][4:]
    assert outcomes == ([LEFT, LEFT] if number in LEFT_OUT else [PASSES, PASSES])
    assert number not in LEFT_OUT or LEFT_OUT[number] in ROWS[number][3]


def test_every_obligation_that_a_test_names_exists() -> None:
    for path in SUITE.rglob("test_*.py"):
        for function in functions(path.name):
            assert ids_of(f"{path.name}::{function}") <= set(OBLIGATIONS), f"{path.name}::{function}"


def test_page_is_the_same_for_the_same_outcomes_in_any_order() -> None:
    tests = [
        Case(f"{SHOWN}[{backend}-{n}]", backend, passes=True) for backend in ("embedded", "servers") for n in range(3)
    ]
    assert page(tests) == page(reversed(tests))


def test_obligation_fails_where_one_of_its_tests_does() -> None:
    tests = [Case(f"{SHOWN}[embedded-1]", "embedded", passes=True), Case(f"{SHOWN}[embedded-2]", "embedded")]
    rows = {cells[0]: cells for cells in rows_of(page(tests))}
    assert rows["OSB-027"][3:] == ["`test_platform_ids.py::test_osb_027_x`", FAILS, MISSING]
    assert rows["OSB-028"][3:] == ["", MISSING, MISSING]


def test_numbers_of_a_parameter_win_over_those_of_the_function() -> None:
    assert ids_of("a.py::test_osb_079_080_x[embedded]") == {"OSB-079", "OSB-080"}
    assert ids_of("a.py::test_osb_079_x[embedded-OSB-152 provision]") == {"OSB-152"}
    assert ids_of("a.py::test_cat_03_x[embedded-name]") == {"CAT-03"}
    assert ids_of("a.py::test_other") == frozenset()
