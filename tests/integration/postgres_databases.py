"""Databases on the test server, one for each test.

To copy a migrated one costs the server 120 ms of processor time. So what a test has left is emptied and used again,
under another name: whoever is left over from that test does not find it.
"""

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import asyncpg
from sqlalchemy import make_url

from chandlery.store.connection.engine import open_engine
from chandlery.store.migrate import migrate
from tests.support.waiting import eventually

T = TypeVar("T")

_SHAPE: Final = """
SELECT concat_ws(' ',
  (SELECT md5(string_agg(concat(oid, relacl, reloptions), ' ' ORDER BY oid)) FROM pg_class
   WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)),
  (SELECT (count(*), max(xmin::text::bigint)) FROM pg_attribute),
  (SELECT (count(*), max(xmin::text::bigint)) FROM pg_constraint),
  (SELECT (count(*), max(xmin::text::bigint)) FROM pg_trigger),
  (SELECT (count(*), max(xmin::text::bigint)) FROM pg_rewrite),
  (SELECT (count(*), max(xmin::text::bigint)) FROM pg_proc),
  (SELECT (count(*), max(xmin::text::bigint)) FROM pg_namespace),
  (SELECT (count(*), max(xmin::text::bigint)) FROM pg_default_acl),
  (SELECT (datacl, datconnlimit, datallowconn) FROM pg_database WHERE datname = current_database()),
  (SELECT count(*) FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase AND datname = current_database()),
  (SELECT version_num FROM alembic_version))
"""
"""Tells a database whose tables, rights or settings a test has changed."""
_EMPTY: Final = """
DO $$ DECLARE full_ones text; BEGIN
  SELECT string_agg(oid::regclass::text, ', ') INTO full_ones FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
    AND pg_relation_size(oid) > 0;
  IF full_ones IS NOT NULL THEN EXECUTE 'TRUNCATE ' || full_ones; END IF;
  PERFORM setval(oid, 1, false) FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace;
END $$
"""
_OTHERS: Final = "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'"


class PostgresDatabases:
    """Makes databases on the test server, with or without tables."""

    def __init__(self, server: str) -> None:
        self._server = make_url(server)
        self._emptied: list[str] = []
        self._template = self._shape = ""
        self._connection: asyncpg.Connection | None = None
        # A thread, because fixtures may be set up while the test's own event loop runs; one, because of the connection.
        self._thread = ThreadPoolExecutor(1)
        self._loop = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _fault: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for name in (*self._emptied, self._template):
            if name:
                self.drop(self.url(name))
        self._run(self._hang_up())
        self._thread.submit(self._loop.close).result()
        self._thread.shutdown()

    def url(self, name: str) -> str:
        return self._server.set(database=name).render_as_string(hide_password=False)

    def empty(self) -> str:
        """The URL of a new database without tables."""
        name = _name()
        self._run(self._tell(f'CREATE DATABASE "{name}" TEMPLATE template0'))
        return self.url(name)

    def migrated(self) -> str:
        """The URL of a database with the newest tables, and nothing in them."""
        if self._emptied:
            return self.url(self._emptied.pop())
        if not self._template:
            url = self.empty()
            self._run(migrate_at(url))
            self._shape = self._run(self._read_shape(url))
            self._template = _database_of(url)
        name = _name()
        self._run(self._tell(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}"'))
        return self.url(name)

    def give_back(self, url: str) -> None:
        """Nobody needs this one of the migrated databases any more."""
        name = self._run(self._reused(url))
        if name is None:
            self.drop(url)
        else:
            self._emptied.append(name)

    def drop(self, url: str) -> None:
        self._run(self._tell(f'DROP DATABASE IF EXISTS "{_database_of(url)}" WITH (FORCE)'))

    async def _reused(self, url: str) -> str | None:
        """The new name of the emptied database; None if the test has made another one of it."""
        name, new_name = _database_of(url), _name()
        server = await self._connected()
        try:
            for row in await server.fetch(_OTHERS, name):
                await server.execute("SELECT pg_terminate_backend($1)", row["pid"])
            if await self._read_shape(url, empties=True) != self._shape:
                return None
            await eventually(lambda: server.fetch(_OTHERS, name), lambda rows: not rows, what="the last connection")
            await server.execute(f'ALTER DATABASE "{name}" RENAME TO "{new_name}"')
        except asyncpg.exceptions.PostgresError:
            # Whatever is wrong with it, the next test gets one that is new.
            return None
        return new_name

    async def _read_shape(self, url: str, *, empties: bool = False) -> str:
        connection = await asyncpg.connect(_plain(url))
        try:
            shape: str = await connection.fetchval(_SHAPE)
            if empties:
                await connection.execute(_EMPTY)
            return shape
        finally:
            await connection.close()

    async def _tell(self, statement: str) -> None:
        await (await self._connected()).execute(statement)

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(_plain(self.url(self._server.database or "")))
        return self._connection

    async def _hang_up(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        run: Callable[[Coroutine[Any, Any, T]], T] = self._loop.run
        return self._thread.submit(run, work).result()


def run_aside(work: Coroutine[Any, Any, T]) -> T:
    """Run this to its end beside the event loop of the test."""
    run: Callable[[Coroutine[Any, Any, T]], T] = asyncio.run
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run, work).result()


async def migrate_at(url: str) -> None:
    """Give the database the newest tables."""
    engine = open_engine(url, application_name="chandlery-test")
    try:
        await migrate(engine)
    finally:
        # A database with open connections cannot be copied, and a SQLite file only after its log is written back.
        await engine.dispose()


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _name() -> str:
    return f"chandlery_test_{uuid.uuid4().hex[:12]}"


def _database_of(url: str) -> str:
    return make_url(url).database or ""
