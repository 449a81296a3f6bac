"""The rules for alerts: promtool's word, their tests, and what whoever is woken by one is told."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from machine.prometheus import Prometheus
from tests.support.measured.promql import parsed, problems_in, result_labels

TESTS = Path(__file__).with_name("rules")
NAME = re.compile(r"Chandlery([A-Z][a-z]+)+")
LABEL = re.compile(r"\$labels\.(\w+)")


def promtool(programs: Prometheus, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What it says; it reads files and opens no connection."""
    return subprocess.run(
        [str(programs.promtool), *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def series_of(path: Path) -> list[str]:
    return [each["series"] for test in yaml.safe_load(path.read_text())["tests"] for each in test["input_series"]]


def test_promtool_finds_nothing_wrong(programs: Prometheus, rules_file: Path) -> None:
    done = promtool(programs, "check", "rules", "--lint=all", "--lint-fatal", rules_file.name, folder=rules_file.parent)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should_and_are_silent_when_not(programs: Prometheus) -> None:
    done = promtool(programs, "test", "rules", *sorted(path.name for path in TESTS.glob("*.yaml")), folder=TESTS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_tests_in_which_it_fires_and_is_silent(rules: Any) -> None:
    names = {each["alert"] for each in rules.alerts}
    assert {path.stem for path in TESTS.glob("*.yaml")} == names
    for name in names:
        tests = yaml.safe_load((TESTS / f"{name}.yaml").read_text())["tests"]
        asked = [each for test in tests for each in test.get("promql_expr_test", ())]
        assert all(f'alertname="{name}"' in each["expr"] for each in asked)
        assert {bool(each["exp_samples"]) for each in asked} == {True, False}, name


def test_every_severity_of_an_alert_is_seen_to_fire(rules: Any) -> None:
    for name in {each["alert"] for each in rules.alerts}:
        severities = {each["labels"]["severity"] for each in rules.alerts if each["alert"] == name}
        text = (TESTS / f"{name}.yaml").read_text()
        assert len(severities) == 1 or all(f'severity="{each}"' in text for each in severities), name


def test_alerts_are_tested_with_series_that_there_are(rules: Any) -> None:
    known = rules.known
    found = {
        f"{path.name}: {problem}"
        for path in TESTS.glob("*.yaml")
        for series in series_of(path)
        for problem in problems_in(series, known)
    }
    assert found == set()


def test_rules_ask_only_for_what_is_declared(rules: Any) -> None:
    known = rules.known
    every = [*rules.alerts, *rules.records]
    found = {each.get("alert") or each["record"]: problems_in(each["expr"], known) for each in every}
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_an_alert_on_what_nobody_declares_is_found(rules: Any) -> None:
    assert problems_in("sum by (broker) (rate(chandlery_calls_total[5m])) > 1", rules.known) == [
        "nobody declares chandlery_calls_total",
        "rate(chandlery_calls_total[5m]) has no label broker",
    ]
    assert problems_in('chandlery_outbox_messages{broker="db"} > 1', rules.known) == [
        "chandlery_outbox_messages has no label broker"
    ]


def test_every_alert_says_what_to_do_and_for_whom(rules: Any) -> None:
    for each in rules.alerts:
        name, notes = each["alert"], each["annotations"]
        assert NAME.fullmatch(name)
        assert each["labels"] == {"severity": each["labels"]["severity"]}
        assert each["labels"]["severity"] in ("page", "ticket")
        assert set(notes) == {"summary", "description", "runbook_url"}
        assert notes["runbook_url"] == f"docs/troubleshooting.md#{name.lower()}"
        assert notes["summary"].endswith(".") and len(notes["summary"]) < 140, name


def test_sentences_of_alerts_name_only_labels_that_their_result_has(rules: Any) -> None:
    known = rules.known
    for each in rules.alerts:
        named = set(LABEL.findall(" ".join(each["annotations"].values())))
        assert named <= result_labels(parsed(each["expr"]), known), each["alert"]


def test_installations_stay_apart(rules: Any) -> None:
    known = rules.known
    missing = {
        each["alert"]
        for each in rules.alerts
        if "absent(" not in each["expr"] and "namespace" not in result_labels(parsed(each["expr"]), known)
    }
    assert missing == set()


@pytest.mark.parametrize("alert", ["ChandleryCertificateExpiring", "ChandleryDiskNearlyFull"])
def test_what_grows_worse_writes_a_ticket_before_it_wakes_somebody(rules: Any, alert: str) -> None:
    assert [each["labels"]["severity"] for each in rules.alerts if each["alert"] == alert] == ["ticket", "page"]
