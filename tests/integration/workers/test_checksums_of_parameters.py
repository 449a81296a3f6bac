"""Checksums of earlier forms, and of a key that was before, are replaced: no broker hears of it."""

import hashlib
import hmac
import json

from sqlalchemy import update

from chandlery.engine.upkeep.seal_keeping import reseal
from chandlery.model.objects.instances import ParametersFromSource, SecretKeyReference
from chandlery.reconcile.parameters.keyed_checksums import KEYED
from chandlery.reconcile.parameters.parameters import checksum
from chandlery.store.schema import OBJECTS, WORK_QUEUE
from chandlery.store.sealing.sealing import Keyring, new_key
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.integration.workers.fleet import INSTANCE, Fleet, instance
from tests.integration.workers.test_no_secret_anywhere import secret
from tests.support.waiting import eventually

PIN = {"pin": 4711}
SOURCE = ParametersFromSource(secret_key_ref=SecretKeyReference(name="settings", key="json"))


async def _checksum(fleet: Fleet, name: str = "one") -> str:
    return str((await fleet.find(INSTANCE, name)).status.external_properties.parameter_checksum)


async def _until_checksum(fleet: Fleet, beginning: str) -> None:
    async def begins_so() -> bool:
        return (await _checksum(fleet)).startswith(beginning)

    await eventually(begins_so, what=f"a checksum that begins with {beginning}")


async def test_checksums_are_replaced_and_no_broker_is_told(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        await fleet.create(secret("settings", json=json.dumps(PIN)))
        await fleet.offer("harbour", broker.url)
        worker = await fleet.worker("ServiceInstance")
        await fleet.create(instance("one", "harbour", parameters_from=(SOURCE,), watch_parameters_from=True))
        await fleet.until_ready(INSTANCE, "one")
        first = await _checksum(fleet)
        assert KEYED.fullmatch(first)

        bare = checksum(PIN)
        for before in (bare, _unbound(worker.database.keyring, bare)):
            await _put_back(fleet, before)
            await reseal(worker.database, owner="me")
            fleet.clock.advance(10)
            await worker.sweep().once()
            await _until_checksum(fleet, first)
            asked = (await fleet.work_row(INSTANCE, "one"))["memory"]["asked"]["checksum"]
            assert asked == first

        fleet._keys = f"{new_key('second')},{fleet._keys}"
        await worker.stop()
        rotated = await fleet.worker("ServiceInstance")
        await reseal(rotated.database, owner="me")
        fleet.clock.advance(10)
        await rotated.sweep().once()
        await _until_checksum(fleet, rotated.database.keyring.checksums.ids[0])
        assert await _checksum(fleet) != first
        assert len(broker.seen_of(osb.PROVISION)) == 1
        assert broker.seen_of(osb.UPDATE) == []


async def test_a_guess_in_an_object_of_ones_own_says_nothing_of_a_secret(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        await fleet.create(secret("settings", json=json.dumps(PIN)))
        await fleet.offer("harbour", broker.url)
        await fleet.worker("ServiceInstance")
        await fleet.create(instance("one", "harbour", parameters_from=(SOURCE,)))
        await fleet.create(instance("guess", "harbour", parameters=PIN))
        for name in ("one", "guess"):
            await fleet.until_ready(INSTANCE, name)
        bodies = [seen.body["parameters"] for seen in broker.seen_of(osb.PROVISION)]
        assert bodies == [PIN, PIN], "the guess was right"
        assert await _checksum(fleet, "one") != await _checksum(fleet, "guess")


def _unbound(keyring: Keyring, bare: str) -> str:
    """As it was keyed before it was bound to an object."""
    key = next(iter(keyring.derived("parameter checksums").values()))
    return f"{hashlib.sha256(key).hexdigest()[:8]}:{hmac.digest(key, bare.encode(), 'sha256').hex()}"


async def _put_back(fleet: Fleet, before: str) -> None:
    """As an earlier state of the software left them."""
    table = OBJECTS[INSTANCE.kind]
    found, row = await fleet.find(INSTANCE, "one"), await fleet.work_row(INSTANCE, "one")
    status = found.status.to_wire()
    status["externalProperties"]["parameterChecksum"] = before
    memory = {**row["memory"], "asked": {**row["memory"]["asked"], "checksum": before}}
    memory["told"] = {**row["memory"]["told"], "checksum": before}
    async with fleet.front.engine.begin() as connection:
        await connection.execute(update(table).values(status=status))
        await connection.execute(update(WORK_QUEUE).where(WORK_QUEUE.c.uid == row["uid"]).values(memory=memory))
