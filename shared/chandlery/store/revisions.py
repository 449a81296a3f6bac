"""Which schema a database is at, and which ones this release knows. Without Alembic, which only `migrate.py` needs.

A revision that this release does not know is of a later one. That is fine: migrations expand first, and this release
was the one before when that was made.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.faults import Refused
from chandlery.store.database_errors import explained
from chandlery.store.schema import WORK_QUEUE

REVISIONS: Final = (
    "2026_11_22",
    "2026_11_22_interests",
    "2026_11_22_managed_fields",
    "2026_11_23_late_wakes",
    "2026_11_23_previous",
    "2026_11_23_guards",
    "2026_11_23_generated_names",
    "2026_11_30_external_ids",
    "2026_11_30_owner_links",
    "2026_11_30_work_queue",
    "2026_11_30_roles",
    "2026_12_01_data_keys",
    "2026_12_01_audit",
    "2026_12_01_account_tokens",
    "2026_12_02_counted_work",
    "2026_12_02_operations",
    "2026_12_02_traces",
    "2026_12_03_many_objects",
)
"""Those of `migrations/versions`, in their order."""
NEWEST_REVISION: Final = REVISIONS[-1]
"""The one that this release runs on."""

_ROWS: Final = text(
    "SELECT s.relname, greatest(s.n_live_tup, c.reltuples) FROM pg_stat_user_tables AS s JOIN pg_class AS c"
    " ON c.oid = s.relid WHERE pg_table_is_visible(s.relid)"
)
_TABLE: Final = "alembic_version"
_VERSIONS: Final = text(f"SELECT version_num FROM {_TABLE}")  # noqa: S608 - a constant


def is_older(revision: str) -> bool:
    """Whether this release has something to add to that revision. One that it does not know is of a later release."""
    return revision in REVISIONS and revision != NEWEST_REVISION


def is_later(revision: str) -> bool:
    """Whether the revision is of a later release."""
    return revision not in REVISIONS


async def current_revision(engine: AsyncEngine) -> str | None:
    """The revision the database is at; None for an empty one. Raises Unavailable; Refused if waiting does not help."""
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda sync: revision_of(sync, place_of(engine)))
    except (DBAPIError, OSError) as error:
        raise explained(error, place=place_of(engine)) or error from error


def revision_of(connection: Connection, place: str) -> str | None:
    """The same within a transaction; raises Refused for the database of another program."""
    look = inspect(connection)
    found = list(connection.execute(_VERSIONS).scalars()) if look.has_table(_TABLE) else []
    if len(found) > 1:
        raise _foreign(place, "several revisions")
    if not found:
        return None
    revision = str(found[0])
    if is_later(revision) and not look.has_table(WORK_QUEUE.name):
        # Other programs have a table of this name too.
        raise _foreign(place, f"revision {revision}")
    return revision


async def counted_rows(engine: AsyncEngine) -> Mapping[str, int]:
    """About how many rows each table has, as PostgreSQL's statistics know; nothing for SQLite, where nobody waits."""
    if engine.dialect.name != "postgresql":
        return {}
    try:
        async with engine.connect() as connection:
            return {str(name): int(count) for name, count in await connection.execute(_ROWS)}
    except (DBAPIError, OSError) as error:
        raise explained(error, place=place_of(engine)) or error from error


def place_of(engine: AsyncEngine) -> str:
    """Where the database is, for people: servers or a file."""
    return engine.url.host or engine.url.database or "memory"


def _foreign(place: str, revision: str) -> Refused:
    return Refused(
        f"the database at {place} has the schema of another program ({revision}); use a separate database, "
        "or a separate schema in search_path, in CHANDLERY_DATABASE_URL",
        is_setting=True,
    )
