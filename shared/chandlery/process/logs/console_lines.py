"""Renders a line for people: a moment, a level, the sentence, and the short keys that callers use."""

import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

from chandlery.process.logs.ecs_fields import HIDDEN
from chandlery.process.logs.json_lines import cleaned_block, shown, utc_now
from chandlery.process.logs.log_levels import is_ours

_TIME: Final = "at"


class ConsoleLines:
    """Renders lines of one process. People know their machine and what they have started there."""

    def __init__(self, service: str) -> None:
        """`service` is on every line that no service of this process has written."""
        self._service = service
        # The prettier tracebacks show local variables, and with them whatever secret was at hand.
        plain = structlog.dev.plain_traceback
        colors = sys.stderr.isatty()
        self._render = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=plain, timestamp_key=_TIME, pad_event_to=0
        )

    def __call__(self, logger: Any, method: str, entry: MutableMapping[str, Any]) -> str:
        """The line, without its end; a traceback stands below it."""
        line: dict[str, Any] = {_TIME: utc_now(), "service": self._service}
        for key, value in entry.items():
            if key in HIDDEN:
                line[key] = "<hidden>"
            elif value is not None:
                line[key] = cleaned_block(value) if key == "exception" else shown(value)
        line.pop("span_id", None)
        # Who reads what Chandlery does need not know which module does it, but for one that is looked into.
        if entry["level"] != "debug" and is_ours(entry["logger"]):
            line.pop("logger")
        return str(self._render(logger, method, line))
