"""The canary tells whether keys and database belong together; what is sealed in an old way is sealed anew."""

import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic_core import to_json
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.engine.upkeep import seal_keeping
from chandlery.engine.upkeep.seal_keeping import reseal
from chandlery.model.faults import ConfigurationFault
from chandlery.model.objects import kinds
from chandlery.model.objects.annotations import UNREADABLE
from chandlery.model.objects.core import Secret
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.objects.object_reads import Listing
from chandlery.store.schema import CHANGES, MARKS, OBJECTS, WORK_QUEUE
from chandlery.store.sealing.resealing import Step
from chandlery.store.sealing.sealing import Keyring, new_key
from chandlery.store.sealing.seals import CANARY
from tests.integration.store import samples
from tests.integration.store.work import work

SECRETS = OBJECTS["Secret"]
DATA = {"password": "aHVudGVyMg=="}
NOTE = {"credentials": {"password": "hunter2"}}


@asynccontextmanager
async def process(url: str, keys: str) -> AsyncIterator[Database]:
    """A process with these keys, as it is once it has started."""
    database = Database(open_engine(url, application_name="chandlery-test"), Keyring.parse(keys), clock=_noon)
    try:
        await database.run(lambda unit: unit.seals.check())
        yield database
    finally:
        await database.close()


def _noon() -> datetime:
    return samples.NOON


async def _insert_secret(database: Database, name: str = "login") -> Secret:
    (created,) = await samples.create(database, Secret(metadata=samples.meta(name), data=DATA))
    assert isinstance(created, Secret)
    return created


async def _insert_note(database: Database, instance: str = "db") -> str:
    """Of an instance that exists; returns its uid."""
    created = await samples.create_one(database, samples.instance(instance))
    uid = created.metadata.uid or ""
    await work.add(database, uid)
    held = (await work.claim_surely(database, uid)).on(created.metadata)
    await work.release(database, held, due_at=samples.NOON, sealed=NOTE)
    return uid


async def _read(database: Database, namespace: str = "ns", name: str = "login") -> Secret:
    found = await database.run(lambda unit: unit.objects.get(kinds.SECRET, namespace, name))
    assert isinstance(found, Secret)
    return found


async def test_a_process_with_another_key_does_not_start_on_an_empty_database_that_was_begun(database_url: str) -> None:
    old, other = new_key("first"), new_key("other")
    async with process(database_url, old):
        pass

    with pytest.raises(ConfigurationFault, match="key named 'first', which is not configured; put the right key back"):
        async with process(database_url, other):
            pass
    with pytest.raises(ConfigurationFault, match="the key named 'first' is another one than the key of that name"):
        async with process(database_url, new_key("first")):
            pass
    async with process(database_url, f"{other},{old}"):
        pass


async def test_a_process_with_another_key_does_not_start_on_a_database_from_before_canaries(
    database_url: str, engine: AsyncEngine
) -> None:
    old = new_key("first")
    async with process(database_url, old) as database:
        await _insert_secret(database)
    await _forget_canary(engine)

    with pytest.raises(ConfigurationFault, match="'first', which is not configured"):
        async with process(database_url, new_key("other")):
            pass
    async with engine.connect() as connection:
        assert (await connection.execute(select(MARKS.c.value).where(MARKS.c.name == CANARY))).scalar() is None
    async with process(database_url, old) as database:
        assert (await _read(database)).data == DATA


async def test_what_the_release_before_has_sealed_is_read_and_sealed_anew_and_then_refused(
    database_url: str, engine: AsyncEngine
) -> None:
    raw = os.urandom(32)
    keys = f"first:{base64.b64encode(raw).decode()}"
    async with process(database_url, keys) as database:
        secret, uid = await _insert_secret(database), await _insert_note(database)
        old_secret = _first_form(raw, {"body": {"data": DATA}, "annotations": None}, f"Secret/{secret.metadata.uid}")
        old_note = _first_form(raw, NOTE, f"in-flight/{uid}")
    await _put_back(engine, old_secret, old_note, log=old_secret)

    async with process(database_url, keys) as database:
        assert (await _read(database)).data == DATA
        assert not await reseal(database, owner="me"), "the change log still has the old form"
        assert (await _read(database)).data == DATA
        async with engine.begin() as connection:
            await connection.execute(delete(CHANGES))
        assert await reseal(database, owner="me")
        assert (await _read(database)).metadata.resource_version == secret.metadata.resource_version
        assert (await work.claim_surely(database, uid)).sealed == NOTE

    await _put_back(engine, old_secret, old_note)
    async with process(database_url, keys) as database:
        planted = await _read(database)
        assert planted.data is None
        assert "no longer supported" in (planted.metadata.annotations or {})[UNREADABLE]


