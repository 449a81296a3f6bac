"""Brings the database to the current schema. Several processes may do so at once: they queue up on a lock.

Called by `schema_waits.py` and the command `migrate`, which import it when there is something to migrate: Alembic takes
5 MB and a fifth of a second. What a process asks of the schema otherwise is in `revisions.py`.
"""

import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.faults import ConfigurationFault, Refused, Unavailable
from chandlery.retry.transient import STORE_CONFLICT
from chandlery.store.database_errors import explained
from chandlery.store.objects.changes import continue_numbers
from chandlery.store.recovery.restored_database import RestoredDatabase
from chandlery.store.revisions import NEWEST_REVISION, is_later, place_of, revision_of
from chandlery.store.roles.database_roles import RolePlan, keep_roles

Say = Callable[[str], object]
RESTORED: Final = (
    "this database was restored or copied from another server: nothing is done at service brokers until you say so. "
    "See what they have with `chandlery reconcile brokers`, then let work go on with `chandlery reconcile release`"
)

_LOCK = text("SELECT pg_advisory_xact_lock(4242, 1)")
_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '30s'")


def _ignore(_: str) -> None:
    """Nobody is told."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


async def migrate(engine: AsyncEngine, *, roles: RolePlan | None = None, say: Say = _ignore) -> str:
    """Upgrade to the newest revision, in one transaction; returns the one that the database is at.

    `roles` are those of the services: made if it says so, and given what the revision needs; `say` is told what was
    done to them. Raises Unavailable; Refused if waiting does not help; ConfigurationFault for roles in SQLite.
    """
    if engine.dialect.name == "postgresql":
        return await _migrate(engine, roles, say)
    if roles is not None and roles.makes:
        raise ConfigurationFault("SQLite has no roles: `chandlery migrate --roles` needs PostgreSQL")
    # Two that open a new file at once can find it locked while its journal is set up, whatever their patience.
    async for attempt in STORE_CONFLICT.around(Unavailable, unless=(Refused,)):
        with attempt:
            return await _migrate(engine, None, say)
    raise AssertionError("tenacity either returns or raises")


def migration_sql(dialect: str, start: str | None = None) -> str:
    """All that `migrate` would do to an empty database, or to one at revision `start`, for somebody to run by hand.

    Raises ConfigurationFault for a revision that is not there.
    """
    if start is not None and is_later(start):
        raise ConfigurationFault(f"this release has no revision {start!r}; its newest one is {NEWEST_REVISION}")
    config = _config()
    config.output_buffer = io.StringIO()
    config.attributes["dialect"] = dialect
    command.upgrade(config, f"{start}:head" if start else "head", sql=True)
    return str(config.output_buffer.getvalue())


def summaries() -> Mapping[str, str]:
    """The first sentence of what each revision says of itself."""
    return {each.revision: each.doc for each in ScriptDirectory.from_config(_config()).walk_revisions()}


async def _migrate(engine: AsyncEngine, roles: RolePlan | None, say: Say) -> str:
    place = place_of(engine)
    try:
        async with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(_LOCK)
                await connection.execute(_LOCK_TIMEOUT)
            revision = await connection.run_sync(lambda sync: _upgrade(sync, place))
            await continue_numbers(connection)
            restored = RestoredDatabase(connection, datetime.now(UTC))
            if was_restored := await restored.is_copy():
                await restored.begin_anew()
            told = await connection.run_sync(keep_roles, roles) if roles is not None and not is_later(revision) else ()
    except (DBAPIError, OSError) as error:
        raise explained(error, place=place) or error from error
    for sentence in (*told, *((RESTORED,) if was_restored else ())):
        say(sentence)
    return revision


def _upgrade(connection: Connection, place: str) -> str:
    found = revision_of(connection, place)
    if found is not None and (found == NEWEST_REVISION or is_later(found)):
        return found
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return NEWEST_REVISION
