"""The loggers that `structlog.get_logger(__name__)` gives: each with a level of its own, that can be changed.

What is below it costs a comparison. Nothing that befalls the log keeps the work from going on.
"""

import contextlib
from typing import Any, TextIO

import structlog

from chandlery.process.logs.log_levels import (
    CRITICAL,
    DEBUG,
    ERROR,
    EVERY_MODULE,
    INFO,
    OURS,
    WARNING,
    Levels,
    level_of,
)


class Outlet:
    """Where the lines of one module go, and how severe they have to be."""

    __slots__ = ("level", "name", "write")

    def __init__(self, name: str, level: int, stream: TextIO) -> None:
        self.name = name
        self.level = level
        self.write = LineWriter(stream)

    def debug(self, line: str) -> None:
        """Write it. How severe it is, is in it."""
        self.write(line)

    info = warning = error = critical = debug


class LineWriter:
    """Writes whole lines."""

    __slots__ = ("_stream",)

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, line: str) -> None:
        """Write one. A full disk or a reader that is gone loses it; there is nobody to tell."""
        # In one piece, so that those of other threads stand beside it.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()


class Outlets:
    """Those of all modules; what structlog calls a logger factory."""

    def __init__(self, stream: TextIO, *, default: int) -> None:
        self._stream = stream
        self._default = default
        self._levels: Levels = {}
        self._outlets: dict[str, Outlet] = {}

    def __call__(self, name: str = OURS) -> Outlet:
        """The outlet of the module of this name."""
        outlet = self._outlets.get(name)
        if outlet is None:
            outlet = self._outlets[name] = Outlet(name, self._level(name), self._stream)
        return outlet

    def set_levels(self, levels: Levels) -> None:
        """From now on these count, for loggers that are in use as well."""
        self._levels = levels
        for name, outlet in self._outlets.items():
            outlet.level = self._level(name)

    def _level(self, name: str) -> int:
        level = level_of(name, self._levels)
        return self._levels.get(EVERY_MODULE, self._default) if level is None else level


class LeveledLogger(structlog.BoundLoggerBase):
    """What modules call."""

    _logger: Outlet

    def is_enabled_for(self, level: int) -> bool:
        """Whether a line of this level would be written. For what is costly to say."""
        return self._logger.level <= level

    def debug(self, event: str, **facts: Any) -> None:
        """What only whoever looks into a module wants to know."""
        if self._logger.level <= DEBUG:
            self._proxy_to_logger("debug", event, **facts)

    def info(self, event: str, **facts: Any) -> None:
        """What was done."""
        if self._logger.level <= INFO:
            self._proxy_to_logger("info", event, **facts)

    def warning(self, event: str, **facts: Any) -> None:
        """What did not go as it should, and goes on."""
        if self._logger.level <= WARNING:
            self._proxy_to_logger("warning", event, **facts)

    def error(self, event: str, **facts: Any) -> None:
        """What has failed, and needs somebody."""
        if self._logger.level <= ERROR:
            self._proxy_to_logger("error", event, **facts)

    def exception(self, event: str, **facts: Any) -> None:
        """The same, with the traceback of the exception that is being handled."""
        self.error(event, **{"exc_info": True, **facts})

    def critical(self, event: str, **facts: Any) -> None:
        """What ends the process."""
        if self._logger.level <= CRITICAL:
            self._proxy_to_logger("critical", event, **facts)
