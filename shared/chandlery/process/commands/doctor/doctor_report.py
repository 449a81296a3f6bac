"""What `chandlery doctor` prints: a line for each check and one at the end, or JSON. Pure."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from typing import Final

import click

from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.clean_text import clean_message
from chandlery.process.commands.doctor.check import Result, State, counted
from chandlery.process.commands.doctor.check_run import Outcome

_SIGNS: Final = {
    State.OK: ("✓", "green"),
    State.WARN: ("!", "yellow"),
    State.FAIL: ("✗", "red"),
    State.SKIPPED: ("-", "bright_black"),
    State.UNUSED: ("-", "bright_black"),
}
SIGNS: Final = "".join(sign for sign, _ in _SIGNS.values())
"""What a terminal has to have."""
_COUNTED: Final = {
    State.OK: "ok",
    State.WARN: "to be seen to",
    State.FAIL: "failed",
    State.SKIPPED: "skipped",
    State.UNUSED: "not in use here",
}


def exit_status(outcomes: Sequence[Outcome]) -> int:
    """1 if something failed, else 0."""
    return int(any(each.result.state is State.FAIL for each in outcomes))


def as_lines(outcomes: Sequence[Outcome], *, is_terminal: bool) -> Iterator[str]:
    """For people: sections with signs, and the way out below what is not green. Else a line for each, made to be cut.

    What this installation does not use is left out, and counted.
    """
    shown = [each for each in outcomes if each.result.state is not State.UNUSED]
    width = max((len(each.check.id) for each in shown), default=0)
    for section, some in groupby(shown, key=lambda each: each.check.section):
        if is_terminal:
            yield click.style(section, bold=True)
        for each in some:
            yield from _for_terminal(each, width) if is_terminal else [_plain(each, width)]
    yield _last_line(outcomes)


def as_json(outcomes: Sequence[Outcome]) -> str:
    """For programs. Fields may come, and none goes; see docs/doctor.md."""
    counts = Counter(each.result.state for each in outcomes)
    document: JsonObject = {
        "version": version("chandlery"),
        "at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "state": str(State.FAIL if counts[State.FAIL] else State.WARN if counts[State.WARN] else State.OK),
        "counts": {str(state): counts[state] for state in State},
        "checks": [_document(each) for each in outcomes],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _document(outcome: Outcome) -> JsonObject:
    check, result = outcome.check, outcome.result
    return {
        "id": check.id,
        "section": check.section,
        "state": str(result.state),
        "message": clean_message(result.message),
        "remedy": clean_message(result.remedy),
    }


def _for_terminal(outcome: Outcome, width: int) -> Iterator[str]:
    result = outcome.result
    sign, colour = _SIGNS[result.state]
    yield f"  {click.style(sign, fg=colour)} {outcome.check.id:<{width}}  {_message(result)}"
    if result.remedy:
        yield f"    {'':<{width}}  → {clean_message(result.remedy)}"


def _plain(outcome: Outcome, width: int) -> str:
    result = outcome.result
    remedy = f"; {clean_message(result.remedy)}" if result.remedy else ""
    return f"{result.state:<7} {outcome.check.id:<{width}}  {clean_message(result.message)}{remedy}"


def _message(result: Result) -> str:
    said = clean_message(result.message)
    return f"skipped: {said}" if result.state is State.SKIPPED else said


def _last_line(outcomes: Sequence[Outcome]) -> str:
    counts = Counter(each.result.state for each in outcomes)
    told = [f"{counts[state]} {words}" for state, words in _COUNTED.items() if counts[state] or state is State.OK]
    return f"{counted(len(outcomes), 'check')}: {', '.join(told)}"
