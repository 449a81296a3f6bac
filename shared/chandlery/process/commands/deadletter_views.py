"""Dead letters as people and programs read them: a table, one in full, JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from chandlery.contracts.dead_letters import DeadLetter
from chandlery.contracts.messages import Reconcile
from chandlery.contracts.topology import DEAD_LETTER_QUEUES
from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.clean_text import LOG_LONGEST, clean_text

_SHORT = 12
"""Characters of an id in the table; commands take any beginning that no other letter has."""
_COLUMNS = ("QUEUE", "ID", "KIND", "OBJECT", "REASON", "DELIVERIES", "AGE")
_UNKNOWN = "<none>"


def queue_of(letter: DeadLetter) -> str:
    """The dead-letter queue that it lies in, without the installation's prefix."""
    return DEAD_LETTER_QUEUES[letter.origin]


def as_json(letter: DeadLetter) -> JsonObject:
    """Everything but the body: what cannot be read may hold anything."""
    history = letter.history
    known: JsonObject = {
        "queue": queue_of(letter),
        "id": letter.id,
        "from": letter.queue,
        "type": letter.message.type if letter.message else "",
        "kind": getattr(letter.message, "kind", ""),
        "object": getattr(letter.message, "uid", ""),
        "lane": letter.message.lane if isinstance(letter.message, Reconcile) else "",
        "reason": str(letter.reason),
        "error": history.error,
        "deliveries": history.deliveries,
        "failures": history.failures,
        "firstAt": _stamp(history.first_at),
        "lastAt": _stamp(letter.last_at),
        "trace": letter.trace,
        "bytes": len(letter.body),
    }
    return known


def as_table(letters: Sequence[DeadLetter], *, now: datetime) -> str:
    """One line for each under a heading, columns as wide as they need to be."""
    rows = [_COLUMNS, *(tuple(map(_shown, _row(letter, now))) for letter in letters)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def as_sheet(letter: DeadLetter, *, body: bool = False) -> str:
    """One letter, a line for each fact; with `body` what it said, too."""
    facts = {name: value for name, value in as_json(letter).items() if value != ""}
    width = max(len(name) for name in facts) + 2
    lines = [f"{name + ':':<{width}}{_shown(value)}" for name, value in facts.items()]
    if body:
        text = letter.body.decode(errors="backslashreplace")
        lines += ["", clean_text(text, longest=max(1, len(text)), keeps_lines=True)]
    return "\n".join(lines)


def age(since: datetime | None, *, now: datetime) -> str:
    """As kubectl says it: the largest unit that fits."""
    if since is None:
        return _UNKNOWN
    seconds = max(0, int((now - since) / timedelta(seconds=1)))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _shown(value: object) -> str:
    """A message may come from anybody who may write to the bus."""
    return clean_text(str(value), longest=LOG_LONGEST)


def _row(letter: DeadLetter, now: datetime) -> tuple[str, ...]:
    shown = as_json(letter)
    return (
        str(shown["queue"]),
        letter.id[:_SHORT],
        str(shown["kind"] or _UNKNOWN),
        str(shown["object"] or _UNKNOWN),
        str(shown["reason"]),
        str(shown["deliveries"]),
        age(letter.last_at, now=now),
    )


def _stamp(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else ""
