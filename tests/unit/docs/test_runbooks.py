"""The runbooks: one for each alert, whose words are those of the dashboards, and whose commands a shell can read."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chandlery.process.logs.ecs_fields import FIELDS
from docs.generate_troubleshooting import alerts_by_name, missing, page
from docs.log_actions import ACTIONS
from docs.runbooks.every_runbook import EVERY_RUNBOOK

ROOT = Path(__file__).parents[3]
FIELD = re.compile(r'\."([^"]+)"')
ACTION = re.compile(r'"event\.action" == "([^"]+)"')
ITALIC = re.compile(r"(?<!\*)\*(?!\*)([^*]+)\*(?!\*)")
OF_PROMETHEUS = {"Status", "Targets"}


def prose() -> Iterator[tuple[str, str]]:
    for name, book in EVERY_RUNBOOK.items():
        yield from ((name, text) for text in (book.means, *book.look, book.over))


def titles_on_dashboards() -> set[str]:
    """Of dashboards without their common beginning, of their panels, and of columns."""
    read = [json.loads(path.read_text()) for path in (ROOT / "deploy/dashboards").glob("*.json")]
    titles = {each["title"].removeprefix("Chandlery / ") for each in read}
    return titles | {panel["title"] for each in read for panel in each["panels"]}


def test_every_alert_has_a_section_and_every_section_an_alert() -> None:
    assert set(EVERY_RUNBOOK) == set(alerts_by_name())
    sections = re.findall(r"^### (Chandlery\w+)$", page(), re.MULTILINE)
    assert sections == list(alerts_by_name())


def test_an_alert_without_a_runbook_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    removed = dict(EVERY_RUNBOOK)
    del removed["ChandleryDeadLetters"]
    monkeypatch.setattr("docs.generate_troubleshooting.EVERY_RUNBOOK", removed)
    assert missing() == ["ChandleryDeadLetters"]


def test_panels_that_runbooks_name_are_on_the_dashboards() -> None:
    known = titles_on_dashboards() | OF_PROMETHEUS
    named = {(name, title) for name, text in prose() for title in ITALIC.findall(text)}
    assert {(name, title) for name, title in named if title not in known} == set()
    assert len({title for _, title in named}) > 30


def test_every_runbook_says_where_to_look_what_to_type_and_when_it_is_over() -> None:
    for name, book in EVERY_RUNBOOK.items():
        assert book.means.endswith("."), name
        assert book.look and book.over.endswith((".", "?")), name
        assert any("dashboard" in text.lower() or "*" in text for text in (*book.look, book.over)), name
        assert any(not line.startswith("#") for line in book.type), name


def test_commands_are_lines_that_a_shell_can_read() -> None:
    lines = "\n".join(line for book in EVERY_RUNBOOK.values() for line in book.type)
    done = subprocess.run(["bash", "-n"], input=lines, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_ask_for_fields_and_actions_that_log_lines_have() -> None:
    of_logs = [line for book in EVERY_RUNBOOK.values() for line in book.type if "logs" in line and "jq" in line]
    asked = {(field, line) for line in of_logs for field in FIELD.findall(line)}
    assert {(field, line) for field, line in asked if field not in {each.name for each in FIELDS}} == set()
    known = {action for actions in ACTIONS.values() for action in actions}
    assert {action for line in of_logs for action in ACTION.findall(line)} - known == set()
    assert len(of_logs) > 10
