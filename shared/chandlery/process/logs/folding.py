"""Floods are folded: of lines that are alike some are written, and then one that tells how many more there were.

Alike are lines of one module, level and action about the same (`TELLING_APART` in `ecs_fields.py`), whatever their
numbers are. The first ones are written at once, so a fold loses no news; what another line would say for the first
time is another line. Memory is bounded by how many kinds of lines are looked at, not by how many there are of them.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from chandlery.model.text.clean_text import LOG_LONGEST
from chandlery.process.logs.ecs_fields import TELLING_APART

SECONDS: Final = 10.0
FREE: Final = 10
"""Lines that are alike and written in so many seconds; whoever polls once a second is no flood."""
MOST_KINDS: Final = 1_000
TEMPLATE: Final = "template"
"""The key of what a library has said before its values were put in. It is for the fold alone, and not written."""

_KEPT: Final = ("event", "level", "logger", "action", "error", *TELLING_APART)


@dataclass(slots=True)
class _Flood:
    """Lines that are alike."""

    until: float
    written: int = 1
    folded: int = 0
    sample: dict[str, Any] = field(default_factory=dict)
    """Of the first one that was folded, what they share."""


class Folding:
    """A step between what modules say and what is written. May be called from any thread."""

    def __init__(
        self,
        emit: Callable[[MutableMapping[str, Any]], None],
        *,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`emit` writes a line past this step."""
        self._emit = emit
        self._seconds = seconds
        self._clock = clock
        self._floods: OrderedDict[tuple[Any, ...], _Flood] = OrderedDict()
        self._next = 0.0
        # A line can come from what the collector of garbage ends, in the midst of another line.
        self._lock = threading.RLock()

    def __call__(self, _logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The line, if it is to be written; raises DropEvent if it is folded."""
        template = entry.pop(TEMPLATE, None)
        if _is_always_written(entry):
            return entry
        alike = (entry["logger"], entry["level"], entry.get("action", template), *map(entry.get, TELLING_APART))
        now = self._clock()
        if now >= self._next:
            self.tell_due()
        try:
            with self._lock:
                is_written = self._is_written(alike, now, entry)
        except TypeError:
            # Something that cannot be compared stands in it.
            return entry
        if not is_written:
            raise structlog.DropEvent
        return entry

    def tell_due(self) -> None:
        """Tell of floods whose time is over."""
        now = self._clock()
        self._tell(lambda flood: flood.until <= now)

    def tell_all(self) -> None:
        """Tell of all floods, for the process ends."""
        self._tell(lambda _: True)

    def _is_written(self, alike: tuple[Any, ...], now: float, entry: Mapping[str, Any]) -> bool:
        flood = self._floods.get(alike)
        if flood is None:
            if len(self._floods) >= MOST_KINDS:
                self._tell_one(self._floods.popitem(last=False)[1])
            self._floods[alike] = _Flood(now + self._seconds)
            self._next = min(self._next, now + self._seconds) if len(self._floods) > 1 else now + self._seconds
            return True
        if flood.written < FREE:
            flood.written += 1
            return True
        if not flood.folded:
            flood.sample = _shared(entry)
        flood.folded += 1
        return False

    def _tell(self, is_over: Callable[[_Flood], bool]) -> None:
        over: list[_Flood] = []
        with self._lock:
            while self._floods:
                alike, flood = next(iter(self._floods.items()))
                # They stand in the order in which they began.
                if not is_over(flood):
                    break
                over.append(self._floods.pop(alike))
            self._next = next(iter(self._floods.values())).until if self._floods else float("inf")
        for flood in over:
            self._tell_one(flood)

    def _tell_one(self, flood: _Flood) -> None:
        if not flood.folded:
            return
        more = "one more line" if flood.folded == 1 else f"{flood.folded} more lines"
        said = f"{flood.sample.pop('event', '')} ({more} like it within {self._seconds:g} s)"
        self._emit({"event": said, **flood.sample, "repeats": flood.folded})


def _is_always_written(entry: Mapping[str, Any]) -> bool:
    """What was asked for line by line: what debug tells, and requests that were served, of which each is something."""
    return entry["level"] == "debug" or (entry.get("action") == "serve_request" and entry.get("outcome") == "success")


def _shared(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What the lines of a flood have in common. Short: it is kept for a while."""
    kept = {key: entry[key] for key in _KEPT if key in entry}
    return {key: value[:LOG_LONGEST] if isinstance(value, str) else value for key, value in kept.items()}
