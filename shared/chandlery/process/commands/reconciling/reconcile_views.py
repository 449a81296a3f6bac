"""Findings and what was done about them as people and programs read them. Nothing that a Secret holds is in it."""

from collections.abc import Sequence
from typing import Final

from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.clean_text import clean_message
from chandlery.process.commands.reconciling.surveys.external_things import Difference, Finding
from chandlery.process.commands.reconciling.taking_back import Done

_COLUMNS: Final = ("DIFFERENCE", "KIND", "NAMESPACE", "NAME", "EXTERNAL ID", "BROKER", "SAYS", "NOTE")
_DONE: Final = ("KIND", "NAMESPACE", "NAME", "EXTERNAL ID", "BROKER", "RESULT")
_MOST_ROWS: Final = 1_000


def finding_json(finding: Finding) -> JsonObject:
    """One line; `chandlery reconcile … --record` reads it again."""
    thing = finding.thing
    return {
        "difference": str(finding.difference),
        "kind": thing.kind.kind,
        "broker": thing.broker,
        "externalID": thing.external_id,
        "instanceExternalID": thing.key.instance_id,
        "serviceID": thing.service_id,
        "planID": thing.plan_id,
        "namespace": thing.place[0],
        "name": thing.place[1],
        "uid": thing.uid,
        "says": "broker" if finding.is_asked else "record",
        "note": clean_message(finding.note),
    }


def findings_table(findings: Sequence[Finding]) -> str:
    """Under a heading; empty without any."""
    rows = [
        (
            str(each.difference),
            "" if each.difference == Difference.UNANSWERED and not each.thing.external_id else each.thing.kind.plural,
            each.thing.place[0],
            each.thing.place[1],
            "" if each.difference == Difference.NO_ID else each.thing.external_id,
            each.thing.broker,
            "broker" if each.is_asked else "record",
            clean_message(each.note),
        )
        for each in findings[:_MOST_ROWS]
    ]
    return _table(_COLUMNS, rows, left=len(findings) - len(rows))


def done_json(done: Done) -> JsonObject:
    """One line."""
    thing = done.thing
    return {
        "kind": thing.kind.kind,
        "namespace": done.place[0],
        "name": done.place[1],
        "externalID": thing.external_id,
        "broker": thing.broker,
        "result": done.what,
        "problem": clean_message(done.problem),
    }


def done_table(done: Sequence[Done]) -> str:
    """Under a heading; empty without any."""
    rows = [
        (
            each.thing.kind.plural,
            *each.place,
            each.thing.external_id,
            each.thing.broker,
            each.what or f"not done: {clean_message(each.problem)}",
        )
        for each in done[:_MOST_ROWS]
    ]
    return _table(_DONE, rows, left=len(done) - len(rows))


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, left: int) -> str:
    if not rows:
        return ""
    lines = [columns, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    text = ["   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*text, f"... and {left:,} more; all of them: -o json"] if left else text)
