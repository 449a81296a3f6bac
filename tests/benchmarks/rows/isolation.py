"""20 instances at a healthy service broker while others hang at another: `bench_isolation.py`, with fewer batches."""

import uvloop

from tests.benchmarks.bench_isolation import Phase, measure, running_brokers
from tests.benchmarks.report.readings import Report
from tests.benchmarks.report.sizes import Sizes
from tests.benchmarks.stands.platforms import platform

_SETTINGS = {"CHANDLERY_SHUTDOWN_SECONDS": "1", "CHANDLERY_LOG_LEVEL": "error"}


def measure_isolation(report: Report, sizes: Sizes) -> None:
    """Note the ratio of what a batch takes while 1,000 hang to what it takes alone."""
    phases: list[Phase] = []
    with running_brokers() as brokers, platform("servers", settings=_SETTINGS) as place:
        uvloop.run(measure(place.stack, brokers, phases, rounds=sizes.batches))
    alone, _, thousand = phases
    note = f"{1000 * alone.median:.0f} → {1000 * thousand.median:.0f} ms a batch"
    report.note("servers/isolation_ratio", thousand.median / alone.median, note=note)
