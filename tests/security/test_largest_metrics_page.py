"""The page with all the series that there can be is made beside the event loop."""

import asyncio
from typing import Final

import pytest

from chandlery.process.http.metrics_page import MetricsPage
from chandlery.telemetry.catalog.broker_calls import BROKER_CALL_SECONDS, CIRCUIT_OPEN
from chandlery.telemetry.metrics import Sample
from chandlery.telemetry.prometheus_metrics import MOST_SERIES, MOST_VALUES, OPENMETRICS, PrometheusMetrics

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPERATIONS: Final = 12
STATUSES: Final = 8


def _full() -> PrometheusMetrics:
    """Every broker fails in every way, with every operation."""
    metrics = PrometheusMetrics()
    brokers = [f"some-namespace-of-a-team/broker-{number}" for number in range(2 * MOST_VALUES)]
    for broker in brokers:
        for operation in range(OPERATIONS):
            for status in range(STATUSES):
                labels = broker, f"operation-{operation}", f"status-{status}"
                metrics.observe(BROKER_CALL_SECONDS, *labels, value=0.1, trace_id="0" * 32)
    metrics.collect(CIRCUIT_OPEN, lambda: [Sample((broker,), 1) for broker in brokers])
    return metrics


@pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text", "openmetrics"])
async def test_largest_page_holds_nobody_up_and_is_made_once_for_all_who_ask(accept: str) -> None:
    page = MetricsPage(await asyncio.to_thread(_full))
    found = await asyncio.gather(*(page.read(accept) for _ in range(20)))
    body, _ = found[0] or (b"", "")
    assert all(each is found[0] for each in found)
    assert MOST_SERIES <= body.count(b"chandlery_broker_call_duration_seconds_count{") <= MOST_SERIES + 100
