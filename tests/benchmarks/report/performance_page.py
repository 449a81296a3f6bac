"""What a whole run writes into `docs/performance.md`, between marks, with its plots."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pygal
from pygal.style import CleanStyle

from tests.benchmarks.report.readings import Report
from tests.benchmarks.report.tables import markdown, series_markdown
from tests.marked_pages import PERFORMANCE, replace_between

_BEGIN: Final = "<!-- bench: written by make bench -->"
_END: Final = "<!-- bench: end -->"
_DOCS: Final = PERFORMANCE.parent
_CPU, _RATES = "performance-cpu.svg", "performance-rates.svg"


def write_page(report: Report, *, revision: str, machine: str) -> None:
    """Make the plots anew, and what stands between the marks."""
    _stacked("CPU of an object by process, ms", report.processor_ms, _DOCS / _CPU)
    _rates(report, _DOCS / _RATES)
    plots = f"![Rates beside their limits]({_RATES})\n\n![Processor time of an object by process]({_CPU})"
    texts = [f"Commit {revision}, {machine}.", markdown(report), plots, *_series(report)]
    replace_between(PERFORMANCE, _BEGIN, _END, "\n" + "\n\n".join(texts) + "\n")


def _series(report: Report) -> list[str]:
    kinds: dict[str, dict[str, Mapping[str, float]]] = {"CPU, ms per object": dict(report.processor_ms)}
    for what, each in report.series.items():
        kind, _, which = what.partition(" of ")
        kinds.setdefault(kind, {})[which or what] = each
    return [series_markdown(kind, series) for kind, series in kinds.items() if series]


def _rates(report: Report, path: Path) -> None:
    chart = _bar("Instances and bindings a second, beside what a bare client gets from the same servers")
    for what in ("instances", "bindings"):
        limits = report.series.get(f"limit of {what}, objects/s", {})
        for name, value in limits.items():
            chart.add(f"{what}: {name} alone", round(value))
        for place in ("servers", "embedded"):
            if (rate := report.value(f"{place}/{what}_ready")) is not None:
                chart.add(f"{what} to Ready, {place}", round(rate))
    path.write_bytes(chart.render())


def _stacked(title: str, series: Mapping[str, Mapping[str, float]], path: Path) -> None:
    chart = _bar(title, stacked=True)
    chart.x_labels = [what.replace("_", " ") for what in series]
    for name in dict.fromkeys(name for each in series.values() for name in each):
        chart.add(name, [round(each[name], 2) if name in each else None for each in series.values()])
    path.write_bytes(chart.render())


def _bar(title: str, *, stacked: bool = False) -> "pygal.HorizontalBar":
    kind = pygal.HorizontalStackedBar if stacked else pygal.HorizontalBar
    # Nothing is fetched from anywhere when the page is looked at.
    return kind(title=title, style=CleanStyle, width=900, height=420, js=(), no_prefix=True, print_values=not stacked)
