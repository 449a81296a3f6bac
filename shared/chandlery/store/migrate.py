"""Brings the database to the current schema. Several processes may do so at once: they queue up on a lock.

A revision that this release does not know is of a later one. That is fine: migrations expand first, and this release
was the one before when that was made. Called by `schema_waits.py` and the command `migrate`.
"""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.faults import ConfigurationFault, Refused, Unavailable
from chandlery.retry.transient import STORE_CONFLICT
from chandlery.store.database_errors import explained
from chandlery.store.objects.changes import continue_numbers
from chandlery.store.roles.database_roles import RolePlan, keep_roles
from chandlery.store.schema import WORK_QUEUE

Say = Callable[[str], object]

_LOCK = text("SELECT pg_advisory_xact_lock(4242, 1)")
_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '30s'")


def _ignore(_: str) -> None:
    """Nobody is told."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


@cache
def newest_revision() -> str:
    """The revision that this release runs on."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise LookupError("the package has no migrations")
    return revision


def is_older(revision: str) -> bool:
    """Whether this release has something to add to that revision. One that it does not know is of a later release."""
    return revision in _known_revisions() and revision != newest_revision()


def is_later(revision: str) -> bool:
    """Whether the revision is of a later release."""
    return revision not in _known_revisions()


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


async def current_revision(engine: AsyncEngine) -> str | None:
    """The revision the database is at; None for an empty one. Raises Unavailable; Refused if waiting does not help."""
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda sync: _revision_of(sync, place_of(engine)))
    except (DBAPIError, OSError) as error:
        raise explained(error, place=place_of(engine)) or error from error


def migration_sql(dialect: str, start: str | None = None) -> str:
    """All that `migrate` would do to an empty database, or to one at revision `start`, for somebody to run by hand.

    Raises ConfigurationFault for a revision that is not there.
    """
    if start is not None and is_later(start):
        raise ConfigurationFault(f"this release has no revision {start!r}; its newest one is {newest_revision()}")
    config = _config()
    config.output_buffer = io.StringIO()
    config.attributes["dialect"] = dialect
    command.upgrade(config, f"{start}:head" if start else "head", sql=True)
    return str(config.output_buffer.getvalue())


def place_of(engine: AsyncEngine) -> str:
    """Where the database is, for people: servers or a file."""
    return engine.url.host or engine.url.database or "memory"


async def _migrate(engine: AsyncEngine, roles: RolePlan | None, say: Say) -> str:
    place = place_of(engine)
    try:
        async with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(_LOCK)
                await connection.execute(_LOCK_TIMEOUT)
            revision = await connection.run_sync(lambda sync: _upgrade(sync, place))
            await continue_numbers(connection)
            told = await connection.run_sync(keep_roles, roles) if roles is not None and not is_later(revision) else ()
    except (DBAPIError, OSError) as error:
        raise explained(error, place=place) or error from error
    for sentence in told:
        say(sentence)
    return revision


def _upgrade(connection: Connection, place: str) -> str:
    found = _revision_of(connection, place)
    if found is not None and (found == newest_revision() or is_later(found)):
        return found
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return newest_revision()


def _revision_of(connection: Connection, place: str) -> str | None:
    try:
        found = MigrationContext.configure(connection).get_current_revision()
    except CommandError as error:
        raise _foreign(place, "several revisions") from error
    if found is not None and is_later(found) and not inspect(connection).has_table(WORK_QUEUE.name):
        # Other programs have a table of this name too.
        raise _foreign(place, f"revision {found}")
    return found


def _foreign(place: str, revision: str) -> Refused:
    return Refused(
        f"the database at {place} has the schema of another program ({revision}); use a separate database, "
        "or a separate schema in search_path, in CHANDLERY_DATABASE_URL",
        is_setting=True,
    )


@cache
def _known_revisions() -> frozenset[str]:
    # Alembic runs each of the scripts for it.
    return frozenset(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())
