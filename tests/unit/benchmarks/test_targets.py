"""What a figure of `make bench` is judged to meet."""

import pytest

from tests.benchmarks.report.readings import Report
from tests.benchmarks.report.tables import document, terminal
from tests.benchmarks.report.targets import TARGETS, Target

RATE = Target("instances to Ready", "/s", "times", floor=2.5, goal=4, baseline=74)
COST = Target("CPU per instance", "ms", "at most", floor=9, goal=6, baseline=21)
LATENCY = Target("p99 to the last", "ms", "at most", floor=250, goal=100)


@pytest.mark.parametrize(("ratio", "met"), [(2.49, "no"), (2.5, "floor"), (3.99, "floor"), (4.0, "goal")])
def test_rate_is_judged_by_its_ratio(ratio: float, met: str) -> None:
    assert RATE.met(1.0, ratio) == met


def test_rate_without_a_baseline_in_the_same_run_is_not_judged() -> None:
    assert RATE.met(1_000_000.0) == "?"


@pytest.mark.parametrize(("value", "met"), [(251, "no"), (250, "floor"), (100, "goal")])
def test_latency_is_judged_by_itself(value: float, met: str) -> None:
    assert LATENCY.met(value) == met


@pytest.mark.parametrize(
    ("value", "ratio", "met"),
    [(5.0, 1.0, "no"), (9.0, 9 / 21, "floor"), (5.0, 9 / 21, "floor"), (6.0, 6 / 21, "goal"), (10.0, 0.1, "no")],
)
def test_fast_machine_meets_no_cost_that_is_not_lower_than_the_baseline_there(
    value: float, ratio: float, met: str
) -> None:
    assert COST.met(value, ratio) == met


def test_what_is_only_measured_is_not_judged() -> None:
    assert TARGETS["servers/start_s"].met(1.0) == ""


def test_goal_without_a_floor_is_met_or_not() -> None:
    target = TARGETS["servers/pending_cores"]
    assert [target.met(0.5), target.met(0.6)] == ["goal", "no"]


def test_table_and_document_have_figure_ratio_target_and_verdict() -> None:
    report = Report()
    report.note("servers/instances_ready", 185.0, ratio=2.5, limit="broker 4,000", limit_value=4_000.0)
    line = terminal(report).splitlines()[1]
    for each in ("instances to Ready", "185 /s", "2.50", "2.5 times", "4 times", "floor", "broker 4,000"):
        assert each in line
    (row,) = document(report, "abc")["rows"]
    assert (row["value"], row["ratio"], row["floor"], row["goal"], row["met"]) == (185.0, 2.5, 2.5, 4, "floor")
