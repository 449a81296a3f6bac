"""A binding whose Secret, or whose sealed note, does not open: it says so, mends itself if it can, and goes."""

import pytest
from sqlalchemy import select, update

from chandlery.model.objects import kinds
from chandlery.store.database import UnitOfWork
from chandlery.store.schema import OBJECTS
from chandlery.store.schema import WORK_QUEUE as W
from tests.unit.binder.binder_fixture import BinderFixture, ready_of

READY = ("True", "InjectedBindResult")
SECRETS = OBJECTS["Secret"]


async def _lose_secret(binder: BinderFixture) -> None:
    async with binder.database._engine.begin() as connection:
        spec = (await connection.execute(select(SECRETS.c.spec))).scalar_one()
        await connection.execute(update(SECRETS).values(spec={**spec, "sealed": "lost:2:AAAA"}))


async def _lose_note(binder: BinderFixture) -> None:
    async with binder.database._engine.begin() as connection:
        await connection.execute(update(W).where(W.c.uid == "b-uid").values(sealed="lost:2:AAAA"))


async def test_secret_that_does_not_open_is_written_again_from_the_copy(binder: BinderFixture) -> None:
    await binder.work()
    await _lose_secret(binder)
    assert await binder.secret() == {}
    await binder.wake("secret:ns/knot")
    assert ready_of(await binder.work()) == READY
    assert await binder.secret() == {"uri": "tcp://rope", "port": "4711"}
    assert binder.requests() == ["PUT"]


async def test_binding_says_what_is_lost_when_neither_secret_nor_copy_opens(binder: BinderFixture) -> None:
    await binder.work()
    await _lose_secret(binder)
    await _lose_note(binder)
    await binder.wake("secret:ns/knot")
    await binder.work()
    told = dict(await binder.events())
    assert "cannot be decrypted" in told["SecretLost"]
    assert "chandlery.io/rotate-requested-at" in told["SecretLost"]
    assert "cannot be decrypted" in told["InFlightNoteLost"]
    await binder.annotate(rotate_requested_at="now")
    assert ready_of(await binder.work()) == READY
    assert await binder.secret() == {"uri": "tcp://rope", "port": "4711"}


@pytest.mark.parametrize(
    ("order", "requests"),
    [
        pytest.param("", ["PUT", "DELETE"], id="in the usual way"),
        pytest.param("abandon", ["PUT"], id="abandoned"),
        pytest.param("force-delete", ["PUT", "DELETE"], id="by force"),
    ],
)
async def test_binding_goes_with_its_secret_when_nothing_of_it_opens(
    binder: BinderFixture, order: str, requests: list[str]
) -> None:
    await binder.work()
    await _lose_secret(binder)
    await _lose_note(binder)
    if order:
        await binder.annotate(**{order.replace("-", "_"): "true"})
    await binder.delete_binding()
    assert await binder.work() is None
    assert await binder.secret() is None
    assert binder.requests() == requests


async def test_one_note_that_does_not_open_keeps_nobody_else_waiting(binder: BinderFixture) -> None:
    await binder.work()
    await _lose_note(binder)

    async def touch(unit: UnitOfWork) -> None:
        for uid in ("b-uid", "other"):
            if uid == "other":
                await unit.work_queue.add(kinds.SERVICE_BINDING.kind, uid, lane="broker:/harbour")
            await unit.work_queue.enqueue_changed(uid)

    await binder.database.run(touch)
    lease = binder.rounds._lease
    claims = await binder.database.run(
        lambda unit: unit.work_queue.claim_many(["b-uid", "other"], owner="test", lease=lease)
    )
    assert {uid: claim.is_note_lost for uid, claim in claims.items()} == {"b-uid": True, "other": False}
