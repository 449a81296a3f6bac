"""SQLite for an event loop: what is over at once is done at once, and whatever may take long in a thread.

Comes in: what SQLAlchemy's dialect asks of an aiosqlite connection, one request at a time.
Goes out: rows. Of a statement it takes one hop to aiosqlite's thread in place of four, and mostly none.
Called by: `engine.py`, as the connection that the dialect is given.

A hop costs more than ten times what the statement does. What has no bound of its own is read at once only for a few
milliseconds: if there is no row by then, SQLite stops, and the thread reads it from the beginning; if there are, the
thread fetches the rest. What waits, for the disk or for another process's lock, goes to the thread; so does what may
write much. Whoever asks for one thing after another gives way to others every few milliseconds.
"""

import asyncio
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final, Self

import aiosqlite

from chandlery.store.breaths import Breaths

_STEPS: Final = 20_000
"""Instructions of SQLite's machine that may be taken at once, about two milliseconds."""
_MOST_AT_ONCE: Final = 64
"""Rows of one `executemany`."""
_MOST_VALUES: Final = 1_000
"""Of one statement."""
_MOST_CHARACTERS: Final = 262_144
"""Of what is written at once."""
_SLICE: Final = 8
"""Rows that are fetched before one looks at the clock; an object may have a megabyte."""
_SECONDS: Final = 0.003
_KIND_OF_ERROR: Final = 0xFF
"""Without the bits that tell of it in more detail."""
_STATEMENTS: Final = 512
"""That are kept prepared."""
_THREAD_SECONDS: Final = 5.0
_READ: Final = re.compile(r"\s*SELECT\b", re.IGNORECASE)
_SMALL_WRITE: Final = re.compile(
    r"\s*(?:INSERT\b(?!.*\bSELECT\b)|UPDATE\b(?!.*\bSELECT\b).*\.uid = \?)", re.IGNORECASE | re.DOTALL
)
_BEGIN: Final = re.compile(r"\s*BEGIN\b", re.IGNORECASE)

Parameters = Sequence[Any]


class _Course(Enum):
    """How a statement is run."""

    READ = auto()
    SMALL_WRITE = auto()
    BEGIN = auto()
    OTHER = auto()


@lru_cache(maxsize=1024)
def _course_of(sql: str) -> _Course:
    if _READ.match(sql):
        return _Course.READ
    if _SMALL_WRITE.match(sql):
        return _Course.SMALL_WRITE
    return _Course.BEGIN if _BEGIN.match(sql) else _Course.OTHER


async def open_sqlite(*path: Any, **options: Any) -> "LoopConnection":
    """Connect. Raises what sqlite3 raises."""
    connection = LoopConnection(
        partial(sqlite3.connect, *path, **{**options, "check_same_thread": False, "cached_statements": _STATEMENTS})
    )
    thread = connection._thread  # noqa: SLF001
    thread.daemon = True  # as SQLAlchemy does: no thread keeps a process from its end
    try:
        await connection
    except BaseException:
        # The thread has a last word to say to this loop, and would say it with a traceback once that is closed.
        await asyncio.to_thread(thread.join, _THREAD_SECONDS)
        raise
    connection.raw.set_progress_handler(connection.shall_stop, _STEPS)
    return connection


async def open_to_read(path: str, **options: Any) -> "LoopConnection":
    """The same for whoever changes nothing, and leaves nothing behind."""
    return await open_sqlite(await asyncio.to_thread(_to_read, Path(path)), **options, uri=True)


def _to_read(path: Path) -> str:
    file = path.resolve()
    # Without its log nobody is at work on it; a reader would make one.
    at_rest = "" if file.with_name(f"{file.name}-wal").exists() else "&immutable=1"
    return f"{file.as_uri()}?mode=ro{at_rest}"


class _Stopped(Exception):
    """A read has taken too long to be done at once."""


