"""Lines of libraries, which use Python's `logging`, go the way of our own: same form, same folding, same place."""

import logging
from collections.abc import Sequence
from typing import Any, Final

import structlog
from structlog.typing import Processor

from chandlery.process.logs.folding import TEMPLATE
from chandlery.process.logs.leveled_loggers import LineWriter
from chandlery.process.logs.log_levels import CRITICAL, ERROR, INFO, WARNING, Levels, is_ours

_QUIET: Final[Levels] = {"aiormq": CRITICAL, "opentelemetry": CRITICAL}
"""The one tells of every lost connection with a traceback; `rabbitmq_link` does so in a sentence. The other quotes
headers of clients, and collectors' addresses with their passwords; `told_exporter` says once what matters."""


class LibraryLines(logging.Handler):
    """Takes what libraries say."""

    def __init__(self, steps: Sequence[Processor], write: LineWriter) -> None:
        super().__init__()
        self._steps = steps
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Called by `logging`."""
        try:
            entry: Any = {"event": record.getMessage(), TEMPLATE: str(record.msg)}
            if record.exc_info:
                entry["exc_info"] = record.exc_info
            for step in self._steps:
                entry = step(record, _level(record.levelno), entry)
        except structlog.DropEvent:
            return
        except Exception:  # noqa: BLE001 - as every handler does: a library's mistake in its words stops nothing
            self.handleError(record)
            return
        self._write(entry)


class LibraryLevels:
    """Sets how severe lines of libraries have to be."""

    def __init__(self, *, default: int) -> None:
        """They say much at info that only their authors need: the root's level is at least a warning."""
        self._default = max(default, WARNING)
        self._set: set[str] = set()

    def set_levels(self, levels: Levels) -> None:
        """From now on these count; what was set before and is not named is as it was."""
        wanted = {**_QUIET, **{name: level for name, level in levels.items() if not _is_of_modules(name)}}
        logging.getLogger().setLevel(self._default)
        for name in self._set - set(wanted):
            logging.getLogger(name).setLevel(logging.NOTSET)
        for name, level in wanted.items():
            logging.getLogger(name).setLevel(level)
        self._set = set(wanted)


def _is_of_modules(name: str) -> bool:
    return name == "*" or is_ours(name)


def _level(number: int) -> str:
    if number >= CRITICAL:
        return "critical"
    if number >= ERROR:
        return "error"
    if number >= WARNING:
        return "warning"
    return "info" if number >= INFO else "debug"
