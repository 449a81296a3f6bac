"""A run as a table for people, on the terminal or in Markdown, and as JSON for machines."""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from tests.benchmarks.report.readings import Reading, Report
from tests.benchmarks.report.targets import TARGETS, Target

_NOTHING = Target("", "", "at most")


def cells(report: Report) -> list[list[str]]:
    """One row for each reading: title, figure, ratio, floor, goal, what is met, limit, note."""
    return [_row(each, TARGETS.get(each.row, _NOTHING), is_judged=report.is_judged) for each in report.readings]


def terminal(report: Report) -> str:
    """With columns as wide as they must be."""
    rows = [["", "here", "ratio", "floor", "goal", "met", "limit of this run", ""], *cells(report)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def markdown(report: Report) -> str:
    """For a page."""
    lines = ["| | here | ratio | floor | goal | met | limit, same run | |", "|---|---|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells(report))])


def series_markdown(title: str, series: Mapping[str, Mapping[str, float]]) -> str:
    """Several series of one kind, a row for each and a column for each name."""
    names = list(dict.fromkeys(name for each in series.values() for name in each))
    lines = [f"| {title} | {' | '.join(name.replace('_', ' ') for name in names)} |", "|---" * (len(names) + 1) + "|"]
    for what, each in series.items():
        figures = " | ".join(f"{each[name]:,.1f}" if name in each else "" for name in names)
        lines.append(f"| {what.replace('_', ' ')} | {figures} |")
    return "\n".join(lines)


def document(report: Report, revision: str) -> dict[str, Any]:
    """For machines: floors and goals are beside each figure."""
    rows = []
    for each in report.readings:
        target = TARGETS.get(each.row, _NOTHING)
        met = target.met(each.value, each.ratio) if report.is_judged else ""
        rows.append({**asdict(each), "unit": target.unit, "floor": target.floor, "goal": target.goal, "met": met})
    return {
        "revision": revision,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "rows": rows,
        "cpu_ms_by_process": report.processor_ms,
        "series": report.series,
    }


def _row(reading: Reading, target: Target, *, is_judged: bool) -> list[str]:
    is_compared = reading.ratio is not None
    place = reading.row.partition("/")[0]
    title = f"{place}: {target.title or reading.row}"
    return [
        title,
        f"{reading.value:,.{2 if reading.value < 10 else 1 if reading.value < 100 else 0}f} {target.unit}".strip(),
        f"{reading.ratio:.2f}" if reading.ratio is not None else "",
        target.asked("floor", beside_baseline=is_compared),
        target.asked("goal", beside_baseline=is_compared),
        target.met(reading.value, reading.ratio) if is_judged else "",
        reading.limit,
        reading.note,
    ]
