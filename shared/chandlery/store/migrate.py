"""Brings the database to the current schema. Several processes may do so at once: they queue up on a lock."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.faults import Unavailable
from chandlery.retry.transient import STORE_CONFLICT
from chandlery.store.changes import continue_numbers
from chandlery.store.engine import is_unreachable

_LOCK = text("SELECT pg_advisory_xact_lock(4242, 1)")
_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '30s'")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def newest_revision() -> str:
    """The revision that this release runs on."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise LookupError("the package has no migrations")
    return revision


def is_older(revision: str) -> bool:
    """Whether this release has something to add to that revision. One that it does not know is of a later release."""
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    return revision in known and revision != newest_revision()


async def migrate(engine: AsyncEngine) -> str:
    """Upgrade to the newest revision, in one transaction; returns it. Raises Unavailable."""
    if engine.dialect.name == "postgresql":
        return await _migrate(engine)
    # Two that open a new file at once can find it locked while its journal is set up, whatever their patience.
    async for attempt in STORE_CONFLICT.around(Unavailable):
        with attempt:
            return await _migrate(engine)
    raise AssertionError("tenacity either returns or raises")


async def _migrate(engine: AsyncEngine) -> str:
    try:
        async with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(_LOCK)
                await connection.execute(_LOCK_TIMEOUT)
            await connection.run_sync(_upgrade)
            await continue_numbers(connection)
    except (DBAPIError, OSError) as error:
        if not is_unreachable(error):
            raise
        raise _unreachable(engine, error) from error
    return newest_revision()


async def current_revision(engine: AsyncEngine) -> str | None:
    """The revision the database is at; None for an empty one. Raises Unavailable."""
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    except (DBAPIError, OSError) as error:
        if not is_unreachable(error):
            raise
        raise _unreachable(engine, error) from error


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _unreachable(engine: AsyncEngine, error: BaseException) -> Unavailable:
    place = engine.url.host or engine.url.database
    return Unavailable(f"the database at {place} cannot be reached ({type(error).__name__}: {_cause(error)})")


def _cause(error: BaseException) -> str:
    origin = getattr(error, "orig", None) or error
    return str(origin).splitlines()[0] if str(origin) else type(origin).__name__
