"""Opens PostgreSQL (asyncpg) or SQLite (aiosqlite), set up so that the layers above need not know which."""

from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from chandlery.model.json.json_text import read_written, write_json
from chandlery.settings.checks.extras import extra
from chandlery.store.connection.database_url import DatabaseUrl, read_database_url

_SESSION: Final = {
    # A forgotten transaction would hold back the change log's horizon for every watcher.
    "idle_in_transaction_session_timeout": "60000",
    "jit": "off",
}
_TO_WRITE: Final = ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
_TO_READ: Final = ("busy_timeout=5000", "query_only=ON")
_NO_NAMES: Final = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: ""}
"""PostgreSQL's statement without a name lives until the next one, so nothing of it is missed on another connection."""


def open_engine(
    address: str | DatabaseUrl,
    *,
    application_name: str,
    pool_size: int = 10,
    statement_seconds: float | None = 15.0,
    prepares: bool = True,
    reads_only: bool = False,
) -> AsyncEngine:
    """An engine for the address. Nothing is connected yet. Raises ConfigurationFault.

    `statement_seconds` bounds each statement, so that a connection that died without a word is noticed; migrations
    take None. `prepares` keeps statements on a connection; it is no use where each transaction may get another one.
    With `reads_only` the database itself refuses whatever would change something.
    """
    url = read_database_url(address) if isinstance(address, str) else address
    if url.backend == "sqlite":
        return _sqlite(URL.create("sqlite+aiosqlite", database=url.database), reads_only=reads_only)
    with extra("postgresql", asked_by="CHANDLERY_DATABASE_URL names PostgreSQL"):
        from chandlery.store.connection.postgres_connecting import PostgresConnector  # noqa: PLC0415 - with asyncpg

    connector = PostgresConnector(
        url,
        application_name=application_name,
        # A pooler would have to hand these on, and refuses what it cannot.
        settings=_SESSION if prepares else {},
        command_timeout=statement_seconds,
        statement_cache_size=100 if prepares else 0,
    )
    return create_async_engine(
        # For messages: the connector knows the way, and the password.
        URL.create("postgresql+asyncpg", username=url.user, host=url.place, database=url.database),
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        pool_recycle=1800,
        json_serializer=_dump,
        json_deserializer=read_written,
        connect_args={"async_creator_fn": connector} | ({} if prepares else _NO_NAMES),
        execution_options={"postgresql_readonly": True} if reads_only else {},
    )


def _sqlite(url: URL, *, reads_only: bool) -> AsyncEngine:
    from chandlery.store.connection.sqlite_connection import open_sqlite, open_to_read  # noqa: PLC0415 - with aiosqlite

    # One connection: SQLite has one writer anyway, and waiting in the pool is fair where its busy handler is not.
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_size=1,
        max_overflow=0,
        connect_args={"async_creator_fn": open_to_read if reads_only else open_sqlite},
        pool_timeout=60,
        json_serializer=_dump,
        json_deserializer=read_written,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        try:
            cursor = connection.cursor()
            for pragma in _TO_READ if reads_only else _TO_WRITE:
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
        except BaseException:
            # The pool does not know it yet; its thread would go on for ever.
            connection.close()
            raise

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        # Taking the write lock first makes transactions serial, which is what gives the change log its order.
        connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")

    return engine


def _dump(value: Any) -> str:
    return write_json(value).decode()
