"""Whether anybody else works on a database. For commands that must not run beside a process."""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from chandlery.model.faults import ConfigurationFault

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_OTHERS: Final = text(
    "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND application_name LIKE 'chandlery-%' AND application_name <> current_setting('application_name') LIMIT 1"
)


async def other_process(connection: "AsyncConnection") -> str | None:
    """By what name another process of Chandlery is connected to PostgreSQL; None for SQLite."""
    if connection.dialect.name != "postgresql":
        return None
    return (await connection.execute(_OTHERS)).scalar()


@contextmanager
def sole_use(path: Path) -> Iterator[None]:
    """Nobody else has the database open, or opens it meanwhile. One that is damaged nobody can ask, and it passes.

    Raises ConfigurationFault.
    """
    with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            # Whoever is connected in WAL mode holds a shared lock all the time.
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise ConfigurationFault(f"a process works on {path}: stop it first") from error
        except sqlite3.DatabaseError:
            # That may be what a restore is for.
            pass
        yield
