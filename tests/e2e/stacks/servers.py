"""A share of the real servers for one stack: its own PostgreSQL database, its own names on RabbitMQ."""

import asyncio
import os
import threading
import uuid
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import aiormq
import pytest
from sqlalchemy import make_url, text

from chandlery.contracts import topology
from chandlery.store.connection.engine import open_engine
from tests.support.database_roles import drop_roles

ResultT = TypeVar("ResultT")

_SECONDS: Final = 30.0


@dataclass(frozen=True)
class ServerShare:
    """What to put into CHANDLERY_DATABASE_URL, CHANDLERY_AMQP_URL and CHANDLERY_AMQP_PREFIX."""

    database_url: str
    amqp_url: str
    amqp_prefix: str

    @property
    def role_prefix(self) -> str:
        """What its database roles are called, if it has some: like its database."""
        return self.amqp_prefix.rstrip(".")


@contextmanager
def server_share() -> Iterator[ServerShare]:
    """An empty database and an unused prefix."""
    name = f"chandlery_e2e_{uuid.uuid4().hex[:10]}"
    admin = given_url("CHANDLERY_TEST_DATABASE_URL", "PostgreSQL")
    amqp_url = given_url("CHANDLERY_TEST_AMQP_URL", "RabbitMQ")
    in_own_loop(_execute(admin, f'CREATE DATABASE "{name}"'))
    own = make_url(admin).set(database=name).render_as_string(hide_password=False)
    try:
        yield ServerShare(own, amqp_url, f"{name}.")
    finally:
        in_own_loop(_execute(admin, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        in_own_loop(drop_roles(admin, name))


def remove_queues(share: ServerShare, lanes: Iterable[str]) -> None:
    """Remove what the processes declared under the prefix, work queues of these lanes included."""
    in_own_loop(_remove_queues(share, sorted(set(lanes))))


def one_value(database_url: str, query: str) -> Any:
    """What the first row of a query begins with."""

    async def ask() -> Any:
        engine = open_engine(database_url, application_name="chandlery-e2e")
        try:
            async with engine.connect() as connection:
                return (await connection.execute(text(query))).scalar()
        finally:
            await engine.dispose()

    return asyncio.run(ask())


@contextmanager
def tables_locked(database_url: str, *tables: str) -> Iterator[None]:
    """Nobody reads or writes the tables until the end of the block."""
    locked, release, failures = threading.Event(), threading.Event(), list[BaseException]()

    async def hold() -> None:
        engine = open_engine(database_url, application_name="chandlery-e2e")
        try:
            async with engine.begin() as connection:
                await connection.execute(text(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE"))
                locked.set()
                await asyncio.to_thread(release.wait, _SECONDS)
        finally:
            await engine.dispose()

    def run() -> None:
        try:
            asyncio.run(hold())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            failures.append(error)
            locked.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert locked.wait(_SECONDS), "the tables could not be locked"
    try:
        yield
    finally:
        release.set()
        thread.join(_SECONDS)
    if failures:
        raise failures[0]


def given_url(variable: str, server: str) -> str:
    """The URL of a real server; fails with the way out, because the suite does not skip."""
    url = os.environ.get(variable, "")
    if not url:
        pytest.fail(f"{variable} is not set. Start {server} with `make services`, or point it to a server.")
    return url


def in_own_loop(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run it to its end on another thread: pytest-asyncio keeps the loop of this one to itself."""
    results: list[ResultT] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(asyncio.wait_for(work, _SECONDS)))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


async def _execute(url: str, statement: str) -> None:
    engine = open_engine(url, application_name="chandlery-e2e")
    try:
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text(statement))
    finally:
        await engine.dispose()


async def _remove_queues(share: ServerShare, lanes: list[str]) -> None:
    connection = await aiormq.connect(share.amqp_url)
    try:
        channel = await connection.channel()
        for kind in topology.WORK_QUEUES:
            for lane in lanes:
                await channel.queue_delete(share.amqp_prefix + topology.work_queue(kind, lane))
        for queue in topology.DEAD_LETTER_QUEUES.values():
            await channel.queue_delete(share.amqp_prefix + queue)
        for exchange in (topology.COMMANDS_EXCHANGE, topology.EVENTS_EXCHANGE, topology.DEAD_LETTER_EXCHANGE):
            await channel.exchange_delete(share.amqp_prefix + exchange)
    finally:
        await connection.close()
