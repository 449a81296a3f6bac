"""What is printed: for people at a terminal, for files and pipes, for programs."""

import json
from typing import Final

import click

from chandlery.process.commands.doctor.check import DATABASE, SETTINGS, Check, Result, fail, ok, skipped, unused, warn
from chandlery.process.commands.doctor.check_run import Outcome
from chandlery.process.commands.doctor.doctor_report import as_json, as_lines, exit_status


def outcome(name: str, section: str, result: Result) -> Outcome:
    return Outcome(Check(id=name, section=section, question="?", look=lambda: result), result)


OUTCOMES: Final = [
    outcome("settings", SETTINGS, ok("3 settings found")),
    outcome("plain-http", SETTINGS, warn("plain HTTP", "use TLS")),
    outcome("database", DATABASE, fail("it says \x1b[31mno\nway", "start it")),
    outcome("schema", DATABASE, skipped("the database cannot be reached")),
    outcome("database-hosts", DATABASE, unused("the URL names one host")),
]


def test_without_a_terminal_each_check_is_one_line_that_begins_with_its_state() -> None:
    assert list(as_lines(OUTCOMES, is_terminal=False)) == [
        "ok      settings    3 settings found",
        "warn    plain-http  plain HTTP; use TLS",
        "fail    database    it says no way; start it",
        "skipped schema      the database cannot be reached",
        "5 checks: 1 ok, 1 to be seen to, 1 failed, 1 skipped, 1 not in use here",
    ]


def test_at_a_terminal_there_are_sections_and_signs_and_the_way_out_below() -> None:
    assert [click.unstyle(line) for line in as_lines(OUTCOMES, is_terminal=True)] == [
        "settings",
        "  ✓ settings    3 settings found",
        "  ! plain-http  plain HTTP",
        "                → use TLS",
        "database",
        "  ✗ database    it says no way",
        "                → start it",
        "  - schema      skipped: the database cannot be reached",
        "5 checks: 1 ok, 1 to be seen to, 1 failed, 1 skipped, 1 not in use here",
    ]


def test_json_has_all_checks_with_id_state_message_and_remedy() -> None:
    document = json.loads(as_json(OUTCOMES))
    assert document["state"] == "fail"
    assert document["counts"] == {"ok": 1, "warn": 1, "fail": 1, "skipped": 1, "unused": 1}
    assert document["checks"][2] == {
        "id": "database",
        "section": "database",
        "state": "fail",
        "message": "it says no way",
        "remedy": "start it",
    }
    assert [each["state"] for each in document["checks"]] == ["ok", "warn", "fail", "skipped", "unused"]
    assert document["version"] and document["at"].endswith("Z")


def test_only_a_failure_makes_the_exit_status_1() -> None:
    assert exit_status(OUTCOMES) == 1
    assert exit_status([each for each in OUTCOMES if each.check.id != "database"]) == 0
    assert json.loads(as_json(OUTCOMES[:2]))["state"] == "warn"
