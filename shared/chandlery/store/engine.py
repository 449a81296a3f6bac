"""Opens PostgreSQL (asyncpg) or SQLite (aiosqlite), set up so that the layers above need not know which."""

from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from chandlery.model.faults import ConfigurationFault

_DRIVERS = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
_AWAY = ("08", "25006", "25P03", "28", "3D", "53", "55P03", "57014", "57P")
"""Beginnings of PostgreSQL's SQLSTATEs: connection lost, read-only after a failover, idle too long, login, no such
database, full, lock not to be had, cancelled, shut down."""


def parse_url(text: str) -> URL:
    """The database's address with its asynchronous driver; raises ConfigurationFault without showing a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Their texts can hold a piece of the password: they are not even kept as the cause.
        raise ConfigurationFault("the database URL cannot be read; it looks like postgresql://user@host/name") from None
    backend = url.drivername.partition("+")[0]
    if backend not in _DRIVERS:
        raise ConfigurationFault(f"databases of type {backend!r} are not supported; use postgresql or sqlite")
    return url.set(drivername=_DRIVERS[backend])


def open_engine(
    text: str, *, application_name: str, pool_size: int = 10, statement_seconds: float | None = 15.0
) -> AsyncEngine:
    """An engine for the address. Nothing is connected yet.

    `statement_seconds` bounds each statement, so that a connection that died without a word is noticed; migrations
    take None.
    """
    url = parse_url(text)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    return create_async_engine(
        url,
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        pool_recycle=1800,
        json_serializer=_dump,
        json_deserializer=from_json,
        connect_args={
            "timeout": 10,
            "command_timeout": statement_seconds,
            "server_settings": {
                "application_name": application_name,
                # A forgotten transaction would hold back the change log's horizon for every watcher.
                "idle_in_transaction_session_timeout": "60000",
                "jit": "off",
            },
        },
    )


def is_unreachable(error: BaseException) -> bool:
    """Whether the server is away, full, starting, stopping or refuses the login: trying again later may help."""
    if isinstance(error, DBAPIError) and (error.connection_invalidated or sqlstate(error).startswith(_AWAY)):
        return True
    return isinstance(error, InterfaceError | OperationalError | PoolTimeout | OSError)


def sqlstate(error: DBAPIError) -> str:
    """PostgreSQL's five-character code; empty for SQLite."""
    return str(getattr(error.orig, "sqlstate", None) or "")


def _sqlite(url: URL) -> AsyncEngine:
    # One connection: SQLite has one writer anyway, and waiting in the pool is fair where its busy handler is not.
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_size=1,
        max_overflow=0,
        pool_timeout=60,
        json_serializer=_dump,
        json_deserializer=from_json,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        # Taking the write lock first makes transactions serial, which is what gives the change log its order.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _dump(value: Any) -> str:
    return to_json(value).decode()
