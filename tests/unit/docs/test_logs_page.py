"""`docs/logs.md` is what the code says, and each action and key that it names is written somewhere."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from chandlery.process.logs.ecs_fields import FIELDS, HIDDEN, NAMES, ON_EVERY_LINE, OWN
from docs import generate_logs
from docs.log_actions import ACTIONS

ROOT = Path(__file__).parents[3]
MODULES = [path for top in ("shared", "services") for path in (ROOT / top).rglob("*.py")]
SAYS = ("debug", "info", "warning", "error", "exception", "critical")
CALLERS = frozenset({"log_bug", "_say"})
"""Functions that hand an action and keys on to the log."""
OF_PYTHON = frozenset({"exc_info"})


def _calls() -> Iterator[ast.Call]:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (_is_line(node) or getattr(node.func, "id", "") in CALLERS):
                yield node


def _is_line(node: ast.Call) -> bool:
    func = node.func
    named = isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == "log"
    return named and getattr(func, "attr", "") in SAYS


def _actions() -> set[str]:
    given = [keyword.value for call in _calls() for keyword in call.keywords if keyword.arg == "action"]
    found = {value.value for value in given if isinstance(value, ast.Constant)}
    # Handed over with others, as one mapping.
    return {str(each) for each in found} | {"call_broker"}


def test_page_is_what_the_code_says() -> None:
    assert generate_logs.main(["--check"]) == 0, "run: python docs/generate_logs.py"


def test_check_notices_a_stale_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stale = tmp_path / "logs.md"
    stale.write_text(generate_logs.page() + "\n")
    monkeypatch.setattr(generate_logs, "PAGE", stale)
    assert generate_logs.main(["--check"]) == 1
    assert generate_logs.main([]) == 0
    assert generate_logs.main(["--check"]) == 0


def test_page_has_each_action_that_is_written_and_no_other() -> None:
    listed = [name for actions in ACTIONS.values() for name in actions]
    assert sorted(listed) == sorted(_actions())


def test_every_line_has_an_action() -> None:
    # A line without one is found by its words alone, which change.
    lines = [ast.unparse(call) for call in _calls() if _is_line(call)]
    without = [line for line in lines if "action=" not in line and "**facts" not in line]
    assert without == []


def test_every_key_has_a_field() -> None:
    used = {keyword.arg for call in _calls() for keyword in call.keywords if keyword.arg}
    assert used - set(NAMES) - OF_PYTHON == set()
    assert len(used) > 20


def test_fields_are_told_apart() -> None:
    assert len({field.key for field in FIELDS}) == len({field.name for field in FIELDS}) == len(FIELDS)
    assert not HIDDEN & set(NAMES)
    assert all(not field.name.startswith(OWN) for field in ON_EVERY_LINE)
