"""The database at the start of a process: what is not there yet is waited for, what a person has to mend ends it.

`composition.py` calls this for services, `migrate_command.py` for `chandlery migrate`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from tenacity import RetryCallState

from chandlery.model.faults import Refused, Unavailable
from chandlery.retry.transient import SERVER_START
from chandlery.settings.settings import Settings, require
from chandlery.store.connection.engine import open_engine
from chandlery.store.migration_plan import steps_of, told
from chandlery.store.revisions import (
    NEWEST_REVISION,
    REVISIONS,
    counted_rows,
    current_revision,
    is_later,
    is_older,
)
from chandlery.store.roles.database_roles import RolePlan

T = TypeVar("T")
Say = Callable[[str], object]
log = structlog.get_logger(__name__)


class SchemaNotReady(Unavailable):
    """The database has not been migrated yet: run `chandlery migrate`."""


class SchemaBehind(Unavailable):
    """The database lacks what this release needs: processes of it that began all the same would fail at each turn."""


def engine_for(settings: Settings, service: str, *, statement_seconds: float | None = 15.0) -> AsyncEngine:
    """An engine for the database of the settings. Nothing is connected yet. Raises ConfigurationFault."""
    require(settings, "database_url")
    return open_engine(
        settings.database_url.get_secret_value(),
        application_name=f"chandlery-{service}",
        pool_size=settings.database_pool_size,
        statement_seconds=statement_seconds,
        prepares=settings.database_prepared_statements,
    )


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Repeat the work, with a line in the log and a pause, as long as the database is away. Raises Refused."""
    async for attempt in SERVER_START.around(Unavailable, unless=(Refused,), before_sleep=_say_what_is_awaited):
        with attempt:
            return await work()
    raise AssertionError("SERVER_START never gives up")


async def prepare_schema(engine: AsyncEngine, *, migrates: bool) -> None:
    """Bring the schema up, or wait until somebody has; say so if it is of a later release."""
    found = await patiently(lambda: _brought_up(engine) if migrates else _migrated(engine))
    if is_later(found):
        log.info(
            f"the database is at schema {found} of a later release; this release works with it", action="check_schema"
        )


def role_plan(settings: Settings, *, makes: bool = False) -> RolePlan:
    """How the settings want the database roles."""
    return RolePlan(
        prefix=settings.database_role_prefix, writes_status=settings.database_roles_write_status, makes=makes
    )


async def run_migrations(
    settings: Settings,
    *,
    seconds: float | None = None,
    makes_roles: bool = False,
    say: Say = log.info,
) -> str:
    """Bring the database to the newest schema, waiting for its server that long; returns the revision it is at.

    Database roles that are there are given what that needs; with `makes_roles` they are made. `say` hears of it.

    Raises Unavailable when the time is over, Refused if waiting does not help, ConfigurationFault.
    """
    from chandlery.store.migrate import migrate  # noqa: PLC0415 - with Alembic, which no service needs

    engine = engine_for(settings, "migrate", statement_seconds=None)
    reasons: list[str] = []

    async def work() -> str:
        try:
            return await migrate(engine, roles=role_plan(settings, makes=makes_roles), say=say)
        except Unavailable as fault:
            reasons[:] = [fault.message]
            raise

    try:
        async with asyncio.timeout(seconds):
            return await patiently(work)
    except TimeoutError as error:
        why = "".join(f": {reason}" for reason in reasons)
        raise Unavailable(f"the migration was not done within {seconds:g} s{why}") from error
    finally:
        await engine.dispose()


async def found_revision(settings: Settings) -> str | None:
    """The revision that the database is at, asked once; None for an empty one. Raises Unavailable."""
    engine = engine_for(settings, "migrate")
    try:
        return await current_revision(engine)
    finally:
        await engine.dispose()


async def found_plan(settings: Settings, found: str) -> Sequence[str]:
    """Lines that tell what `chandlery migrate` would do to the database, which is at that revision."""
    from chandlery.store.migrate import migration_sql, summaries  # noqa: PLC0415 - with Alembic

    engine = engine_for(settings, "migrate")
    try:
        rows = await counted_rows(engine)
    finally:
        await engine.dispose()
    if engine.dialect.name != "postgresql":
        missing = REVISIONS[REVISIONS.index(found) + 1 :]
        return [
            "These migrations would be done, in one transaction; nobody reads or writes the file meanwhile:",
            *(f"  {revision}. {summaries()[revision]}" for revision in missing),
        ]
    return list(told(steps_of(migration_sql("postgresql", found)), summaries(), rows))


async def _brought_up(engine: AsyncEngine) -> str:
    if engine.dialect.name == "sqlite" and (found := await current_revision(engine)) and not is_older(found):
        return found
    from chandlery.store.migrate import migrate  # noqa: PLC0415 - with Alembic, which is seldom needed

    return await migrate(engine)


async def _migrated(engine: AsyncEngine) -> str:
    revision = await current_revision(engine)
    if revision is None:
        raise SchemaNotReady
    if is_older(revision):
        raise SchemaBehind(
            f"the database is at schema {revision}, this release needs {NEWEST_REVISION}: run `chandlery migrate`"
        )
    return revision


def _say_what_is_awaited(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0
    log.warning(f"{error}; trying again in {pause:.1f} s", action="await_server", attempt=state.attempt_number)
