"""How long a command takes to say anything, and the all-in-one to be ready on an empty folder."""

import statistics
import subprocess
import time

from tests.benchmarks.four_processes import COMMAND
from tests.benchmarks.report.readings import Report
from tests.benchmarks.report.sizes import Sizes
from tests.benchmarks.stands.platforms import platform


def measure_starts(report: Report, sizes: Sizes) -> None:
    """Note medians."""
    helps = []
    for _ in range(sizes.starts):
        started = time.perf_counter()
        subprocess.run([COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)
        helps.append(time.perf_counter() - started)
    report.note("command/help_s", statistics.median(helps))
    for mode in ("embedded", "servers"):
        starts = []
        for _ in range(sizes.starts):
            with platform(mode) as place:
                starts.append(place.stack.start_seconds)
        report.note(f"{mode}/start_s", statistics.median(starts))