async def test_a_key_can_be_taken_out_once_all_is_sealed_with_the_one_in_front(
    database_url: str, engine: AsyncEngine
) -> None:
    old, new = new_key("first"), new_key("second")
    async with process(database_url, old) as database:
        await _insert_secret(database)
        uid = await _insert_note(database)

    async with process(database_url, f"{new},{old}") as database:
        assert not await reseal(database, owner="me"), "the change log still has what the old key sealed"
    with pytest.raises(ConfigurationFault, match="'first', which is not configured"):
        async with process(database_url, new):
            pass

    async with engine.begin() as connection:
        await connection.execute(delete(CHANGES))
    async with process(database_url, f"{new},{old}") as database:
        assert await reseal(database, owner="me")
    async with process(database_url, new) as database:
        assert (await _read(database)).data == DATA
        assert (await work.claim_surely(database, uid)).sealed == NOTE


async def test_sealing_anew_takes_steps_and_leaves_out_what_does_not_open(
    database_url: str, engine: AsyncEngine
) -> None:
    old, new = new_key("first"), new_key("second")
    async with process(database_url, old) as database:
        for number in range(5):
            await _insert_secret(database, f"secret-{number}")
    async with engine.begin() as connection:
        await connection.execute(update(SECRETS).where(SECRETS.c.name == "secret-2").values(name="moved"))

    async with process(database_url, f"{new},{old}") as database:
        steps = [await _step(database, after="")]
        while (reached := steps[-1].reached) is not None:
            steps.append(await _step(database, after=reached))

    assert [len(steps), sum(step.done for step in steps)] == [3, 4]
    assert [place for step in steps for place in step.unreadable] == [("ns", "moved")]


async def test_only_one_process_at_a_time_seals_anew(database_url: str) -> None:
    old, new = new_key("first"), new_key("second")
    async with process(database_url, old) as database:
        await _insert_secret(database)
    async with process(database_url, f"{new},{old}") as database:
        turn = timedelta(minutes=1)
        await database.run(lambda unit: unit.leases.acquire("reseal", owner="other", duration=turn))

        assert not await reseal(database, owner="me")
        await database.run(lambda unit: unit.leases.give_back("reseal", owner="other"))
        step = await database.run(lambda unit: unit.resealing.secrets(after="", limit=10))
    assert step.done == 1


async def test_checksums_that_stay_old_keep_no_others_from_their_turn(
    database: Database, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal_keeping, "_MOST_ENQUEUED", 2)
    binding = samples.sample(kinds.SERVICE_BINDING, "last", spec={"instanceRef": {"name": "db-1"}})
    documents = [*(samples.instance(f"db-{number}") for number in range(4)), binding]
    uids = sorted(each.metadata.uid or "" for each in await samples.create(database, *documents))
    for uid in uids:
        await work.add(database, uid)
        await work.release(database, await work.claim_surely(database, uid))
    await _show_checksum(engine, "a" * 64)

    # Nobody renews them: each time the next ones are looked at, and after the last ones the first ones again.
    told = [(await reseal(database, owner="me"), await _stirred(engine)) for _ in range(4)]
    assert [is_done for is_done, _ in told] == [False, False, True, False]
    assert [sorted(stirred) for _, stirred in told] == [uids[:2], uids[2:4], uids[4:], uids[:2]]

    await _show_checksum(engine, f"{database.keyring.checksums.ids[0]}:{'a' * 64}")
    assert await reseal(database, owner="me")
    assert await _stirred(engine) == []


