"""The whole list, for the table in `docs/metrics.md` and for the test that holds dashboards and alerts against it."""

from typing import Final

from chandlery.telemetry.catalog import api_requests, broker_calls, database_use, message_flow, processes, work
from chandlery.telemetry.metric import Metric

EVERY_METRIC: Final[tuple[Metric, ...]] = (
    *api_requests.EVERY,
    *work.EVERY,
    *broker_calls.EVERY,
    *message_flow.EVERY,
    *database_use.EVERY,
    *processes.EVERY,
)
"""In the order in which somebody would ask: clients, work, service brokers, bus, database, process."""
