"""The provider of keys goes away under a binder: it calls nobody without a note, and stores nothing in plain."""

import base64

from chandlery.model.objects.core import Secret
from chandlery.store.sealing.providers.key_provider import KeyProviders
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.conformance.scripted.scripted_exchange import SeenRequest
from tests.integration.store.sealing.key_hall import Vault
from tests.integration.workers.fleet import BINDING, INSTANCE, NS, SECRET, Fleet, Process, binding, instance
from tests.support.waiting import eventually

PASSWORD = "zugang-zur-datenbank"
GIVEN = Reply(201, {"credentials": {"password": PASSWORD}})


async def _stored(fleet: Fleet) -> str:
    return str([await fleet.rows(table) for table in ("secrets", "work_queue", "changes", "servicebindings")])


def _forget_keys(worker: Process) -> None:
    """As when the time is over that unwrapped keys may stay in memory."""
    worker.database.keyring.data_keys.clear()


async def test_a_binder_without_keys_calls_nobody_and_binds_once_they_are_back(fleet: Fleet) -> None:
    vault = Vault()
    fleet.providers = KeyProviders({"vault": vault})
    async with ScriptedBroker() as broker:
        broker.always(osb.BIND, GIVEN)
        await fleet.offer("harbour", broker.url)
        worker = await fleet.worker("ServiceInstance", "ServiceBinding")
        await fleet.create(instance("one", "harbour"))
        await fleet.until_ready(INSTANCE, "one")

        vault.is_away = True
        _forget_keys(worker)
        asked = vault.calls
        await fleet.create(binding("one"))
        await eventually(lambda: vault.calls > asked, what="a look for a key")
        assert broker.seen_of(osb.BIND) == []
        assert (await fleet.work_row(BINDING, "one"))["sealed"] is None

        vault.is_away = False
        worker.database.data_keys.forget_failure()
        await fleet.ready_in_time(BINDING, "one", worker.sweep(), seconds=11)
        assert len(broker.seen_of(osb.BIND)) == 1
        assert PASSWORD not in await _stored(fleet)


async def test_credentials_that_arrive_while_keys_are_away_are_not_lost(fleet: Fleet) -> None:
    vault = Vault()
    fleet.providers = KeyProviders({"vault": vault})
    async with ScriptedBroker() as broker:

        def lose_keys(_seen: SeenRequest) -> Reply:
            vault.is_away = True
            _forget_keys(worker)
            return GIVEN

        broker.always(osb.BIND, lose_keys)
        await fleet.offer("harbour", broker.url)
        worker = await fleet.worker("ServiceInstance", "ServiceBinding")
        await fleet.create(instance("one", "harbour"))
        await fleet.until_ready(INSTANCE, "one")
        asked = vault.calls
        await fleet.create(binding("one"))
        await eventually(lambda: vault.is_away and vault.calls > asked + 1, what="a look for a key")
        assert PASSWORD not in await _stored(fleet)

        broker.always(osb.BIND, GIVEN)
        vault.is_away = False
        worker.database.data_keys.forget_failure()
        await fleet.ready_in_time(BINDING, "one", worker.sweep(), seconds=11)
        bodies = [seen.body for seen in broker.seen_of(osb.BIND)]
        assert all(body == bodies[0] for body in bodies)
        assert PASSWORD not in await _stored(fleet)
        made = await worker.database.run(lambda unit: unit.objects.get(SECRET, NS, "one"))
        assert isinstance(made, Secret)
        assert base64.b64decode((made.data or {})["password"]).decode() == PASSWORD
