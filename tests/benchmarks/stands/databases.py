"""A database of its own for each run, on the server that is given."""

import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Iterator

import asyncpg
import uvloop


def server_urls(command: str = "make bench") -> tuple[str, str]:
    """PostgreSQL's and RabbitMQ's; raises SystemExit if there are none, which says what starts them."""
    database, amqp = (os.environ.get(f"CHANDLERY_TEST_{name}_URL") for name in ("DATABASE", "AMQP"))
    if not database or not amqp:
        raise SystemExit(f"CHANDLERY_TEST_DATABASE_URL and CHANDLERY_TEST_AMQP_URL are not set: use `{command}`")
    return database, amqp


@contextlib.contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """The URL of an empty database, which is dropped in the end."""
    name = f"bench_{secrets.token_hex(4)}"
    uvloop.run(_ask(server, f'CREATE DATABASE "{name}"'))
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        uvloop.run(_ask(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection, without SQLAlchemy."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        yield connection
    finally:
        await connection.close()


async def _ask(url: str, statement: str) -> None:
    async with connected(url) as connection:
        await connection.execute(statement)
