"""The outbox on both databases: what is committed with the state is published, by this process or by the sweep."""

from collections.abc import Sequence

import pytest

from chandlery.contracts.messages import LaneOpened, Message, ObjectChanged, Reconcile
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.work.outbox import OutboxEntry
from tests.integration.store import samples
from tests.integration.store.conftest import SetClock
from tests.integration.store.samples import held_open, instance

MESSAGES: tuple[Message, ...] = (
    Reconcile(kind="ServiceInstance", uid="a", lane="broker:team/demo"),
    ObjectChanged(kind="ServiceInstance", uid="b", reason="Provisioned"),
    LaneOpened(lane="lane-1"),
)


async def _speak(database: Database, *messages: Message | None) -> None:
    async def speak(unit: UnitOfWork) -> None:
        unit.outbox.add(*messages)

    await database.run(speak)


async def _left_behind(database: Database, clock: SetClock, *, limit: int = 100) -> Sequence[OutboxEntry]:
    return await database.run(lambda unit: unit.outbox.older_than(clock.now, limit=limit))


async def test_messages_are_kept_in_their_order_and_told_with_the_ids_they_are_kept_under(
    database: Database, clock: SetClock
) -> None:
    told: list[OutboxEntry] = []
    database.on_commit(told.extend)
    await _speak(database, *MESSAGES, None, *MESSAGES)
    clock.advance(seconds=1)

    kept = await _left_behind(database, clock)

    command, _, opened = MESSAGES
    assert [entry.message for entry in kept] == [*MESSAGES, command, opened]
    assert kept == told
    assert len({entry.id for entry in kept}) == 5


async def test_watchers_are_told_once_of_all_that_a_transaction_has_written_of_a_kind(
    database: Database, clock: SetClock
) -> None:
    changed = [ObjectChanged(kind=kind, uid=uid) for uid in ("a", "b") for kind in ("ServiceInstance", "Secret")]
    await _speak(database, *changed)
    await _speak(database, *changed)
    clock.advance(seconds=1)

    kept = await _left_behind(database, clock)

    assert [entry.message for entry in kept] == [*changed[:2], *changed[:2]]


async def test_many_messages_of_one_transaction_have_the_ids_of_their_rows(database: Database, clock: SetClock) -> None:
    """More than one statement takes: the ids come back in no order of their own."""
    told: list[OutboxEntry] = []
    database.on_commit(told.extend)
    await _speak(database, *(Reconcile(kind="ServiceInstance", uid=f"uid-{number}") for number in range(2500)))
    clock.advance(seconds=1)

    assert await _left_behind(database, clock, limit=5000) == told


async def test_a_message_is_kept_only_with_the_state_it_speaks_of(database: Database, clock: SetClock) -> None:
    async def fail(unit: UnitOfWork) -> None:
        unit.outbox.add(*MESSAGES)
        await unit.objects.insert(instance("db"))
        await unit.objects.insert(instance("db"))

    with pytest.raises(Exception, match="already exists"):
        await database.run(fail)
    clock.advance(seconds=1)

    assert await _left_behind(database, clock) == []
    assert await samples.get_instance(database, "db") is None


async def test_only_what_is_older_counts_as_left_behind(database: Database, clock: SetClock) -> None:
    await _speak(database, MESSAGES[0])
    clock.advance(seconds=10)
    await _speak(database, MESSAGES[1])

    assert [entry.message for entry in await _left_behind(database, clock)] == [MESSAGES[0]]
    clock.advance(seconds=1)
    assert [entry.message for entry in await _left_behind(database, clock)] == [*MESSAGES[:2]]
    assert [entry.message for entry in await _left_behind(database, clock, limit=1)] == [MESSAGES[0]]


async def test_what_is_confirmed_is_gone(database: Database, clock: SetClock) -> None:
    await _speak(database, *MESSAGES)
    clock.advance(seconds=1)
    first, second, third = await _left_behind(database, clock)

    await database.run(lambda unit: unit.outbox.remove([first.id, third.id]))
    assert await _left_behind(database, clock) == [second]
    await database.run(lambda unit: unit.outbox.remove([]))
    await database.run(lambda unit: unit.outbox.remove([second.id, second.id]))
    assert await _left_behind(database, clock) == []


async def test_two_who_look_for_what_is_left_behind_find_different_things(
    postgresql: Database, clock: SetClock
) -> None:
    await _speak(postgresql, *MESSAGES)
    clock.advance(seconds=1)

    async with held_open(postgresql, lambda unit: unit.outbox.older_than(clock.now, limit=2)):
        found = await _left_behind(postgresql, clock)

    assert [entry.message for entry in found] == [MESSAGES[2]]
