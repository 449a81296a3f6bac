"""A binding whose Secret, or whose sealed note, does not open: it says so, mends itself if it can, and goes."""

import pytest
from sqlalchemy import select, update

from chandlery.model.objects import kinds
from chandlery.store.database import UnitOfWork
from chandlery.store.schema import OBJECTS
from chandlery.store.schema import RECONCILIATIONS as R
from tests.unit.binder.binder_fixture import Harbour, ready_of

READY = ("True", "InjectedBindResult")
SECRETS = OBJECTS["Secret"]


async def _lose_secret(harbour: Harbour) -> None:
    async with harbour.database._engine.begin() as connection:
        spec = (await connection.execute(select(SECRETS.c.spec))).scalar_one()
        await connection.execute(update(SECRETS).values(spec={**spec, "sealed": "lost:2:AAAA"}))


async def _lose_note(harbour: Harbour) -> None:
    async with harbour.database._engine.begin() as connection:
        await connection.execute(update(R).where(R.c.uid == "b-uid").values(in_flight="lost:2:AAAA"))


async def test_secret_that_does_not_open_is_written_again_from_the_copy(harbour: Harbour) -> None:
    await harbour.work()
    await _lose_secret(harbour)
    assert await harbour.secret() == {}
    await harbour.wake("secret:ns/knot")
    assert ready_of(await harbour.work()) == READY
    assert await harbour.secret() == {"uri": "tcp://rope", "port": "4711"}
    assert harbour.requests() == ["PUT"]


async def test_binding_says_what_is_lost_when_neither_secret_nor_copy_opens(harbour: Harbour) -> None:
    await harbour.work()
    await _lose_secret(harbour)
    await _lose_note(harbour)
    await harbour.wake("secret:ns/knot")
    await harbour.work()
    told = dict(await harbour.events())
    assert "cannot be decrypted" in told["SecretLost"]
    assert "chandlery.io/rotate-requested-at" in told["SecretLost"]
    assert "cannot be decrypted" in told["InFlightNoteLost"]
    await harbour.annotate(rotate_requested_at="now")
    assert ready_of(await harbour.work()) == READY
    assert await harbour.secret() == {"uri": "tcp://rope", "port": "4711"}


@pytest.mark.parametrize(
    ("order", "requests"),
    [
        pytest.param("", ["PUT", "DELETE"], id="in the usual way"),
        pytest.param("abandon", ["PUT"], id="abandoned"),
        pytest.param("force-delete", ["PUT", "DELETE"], id="by force"),
    ],
)
async def test_binding_goes_with_its_secret_when_nothing_of_it_opens(
    harbour: Harbour, order: str, requests: list[str]
) -> None:
    await harbour.work()
    await _lose_secret(harbour)
    await _lose_note(harbour)
    if order:
        await harbour.annotate(**{order.replace("-", "_"): "true"})
    await harbour.delete_binding()
    assert await harbour.work() is None
    assert await harbour.secret() is None
    assert harbour.requests() == requests


async def test_one_note_that_does_not_open_keeps_nobody_else_waiting(harbour: Harbour) -> None:
    await harbour.work()
    await _lose_note(harbour)

    async def touch(unit: UnitOfWork) -> None:
        for uid in ("b-uid", "other"):
            if uid == "other":
                await unit.reconciliations.add(kinds.SERVICE_BINDING.kind, uid, lane="broker:/harbour")
            await unit.reconciliations.touch(uid)

    await harbour.database.run(touch)
    lease = harbour.rounds._lease
    claims = await harbour.database.run(
        lambda unit: unit.reconciliations.claim_many(["b-uid", "other"], owner="test", lease=lease)
    )
    assert {uid: claim.is_note_lost for uid, claim in claims.items()} == {"b-uid": True, "other": False}
