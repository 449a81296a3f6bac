"""Logging: a sentence for people, keys for machines. JSON lines on stderr in production, colours on a terminal."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, MutableMapping
from importlib.metadata import version
from typing import Any, Final

import structlog
from structlog.typing import Processor

from chandlery.model.text.clean_text import LOG_LONGEST, TRACE_LONGEST, clean_text

EVERY_SECONDS: Final = 10.0
_MOST_KEYS: Final = 256
OTHERS: Final = "others"
"""Stands for all whom there is no room to count one by one."""


class Tally:
    """Counts by key, such as an address. The first time is told at once, the others of the same key together, later."""

    def __init__(self, say: Callable[[str, int], None], *, seconds: float = EVERY_SECONDS) -> None:
        """`say` gets the key and how often it happened since it was told last."""
        self._say = say
        self._seconds = seconds
        self._untold: dict[str, int] = {}

    def add(self, key: str = "") -> None:
        """It happened. To be called on the running loop."""
        if key not in self._untold and len(self._untold) >= _MOST_KEYS:
            key = OTHERS
        if key in self._untold:
            self._untold[key] += 1
            return
        self._say(key, 1)
        self._tell_later(key)

    def _tell_later(self, key: str) -> None:
        self._untold[key] = 0
        asyncio.get_running_loop().call_later(self._seconds, self._tell, key)

    def _tell(self, key: str) -> None:
        count = self._untold.pop(key)
        if count:
            self._say(key, count)
            self._tell_later(key)


_TIME: Final = "at"
_BLOCKS = frozenset({"exception", "stack"})
_HIDDEN = frozenset({"password", "token", "authorization", "credentials", "parameters", "data", "body"})


def configure_logs(*, level: str, form: str, service: str = "chandlery") -> None:
    """Set up structlog and route the standard library's loggers through it.

    `service` is on every line that no service of this process has written; lines for machines tell host and version.
    """
    renderer: Any = structlog.processors.JSONRenderer()
    if form != "json":
        # The prettier tracebacks show local variables, and with them whatever secret was at hand.
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(
            colors=_is_terminal(), exception_formatter=plain, timestamp_key=_TIME, pad_event_to=0
        )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key=_TIME),
        _origin(service, is_whole=form == "json"),
        _hide_secrets,
        structlog.processors.format_exc_info,
        _clean_texts,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(getattr(logging, level.upper()), logging.WARNING))
    # It tells of every lost connection with a traceback; `rabbitmq_link` does so in a sentence.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)


def _origin(service: str, *, is_whole: bool) -> Processor:
    """Says where a line comes from. People at a console know their machine and what they have started."""
    known = {"service": service}
    if is_whole:
        known |= {"host": socket.gethostname(), "version": version("chandlery")}

    def add(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key, value in known.items():
            entry.setdefault(key, value)
        return entry

    return add


def _is_terminal() -> bool:
    return sys.stderr.isatty()


def _hide_secrets(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # A second line of defence: nothing of ours logs these on purpose.
    for key in entry.keys() & _HIDDEN:
        entry[key] = "<hidden>"
    return entry


def _clean_texts(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Whatever somebody else has said and a line repeats: on one line, bounded, with nothing that steers a terminal."""
    for key, value in entry.items():
        if isinstance(value, str):
            entry[key] = (
                clean_text(value, longest=TRACE_LONGEST, keeps_lines=True, keeps_end=TRACE_LONGEST // 2)
                if key in _BLOCKS
                else clean_text(value, longest=LOG_LONGEST)
            )
    return entry
