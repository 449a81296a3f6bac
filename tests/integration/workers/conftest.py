"""A fleet over each backend: SQLite with the in-process bus, PostgreSQL with RabbitMQ."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aio_pika
import pytest

from chandlery.contracts import topology
from chandlery.messaging.inprocess.inprocess_bus import InProcessBus
from chandlery.messaging.rabbitmq.rabbitmq_bus import RabbitBus
from chandlery.store.sealing.sealing import new_key
from tests.integration.workers.fleet import Fleet, Line, namespace
from tests.support.selection import on_servers
from tests.support.waiting import eventually


@pytest.fixture(params=["sqlite, in process", on_servers("postgresql, rabbitmq")])
async def fleet(request: pytest.FixtureRequest) -> AsyncIterator[Fleet]:
    """A gateway with a namespace, and room for more processes; on each backend in turn."""
    if request.param == "sqlite, in process":
        bus = InProcessBus()
        async with _fleet(request.getfixturevalue("sqlite_url"), lambda: Line(bus, is_shared=True)) as made:
            yield made
        return
    async with _distributed(request) as made:
        yield made


@pytest.fixture
async def distributed_fleet(request: pytest.FixtureRequest) -> AsyncIterator[Fleet]:
    """The same on PostgreSQL and RabbitMQ alone."""
    async with _distributed(request) as made:
        yield made


@asynccontextmanager
async def _distributed(request: pytest.FixtureRequest) -> AsyncIterator[Fleet]:
    database_url = request.getfixturevalue("postgresql_url")
    amqp_url, prefix = request.getfixturevalue("amqp_url"), request.getfixturevalue("amqp_prefix")

    def open_line() -> Line:
        return Line(RabbitBus(amqp_url, connection_name="test", prefix=prefix, patience_seconds=5.0), is_shared=False)

    try:
        async with _fleet(database_url, open_line, (amqp_url, prefix)) as made:
            yield made
    finally:
        await _remove_names(amqp_url, prefix, {queue for each in made.processes for queue in each.line.work_queues})


@asynccontextmanager
async def _fleet(
    database_url: str, open_line: Callable[[], Line], amqp: tuple[str, str] = ("", "")
) -> AsyncIterator[Fleet]:
    fleet = Fleet(database_url, open_line, new_key("test"), amqp)
    await fleet.gateway()
    await fleet.create(namespace())
    # Its command is published, and no longer in the outbox: nothing of it comes into a test.
    await eventually(lambda: fleet.rows("outbox"), lambda rows: not rows, what="an empty outbox")
    try:
        yield fleet
    finally:
        for process in reversed(fleet.processes):
            if not process.is_over:
                await process.kill()


async def _remove_names(url: str, prefix: str, work_queues: set[str]) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for queue in (*work_queues, *topology.DEAD_LETTER_QUEUES.values()):
            await channel.queue_delete(prefix + queue)
        for exchange in (topology.COMMANDS_EXCHANGE, topology.EVENTS_EXCHANGE, topology.DEAD_LETTER_EXCHANGE):
            await channel.exchange_delete(prefix + exchange)
