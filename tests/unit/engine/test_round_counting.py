"""A round is counted once it is over, however that came about."""

import asyncio
from typing import Any

import pytest

from chandlery.engine.rounds.claimed_round import DecidedRound, RecordedRound
from chandlery.engine.rounds.round_counting import CountedRound
from chandlery.engine.rounds.round_report import Outcome, RoundReport
from chandlery.model.faults import Conflict, LeaseLost, Unavailable
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics
from tests.support.measured.metrics_page import told

KIND = "ServiceInstance"


def _rounds(metrics: PrometheusMetrics) -> dict[tuple[str, ...], float]:
    """By action and outcome, with the leases that were lost."""
    page = told(metrics.render()[0].decode())
    names = ("chandlery_rounds_total", "chandlery_leases_lost_total")
    return {(key[1], key[-1]): value for key, value in page.items() if key[0] in names}


def _decided() -> DecidedRound[Any, Any]:
    planned: Any = type("Planned", (), {"action": "provision"})()
    return DecidedRound(claim=None, document=None, snapshot=None, planned=planned, until=0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(LeaseLost(), {("provision", "lease lost"): 1, (KIND, KIND): 1}, id="its lease is lost"),
        pytest.param(Conflict(), {("provision", "given back"): 1}, id="it cannot be recorded"),
        pytest.param(Unavailable(), {("provision", "given back"): 1}, id="the database is away"),
        pytest.param(asyncio.CancelledError(), {("provision", "given back"): 1}, id="the process ends"),
        pytest.param(LookupError(), {("provision", "error"): 1}, id="a bug"),
    ],
)
def test_a_round_that_is_cut_off_is_counted_by_why(
    error: BaseException, expected: dict[tuple[str, str], float]
) -> None:
    metrics = PrometheusMetrics()
    counted = CountedRound(metrics, KIND)
    counted.claimed(_decided())
    with pytest.raises(type(error)), counted:
        raise error

    assert _rounds(metrics) == expected


def test_a_command_that_finds_nothing_due_is_no_round() -> None:
    metrics = PrometheusMetrics()
    with CountedRound(metrics, KIND):
        pass
    with pytest.raises(Unavailable), CountedRound(metrics, KIND):
        raise Unavailable

    assert _rounds(metrics) == {}


def test_a_round_that_is_recorded_is_counted_as_it_was_reported() -> None:
    metrics = PrometheusMetrics()
    report = RoundReport(action="already applied", outcome=Outcome.DONE, lane="broker:team/harbour")
    with CountedRound(metrics, KIND) as counted:
        counted.recorded(RecordedRound(None, report=report, ready_after=3.0))

    assert _rounds(metrics) == {("already applied", "done"): 1}
    page = told(metrics.render()[0].decode())
    assert page["chandlery_time_to_ready_seconds_sum", "team/harbour", KIND] == 3.0
