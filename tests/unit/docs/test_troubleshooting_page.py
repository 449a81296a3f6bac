"""The troubleshooting page: every value that STATUS can show has its row, and it is as the generator writes it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from chandlery.model.objects.conditions import INFORMATIVE, ConditionType
from docs import generate_troubleshooting, troubleshooting_remedies
from docs.generate_troubleshooting import REASONS, missing, page
from docs.troubleshooting_remedies import NEVER_IN_STATUS, TYPES

ROOT = Path(__file__).parents[3]
SHOWING = frozenset({"Wait", "Refuse", "tell_update", "show_operation", "retry", "retry_update", "give_up", "mitigate"})
"""Calls whose reason a condition shows."""


def test_page_is_as_the_generator_writes_it() -> None:
    assert generate_troubleshooting.main(["--check"]) == 0, "run: python docs/generate_troubleshooting.py"


def test_generator_says_so_when_the_page_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tmp_path / "troubleshooting.md"
    stale.write_text(page() + "\n")
    monkeypatch.setattr(generate_troubleshooting, "PAGE", stale)
    assert generate_troubleshooting.main(["--check"]) == 1
    assert generate_troubleshooting.main([]) == 0
    assert generate_troubleshooting.main(["--check"]) == 0


def test_every_reason_has_a_row_or_is_never_shown() -> None:
    assert missing() == []


def test_a_reason_without_a_row_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    without = dict(list(troubleshooting_remedies.BROKERS.items())[1:])
    reasons = next(kind for kind in REASONS if kind.__name__ == "BrokerReason")
    monkeypatch.setitem(REASONS, reasons, without)
    assert missing() == ["BrokerReason.ERROR_FETCHING_CATALOG"]
    assert generate_troubleshooting.main(["--check"]) == 1


def test_every_type_that_status_can_show_has_a_row() -> None:
    assert set(TYPES) == set(ConditionType) - INFORMATIVE


def test_what_is_said_to_be_never_shown_is_shown_by_no_condition() -> None:
    never = {(type(reason).__name__, reason.name) for reason in NEVER_IN_STATUS}
    assert {used for used in _shown() if used in never} == set()
    assert len(set(_shown())) > 25


def _shown() -> Iterator[tuple[str, str]]:
    """Each reason that the code gives to a condition that is not True, or to a wait or a refusal."""
    for path in sorted((ROOT / "services").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _is_showing(node):
                yield from (found for argument in node.args for found in _reasons_in(argument))


def _is_showing(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    is_true = any("ConditionStatus.TRUE" in ast.unparse(argument) for argument in call.args)
    return name in SHOWING or (name in ("ready", "fail") and not is_true)


def _reasons_in(node: ast.expr) -> Iterator[tuple[str, str]]:
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id.endswith("Reason"):
            yield each.value.id, each.attr
