"""An import as people and programs read it: a table, a summary, JSON. Nothing of what a Secret holds is in it."""

from collections.abc import Sequence
from typing import Final

from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.clean_text import clean_message
from chandlery.process.commands.imports.broker_comparison import Finding
from chandlery.process.commands.imports.import_entries import Entry, Summary, Verdict
from chandlery.process.commands.imports.sources.dump_shelf import TAKEN_KINDS
from chandlery.process.takeover import Stance

MOST_ROWS: Final = 200
"""Of a table; of more objects only those are shown that somebody should look at, and the rest is counted."""
_MOST_SHOWN: Final = 1_000
_COLUMNS: Final = ("KIND", "NAMESPACE", "NAME", "IMPORT", "STATE", "NOTE")
_NEEDS_A_LOOK: Final = (Stance.HELD, Stance.RESUMED)
_IN_WORDS: Final = {
    Stance.AT_REST: "at rest",
    Stance.POLLED: "with an operation that goes on being polled",
    Stance.HELD: "held: nothing is sent to their service brokers until somebody asks for it",
    Stance.RESUMED: "that go on at once with what was left to do",
    Stance.LEAVING: "that go without a call to their service broker",
}


def as_json(entry: Entry) -> JsonObject:
    """All that is told of one object."""
    return {
        "kind": entry.kind.kind,
        "namespace": entry.place[0],
        "name": entry.place[1],
        "import": str(entry.verdict),
        "state": str(entry.stance or ""),
        "why": clean_message(entry.why),
        "remarks": [clean_message(each) for each in entry.remarks],
    }


def as_table(entries: Sequence[Entry]) -> str:
    """One line for each under a heading; of many only those that have something to tell."""
    shown = entries if len(entries) <= MOST_ROWS else [each for each in entries if _is_notable(each)]
    if not shown:
        return ""
    rows = [_COLUMNS, *(_row(each) for each in shown[:_MOST_SHOWN])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    left = len(entries) - len(rows) + 1
    return "\n".join([*lines, f"... and {left:,} more; all of them: -o json"] if left else lines)


def finding_json(finding: Finding) -> JsonObject:
    """Where a service broker says something else."""
    namespace, name = finding.place
    message = clean_message(finding.message)
    return {"kind": finding.kind.kind, "namespace": namespace, "name": name, "finding": message}


def finding_line(finding: Finding) -> str:
    """The same for people."""
    return f"{finding.kind.singular} {'/'.join(filter(None, finding.place))}: {clean_message(finding.message)}"


def as_summary(summary: Summary) -> str:
    """How many of which kind have come to what, and what the states mean."""
    rows: list[tuple[str, ...]] = [("KIND", "CREATE", "ALREADY THERE", "DOES NOT FIT")]
    for kind in TAKEN_KINDS:
        counts = [summary.counts[kind.kind, verdict] for verdict in Verdict]
        if any(counts):
            rows.append((kind.plural, *(f"{count:,}" for count in counts)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    states = [f"  {summary.stances[each]:,} {_IN_WORDS[each]}" for each in Stance if summary.stances[each]]
    told = ["Of the instances and bindings:", *states] if states else []
    return "\n".join([*lines, *told, *summary.notes])


def _is_notable(entry: Entry) -> bool:
    return entry.verdict == Verdict.UNFIT or bool(entry.remarks or entry.why) or entry.stance in _NEEDS_A_LOOK


def _row(entry: Entry) -> tuple[str, ...]:
    namespace, name = entry.place
    note = clean_message("; ".join(filter(None, (entry.why, *entry.remarks))))
    return entry.kind.plural, namespace, name, str(entry.verdict), str(entry.stance or ""), note
