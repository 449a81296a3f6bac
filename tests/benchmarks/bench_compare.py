"""`make bench-compare REV=…`: that revision and this checkout in turn, A B A B …, and the ratios between them.

Both are driven over HTTP by the benchmarks of this checkout: the same creators, service broker, watch.
Each turn has an empty database. Ratios are of the medians; rates are those of a shared machine, ratios are what counts.
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from pathlib import Path

import uvloop

from tests.benchmarks.four_processes import COMMAND
from tests.benchmarks.report.targets import BASELINE, TARGETS
from tests.benchmarks.rows.throughput import Throughput, measure_throughput
from tests.benchmarks.stands.platforms import MODES, Mode, platform
from tests.benchmarks.stands.revisions import command_of, name_of, name_of_checkout
from tests.benchmarks.stands.service_brokers import fast_broker

Turns = dict[str, dict[Mode, list[Throughput]]]


def compare(
    commands: dict[str, str], *, modes: tuple[Mode, ...], rounds: int, count: int, creators: int, singles: int
) -> Turns:
    """All rounds; within one, each mode with each revision."""
    found: Turns = {name: defaultdict(list) for name in commands}
    with fast_broker() as broker:
        for number in range(rounds):
            for mode in modes:
                for name, command in commands.items():
                    started = time.perf_counter()
                    with platform(mode, command=command) as place:
                        run = measure_throughput(place, broker, count=count, creators=creators, singles=singles)
                        found[name][mode].append(uvloop.run(run))
                    took = time.perf_counter() - started
                    print(f"round {number + 1} of {rounds}: {name}, {mode}, {took:.0f} s", flush=True)
    return found


def medians(turns: list[Throughput]) -> dict[str, float]:
    """Of each figure over the rounds; latencies are those of all rounds together."""
    figures = {name: statistics.median(turn.figures[name] for turn in turns) for name in turns[0].figures}
    idle = sorted(each for turn in turns for each in turn.idle_ms)
    shares = {"idle_p50_ms": 0.5, "idle_p99_ms": 0.99}
    return figures | {name: idle[min(len(idle) - 1, int(len(idle) * share))] for name, share in shares.items()}


def cost_by_process(turns: list[Throughput]) -> dict[str, dict[str, float]]:
    """Medians of the milliseconds per object."""
    return {
        what: {name: statistics.median(turn.processor_ms[what][name] for turn in turns) for name in each}
        for what, each in turns[0].processor_ms.items()
    }


def table(found: Turns, modes: tuple[Mode, ...]) -> list[str]:
    """For people."""
    old, new = found
    head = f"{'':38}{old[:12]:>14}{new[:14]:>16}{'ratio':>8}{'floor':>19}{'goal':>19}  met"
    lines = []
    for mode in modes:
        before, after = medians(found[old][mode]), medians(found[new][mode])
        lines += ["", f"{mode}".upper(), head]
        for name in after:
            if not (target := TARGETS.get(f"{mode}/{name}")):
                continue
            ratio = after[name] / before[name]
            asked = "".join(f"{target.asked(which, beside_baseline=True):>19}" for which in ("floor", "goal"))
            figures = f"{before[name]:14.1f}{after[name]:16.1f}{ratio:8.2f}"
            lines.append(f"{target.title + ', ' + target.unit:38}{figures}{asked}  {target.met(after[name], ratio)}")
        lines += ["", *_processes(cost_by_process(found[old][mode]), cost_by_process(found[new][mode]))]
    return lines


def _processes(old: dict[str, dict[str, float]], new: dict[str, dict[str, float]]) -> list[str]:
    lines = ["CPU in ms per object by process, before → after"]
    for what, each in new.items():
        shares = [f"{name} {old[what].get(name, 0):.1f} → {value:.1f}" for name, value in each.items()]
        lines.append(f"  {what + ':':16}{', '.join(shares)}")
    return lines


def document(found: Turns, modes: tuple[Mode, ...]) -> dict[str, object]:
    """For machines."""
    return {
        name: {
            mode: {
                "median": medians(turns[mode]),
                "cpu_ms_by_process": cost_by_process(turns[mode]),
                "rounds": [turn.figures for turn in turns[mode]],
            }
            for mode in modes
        }
        for name, turns in found.items()
    }


def main() -> None:
    """Parse, set up, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", nargs="?", default=BASELINE, help="what to compare with (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default: %(default)s)")
    parser.add_argument("--count", type=int, default=500, help="instances and bindings (default: %(default)s)")
    parser.add_argument("--creators", type=int, default=16, help="concurrent clients (default: %(default)s)")
    parser.add_argument("--singles", type=int, default=60, help="instances one by one (default: %(default)s)")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES, help="which (default: both)")
    parser.add_argument("--json", type=Path, default=Path(".cache/bench-compare.json"), help="file to write")
    options = parser.parse_args()
    modes: tuple[Mode, ...] = tuple(options.modes)
    commands = {name_of(options.revision): command_of(options.revision), f"{name_of_checkout()} here": COMMAND}
    started = time.perf_counter()
    found = compare(
        commands,
        modes=modes,
        rounds=options.rounds,
        count=options.count,
        creators=options.creators,
        singles=options.singles,
    )
    print("\n".join(table(found, modes)))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document(found, modes), indent=2) + "\n")
    print(f"\n{options.json} has it for machines; took {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
