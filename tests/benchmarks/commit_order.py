"""What an order of the change log costs: the horizon of transaction ids against a lock around number and commit.

    python tests/benchmarks/commit_order.py [--writers 8] [--seconds 2]

Reads CHANDLERY_TEST_DATABASE_URL, works in a database of its own and drops it. Every writer repeats what a create
request writes: object, work row, change, message. The variants differ in where a change's number comes from:

  horizon     the server's transaction id; nobody waits, readers stop below the oldest running transaction
  late lock   write everything, then lock, draw the number, write it, commit
  early lock  lock and draw the number before the first write, as the version in the object needs it, then commit

Prints transactions per second, the time of one transaction, and how long a reader waits for a change. The second table
has a transaction that does something else for some milliseconds between its first write and its commit, such as reading
what else it needs.
"""

import argparse
import asyncio
import itertools
import os
import statistics
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import asyncpg
from asyncpg import Connection

ORDINALS = 65536
TABLES = """
    CREATE TABLE objects (uid text PRIMARY KEY, name text UNIQUE NOT NULL, version bigint NOT NULL, spec json NOT NULL);
    CREATE TABLE work (uid text PRIMARY KEY, due_at timestamptz NOT NULL);
    CREATE TABLE changes (position bigint PRIMARY KEY, object json NOT NULL, written double precision NOT NULL);
    CREATE TABLE outbox (id bigserial PRIMARY KEY, message text NOT NULL);
    CREATE SEQUENCE numbers;
"""
TRANSACTION_NUMBER = "SELECT pg_current_xact_id()::text::bigint"
LOCK = "SELECT pg_advisory_xact_lock(4242)"
DRAWN_NUMBER = "SELECT nextval('numbers')"
INSERT_OBJECT = "INSERT INTO objects VALUES ($1, $1, $2, $3)"
SET_VERSION = "UPDATE objects SET version = $2 WHERE uid = $1"
INSERT_WORK = "INSERT INTO work VALUES ($1, now())"
INSERT_CHANGE = "INSERT INTO changes VALUES ($1, $2, $3)"
INSERT_MESSAGE = "INSERT INTO outbox (message) VALUES ($1)"
BELOW_HORIZON = (
    "SELECT position, written FROM changes WHERE position > $1"
    f" AND position < pg_snapshot_xmin(pg_current_snapshot())::text::bigint * {ORDINALS} ORDER BY position"
)
ALL = "SELECT position, written FROM changes WHERE position > $1 ORDER BY position"
SPEC = '{"clusterServiceClassExternalName": "postgres", "parameters": {"size": "xl", "zone": "a"}}'

Transaction = Callable[[Connection, str, float], Awaitable[None]]


async def horizon(connection: Connection, uid: str, pause: float) -> None:
    number = await connection.fetchval(TRANSACTION_NUMBER)
    await connection.execute(INSERT_OBJECT, uid, number * ORDINALS, SPEC)
    await finish(connection, uid, number * ORDINALS, pause)


async def early_lock(connection: Connection, uid: str, pause: float) -> None:
    await connection.execute(LOCK)
    number = await connection.fetchval(DRAWN_NUMBER)
    await connection.execute(INSERT_OBJECT, uid, number, SPEC)
    await finish(connection, uid, number, pause)


async def late_lock(connection: Connection, uid: str, pause: float) -> None:
    await connection.execute(INSERT_OBJECT, uid, 0, SPEC)
    await connection.execute(INSERT_WORK, uid)
    await asyncio.sleep(pause)
    await connection.execute(INSERT_MESSAGE, uid)
    await connection.execute(LOCK)
    number = await connection.fetchval(DRAWN_NUMBER)
    await connection.execute(SET_VERSION, uid, number)
    await connection.execute(INSERT_CHANGE, number, SPEC, time.time())


async def finish(connection: Connection, uid: str, position: int, pause: float) -> None:
    await connection.execute(INSERT_WORK, uid)
    await asyncio.sleep(pause)
    await connection.execute(INSERT_MESSAGE, uid)
    await connection.execute(INSERT_CHANGE, position, SPEC, time.time())


