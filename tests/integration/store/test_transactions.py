"""One transaction: repeated when it lost a race, Unavailable when its server is gone, told once it is kept."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool
from structlog.testing import capture_logs

from chandlery.contracts.messages import Reconcile
from chandlery.model.faults import Conflict, Refused, Unavailable
from chandlery.model.objects.kinds import SERVICE_INSTANCE
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.database_errors import LostRace
from chandlery.store.work.outbox import OutboxEntry
from tests.integration.store import samples
from tests.integration.store.conftest import OpenDatabase
from tests.integration.store.samples import create_one, get_instance, instance, scalar, with_parameters
from tests.support.waiting import SOON

SERIALIZATION = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
BACKEND = text("SELECT pg_backend_pid()")
TERMINATE = text("SELECT pg_terminate_backend(:pid, 5000)")

Killer = Callable[[int], Awaitable[None]]


async def test_a_deadlock_is_tried_again_and_both_transactions_are_kept(postgresql: Database) -> None:
    for name in ("a", "b"):
        await create_one(postgresql, instance(name))
    both_hold_one = asyncio.Barrier(2)
    attempts = 0

    async def change_both(first: str, second: str) -> None:
        is_first_attempt = True

        async def work(unit: UnitOfWork) -> None:
            nonlocal attempts, is_first_attempt
            attempts += 1
            await _change(unit, first, by=first)
            if is_first_attempt:
                is_first_attempt = False
                await both_hold_one.wait()
            await _change(unit, second, by=first)

        await postgresql.run(work)

    async with asyncio.timeout(SOON):
        await asyncio.gather(change_both("a", "b"), change_both("b", "a"))

    assert attempts == 3
    assert len(await samples.read_at_least(postgresql, 6)) == 6


async def test_a_serialization_failure_is_tried_again(postgresql: Database) -> None:
    created = await create_one(postgresql, instance("db"))
    attempts = 0

    async def work(unit: UnitOfWork) -> None:
        nonlocal attempts
        attempts += 1
        await unit.changes._connection.execute(SERIALIZATION)
        found = await unit.objects.get(SERVICE_INSTANCE, "ns", "db")
        assert found is not None
        if attempts == 1:
            await samples.update(postgresql, created, with_parameters(created, by="another"))
        await unit.objects.update(found, with_parameters(found, by="us"))

    await postgresql.run(work)

    assert attempts == 2
    stored = await get_instance(postgresql, "db")
    assert stored is not None
    assert stored.spec.parameters == {"by": "us"}


async def test_work_that_always_loses_ends_as_a_conflict(database: Database) -> None:
    attempts = 0

    async def lose(_: UnitOfWork) -> None:
        nonlocal attempts
        attempts += 1
        raise LostRace

    with capture_logs() as logged, pytest.raises(Conflict, match="too many other transactions"):
        await database.run(lose)

    assert attempts == 8
    told = [(line["log_level"], line["action"], line["attempt"], line["error_type"]) for line in logged]
    assert told == [("debug", "repeat_transaction", attempt, "LostRace") for attempt in range(1, 8)]


async def test_a_faulty_statement_is_raised_as_it_is_and_says_no_value(database: Database) -> None:
    """Our own mistakes must stay visible; but their texts end up in logs."""

    async def insert_twice(unit: UnitOfWork) -> None:
        for _ in range(2):
            await unit.work_queue.add("ServiceInstance", "hunter2", lane="hunter2")

    with pytest.raises(Exception, match=r"(?i)unique") as raised:
        await database.run(insert_twice)

    assert not isinstance(raised.value, Unavailable | LostRace)
    assert "hunter2" not in str(raised.value).replace("(uid)=(hunter2)", "")


async def test_a_server_that_is_not_there_is_unavailable(open_database: OpenDatabase) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    database = open_database(f"postgresql://chandlery:hunter2@127.0.0.1:{port}/chandlery")

    with pytest.raises(Unavailable, match="cannot be reached") as pinged:
        await database.ping()
    with pytest.raises(Unavailable, match="cannot be reached") as ran:
        await get_instance(database, "db")

    assert "hunter2" not in f"{pinged.value!r} {ran.value!r}"


async def test_a_database_that_does_not_exist_is_unavailable(postgresql_url: str, open_database: OpenDatabase) -> None:
    """It says so by an error message of the server during the login, like a server that is starting or stopping."""
    database = open_database(postgresql_url + "_missing")

    with pytest.raises(Unavailable, match="does not exist"):
        await database.ping()


async def test_a_file_that_cannot_be_opened_is_unavailable(open_database: OpenDatabase) -> None:
    threads = {thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name}
    with pytest.raises(Unavailable, match="cannot be opened"):
        await open_database("sqlite:////nonexistent/directory/chandlery.db").ping()

    # The driver's thread would have a last word to say to the event loop, which may be gone by then.
    left = {thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name}
    assert left <= threads


async def test_a_database_that_answers_can_be_pinged(database: Database) -> None:
    await database.ping()


@pytest.fixture
def killer(postgresql_url: str, open_database: OpenDatabase) -> Killer:
    """Ends the connection of a transaction, as a restart of the server would."""
    other_process = open_database(postgresql_url)

    async def kill(pid: int) -> None:
        assert await other_process.run(lambda unit: scalar(unit, TERMINATE, pid=pid))

    return kill


@pytest.mark.parametrize("moment", ["before a statement", "before the last statements"])
async def test_a_connection_that_breaks_before_the_commit_is_replaced_and_the_work_repeated(
    postgresql: Database, killer: Killer, moment: str
) -> None:
    attempts = 0

    async def work(unit: UnitOfWork) -> None:
        nonlocal attempts
        attempts += 1
        await unit.objects.insert(instance("db"))
        if attempts == 1:
            await killer(await scalar(unit, BACKEND))
        if moment == "before a statement":
            await unit.objects.insert(instance("another"))

    await postgresql.run(work)

    assert attempts == 2
    names = {"db"} if moment == "before the last statements" else {"db", "another"}
    assert {change.name for change in await samples.read_at_least(postgresql, len(names))} == names


async def test_a_connection_that_breaks_at_the_commit_is_unavailable_and_the_work_is_not_repeated(
    postgresql: Database, killer: Killer
) -> None:
    """Nobody can say whether it was kept; only the caller knows whether a repeat is harmless."""
    attempts = 0

    async def work(unit: UnitOfWork) -> None:
        nonlocal attempts
        attempts += 1
        await unit.objects.insert(instance("db"))
        pid = await scalar(unit, BACKEND)
        last_statement = unit.outbox.flush

        async def flush_and_break() -> list[OutboxEntry]:
            entries = await last_statement()
            await killer(pid)
            return entries

        unit.outbox.flush = flush_and_break  # type: ignore[method-assign]

    with pytest.raises(Unavailable, match="cannot be reached"):
        await postgresql.run(work)

    assert attempts == 1
    assert await get_instance(postgresql, "db") is None


async def test_a_connection_that_breaks_every_time_is_unavailable(postgresql: Database, killer: Killer) -> None:
    async def work(unit: UnitOfWork) -> None:
        await killer(await scalar(unit, BACKEND))
        await unit.objects.insert(instance("db"))

    with pytest.raises(Unavailable, match="keeps breaking"):
        await postgresql.run(work)


async def test_connections_that_broke_while_idle_are_replaced(postgresql: Database, killer: Killer) -> None:
    for pid in await asyncio.gather(*(postgresql.run(_pid_slowly) for _ in range(3))):
        await killer(pid)

    await asyncio.gather(*(create_one(postgresql, instance(f"db-{number}")) for number in range(3)))

    assert len(await samples.read_at_least(postgresql, 3)) == 3


async def test_committed_messages_are_told_once_and_only_once_committed(database: Database) -> None:
    told: list[Sequence[OutboxEntry]] = []
    database.on_commit(told.append)
    attempts = 0

    async def lose_once(unit: UnitOfWork) -> None:
        nonlocal attempts
        attempts += 1
        unit.outbox.add(Reconcile(kind="ServiceInstance", uid=f"attempt-{attempts}"))
        if attempts == 1:
            raise LostRace

    async def fail(unit: UnitOfWork) -> None:
        unit.outbox.add(Reconcile(kind="ServiceInstance", uid="failed"))
        raise LookupError

    async def speak(unit: UnitOfWork) -> None:
        unit.outbox.add(Reconcile(kind="ServiceInstance", uid="dry"))

    await database.run(lose_once)
    with pytest.raises(LookupError):
        await database.run(fail)
    await database.run(speak, dry_run=True)
    await database.run(lambda unit: unit.objects.get(SERVICE_INSTANCE, "ns", "nothing"))

    assert [[entry.message for entry in entries] for entries in told] == [
        [Reconcile(kind="ServiceInstance", uid="attempt-2")]
    ]


async def _pid_slowly(unit: UnitOfWork) -> int:
    pid: int = await scalar(unit, BACKEND)
    await scalar(unit, text("SELECT pg_sleep(0.1)"))
    return pid


async def _change(unit: UnitOfWork, name: str, **parameters: str) -> None:
    found = await unit.objects.get(SERVICE_INSTANCE, "ns", name, lock=True)
    assert found is not None
    # Another value each time: equal objects are not written.
    await unit.objects.update(found, with_parameters(found, before=found.metadata.resource_version, **parameters))


async def test_close_waits_for_what_the_end_of_a_transaction_begins(database: Database) -> None:
    may_end, has_begun = asyncio.Event(), asyncio.Event()

    async def work(unit: UnitOfWork) -> None:
        # As if it had to wake somebody whose row was held.
        unit.wakes.has_late_ones = True
        has_begun.set()
        await may_end.wait()

    running = asyncio.create_task(database.run(work))
    await has_begun.wait()
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    may_end.set()
    await asyncio.gather(running, closing)
    assert not database._under_way
    pool = database._engine.pool
    assert isinstance(pool, QueuePool) and pool.checkedin() == 0, "no connection is left behind"


async def test_a_caller_that_is_cancelled_leaves_no_lock_behind_on_sqlite(
    sqlite_url: str, open_database: OpenDatabase
) -> None:
    database = open_database(sqlite_url)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def write(unit: UnitOfWork) -> None:
        await unit.objects.insert(instance("db"))
        begun.set()
        await go_on.wait()

    writing = asyncio.create_task(database.run(write))
    await begun.wait()
    writing.cancel()
    await asyncio.wait({writing}, timeout=0.05)
    assert not writing.done(), "the transaction was cut in the middle"

    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await create_one(database, instance("next"))


async def test_a_schema_that_lacks_what_is_needed_is_told_with_the_way_out(
    database: Database, engine: AsyncEngine
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE account_tokens"))
        await connection.execute(text("ALTER TABLE data_keys DROP COLUMN kek"))
    for work in (lambda unit: unit.account_tokens.all(), lambda unit: unit.data_keys.all()):
        with pytest.raises(Refused, match="lacks what this release needs: run `chandlery migrate`"):
            await database.run(work)
