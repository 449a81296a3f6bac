"""What metrics tell of seats: how many there are, are taken and waited for, and who was sent away."""

import asyncio

import pytest

from chandlery.settings.settings import Settings
from chandlery.telemetry.catalog import api_requests as metric
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics
from chandlery_gateway.http.request_classes import Demand, RequestClass
from chandlery_gateway.http.seats import Seats
from chandlery_gateway.kube.printing.status_objects import TooManyRequests
from tests.support.measured.metrics_page import Told, told
from tests.support.waiting import eventually

READING = Demand(RequestClass.READING)


async def test_who_sits_waits_and_is_refused_is_told() -> None:
    metrics = PrometheusMetrics()
    seats = Seats(Settings(max_reading_requests=1, max_waiting_requests=2, request_wait_seconds=60), metrics)

    def page() -> Told:
        return told(metrics.render()[0].decode())

    seating = await seats.take("ann", READING)
    waiting = asyncio.create_task(seats.take("ann", READING))
    await eventually(lambda: page()[metric.REQUESTS_WAITING.name, "reading"] == 1)
    assert page()[metric.SEATS.name, "reading"] == page()[metric.SEATS_TAKEN.name, "reading"] == 1
    with pytest.raises(TooManyRequests):
        await seats.take("ann", READING)
    seating.leave()
    (await waiting).leave()
    seen = page()
    assert seen[metric.REQUESTS_REFUSED.name, "reading"] == 1
    assert seen[metric.SEATS_TAKEN.name, "reading"] == seen[metric.REQUESTS_WAITING.name, "reading"] == 0
    assert seen[f"{metric.REQUEST_WAIT_SECONDS.name}_count", "reading"] == 3
    assert seen[f"{metric.REQUEST_WAIT_SECONDS.name}_sum", "reading"] > 0
