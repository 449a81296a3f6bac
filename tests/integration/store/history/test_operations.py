"""The operation history on both databases: one row for each operation, found by indexes, forgotten by age and count."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.engine.upkeep.retention import Retention
from chandlery.model.history.recorded_operations import (
    OperationName,
    OperationOutcome,
    OperationReason,
    OperationWords,
    RecordedOperation,
)
from chandlery.model.history.stored_operation import StoredOperation
from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import AnyObject
from chandlery.settings.settings import Settings
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.history.stored_operations import OperationFilter
from chandlery.store.schema import OPERATIONS
from tests.integration.store import samples
from tests.integration.store.conftest import SetClock
from tests.integration.store.samples import NOON

KIND = kinds.SERVICE_INSTANCE.kind
ANSWERED = OperationWords(broker_status=201)
REFUSED = OperationWords(broker_status=503, message="no room", is_failure=True)


def told(minute: int = 0, **changed: Any) -> RecordedOperation:
    given: dict[str, Any] = {
        "operation": OperationName.PROVISION,
        "started_at": NOON + timedelta(minutes=minute),
        "external_id": "external-1",
        "reason": OperationReason.CREATED,
        "requested_by": "ann",
        "instance_name": "db",
        "attempts": 1,
        "outcome": OperationOutcome.SUCCEEDED,
        "words": ANSWERED,
        "ended_at": NOON + timedelta(minutes=minute + 1),
    }
    return RecordedOperation(**{**given, **changed})


def instance(name: str, namespace: str = "ns") -> AnyObject:
    """The same object each time."""
    made = samples.instance(name, namespace=namespace)
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"uid": f"{namespace}-{name}"})})


async def note(
    database: Database, *some: RecordedOperation, document: AnyObject | None = None, trace_id: str = ""
) -> None:
    async def work(unit: UnitOfWork) -> None:
        unit.operations.note(document or instance("db"), some, broker="harbour", trace_id=trace_id)

    await database.run(work)


async def found(database: Database, *, limit: int = 100, **wanted: Any) -> list[StoredOperation]:
    given = OperationFilter(**{"kind": KIND, "namespace": "ns", **wanted})
    return list(await database.run(lambda unit: unit.operations.find(given, limit=limit)))


async def test_what_is_told_of_an_operation_again_is_written_over_its_row(database: Database) -> None:
    going: dict[str, Any] = {"outcome": OperationOutcome.IN_PROGRESS, "ended_at": None}
    await note(database, told(words=None, **going))
    [begun] = await found(database)
    assert (begun.outcome, begun.message, begun.broker_status, begun.ended_at) == ("InProgress", None, None, None)

    await note(database, told(words=REFUSED, **going), trace_id="a" * 32)
    later = told(attempts=2, reason=OperationReason.SPEC_CHANGED, requested_by="eve", instance_name="other")
    await note(database, later, trace_id="b" * 32)
    [ended] = await found(database)
    assert (ended.outcome, ended.attempts, ended.broker_status, ended.message) == ("Succeeded", 2, 201, "")
    assert (ended.failure_status, ended.failure) == (503, "no room"), "what was answered before"
    assert (ended.reason, ended.requested_by, ended.instance_name) == ("Created", "ann", "db"), "as first told"
    assert ended.trace_id == "a" * 32
    assert (ended.started_at, ended.ended_at) == (NOON, NOON + timedelta(minutes=1))

    await note(database, told(attempts=2, words=None, outcome=OperationOutcome.SUPERSEDED))
    [closed] = await found(database)
    assert (closed.outcome, closed.broker_status, closed.failure) == ("Superseded", 201, "no room")


async def test_an_end_that_is_told_again_stays_when_it_was_and_attempts_that_are_known_stay(database: Database) -> None:
    superseded: dict[str, Any] = {"outcome": OperationOutcome.SUPERSEDED, "words": None}
    await note(database, told(attempts=1, outcome=OperationOutcome.IN_PROGRESS, ended_at=None))
    await note(database, told(attempts=0, **superseded))
    await note(database, told(attempts=0, **superseded, ended_at=NOON + timedelta(hours=1)))
    [ended] = await found(database)
    assert (ended.outcome, ended.attempts) == ("Superseded", 1)
    assert ended.ended_at == NOON + timedelta(minutes=1)


async def test_a_status_goes_when_the_next_try_gets_no_answer(database: Database) -> None:
    await note(database, told(words=REFUSED))
    await note(database, told(words=OperationWords(message="connection refused", is_failure=True)))
    [operation] = await found(database)
    assert (operation.broker_status, operation.message) == (None, "connection refused")
    assert (operation.failure_status, operation.failure) == (None, "connection refused")


async def test_everything_of_a_transaction_is_one_statement(database: Database, engine: AsyncEngine) -> None:
    seen: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    async def work(unit: UnitOfWork) -> None:
        for number in range(32):
            unit.operations.note(instance(f"db-{number}"), [told()], broker="harbour", trace_id="")

    event.listen(database._engine.sync_engine, "before_cursor_execute", listen)
    await database.run(work)
    await database.run(_nothing)
    event.remove(database._engine.sync_engine, "before_cursor_execute", listen)
    assert [statement.split()[:3] for statement in seen if "operations" in statement] == [
        ["INSERT", "INTO", "operations"]
    ]
    async with engine.connect() as connection:
        assert len((await connection.execute(select(OPERATIONS.c.name))).all()) == 32


async def _nothing(unit: UnitOfWork) -> None:
    """A transaction that has nothing to tell costs no statement."""


async def test_operations_are_found_by_what_they_are_about_the_newest_first(database: Database) -> None:
    binding = samples.sample(kinds.SERVICE_BINDING, "db", spec={"instanceRef": {"name": "db"}})
    await note(database, *(told(minute) for minute in range(5)))
    await note(database, told(9, operation=OperationName.BIND), document=binding)
    await note(database, told(7), document=instance("other", namespace="elsewhere"))
    minutes = [operation.started_at.minute for operation in await found(database)]
    assert minutes == [4, 3, 2, 1, 0]
    page = await found(database, limit=2)
    following = await found(database, before=page[-1].name, limit=2)
    assert [operation.started_at.minute for operation in (*page, *following)] == [4, 3, 2, 1]
    assert len(await found(database, since=NOON + timedelta(minutes=3))) == 2
    assert [each.namespace for each in await found(database, namespace=None)] == ["elsewhere", *["ns"] * 5]
    assert len(await found(database, where=(("object_name", "db"), ("outcome", "Succeeded")))) == 5
    assert await found(database, where_not=(("outcome", "Succeeded"),)) == []
    assert [each.operation for each in await found(database, kind=kinds.SERVICE_BINDING.kind)] == ["Bind"]
    get = database.run
    assert await get(lambda unit: unit.operations.get(KIND, "ns", page[0].name)) == page[0]
    assert await get(lambda unit: unit.operations.get(KIND, "elsewhere", page[0].name)) is None
    assert await get(lambda unit: unit.operations.get(kinds.SERVICE_BINDING.kind, "ns", page[0].name)) is None


@pytest.fixture
def retention(database: Database) -> Retention:
    return Retention(database, Settings(operation_history_days=1, operation_history_per_object=3), step=4)


async def _prune(retention: Retention) -> None:
    for _ in range(50):
        if not await retention.prune():
            return
    raise AssertionError("there is no end to it")


async def test_what_is_old_and_what_is_too_much_is_forgotten(
    database: Database, clock: SetClock, retention: Retention
) -> None:
    clock.advance(hours=-2)
    await note(database, *(told(-120 + minute) for minute in range(5)), document=instance("quiet"))
    clock.advance(hours=2)
    await note(database, *(told(minute) for minute in range(6)))
    await note(database, told(), document=instance("db", namespace="elsewhere"))

    await _prune(retention)
    assert [each.started_at.minute for each in await found(database, where=(("object_name", "db"),))] == [5, 4, 3]
    assert len(await found(database, namespace="elsewhere")) == 1
    assert len(await found(database, where=(("object_name", "quiet"),))) == 5, "nothing has come since the last look"

    clock.advance(minutes=2)
    await note(database, told(1), document=instance("quiet"))
    await _prune(retention)
    assert len(await found(database, where=(("object_name", "quiet"),))) == 3

    clock.advance(hours=25)
    await _prune(retention)
    assert await found(database, namespace=None) == []


async def test_the_history_of_a_namespace_is_forgotten_in_steps(database: Database) -> None:
    await note(database, *(told(minute) for minute in range(5)))
    await note(database, told(), document=instance("db", namespace="elsewhere"))

    async def forget() -> int:
        return await database.run(lambda unit: unit.operations.forget_namespace("ns", limit=3))

    assert [await forget(), await forget(), await forget()] == [3, 2, 0]
    assert [each.namespace for each in await found(database, namespace=None)] == ["elsewhere"]


async def test_what_is_older_than_a_namespace_is_forgotten_and_the_rest_stays(database: Database) -> None:
    await note(database, *(told(minute) for minute in range(5)))
    moments = sorted(each.started_at for each in await found(database, namespace="ns"))

    async def forget() -> int:
        return await database.run(lambda unit: unit.operations.forget_namespace("ns", limit=9, before=moments[3]))

    assert [await forget(), await forget()] == [3, 0]
    assert sorted(each.started_at for each in await found(database, namespace="ns")) == moments[3:]


async def test_namespaces_with_a_history_are_told_in_portions(database: Database) -> None:
    for name in ("c", "a", "b"):
        await note(database, told(1), told(2), document=instance("db", namespace=name))

    async def names(after: str) -> list[str]:
        return list(await database.run(lambda unit: unit.operations.namespaces(after=after, limit=2)))

    assert [await names(""), await names("b"), await names("c")] == [["a", "b"], ["c"], []]
