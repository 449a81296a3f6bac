"""Which database this is, so that a restored copy is noticed: server, database and table of PostgreSQL.

A dump that is restored, be it elsewhere or into the very same database, has another identity than the one noted in it:
a restore makes tables anew, and no number is given out twice. No migration may do that with `marks`. A base backup that
was rolled forward to a moment has the same: nobody but the operator knows of that one. SQLite has none.
"""

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from chandlery.store.work.leases import read_mark, set_mark

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_NOTED: Final = "database identity"
_MAY_ASK: Final = text("SELECT has_function_privilege('pg_control_system()', 'execute')")
_IDENTITY: Final = text(
    "SELECT system_identifier::text || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())::text"
    " || '/' || 'marks'::regclass::oid::text FROM pg_control_system()"
)


async def identity_of(connection: "AsyncConnection") -> str | None:
    """The identity; None for SQLite, and where the server does not tell."""
    if connection.dialect.name != "postgresql" or not (await connection.execute(_MAY_ASK)).scalar():
        return None
    return str((await connection.execute(_IDENTITY)).scalar_one())


async def is_copy(connection: "AsyncConnection") -> bool:
    """Whether another identity is noted. With none noted nobody can tell."""
    noted, current = await read_mark(connection, _NOTED), await identity_of(connection)
    return bool(noted and current and noted != current)


async def note_identity(connection: "AsyncConnection", *, anew: bool = False) -> None:
    """Note it if none is noted, or instead of what is noted."""
    current = await identity_of(connection)
    if current and (anew or await read_mark(connection, _NOTED) is None):
        await set_mark(connection, _NOTED, current)
