"""`make bench-compare REV=…`: that revision and this checkout in turn, A B B A …, and the ratios between them.

Both are driven over HTTP by the benchmarks of this checkout: the same creators, service broker, watch.
Each turn has an empty database. Figures are medians, and so are ratios: of those of each round. Rates are those of a
shared machine, ratios are what counts.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.report.sizes import Sizes
from tests.benchmarks.report.targets import BASELINE, TARGETS
from tests.benchmarks.stands.platforms import MODES, Mode
from tests.benchmarks.stands.service_brokers import fast_broker
from tests.benchmarks.turns import Turns, commands, cost_by_process, medians, memory, ratios, take_turns


def table(found: Turns, modes: Sequence[Mode]) -> list[str]:
    """For people."""
    old, new = found
    head = f"{'':38}{old[:12]:>14}{new[:14]:>16}{'ratio':>8}{'floor':>20}{'goal':>20}  met"
    lines = []
    for mode in modes:
        before, after = medians(found[old][mode]), medians(found[new][mode])
        compared = ratios(found[old][mode], found[new][mode])
        lines += ["", f"{mode}".upper(), head]
        for name in after:
            if not (target := TARGETS.get(f"{mode}/{name}")):
                continue
            ratio = compared[name]
            asked = "".join(f"{target.asked(which, beside_baseline=True):>20}" for which in ("floor", "goal"))
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


def document(found: Turns, modes: Sequence[Mode]) -> dict[str, object]:
    """For machines."""
    return {
        name: {
            mode: {
                "median": medians(turns[mode]),
                "cpu_ms_by_process": cost_by_process(turns[mode]),
                "megabytes_by_process": memory(turns[mode]),
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
    sizes = Sizes(options.rounds, options.count, options.creators, options.singles)
    programs = commands(options.revision)
    started = time.perf_counter()
    with fast_broker() as broker:
        found = take_turns(programs, broker, sizes, modes=options.modes)
    print("\n".join(table(found, options.modes)))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document(found, options.modes), indent=2) + "\n")
    print(f"\n{options.json} has it for machines; took {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
