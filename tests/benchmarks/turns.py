"""Throughput of several revisions in turn, A B B A …, so that all meet the same moods of the machine."""

import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import uvloop

from tests.benchmarks.four_processes import COMMAND
from tests.benchmarks.report.sizes import Sizes
from tests.benchmarks.rows.throughput import Throughput, measure_throughput
from tests.benchmarks.stands.platforms import MODES, Mode, platform
from tests.benchmarks.stands.revisions import command_of, name_of, name_of_checkout

Turns = dict[str, dict[Mode, list[Throughput]]]
_SHARES: Final = {"idle_p50_ms": 0.5, "idle_p99_ms": 0.99}


def commands(baseline: str = "") -> dict[str, str]:
    """The programs by revision: the baseline, if one is given, and this checkout, which comes last."""
    before = {name_of(baseline): command_of(baseline)} if baseline else {}
    return {**before, f"{name_of_checkout()} here": COMMAND}


def take_turns(programs: Mapping[str, str], broker: str, sizes: Sizes, *, modes: Sequence[Mode] = MODES) -> Turns:
    """All rounds; within one, each mode with each revision. Each turn has an empty database."""
    found: Turns = {name: defaultdict(list) for name in programs}
    for number in range(sizes.rounds):
        for mode in modes:
            # Whoever comes second finds what the first has left behind.
            for name, command in list(programs.items())[:: -1 if number % 2 else 1]:
                started = time.perf_counter()
                with platform(mode, command=command) as place:
                    run = measure_throughput(
                        place, broker, count=sizes.count, creators=sizes.creators, singles=sizes.singles
                    )
                    found[name][mode].append(uvloop.run(run))
                took = time.perf_counter() - started
                print(f"  round {number + 1} of {sizes.rounds}: {name}, {mode}, {took:.0f} s", flush=True)
    return found


def medians(turns: Sequence[Throughput]) -> dict[str, float]:
    """Of each figure over the rounds; latencies are those of all rounds together."""
    figures = {name: statistics.median(turn.figures[name] for turn in turns) for name in turns[0].figures}
    idle = sorted(each for turn in turns for each in turn.idle_ms)
    return figures | {name: idle[min(len(idle) - 1, int(len(idle) * share))] for name, share in _SHARES.items()}


def ratios(before: Sequence[Throughput], after: Sequence[Throughput]) -> dict[str, float]:
    """Medians of those of each round, in which both have met the same machine; latencies are those of all rounds."""
    pairs = list(zip(before, after, strict=True))
    found = {
        name: statistics.median(new.figures[name] / old.figures[name] for old, new in pairs)
        for name in after[0].figures
    }
    old, new = medians(before), medians(after)
    return found | {name: new[name] / old[name] for name in _SHARES}


def cost_by_process(turns: Sequence[Throughput]) -> dict[str, dict[str, float]]:
    """Medians of the milliseconds per object."""
    return {
        what: {name: statistics.median(turn.processor_ms[what][name] for turn in turns) for name in each}
        for what, each in turns[0].processor_ms.items()
    }


def memory(turns: Sequence[Throughput]) -> dict[str, float]:
    """Medians of megabytes, by process."""
    return {name: statistics.median(turn.megabytes[name] for turn in turns) for name in turns[0].megabytes}
