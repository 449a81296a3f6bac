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
from chandlery.store.work.work_queue import Release
from chandlery_binder.facts.binding_notes import BindingPurpose, OpenRequest
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply
from tests.unit.binder.binder_fixture import CREDENTIALS, Harbour, ready_of

READY = ("True", "InjectedBindResult")
AS_DELIVERED = {"uri": "tcp://rope", "port": "4711"}
MINE = base64.b64encode(b"x").decode()


@pytest.mark.parametrize("data", [None, {"mine": MINE}, {}], ids=["deleted", "changed", "emptied"])
async def test_secret_is_written_again_without_the_broker(harbour: Harbour, data: dict[str, str] | None) -> None:
    await harbour.work()
    assert await harbour.change_secret(data) == ["b-uid"]
    assert ready_of(await harbour.work()) == READY
    assert await harbour.secret() == AS_DELIVERED
    assert harbour.requests() == ["PUT"]
    assert "RestoredSecret" in [reason for reason, _ in await harbour.events()]
    assert await harbour.change_secret(data) == ["b-uid"]
    await harbour.work()
    assert await harbour.secret() == AS_DELIVERED


async def test_intact_secret_is_left_alone(harbour: Harbour) -> None:
    await harbour.work()
    before = await harbour.find(kinds.SECRET, "knot")
    await harbour.annotate(retry_requested_at="now")
    await harbour.work()
    assert await harbour.find(kinds.SECRET, "knot") == before
    assert harbour.requests() == ["PUT"]


async def test_copy_of_the_credentials_is_sealed(harbour: Harbour, tmp_path: Path) -> None:
    harbour.broker.script(osb.BIND, Reply(201, {"credentials": {"password": "hunter-of-ropes"}}))
    await harbour.work()
    await harbour.change_secret(None)
    assert b"hunter-of-ropes" not in _all_bytes(tmp_path)
    await harbour.work()
    assert await harbour.secret() == {"password": "hunter-of-ropes"}


async def test_secret_of_somebody_else_in_its_place_is_not_touched(harbour: Harbour) -> None:
    await harbour.work()
    await harbour.remove(kinds.SECRET, "knot")
    await harbour.add(Secret(metadata=ObjectMeta(name="knot", namespace="ns", uid="s-uid"), data={"mine": MINE}))
    await harbour.wake("secret:ns/knot")
    assert ready_of(await harbour.work()) == ("False", "ErrorInjectingBindResult")
    assert await harbour.secret() == {"mine": "x"}
    await harbour.change_secret(None)
    assert ready_of(await harbour.work()) == READY
    assert await harbour.secret() == AS_DELIVERED
    assert harbour.requests() == ["PUT"]


async def test_secret_is_restored_while_the_broker_is_away(harbour: Harbour) -> None:
    await harbour.work()
    await harbour.change(kinds.CLUSTER_SERVICE_BROKER, "harbour", namespace="", url="http://127.0.0.1:1")
    await harbour.annotate(rotate_requested_at="now")
    await harbour.work()
    await harbour.change_secret(None)
    assert ready_of(await harbour.work()) == READY
    assert await harbour.secret() == AS_DELIVERED


async def test_rotated_credentials_are_those_that_are_restored(harbour: Harbour) -> None:
    await harbour.work()
    harbour.broker.script(osb.BIND, Reply(201, {"credentials": {"uri": "tcp://other"}}))
    await harbour.annotate(rotate_requested_at="now")
    await harbour.work()
    await harbour.work(after_seconds=300)
    await harbour.change_secret(None)
    await harbour.work()
    assert await harbour.secret() == {"uri": "tcp://other"}


async def test_failed_rotation_leaves_the_copy(harbour: Harbour) -> None:
    await harbour.work()
    harbour.broker.script(osb.BIND, Reply(500))
    await harbour.annotate(rotate_requested_at="now")
    await harbour.work()
    await harbour.change_secret(None)
    await harbour.work()
    assert await harbour.secret() == AS_DELIVERED


async def test_binding_without_a_copy_asks_a_broker_that_shows_bindings(harbour: Harbour) -> None:
    await _forget_copy(harbour)
    await harbour.change(kinds.CLUSTER_SERVICE_CLASS, "class-1", namespace="", binding_retrievable=True)
    harbour.broker.script(osb.FETCH_BINDING, Reply(503), Reply(200, {"credentials": CREDENTIALS}))
    await harbour.change_secret(None)
    assert ready_of(await harbour.work()) == READY
    assert await harbour.secret() is None
    assert ready_of(await harbour.work(after_seconds=2)) == READY
    assert await harbour.secret() == AS_DELIVERED
    assert harbour.requests() == ["PUT", "GET", "GET"]
    await harbour.change_secret(None)
    await harbour.work()
    assert (await harbour.secret(), harbour.requests()) == (AS_DELIVERED, ["PUT", "GET", "GET"])


async def test_binding_without_a_copy_says_how_to_get_other_credentials(harbour: Harbour) -> None:
    await _forget_copy(harbour)
    await harbour.change_secret(None)
    await harbour.work()
    await harbour.work(after_seconds=3600)
    told = [message for reason, message in await harbour.events() if reason == "SecretLost"]
    assert (len(told), "chandlery.io/rotate-requested-at" in told[0]) == (1, True)
    await harbour.annotate(rotate_requested_at="now")
    assert ready_of(await harbour.work()) == READY
    assert await harbour.secret() == AS_DELIVERED
    assert harbour.requests() == ["PUT", "PUT"]


def test_copy_is_no_open_request() -> None:
    note = OpenRequest(purpose=BindingPurpose.DELIVERED, credentials={"password": "hunter2"}, delivered={"pin": "4711"})
    assert ("hunter2" in repr(note), "4711" in repr(note)) == (False, False)


def _all_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def _forget_copy(harbour: Harbour) -> None:
    """A binding from before copies were kept."""
    await harbour.work()

    async def forget(unit: UnitOfWork) -> None:
        await unit.reconciliations.touch("b-uid")
        claim: Any = await unit.reconciliations.claim("b-uid", owner="test", lease=timedelta(seconds=10))
        rest = Release(due_at=None, lane=claim.lane, memory=claim.memory, waiting_for="secret:ns/knot")
        await unit.reconciliations.release(claim, rest)

    await harbour.database.run(forget)
