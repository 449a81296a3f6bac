"""Copies of brokers' Secrets go in the end, even if their broker went in a way that tells nobody."""

from chandlery.lookup.kept_secrets import keep_secrets
from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import ServiceBroker, ServiceBrokerSpec
from chandlery.model.objects.core import Secret
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.object_reads import Listing
from chandlery_syncer.left_copies import LeftCopies
from tests.integration.syncer.conftest import Bench


async def test_copy_of_a_broker_that_is_gone_is_removed_and_no_other_secret(bench: Bench) -> None:
    database = bench.resources.database
    brokers = [
        await bench.create(
            ServiceBroker(metadata=ObjectMeta(name=name, namespace="ns"), spec=ServiceBrokerSpec(url="https://a"))
        )
        for name in ("staying", "going")
    ]
    login = Secret(metadata=ObjectMeta(name="login", namespace="ns"), data={"username": "YW5u"})
    await bench.create(Secret(metadata=ObjectMeta(name="of.somebody", namespace="ns"), data={"a": "YQ=="}))

    async def keep(unit: UnitOfWork) -> None:
        for broker in brokers:
            assert isinstance(broker, ServiceBroker)
            await keep_secrets(unit, broker, [login])

    await database.run(keep)

    async def take_away(unit: UnitOfWork) -> None:
        await unit.objects.remove_later(brokers[1])

    await database.run(take_away)
    await LeftCopies(database, owner="syncer/1").look()
    left = await database.run(lambda unit: unit.objects.list(kinds.SECRET, Listing()))
    assert {each.metadata.name for each in left} == {f"{brokers[0].metadata.uid}.login", "of.somebody"}
