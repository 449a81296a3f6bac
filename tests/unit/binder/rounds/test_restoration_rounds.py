"""A Secret that people delete or change: whole rounds, from the wake-up to the Secret as it was."""

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chandlery.model.objects import kinds
from chandlery.model.objects.core import Secret
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_claims import Release
from chandlery_binder.facts.sealed_binding_notes import SealedNotes
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply
from tests.unit.binder.binder_fixture import CREDENTIALS, BinderFixture, ready_of

READY = ("True", "InjectedBindResult")
AS_DELIVERED = {"uri": "tcp://rope", "port": "4711"}
MINE = base64.b64encode(b"x").decode()


@pytest.mark.parametrize("data", [None, {"mine": MINE}, {}], ids=["deleted", "changed", "emptied"])
async def test_secret_is_written_again_without_the_broker(binder: BinderFixture, data: dict[str, str] | None) -> None:
    await binder.work()
    assert await binder.change_secret(data) == ["b-uid"]
    assert ready_of(await binder.work()) == READY
    assert await binder.secret() == AS_DELIVERED
    assert binder.requests() == ["PUT"]
    assert "RestoredSecret" in [reason for reason, _ in await binder.events()]
    assert await binder.change_secret(data) == ["b-uid"]
    await binder.work()
    assert await binder.secret() == AS_DELIVERED


async def test_intact_secret_is_left_alone(binder: BinderFixture) -> None:
    await binder.work()
    before = await binder.find(kinds.SECRET, "knot")
    await binder.annotate(retry_requested_at="now")
    await binder.work()
    assert await binder.find(kinds.SECRET, "knot") == before
    assert binder.requests() == ["PUT"]


async def test_copy_of_the_credentials_is_sealed(binder: BinderFixture, tmp_path: Path) -> None:
    binder.broker.script(osb.BIND, Reply(201, {"credentials": {"password": "hunter-of-ropes"}}))
    await binder.work()
    await binder.change_secret(None)
    assert b"hunter-of-ropes" not in _all_bytes(tmp_path)
    await binder.work()
    assert await binder.secret() == {"password": "hunter-of-ropes"}


async def test_secret_of_somebody_else_in_its_place_is_not_touched(binder: BinderFixture) -> None:
    await binder.work()
    await binder.remove(kinds.SECRET, "knot")
    await binder.add(Secret(metadata=ObjectMeta(name="knot", namespace="ns", uid="s-uid"), data={"mine": MINE}))
    await binder.wake("secret:ns/knot")
    assert ready_of(await binder.work()) == ("False", "ErrorInjectingBindResult")
    assert await binder.secret() == {"mine": "x"}
    await binder.change_secret(None)
    assert ready_of(await binder.work()) == READY
    assert await binder.secret() == AS_DELIVERED
    assert binder.requests() == ["PUT"]


async def test_secret_is_restored_while_the_broker_is_away(binder: BinderFixture) -> None:
    await binder.work()
    await binder.change(kinds.CLUSTER_SERVICE_BROKER, "harbour", namespace="", url="http://127.0.0.1:1")
    await binder.annotate(rotate_requested_at="now")
    await binder.work()
    await binder.change_secret(None)
    assert ready_of(await binder.work()) == READY
    assert await binder.secret() == AS_DELIVERED


async def test_rotated_credentials_are_those_that_are_restored(binder: BinderFixture) -> None:
    await binder.work()
    binder.broker.script(osb.BIND, Reply(201, {"credentials": {"uri": "tcp://other"}}))
    await binder.annotate(rotate_requested_at="now")
    await binder.work()
    await binder.work(after_seconds=300)
    await binder.change_secret(None)
    await binder.work()
    assert await binder.secret() == {"uri": "tcp://other"}


async def test_failed_rotation_leaves_the_copy(binder: BinderFixture) -> None:
    await binder.work()
    binder.broker.script(osb.BIND, Reply(500))
    await binder.annotate(rotate_requested_at="now")
    await binder.work()
    await binder.change_secret(None)
    await binder.work()
    assert await binder.secret() == AS_DELIVERED


async def test_binding_without_a_copy_asks_a_broker_that_shows_bindings(binder: BinderFixture) -> None:
    await _forget_copy(binder)
    await binder.change(kinds.CLUSTER_SERVICE_CLASS, "class-1", namespace="", binding_retrievable=True)
    binder.broker.script(osb.FETCH_BINDING, Reply(503), Reply(200, {"credentials": CREDENTIALS}))
    await binder.change_secret(None)
    assert ready_of(await binder.work()) == READY
    assert await binder.secret() is None
    assert ready_of(await binder.work(after_seconds=2)) == READY
    assert await binder.secret() == AS_DELIVERED
    assert binder.requests() == ["PUT", "GET", "GET"]
    await binder.change_secret(None)
    await binder.work()
    assert (await binder.secret(), binder.requests()) == (AS_DELIVERED, ["PUT", "GET", "GET"])


async def test_binding_without_a_copy_says_how_to_get_other_credentials(binder: BinderFixture) -> None:
    await _forget_copy(binder)
    await binder.change_secret(None)
    await binder.work()
    await binder.work(after_seconds=3600)
    told = [message for reason, message in await binder.events() if reason == "SecretLost"]
    assert (len(told), "chandlery.io/rotate-requested-at" in told[0]) == (1, True)
    await binder.annotate(rotate_requested_at="now")
    assert ready_of(await binder.work()) == READY
    assert await binder.secret() == AS_DELIVERED
    assert binder.requests() == ["PUT", "PUT"]


def test_copy_is_no_open_request() -> None:
    note = SealedNotes(undelivered={"password": "hunter2"}, delivered={"pin": "4711"})
    assert ("hunter2" in repr(note), "4711" in repr(note)) == (False, False)


def _all_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def _forget_copy(binder: BinderFixture) -> None:
    """A binding from before copies were kept."""
    await binder.work()

    async def forget(unit: UnitOfWork) -> None:
        await unit.work_queue.enqueue_changed("b-uid")
        claim: Any = await unit.work_queue.claim("b-uid", owner="test", lease=timedelta(seconds=10))
        rest = Release(due_at=None, lane=claim.lane, memory=claim.memory, waiting_for="secret:ns/knot")
        await unit.work_queue.release(claim, rest)

    await binder.database.run(forget)
