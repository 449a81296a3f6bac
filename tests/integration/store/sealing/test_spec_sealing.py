"""Parameters, status words and what brokers say stand in no table in plain, if that is asked for."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.engine.upkeep.reseal_everything import reseal_everything
from chandlery.model.faults import SealBroken
from chandlery.model.history.recorded_operations import (
    OperationName,
    OperationOutcome,
    OperationReason,
    OperationWords,
    RecordedOperation,
)
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType
from chandlery.model.objects.core import Event
from chandlery.model.objects.instances import InstancePropertiesState, ServiceInstance
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.retry.circuit import OpenCircuit
from chandlery.store.database import Database
from chandlery.store.history.stored_operations import OperationFilter
from chandlery.store.objects.object_reads import Listing
from chandlery.store.schema import METADATA, OBJECTS
from chandlery.store.sealing.key_usage import HISTORY
from chandlery.store.sealing.sealing import new_key
from chandlery.store.work.work_claims import Claim, Release
from tests.integration.store import samples
from tests.integration.store.sealing.key_hall import process
from tests.integration.store.work import work

PLANTED = "planted-value-7531"
SAID = f"the broker says {PLANTED}"
STORED_IN = {"serviceinstances", "servicebindings", "events", "changes", "operations"}
"""Where it stands in plain unless it is sealed."""
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def _ready(message: str) -> tuple[Condition, ...]:
    return (Condition(type=ConditionType.READY, status=ConditionStatus.FALSE, reason="Failed", message=message),)


def _documents() -> tuple[ServiceInstance, ServiceBinding, Event]:
    instance = samples.instance("db")
    meta = instance.metadata.model_copy(update={"annotations": {_APPLIED: PLANTED}, "managed_fields": f'["{PLANTED}"]'})
    spec = instance.spec.model_copy(update={"parameters": {"deep": [{"password": PLANTED}]}})
    properties = InstancePropertiesState(parameters={"password": PLANTED}, parameter_checksum="a:b")
    status = instance.status.model_copy(
        update={
            "conditions": _ready(SAID),
            "last_operation": PLANTED,
            "external_properties": properties,
            "last_condition_state": "Failed",
        }
    )
    binding = samples.sample(
        kinds.SERVICE_BINDING, "bound", spec={"instanceRef": {"name": "db"}, "parameters": {"x": PLANTED}}
    )
    assert isinstance(binding, ServiceBinding)
    binding = binding.model_copy(update={"status": binding.status.model_copy(update={"conditions": _ready(SAID)})})
    event = Event(metadata=samples.meta("said"), message=SAID, reason="Failed")
    return instance.model_copy(update={"metadata": meta, "spec": spec, "status": status}), binding, event


async def _create(database: Database) -> tuple[AnyObject, ...]:
    instance, binding, event = _documents()
    created = await samples.create(database, instance, binding)
    await database.run(_recorder(event))
    await database.run(_teller(created[0]))
    return (*created, event)


def _recorder(event: Event) -> Any:
    async def record(unit: Any) -> None:
        unit.events.record(event)

    return record


def _teller(document: AnyObject) -> Any:
    words = OperationWords(broker_status=500, message=SAID, is_failure=True)
    told = RecordedOperation(
        operation=OperationName.PROVISION,
        started_at=samples.NOON,
        external_id="id",
        reason=OperationReason.CREATED,
        requested_by="ann",
        instance_name="db",
        attempts=1,
        outcome=OperationOutcome.IN_PROGRESS,
        words=words,
    )

    async def tell(unit: Any) -> None:
        unit.operations.note(document, [told], broker="harbour", trace_id="")

    return tell


async def _words(database: Database) -> list[str | None]:
    """What the operation history tells, as it is read."""
    wanted = OperationFilter(kind="ServiceInstance", namespace="ns")
    [found] = await database.run(lambda unit: unit.operations.find(wanted, limit=5))
    return [found.message, found.failure]


async def _read(database: Database) -> Sequence[AnyObject]:
    async def read(unit: Any) -> list[AnyObject]:
        wanted: tuple[tuple[Kind, str], ...] = (
            (kinds.SERVICE_INSTANCE, "db"),
            (kinds.SERVICE_BINDING, "bound"),
            (kinds.EVENT, "said"),
        )
        return [await unit.objects.get(kind, "ns", name) for kind, name in wanted]

    return await database.run(read)


async def _tables_with(engine: AsyncEngine, planted: str = PLANTED) -> set[str]:
    """Every table that shows the value in some column of some row."""
    found = set()
    async with engine.connect() as connection:
        for table in METADATA.sorted_tables:
            rows = (await connection.execute(text(f"SELECT * FROM {table.name}"))).all()
            if any(planted in str(tuple(row)) for row in rows):
                found.add(table.name)
    return found


async def _reseal(database: Database) -> dict[str, int]:
    return {each.what: each.done async for each in reseal_everything(database) if each.is_last}


@pytest.fixture
def keys() -> str:
    return new_key("first")


async def test_what_is_planted_stands_in_no_row_and_is_read_as_it_was_written(
    database_url: str, engine: AsyncEngine, keys: str
) -> None:
    async with process(database_url, keys) as database:
        database.keyring.seals_specs = True
        instance, binding, event = await _create(database)
        assert await _tables_with(engine) == set()
        assert (await _read(database))[:2] == [instance, binding]
        assert await _words(database) == [SAID, SAID]
        read = (await _read(database))[2]
        assert isinstance(read, Event)
        assert read.message == SAID
        changed = [samples.changed_object(database, each) for each in await samples.read_at_least(database, 3)]
        assert [each for each in changed if each.kind != event.kind] == [instance, binding]
        by_id = Listing(namespace="ns", where=(("instance_name", "db"),))
        assert await database.run(lambda unit: unit.objects.list(kinds.SERVICE_BINDING, by_id)) == [binding]


async def test_it_is_switched_on_and_off_while_all_is_at_work(
    database_url: str, engine: AsyncEngine, keys: str
) -> None:
    async with process(database_url, keys) as database:
        documents = (await _create(database))[:2]
        assert await _tables_with(engine) == STORED_IN

        database.keyring.seals_specs = True
        resealed = await _reseal(database)
        assert (resealed["serviceinstances"], resealed[HISTORY]) == (1, 1)
        assert await _words(database) == [SAID, SAID]
        assert await _tables_with(engine) == set()
        assert list((await _read(database))[:2]) == list(documents)
        assert set((await _reseal(database)).values()) == {0}, "nothing is left to do"

        database.keyring.seals_specs = False
        assert list((await _read(database))[:2]) == list(documents), "what is sealed is read all the same"
        await _reseal(database)
        assert await _tables_with(engine) == STORED_IN
        assert await _tables_with(engine, '"sealed"') == set()
        assert list((await _read(database))[:2]) == list(documents)


async def test_whoever_writes_a_status_does_not_write_the_specification(
    database_url: str, engine: AsyncEngine, keys: str
) -> None:
    table = OBJECTS[kinds.SERVICE_INSTANCE.kind]
    columns = select(table.c.spec, table.c.annotations, table.c.managed_fields, table.c.status)
    async with process(database_url, keys) as database:
        database.keyring.seals_specs = True
        instance = (await _create(database))[0]
        assert isinstance(instance, ServiceInstance)
        async with engine.connect() as connection:
            before = tuple((await connection.execute(columns)).one())
        status = instance.status.model_copy(update={"conditions": _ready(f"{SAID} again")})
        await samples.update(database, instance, instance.model_copy(update={"status": status}))
        async with engine.connect() as connection:
            after = tuple((await connection.execute(columns)).one())
    assert after[:3] == before[:3]
    assert after[3] != before[3]
    assert await _tables_with(engine) == set()


async def test_what_is_sealed_opens_in_its_own_part_of_its_own_object_alone(
    database_url: str, engine: AsyncEngine, keys: str
) -> None:
    async with process(database_url, keys) as database:
        database.keyring.seals_specs = True
        await _create(database)
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE serviceinstances SET name = 'moved'"))
        with pytest.raises(SealBroken, match='the ServiceInstance "ns/moved" cannot be read'):
            await database.run(lambda unit: unit.objects.get(kinds.SERVICE_INSTANCE, "ns", "moved"))


async def test_what_a_worker_notes_of_a_failure_is_sealed_too(
    database_url: str, engine: AsyncEngine, keys: str
) -> None:
    memory = {"lane": "x", "cause": {"reason": "Failed", "message": SAID}}
    async with process(database_url, keys) as database:
        created = await samples.create_one(database, samples.instance("db"))
        uid = created.metadata.uid or ""
        await work.add(database, uid)
        await _release(database, await work.claim_surely(database, uid), memory)
        assert await _tables_with(engine) == {"work_queue"}

        database.keyring.seals_specs = True
        assert (await _reseal(database))["notes of failures"] == 1
        assert await _tables_with(engine) == set()
        claim = await work.claim_surely(database, uid)
        assert claim.memory == memory
        await _release(database, claim, memory)
        assert await _tables_with(engine) == set()
        assert await database.run(lambda unit: unit.work_queue.memory_of(uid)) == memory
        assert set((await _reseal(database)).values()) == {0}

        database.keyring.seals_specs = False
        await _reseal(database)
        assert await _tables_with(engine) == {"work_queue"}


async def _release(database: Database, claim: Claim, memory: dict[str, Any]) -> None:
    release = Release(due_at=samples.NOON, lane=claim.lane, memory=memory)
    await database.run(lambda unit: unit.work_queue.release(claim, release))


async def test_what_is_said_of_a_broker_that_fails_is_sealed_too(
    database_url: str, engine: AsyncEngine, keys: str
) -> None:
    circuit = OpenCircuit(opened_at=samples.NOON, retry_at=samples.NOON, message=SAID)
    async with process(database_url, keys) as database:
        database.keyring.seals_specs = True
        await database.run(lambda unit: unit.circuits.note_open("lane", circuit, owner="me"))
        assert await _tables_with(engine) == set()
        assert await database.run(lambda unit: unit.circuits.open_circuit("lane")) == circuit
