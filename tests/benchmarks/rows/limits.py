"""What the same servers do for a bare client: as many calls, commits and rows, and messages as objects take of ours."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Final

import aio_pika
import aiohttp
import asyncpg
import uvloop

from tests.benchmarks.report.readings import Report
from tests.benchmarks.report.sizes import Sizes
from tests.benchmarks.stands.clients import bare
from tests.benchmarks.stands.databases import fresh_database, server_urls

_ROW: Final = json.dumps({"spec": "x" * 700, "status": "y" * 700})
"""About what one of ours has."""
_INSERT: Final = "INSERT INTO rows SELECT $1, unnest($2::text[]), $3"
_QUEUE: Final = "bench-limit"
_PREFETCH: Final = 64


@dataclass(frozen=True)
class Limit:
    """Objects a second, of each server for itself."""

    broker: float
    postgresql: float
    rabbitmq: float

    def text(self) -> str:
        """For a table."""
        return f"broker {self.broker:,.0f}, PostgreSQL {self.postgresql:,.0f}, RabbitMQ {self.rabbitmq:,.0f}"

    def least(self) -> float:
        """The one that is reached first."""
        return min(self.broker, self.postgresql, self.rabbitmq)


def measure_limits(report: Report, broker: str, sizes: Sizes) -> dict[str, Limit]:
    """For instances and for bindings, from the traffic that has been counted for each."""
    database, amqp = server_urls()
    found = {}
    with fresh_database(database) as url:
        for what in ("instances", "bindings"):
            each = report.series[f"traffic of {what}"]
            found[what] = Limit(
                broker=uvloop.run(_broker(broker, what, sizes)),
                postgresql=uvloop.run(_postgresql(url, each["transactions"], each["rows_written"], sizes)),
                rabbitmq=uvloop.run(_rabbitmq(amqp, each["published"], sizes)),
            )
            report.series[f"limit of {what}, objects/s"] = dict(vars(found[what]))
            print(f"  limit of {what}, objects/s: {found[what].text()}", flush=True)
    return found


async def _broker(broker: str, what: str, sizes: Sizes) -> float:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        return (await bare(session, broker, what, count=sizes.count * 2, creators=sizes.creators)).rate


async def _postgresql(url: str, commits: float, rows: float, sizes: Sizes) -> float:
    """One statement for each commit, with so many rows at once: nothing asks less of the server."""
    pool = await asyncpg.create_pool(url.replace("+asyncpg", ""), min_size=sizes.creators, max_size=sizes.creators)
    left = iter(range(round(commits * sizes.count)))
    names = [str(number) for number in range(max(1, round(rows / commits)))]

    async def client() -> None:
        async with pool.acquire() as connection:
            for number in left:
                await connection.execute(_INSERT, number, names, _ROW)

    async with pool:
        await pool.execute("DROP TABLE IF EXISTS rows")
        await pool.execute("CREATE TABLE rows (number int, name text, object json, PRIMARY KEY (number, name))")
        started = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(sizes.creators)))
        return sizes.count / (time.perf_counter() - started)


async def _rabbitmq(url: str, messages: float, sizes: Sizes) -> float:
    """Persistent, confirmed, through a durable queue, acknowledged one by one."""
    async with await aio_pika.connect(url) as connection:
        publishing, consuming = await connection.channel(publisher_confirms=True), await connection.channel()
        await consuming.set_qos(prefetch_count=_PREFETCH)
        queue = await consuming.declare_queue(_QUEUE, durable=True)
        count = round(messages * sizes.count)
        left, taken, done = iter(range(count)), 0, asyncio.Event()

        async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            nonlocal taken
            await message.ack()
            taken += 1
            if taken == count:
                done.set()

        async def publisher() -> None:
            for _ in left:
                message = aio_pika.Message(b"x" * 300, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await publishing.default_exchange.publish(message, routing_key=_QUEUE)

        tag = await queue.consume(take)
        started = time.perf_counter()
        await asyncio.gather(*(publisher() for _ in range(sizes.creators)))
        await done.wait()
        took = time.perf_counter() - started
        await queue.cancel(tag)
        await queue.delete(if_unused=False, if_empty=False)
        return sizes.count / took
