"""Starts what measures a process; `process.py` runs it beside the services. Without metrics nothing is measured."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from chandlery.engine.resources import Resources
from chandlery.engine.upkeep.counting import Counting
from chandlery.process.measuring.certificate_ends import keep_client_certificates
from chandlery.process.measuring.disk_space import keep_disk_space
from chandlery.process.measuring.loop_delay import keep_loop_delay
from chandlery.process.measuring.ready_checks import keep_ready_checks
from chandlery.telemetry.catalog.work import WORK_IN_HAND
from chandlery.telemetry.metrics import NO_METRICS, Sample


def measuring(resources: Resources, *, is_holder: Callable[[], bool]) -> Sequence[Coroutine[Any, Any, None]]:
    """Each runs for ever. `is_holder` tells whether this process counts for all, because it holds the sweep's lease."""
    metrics = resources.metrics
    if metrics is NO_METRICS:
        return ()
    metrics.collect(WORK_IN_HAND, lambda: [Sample((), len(resources.in_hand))])
    counts = Counting(resources.database, resources.bus, metrics, is_holder=is_holder)
    return (
        counts.run(),
        keep_disk_space(resources.settings, metrics),
        keep_loop_delay(metrics),
        keep_ready_checks(resources.readiness, metrics),
        keep_client_certificates(resources.settings, metrics),
    )
