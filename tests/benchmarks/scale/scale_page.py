"""Writes docs/performance-plans.md, all of it, from what a run of `make bench-scale` has found."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.scale.churn import KEPT_SECONDS, OBJECTS_A_SECOND, ChurnFigure
from tests.benchmarks.scale.hot_figures import HotFigure
from tests.benchmarks.scale.provisioners import DELAY_MS, FleetFigure
from tests.benchmarks.scale.table_sizes import TableSize
from tests.support.scale.filling import Filling
from tests.support.scale.plans import Plan

PAGE: Final = Path(__file__).resolve().parents[3] / "docs/performance-plans.md"
_HEAD: Final = """# Performance with a million objects

Written by `make bench-scale`, on {machine}, at commit {revision}. What follows from these figures for one million and
ten million instances is in [Performance](performance.md#one-million-and-ten-million-instances).
"""
_LONGEST: Final = 120


def write_scale_page(
    *,
    revision: str,
    machine: str,
    fleets: Sequence[FleetFigure],
    churn: ChurnFigure,
    few: Filling,
    many: Filling,
    hot: Sequence[HotFigure],
    sizes: Sequence[TableSize],
) -> None:
    """The whole page."""
    parts = [_HEAD.format(machine=machine, revision=revision)]
    parts += _fleets(fleets)
    parts += _hot(hot, few, many)
    parts += _sizes(sizes)
    parts += _churn(churn)
    parts += _plans(hot, many)
    PAGE.write_text("\n".join(parts))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _fleets(fleets: Sequence[FleetFigure]) -> Iterator[str]:
    yield f"## Provisioners, and a service broker that takes {DELAY_MS} ms\n"
    yield (
        "A process makes 16 calls to one service broker at a time (`CHANDLERY_BROKER_CONCURRENCY`): that is 80 in a\n"
        "second. Processor time is in milliseconds, of all provisioners together.\n"
    )
    names = list(fleets[0].cpu_ms)
    head = ["provisioners", "instances to Ready", "request to Ready, p50", "CPU per instance", *names]
    yield _table(head, (_fleet(each, names) for each in fleets))


def _fleet(figure: FleetFigure, names: Sequence[str]) -> list[str]:
    all_together = sum(figure.cpu_ms.values())
    cells = [str(figure.provisioners), f"{figure.rate:.0f} /s", f"{figure.p50_ms:,.0f} ms", f"{all_together:.1f} ms"]
    return [*cells, *(f"{figure.cpu_ms[name]:.1f}" for name in names)]


def _hot(hot: Sequence[HotFigure], few: Filling, many: Filling) -> Iterator[str]:
    yield "## What is done all the time\n"
    yield (
        f"With {many.instances:,} instances, {many.brokers:,} service brokers and {many.changes:,} changes, beside\n"
        f"{few.instances:,}, {few.brokers:,} and {few.changes:,}. Time is the median of one second, twice in turn;\n"
        "processor time is of PostgreSQL and of the process that asks, which runs the code of the store.\n"
        "Each try asks for other objects, so that nothing is in memory by luck. Where few are stored, less is found:\n"
        "a page by plan has 100 objects there and 500 here, and a step of pruning looks at fewer rows than 5,000.\n"
    )
    stored = (f"{few.instances:,}", f"{many.instances:,}")
    head = ["", *(f"ms, {number} stored" for number in stored), *(f"CPU ms, {number} stored" for number in stored)]
    yield _table([*head, "CPU, times"], map(_hot_row, hot))


def _hot_row(figure: HotFigure) -> list[str]:
    few, many = figure.few, figure.many
    figures = (few.wall_ms, many.wall_ms, few.cpu_ms, many.cpu_ms)
    return [figure.name, *(f"{each:.1f}" for each in figures), f"{many.cpu_ms / max(few.cpu_ms, 0.01):.2f}"]


def _sizes(sizes: Sequence[TableSize]) -> Iterator[str]:
    yield "## Tables and indexes\n"
    yield _table(["table", "rows", "MB", "MB of indexes", "bytes a row, with indexes"], map(_size_row, sizes))


def _size_row(size: TableSize) -> list[str]:
    megabytes = (f"{each / 2**20:,.0f}" for each in (size.heap, size.indexes))
    return [f"`{size.name}`", f"{size.rows:,}", *megabytes, f"{size.each:,.0f}"]


def _churn(churn: ChurnFigure) -> Iterator[str]:
    yield f"## {OBJECTS_A_SECOND} objects a second, pruned after {KEPT_SECONDS} s\n"
    rounds = sorted(churn.rounds_ms)
    middle, longest = rounds[len(rounds) // 2], rounds[-1]
    yield (
        f"{churn.objects:,} objects in {churn.seconds:.0f} s. {len(rounds)} rounds of pruning took {middle:.0f} ms at\n"
        f"the median, {longest:,.0f} ms at most; at the end the oldest change was {churn.behind_seconds:.0f} s older\n"
        "than it may be. MB with indexes, after each quarter of the time:\n"
    )
    looks = churn.sizes
    quarters = [f"{100 * (place + 1) // len(looks)} %" for place in range(len(looks))]
    rows_of_table = ([f"`{name}`", *(_megabytes(look[name]) for look in looks)] for name in looks[0])
    yield _table(["table", *quarters], rows_of_table)


def _megabytes(size: TableSize) -> str:
    return f"{(size.heap + size.indexes) / 2**20:,.1f}"


def _plans(hot: Sequence[HotFigure], many: Filling) -> Iterator[str]:
    yield "## Plans\n"
    yield (
        f"As PostgreSQL tells of them (`auto_explain`: rows and buffers of each step), with {many.instances:,}\n"
        "instances stored. Statements that touch at most one row of one table are left out. None reads a large table\n"
        "from end to end: the run fails otherwise, and so does `tests/integration/store/test_hot_path_plans.py`,\n"
        "on a smaller filling.\n"
    )
    for figure in hot:
        shown = [plan for plan in figure.plans if len(plan.nodes) > 1 or plan.rows_touched > 1]
        if shown:
            texts = (f"{_short(plan)}  [{plan.milliseconds:.1f} ms]\n{plan.text}\n" for plan in shown)
            yield "\n".join([f"### {figure.name}\n\n```text", *texts]).rstrip() + "\n```\n"


def _short(plan: Plan) -> str:
    text = " ".join(plan.statement.split())
    text = re.sub(r"(SELECT|RETURNING) (?:\w+\.\w+(?: AS \w+)?,? ?){3,}", r"\1 … ", text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
