"""Logging: a sentence for people, keys for machines. JSON lines on stderr in production, colours on a terminal.

Comes in: what modules say to `structlog.get_logger(__name__)`, and libraries to Python's `logging`.
Goes out: lines on stderr, in the form that the settings want: `json_lines.py` or `console_lines.py`.
Called by: `process/commands/`, once for each process; `process.py` keeps it going and ends it.

On the way a line is given its head, and folded if there are too many like it.
"""

import asyncio
import logging
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from structlog.typing import Processor

from chandlery.model.faults import ConfigurationFault
from chandlery.process.followed_files import FollowedFiles
from chandlery.process.logs import folding
from chandlery.process.logs.console_lines import ConsoleLines
from chandlery.process.logs.folding import Folding
from chandlery.process.logs.json_lines import JsonLines
from chandlery.process.logs.leveled_loggers import LeveledLogger, LineWriter, Outlets
from chandlery.process.logs.library_lines import LibraryLevels, LibraryLines
from chandlery.process.logs.line_heads import begin_line
from chandlery.process.logs.log_levels import LEVELS, Levels, read_levels
from chandlery.process.logs.tally import tell_tallies

_LEVELS = "CHANDLERY_LOG_LEVELS"
_LEVELS_FILE = "CHANDLERY_LOG_LEVELS_FILE"


class _Logs(NamedTuple):
    """What goes on after the log is set up."""

    outlets: Outlets
    libraries: LibraryLevels
    folding: Folding
    given: Levels
    """Of the settings, below those of the file."""
    file: Path | None
    followed: FollowedFiles | None


_running: _Logs | None = None


def configure_logs(
    *, level: str, form: str, service: str = "chandlery", levels: str = "", levels_file: Path | None = None
) -> None:
    """Set up structlog and route the standard library's loggers through it.

    `service` is on every line that no service of this process has written; lines for machines tell host and version.
    `levels` and the file, which is followed by `keep_logs`, are about single modules. Raises ConfigurationFault.
    """
    global _running  # noqa: PLW0603 - there is one log in a process
    given = read_levels(levels, source=_LEVELS)
    followed = FollowedFiles("the file of log levels", [levels_file]) if levels_file else None
    in_file = _levels_in(levels_file)
    form_line: Any = JsonLines(service) if form == "json" else ConsoleLines(service)
    write = LineWriter(sys.stderr)

    def emit(entry: MutableMapping[str, Any]) -> None:
        write(form_line(None, entry["level"], entry))

    fold = Folding(emit)
    steps: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        begin_line,
        fold,
        structlog.processors.format_exc_info,
        form_line,
    ]
    outlets = Outlets(sys.stderr, default=LEVELS[level])
    structlog.configure(
        processors=steps, wrapper_class=LeveledLogger, logger_factory=outlets, cache_logger_on_first_use=True
    )
    logging.getLogger().handlers = [LibraryLines(steps, write)]
    _running = _Logs(outlets, LibraryLevels(default=LEVELS[level]), fold, given, levels_file, followed)
    _set_levels(_running, in_file)


async def keep_logs() -> None:
    """Follow the file of levels and tell how many lines were folded, for ever; ends by cancellation."""
    if _running is None:
        return
    async with asyncio.TaskGroup() as group:
        group.create_task(_tell_folded(_running.folding))
        if _running.followed is not None:
            group.create_task(_running.followed.follow(reload_levels))


def reload_levels() -> None:
    """Read the file of levels again. Raises ConfigurationFault, and everything stays as it is."""
    if _running is not None:
        _set_levels(_running, _levels_in(_running.file))


def end_logs() -> None:
    """Tell what was counted and not told yet."""
    tell_tallies()
    if _running is not None:
        _running.folding.tell_all()


async def _tell_folded(fold: Folding) -> None:
    while True:
        await asyncio.sleep(folding.SECONDS)
        fold.tell_due()


def _set_levels(logs: _Logs, in_file: Levels) -> None:
    levels = {**logs.given, **in_file}
    logs.outlets.set_levels(levels)
    logs.libraries.set_levels(levels)


def _levels_in(path: Path | None) -> Levels:
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationFault(f"{_LEVELS_FILE} {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationFault(f"{_LEVELS_FILE} {path} is no text in UTF-8") from error
    return read_levels(text, source=f"{_LEVELS_FILE} {path}")