VARIANTS: dict[str, tuple[Transaction, str]] = {
    "horizon": (horizon, BELOW_HORIZON),
    "late lock": (late_lock, ALL),
    "early lock": (early_lock, ALL),
}


@dataclass
class Run:
    """What one variant did."""

    seconds: float
    durations: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    """From just before a change was written until a reader had it."""

    def row(self, name: str) -> str:
        milliseconds = [1000 * duration for duration in self.durations]
        delays = [1000 * delay for delay in self.delays]
        return (
            f"{name:<12}{len(self.durations) / self.seconds:>10.0f}{statistics.median(milliseconds):>10.2f}"
            f"{percentile(milliseconds, 99):>10.2f}{statistics.median(delays):>12.2f}{percentile(delays, 99):>12.2f}"
        )


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


async def measure(url: str, variant: str, *, writers: int, seconds: float, pause: float) -> Run:
    transaction, query = VARIANTS[variant]
    connections = [await asyncpg.connect(url) for _ in range(writers + 1)]
    run = Run(seconds)
    is_over = asyncio.Event()
    uids = (f"{variant}-{uuid.uuid4()}" for _ in itertools.count())

    async def write(connection: Connection) -> None:
        while not is_over.is_set():
            started = time.perf_counter()
            async with connection.transaction():
                await transaction(connection, next(uids), pause)
            run.durations.append(time.perf_counter() - started)

    async def follow(connection: Connection) -> None:
        position = 0
        while not is_over.is_set():
            changes = await connection.fetch(query, position)
            run.delays += [time.time() - change["written"] for change in changes]
            position = changes[-1]["position"] if changes else position
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(write(connection)) for connection in connections[1:]]
    tasks.append(asyncio.create_task(follow(connections[0])))
    await asyncio.sleep(seconds)
    is_over.set()
    await asyncio.gather(*tasks)
    await connections[0].execute("TRUNCATE objects, work, changes, outbox")
    for connection in connections:
        await connection.close()
    return run


async def compare(url: str, *, writers: int, seconds: float) -> None:
    for pause in (0.0, 0.005):
        what = f"{1000 * pause:.0f} ms of other work before the commit" if pause else "nothing else in the transaction"
        print(f"\n{writers} writers, {what}")
        print(f"{'':<12}{'per s':>10}{'p50 ms':>10}{'p99 ms':>10}{'seen p50 ms':>12}{'seen p99 ms':>12}")
        runs: dict[str, list[Run]] = {variant: [] for variant in VARIANTS}
        # In turns, so that a busy moment of the machine does not fall on one variant alone.
        for _ in range(3):
            for variant in VARIANTS:
                runs[variant].append(await measure(url, variant, writers=writers, seconds=seconds, pause=pause))
        for variant, repeated in runs.items():
            middle = sorted(repeated, key=lambda run: len(run.durations))[1]
            print(middle.row(variant))


async def main() -> None:
    parser = argparse.ArgumentParser(description="The change log's order: horizon against lock.")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    server = os.environ.get("CHANDLERY_TEST_DATABASE_URL", "").replace("+asyncpg", "")
    if not server:
        sys.exit("CHANDLERY_TEST_DATABASE_URL is not set: start PostgreSQL with `make services`, or name a server.")
    name = f"chandlery_bench_{uuid.uuid4().hex[:8]}"
    admin = await asyncpg.connect(server)
    await admin.execute(f"CREATE DATABASE {name}")
    url = server.rpartition("/")[0] + f"/{name}"
    try:
        connection = await asyncpg.connect(url)
        version, fsync = await connection.fetchval("SHOW server_version"), await connection.fetchval("SHOW fsync")
        print(f"PostgreSQL {version}, fsync {fsync}; each figure is the middle one of three runs")
        await connection.execute(TABLES)
        await connection.close()
        await compare(url, writers=arguments.writers, seconds=arguments.seconds)
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


if __name__ == "__main__":
    asyncio.run(main())
