"""Counts what a process asks its database, statement by statement."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

_SEVERAL_VALUES: Final = re.compile(r"\((\(?[?]|__)[^()]*(\), \([^()]*)*\)+")
_BEGIN: Final = "BEGIN"


@dataclass
class Statements:
    """What has been asked: one entry for a statement, however many rows it was given."""

    texts: list[str] = field(default_factory=list)
    transactions: int = 0

    @property
    def round_trips(self) -> int:
        """Answers waited for: each statement's, and those to BEGIN and COMMIT."""
        return len(self.texts) + 2 * self.transactions

    def by_text(self) -> Counter[str]:
        """How often each was asked. SQLite has no arrays: lists of values are the same whatever their length."""
        return Counter(_SEVERAL_VALUES.sub("(…)", text) for text in self.texts)


@contextmanager
def counted_statements(engine: AsyncEngine) -> Iterator[Statements]:
    """Count until the end of the block."""
    counted = Statements()

    def executed(_connection: Any, _cursor: Any, statement: str, *_further: Any) -> None:
        if not statement.startswith(_BEGIN):
            counted.texts.append(statement)

    def committed(_connection: Any) -> None:
        counted.transactions += 1

    event.listen(engine.sync_engine, "before_cursor_execute", executed)
    event.listen(engine.sync_engine, "commit", committed)
    try:
        yield counted
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", executed)
        event.remove(engine.sync_engine, "commit", committed)
