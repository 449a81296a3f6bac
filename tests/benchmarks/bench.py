"""`make bench`: every figure that has a target, in one run on private servers, beside floor, goal and limit.

The limit is what a bare client gets from the same servers in the same run. Throughput is measured in turn with the
commit that targets are ratios to. A table goes to the terminal, JSON to a file, and a whole run into
`docs/performance.md`. `--only` and `--small` are for development; what fails is named, and the rest is measured.
"""

import argparse
import json
import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.benchmarks.report.performance_page import write_page
from tests.benchmarks.report.readings import Report
from tests.benchmarks.report.sizes import SMALL, Sizes
from tests.benchmarks.report.tables import document, terminal
from tests.benchmarks.report.targets import BASELINE, TARGETS
from tests.benchmarks.rows.catalogs import measure_catalogs
from tests.benchmarks.rows.fan_out import measure_fan_out
from tests.benchmarks.rows.isolation import measure_isolation
from tests.benchmarks.rows.large_memory import measure_large_memory
from tests.benchmarks.rows.limits import Limit, measure_limits
from tests.benchmarks.rows.lists import measure_lists
from tests.benchmarks.rows.pending import measure_pending
from tests.benchmarks.rows.relists import measure_relists
from tests.benchmarks.rows.starts import measure_starts
from tests.benchmarks.rows.stored import measure_stored
from tests.benchmarks.rows.traffic import measure_traffic
from tests.benchmarks.stands.platforms import MODES
from tests.benchmarks.stands.revisions import name_of_checkout
from tests.benchmarks.stands.service_brokers import fast_broker
from tests.benchmarks.turns import Turns, commands, cost_by_process, medians, memory, ratios, take_turns

WORKERS: Final = ("provisioner", "binder", "syncer")
Part = Callable[[Report, str, Sizes], None]


def parts(baseline: str) -> dict[str, Part]:
    """What is measured, in order."""
    return {
        "throughput": lambda report, broker, sizes: measure_all_throughput(report, broker, sizes, baseline),
        "catalogs": lambda report, _, sizes: measure_catalogs(report, sizes),
        "relists": lambda report, _, sizes: measure_relists(report, sizes),
        "lists": measure_lists,
        "fan-out": measure_fan_out,
        "pending": lambda report, _, sizes: measure_pending(report, sizes),
        "memory": measure_large_memory,
        "starts": lambda report, _, sizes: measure_starts(report, sizes),
        "isolation": lambda report, _, sizes: measure_isolation(report, sizes),
        "stored": measure_stored,
    }


def measure_all_throughput(report: Report, broker: str, sizes: Sizes, baseline: str) -> None:
    """Traffic on the wire, limits for that traffic, and rates, costs and latencies of both forms."""
    measure_traffic(report, broker, sizes)
    limits = measure_limits(report, broker, sizes)
    found = take_turns(commands(baseline), broker, sizes)
    _note_turns(report, found, limits)


def _note_turns(report: Report, found: Turns, limits: dict[str, Limit]) -> None:
    *before, here = found.values()
    for mode in MODES:
        old = medians(before[0][mode]) if before else {}
        compared = ratios(before[0][mode], here[mode]) if before else {}
        for name, value in medians(here[mode]).items():
            limit = limits.get(name.removesuffix("_ready")) if mode == "servers" else None
            if f"{mode}/{name}" in TARGETS:
                report.note(
                    f"{mode}/{name}",
                    value,
                    limit=limit.text() if limit else "",
                    limit_value=limit.least() if limit else None,
                    ratio=compared.get(name),
                    note=f"{old[name]:,.1f} at {BASELINE}" if old else "",
                )
        report.processor_ms |= {f"{mode}: {what}": each for what, each in cost_by_process(here[mode]).items()}
        report.series[f"memory in MB of {mode}"] = memory(here[mode])
    megabytes = report.series["memory in MB of servers"]
    report.note("servers/memory_gateway_mb", megabytes["gateway"])
    report.note("servers/memory_worker_mb", max(megabytes[name] for name in WORKERS))
    report.note("embedded/memory_up_mb", report.series["memory in MB of embedded"]["up"])


def measure(chosen: dict[str, Part], sizes: Sizes) -> tuple[Report, list[str]]:
    """All parts; those that could not be measured are named."""
    report, failed = Report(is_judged=sizes == Sizes()), []
    with fast_broker() as broker:
        for name, part in chosen.items():
            started = time.perf_counter()
            print(f"{name} …", flush=True)
            try:
                part(report, broker, sizes)
            except (Exception, SystemExit):  # noqa: BLE001 - what is measured by then is worth an hour
                traceback.print_exc()
                failed.append(name)
            print(f"  {time.perf_counter() - started:.0f} s", flush=True)
    return report, failed


def main() -> int:
    """Parse, measure, show; the status is 1 if a part could not be measured."""
    names = list(parts(""))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path(".cache/bench.json"), help="file to write")
    parser.add_argument("--baseline", default=BASELINE, help="commit to take turns with, or `none` (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="parts of it")
    parser.add_argument("--small", action="store_true", help="small counts: to see that it works, not how fast")
    options = parser.parse_args()
    baseline = "" if options.baseline == "none" else options.baseline
    chosen = {name: part for name, part in parts(baseline).items() if name in options.only}
    started, revision = time.perf_counter(), name_of_checkout()
    report, failed = measure(chosen, SMALL if options.small else Sizes())
    print(f"\n{terminal(report)}\n")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document(report, revision), indent=2) + "\n")
    if len(chosen) == len(names) and not options.small and not failed:
        write_page(report, revision=revision, machine=f"{os.cpu_count()} processors with everything on them")
    print(f"{options.json} has it for machines; took {time.perf_counter() - started:.0f} s")
    if failed:
        print(f"could not be measured: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
