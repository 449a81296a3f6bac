"""Time and processor time of what is done all the time, with a million stored and with a thousand, in turn."""

import os
import statistics
import time
from dataclasses import dataclass
from typing import Final

from tests.benchmarks.scale.stores import FilledStore
from tests.benchmarks.stands.processor_time import processor_seconds, server_processes
from tests.support.scale.hot_paths import MEASURED, Done, Ground
from tests.support.scale.plans import Plan, large_tables

_SECONDS: Final = 1.0
"""For which an act is repeated, in each database and turn: the kernel counts in hundredths."""
_TURNS: Final = 2
_STRIDE: Final = 12_347
_SEEN: Final = 7
"""Times that an act is done while its plans are told: from the sixth on a prepared plan may be another one."""
MOST_ROWS: Final = 20_000


@dataclass(frozen=True)
class Cost:
    """Of one act."""

    wall_ms: float
    cpu_ms: float
    """Of this process and of PostgreSQL."""


@dataclass(frozen=True)
class HotFigure:
    """One act in both databases, and the plans of its statements in the large one."""

    name: str
    few: Cost
    many: Cost
    plans: tuple[Plan, ...]
    wrong: tuple[Plan, ...]
    """Those that read a large table from end to end, or more rows than any page needs."""


async def measure_hot_paths(few: FilledStore, many: FilledStore) -> list[HotFigure]:
    """Each of them."""
    large = await large_tables(many.recorder.engine, rows=many.filling.instances // 2)
    return [await _measure(name, do, few, many, large) for name, do in MEASURED.items()]


async def _measure(name: str, do: Done, few: FilledStore, many: FilledStore, large: set[str]) -> HotFigure:
    costs: dict[int, list[Cost]] = {0: [], 1: []}
    for turn in range(_TURNS):
        for which, store in ((0, few), (1, many)) if turn % 2 else ((1, many), (0, few)):
            costs[which].append(await _cost(do, store, first=turn * 1_000))
    plans = await _plans(do, many)
    wrong = tuple(plan for plan in plans if plan.sequential_scans(large) or plan.rows_touched > MOST_ROWS)
    figure = HotFigure(name, _mean(costs[0]), _mean(costs[1]), plans, wrong)
    wall = f"{figure.few.wall_ms:.1f} → {figure.many.wall_ms:.1f} ms"
    cpu = f"CPU {figure.few.cpu_ms:.1f} → {figure.many.cpu_ms:.1f} ms"
    print(f"  {name}: {wall}, {cpu}, {len(wrong)} wrong plans", flush=True)
    return figure


async def _cost(do: Done, store: FilledStore, *, first: int) -> Cost:
    systems = {"own": [os.getpid()], **server_processes()}
    await do(Ground(store.database, store.filling, first * _STRIDE))
    times: list[float] = []
    before, began = processor_seconds(systems), time.perf_counter()
    while time.perf_counter() - began < _SECONDS:
        started = time.perf_counter()
        await do(Ground(store.database, store.filling, (first + len(times) + 1) * _STRIDE))
        times.append(time.perf_counter() - started)
    after = processor_seconds(systems)
    spent = sum(after[name] - before[name] for name in ("own", "postgresql"))
    return Cost(1_000 * statistics.median(times), 1_000 * spent / len(times))


async def _plans(do: Done, store: FilledStore) -> tuple[Plan, ...]:
    store.recorder.taken()
    found: dict[str, Plan] = {}
    for number in range(_SEEN):
        await do(Ground(store.observed, store.filling, (number + 501) * _STRIDE))
        for plan in store.recorder.taken():
            worst = found.get(plan.statement)
            if worst is None or plan.rows_touched > worst.rows_touched:
                found[plan.statement] = plan
    return tuple(found.values())


def _mean(costs: list[Cost]) -> Cost:
    return Cost(statistics.fmean(each.wall_ms for each in costs), statistics.fmean(each.cpu_ms for each in costs))
