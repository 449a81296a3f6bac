"""Objects at rest that are to be looked at again because what they were made of has changed."""

from datetime import timedelta

from chandlery.model.objects import kinds
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.work.work_claims import TakenWork
from tests.integration.store import samples
from tests.integration.store.conftest import SetClock
from tests.integration.store.work import work
from tests.integration.store.work.work import claim, claim_surely, due, release

LATER = samples.NOON + timedelta(hours=1)


async def enqueue_idle(database: Database, *uids: str) -> None:
    await database.run(lambda unit: unit.wakes.enqueue_idle(uids))


async def test_what_rests_is_left_to_the_sweep_and_what_comes_back_anyway_is_not_touched(database: Database) -> None:
    for uid, due_at in (("rests", None), ("polled", LATER), ("other", None)):
        await work.add(database, uid)
        await release(database, await claim_surely(database, uid), due_at=due_at)
    await enqueue_idle(database, "rests", "polled", "unknown")
    assert await due(database) == ["rests"]
    assert (await claim_surely(database, "rests")).revision == 1
    assert await claim(database, "polled") is None


async def test_what_is_being_worked_on_is_looked_at_once_more(database: Database, clock: SetClock) -> None:
    await work.add(database)
    held = await claim_surely(database)
    await enqueue_idle(database, "uid")
    assert await due(database) == []
    command = await release(database, held)
    assert command is not None
    assert (await claim_surely(database)).revision == 1


async def test_round_does_not_begin_on_what_is_about_to_be_outdated(postgresql: Database, clock: SetClock) -> None:
    await work.add(postgresql)
    await release(postgresql, await claim_surely(postgresql), due_at=clock.now)
    async with samples.held_open(postgresql, lambda unit: unit.wakes.enqueue_idle(["uid"])):
        assert await claim(postgresql) is None
    assert await due(postgresql) == ["uid"]
    assert await claim(postgresql) is not None


async def test_what_is_on_hold_is_woken_by_a_wish_for_it_alone(database: Database) -> None:
    taken = TakenWork(
        kind=work.KIND, uid="uid", lane=work.LANE, at=("ns", "one"), is_due=False, is_on_hold=True, memory={}
    )

    async def take(unit: UnitOfWork) -> None:
        unit.work_queue.add_taken_later(taken)

    await database.run(take)
    await enqueue_idle(database, "uid")
    assert await claim(database) is None
    await work.touch(database)
    assert await claim(database) is not None


async def test_stirring_nobody_is_fine(database: Database) -> None:
    await enqueue_idle(database)


async def test_objects_are_found_by_what_their_column_says(database: Database) -> None:
    refs = [{"name": name} for name in ("small", "large", "huge", "small")]
    documents = [
        samples.instance(f"db-{number}", namespace=namespace, cluster_service_plan_ref=ref)
        for number, (ref, namespace) in enumerate(zip(refs, ("a", "a", "a", "b"), strict=True))
    ]
    await samples.create(database, *documents)
    uids = [document.metadata.uid for document in documents]
    instance = kinds.SERVICE_INSTANCE

    async def found(*names: str, namespace: str | None = None) -> set[str | None]:
        return set(
            await database.run(lambda unit: unit.objects.uids_where(instance, "plan_ref", names, namespace=namespace))
        )

    assert await found("small", "large") == {uids[0], uids[1], uids[3]}
    assert await found("small", namespace="b") == {uids[3]}
    assert await found() == set()