async def test_a_secret_that_does_not_open_keeps_what_is_sealed_until_it_is_written_anew(
    database_url: str, engine: AsyncEngine
) -> None:
    keys = new_key("first")
    async with process(database_url, keys) as database:
        await _insert_secret(database)
        sealed = await _sealed(engine)
        lost = new_key("lost")
        async with engine.begin() as connection:
            await connection.execute(update(SECRETS).values(spec={"type": "Opaque", "sealed": "lost:2:AAAA"}))
        broken = await _read(database)
        labelled = broken.metadata.model_copy(update={"labels": {"a": "b"}})
        changed = Secret(metadata=labelled.model_copy(update={"annotations": None}))
        await samples.update(database, broken, changed)
        assert (await _read(database)).metadata.labels == {"a": "b"}
        assert await _sealed(engine) == "lost:2:AAAA"

        broken = await _read(database)
        await samples.update(database, broken, broken.model_copy(update={"data": DATA}))
        mended = await _read(database)
        assert (mended.data, mended.metadata.annotations, mended.sealed) == (DATA, None, None)
        assert sealed.partition(":")[0] == (await _sealed(engine)).partition(":")[0] != lost.partition(":")[0]


async def test_one_secret_that_does_not_open_breaks_no_list_and_can_be_removed(
    database: Database, engine: AsyncEngine
) -> None:
    await _insert_secret(database, "sound")
    await _insert_secret(database, "broken")
    async with engine.begin() as connection:
        await connection.execute(update(SECRETS).where(SECRETS.c.name == "broken").values(spec={"sealed": "x:2:AAAA"}))

    broken, sound = await database.run(lambda unit: unit.objects.list(kinds.SECRET, Listing(namespace="ns")))
    assert (getattr(broken, "data", ""), getattr(sound, "data", "")) == (None, DATA)
    await samples.remove(database, broken)
    (left,) = await database.run(lambda unit: unit.objects.list(kinds.SECRET, Listing(namespace="ns")))
    assert left.metadata.name == "sound"
    removal = (await samples.read_at_least(database, 3))[-1]
    assert getattr(samples.changed_object(database, removal), "data", "") is None


async def _show_checksum(engine: AsyncEngine, checksum: str) -> None:
    async with engine.begin() as connection:
        for kind in ("ServiceInstance", "ServiceBinding"):
            status = {"externalProperties": {"parameterChecksum": checksum}}
            await connection.execute(update(OBJECTS[kind]).values(status=status))


async def _stirred(engine: AsyncEngine) -> list[str]:
    """Those that are due, who rest again then."""
    async with engine.begin() as connection:
        due = WORK_QUEUE.c.due_at.is_not(None)
        uids = (await connection.execute(select(WORK_QUEUE.c.uid).where(due))).scalars().all()
        await connection.execute(update(WORK_QUEUE).where(due).values(due_at=None, enqueue_after=None))
    return list(uids)


def _first_form(raw: bytes, document: object, bound_to: str) -> str:
    """As the release before sealed."""
    nonce = os.urandom(12)
    return (
        f"first:{base64.b64encode(nonce + AESGCM(raw).encrypt(nonce, to_json(document), bound_to.encode())).decode()}"
    )


async def _put_back(engine: AsyncEngine, secret: str, note: str, *, log: str | None = None) -> None:
    async with engine.begin() as connection:
        await connection.execute(update(SECRETS).values(spec={"type": "Opaque", "sealed": secret}))
        await connection.execute(update(WORK_QUEUE).values(sealed=note))
        if log is not None:
            await connection.execute(delete(MARKS).where(MARKS.c.name == CANARY))
            logged = (await connection.execute(select(CHANGES).where(CHANGES.c.kind == "Secret"))).mappings().one()
            await connection.execute(delete(CHANGES).where(CHANGES.c.position == logged["position"]))
            await connection.execute(insert(CHANGES).values({**logged, "object": {**logged["object"], "sealed": log}}))


async def _step(database: Database, *, after: str) -> Step:
    return await database.run(lambda unit: unit.resealing.secrets(after=after, limit=2))


async def _forget_canary(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(delete(MARKS).where(MARKS.c.name == CANARY))


async def _sealed(engine: AsyncEngine) -> str:
    async with engine.connect() as connection:
        return str((await connection.execute(select(SECRETS.c.spec))).scalar_one()["sealed"])
