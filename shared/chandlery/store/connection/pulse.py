"""Whether the database works, for readiness: it answers, and where a transaction has failed it is written to as well.

A disk that is full, a file that has become read-only and a server that is a standby by now answer every question, and
take no write. `Database` has one pulse; what makes it doubt are its own transactions.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import structlog
from sqlalchemy import delete, insert, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chandlery.model.faults import Unavailable
from chandlery.store.database_errors import Border, LostConnection
from chandlery.store.schema import MARKS

log = structlog.get_logger(__name__)

_MARK: Final = "room to write"
_SAY_EVERY_SECONDS: Final = 60.0
_ROOM: Final = "0" * 65_536
"""More than a page or two that happen to be free."""


class Pulse:
    """Doubts the database from a failure until a write succeeds."""

    def __init__(self, engine: AsyncEngine, file: str) -> None:
        self._engine = engine
        self._file = file
        self._is_in_doubt = False
        self._said = ""
        self._said_at = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A transaction. One that fails for the database's sake is remembered."""
        try:
            yield
        except Unavailable as fault:
            self._is_in_doubt = True
            self._say(fault.message)
            raise

    def _say(self, why: str) -> None:
        now = time.monotonic()
        if why == self._said and now < self._said_at + _SAY_EVERY_SECONDS:
            return
        self._said, self._said_at = why, now
        log.warning(why, action="database_fails")

    async def look(self) -> None:
        """Raise Unavailable unless the database answers, and takes a write if there is doubt."""
        try:
            with Border(self._file):
                async with self._engine.connect() as connection:
                    await connection.execute(text("SELECT 1"))
                    if self._is_in_doubt:
                        await connection.rollback()
                        # Another process that does the same at this moment shows as well that it can be done.
                        with suppress(IntegrityError):
                            await _write(connection)
        except LostConnection as error:
            raise Unavailable("the connection to the database was lost") from error
        if self._is_in_doubt:
            log.info("the database accepts writes again", action="database_works")
        self._is_in_doubt, self._said = False, ""


async def _write(connection: AsyncConnection) -> None:
    # Two transactions: what is taken away in the same one need never reach the disk.
    forget = delete(MARKS).where(MARKS.c.name == _MARK)
    async with connection.begin():
        await connection.execute(forget)
        await connection.execute(insert(MARKS).values(name=_MARK, value=_ROOM))
    async with connection.begin():
        await connection.execute(forget)