class LoopCursor:
    """What SQLAlchemy uses of an aiosqlite cursor. Rows are all fetched when a statement was executed."""

    def __init__(self, connection: "LoopConnection") -> None:
        self._connection = connection
        self._cursor = connection.raw.cursor()
        self._rows: list[Any] = []
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Any:
        """Of the columns; None for a statement that has no rows."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """Rows written; -1 if that is not known."""
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        """Of the row inserted last."""
        return self._cursor.lastrowid

    async def execute(self, sql: str, parameters: Parameters = ()) -> "LoopCursor":
        """Run the statement and fetch its rows."""
        self._rows = await self._connection.executed(self._cursor, sql, parameters)
        return self

    async def executemany(self, sql: str, parameters: Sequence[Parameters]) -> "LoopCursor":
        """Run the statement for each."""
        is_small = (
            _course_of(sql) is _Course.SMALL_WRITE and len(parameters) <= _MOST_AT_ONCE and _are_short(*parameters)
        )
        await self._connection.done(self._cursor.executemany, sql, parameters, at_once=is_small)
        return self

    async def fetchall(self) -> list[Any]:
        """The rows."""
        return self._rows

    async def close(self) -> None:
        """Forget it."""
        await self._connection.done(self._cursor.close, at_once=True)


class LoopConnection(aiosqlite.Connection):
    """One connection, used by one task at a time."""

    _handed_over = 0
    _done_there = 0
    """What the thread was given, counted in the loop, and what it has done, counted in the thread."""
    _is_hurried = False

    @property
    def raw(self) -> sqlite3.Connection:
        """The connection of the standard library; raises ValueError once it is closed."""
        return self._conn

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=_MOST_AT_ONCE)
        # What is done at once is no turn of the loop, and going through thousands of objects would be none either.
        self._breaths = Breaths(_SECONDS)

    @property
    def is_busy(self) -> bool:
        """Whether the thread is at work: nothing of ours may be in its way, even if nobody waits for it any more."""
        return self._handed_over != self._done_there

    def cursor(self) -> LoopCursor:  # type: ignore[override] # of aiosqlite's, only what SQLAlchemy uses is here
        """A new one, with no hop."""
        return LoopCursor(self)

    async def executed(self, cursor: sqlite3.Cursor, sql: str, parameters: Parameters) -> list[Any]:
        """The rows of the statement."""
        if self.is_busy:
            return list(await self._execute(_rows, cursor, sql, parameters))
        match _course_of(sql):
            case _Course.READ:
                with suppress(_Stopped):
                    return await self._read(cursor, sql, parameters)
            case _Course.SMALL_WRITE if len(parameters) <= _MOST_VALUES and _are_short(parameters):
                await self._breaths.take()
                return _rows(cursor, sql, parameters)
            case _Course.BEGIN if self._has_begun(cursor, sql):
                return []
        return list(await self._execute(_rows, cursor, sql, parameters))

    async def done(self, work: Any, *given: Any, at_once: bool) -> None:
        """Do this in the thread, unless it is over at once."""
        if at_once and not self.is_busy:
            await self._breaths.take()
            work(*given)
        else:
            await self._execute(work, *given)

    async def rollback(self) -> None:
        """Undo what the transaction has done; there is mostly none when the pool asks."""
        if self.is_busy or self.raw.in_transaction:
            await super().rollback()

    async def _read(self, cursor: sqlite3.Cursor, sql: str, parameters: Parameters) -> list[Any]:
        await self._breaths.take()
        rows, is_whole = self._hurried(cursor, sql, parameters)
        if not is_whole:
            rows += await self._execute(cursor.fetchall)
        return rows

    def _hurried(self, cursor: sqlite3.Cursor, sql: str, parameters: Parameters) -> tuple[list[Any], bool]:
        """The rows of the first few milliseconds, and whether they are all."""
        self._is_hurried, until, rows = True, time.monotonic() + _SECONDS, list[Any]()
        try:
            cursor.execute(sql, parameters)
            while time.monotonic() < until:
                some = cursor.fetchmany(_SLICE)
                rows += some
                if len(some) < _SLICE:
                    return rows, True
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise _Stopped from error
            raise
        finally:
            self._is_hurried = False
        return rows, False

    def _has_begun(self, cursor: sqlite3.Cursor, sql: str) -> bool:
        (patience,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute("PRAGMA busy_timeout=0")
        try:
            cursor.execute(sql)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _KIND_OF_ERROR != sqlite3.SQLITE_BUSY:
                raise
            return False
        finally:
            cursor.execute(f"PRAGMA busy_timeout={patience}")
        return True

    def shall_stop(self) -> bool:
        """What SQLite asks now and then."""
        return self._is_hurried

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        self._handed_over += 1
        try:
            return await super()._execute(self._counted, fn, *args, **kwargs)  # type: ignore[no-untyped-call]
        finally:
            self._breaths.were_taken()

    def _counted(self, work: Callable[..., Any], *given: Any, **named: Any) -> Any:
        try:
            return work(*given, **named)
        finally:
            self._done_there += 1


def _are_short(*rows: Parameters) -> bool:
    return sum(len(value) for row in rows for value in row if isinstance(value, str | bytes)) <= _MOST_CHARACTERS


def _rows(cursor: sqlite3.Cursor, sql: str, parameters: Parameters) -> list[Any]:
    cursor.execute(sql, parameters)
    return cursor.fetchall() if cursor.description else []
