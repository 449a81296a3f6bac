"""Whatever is logged while something is done: more than production writes."""

import logging
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

import structlog


@contextmanager
def all_logs() -> Iterator[tuple[Sequence[MutableMapping[str, Any]], Sequence[str]]]:
    """Every line, ours before anything is hidden in it, and those of libraries, however little severe."""
    lines: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record) + repr(record.__dict__))

    keeper, root = Keeper(), logging.getLogger()
    level = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    try:
        with structlog.testing.capture_logs(processors=[structlog.processors.format_exc_info]) as ours:
            yield ours, lines
    finally:
        root.removeHandler(keeper)
        root.setLevel(level)
