"""Catalogs that are still the same: recognised in every way there is, and nothing is written."""

from datetime import timedelta

from chandlery.model.objects.brokers import ClusterServiceBroker
from chandlery.model.objects.core import Secret
from chandlery.model.objects.metadata import ObjectMeta
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_service
from tests.conformance.scripted.scripted_templates import GET_CATALOG
from tests.integration.syncer.conftest import Bench
from tests.integration.syncer.syncer_actions import CLASSES, PLANS, let_time_pass, ready, relist, two_plans


async def test_unchanged_catalog_writes_no_class_or_plan(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        await bench.new_changes()
        stored = await relist(bench, broker)

    assert stored.status.reconciled_generation == 2
    assert await bench.new_changes(CLASSES, PLANS) == []
    assert len(server.seen_of(GET_CATALOG)) == 2


async def test_second_request_is_settled_by_the_body_whatever_the_broker_says_of_it(bench: Bench) -> None:
    async with ScriptedBroker() as server:
        server.always(GET_CATALOG, Reply(200, two_plans(), {"ETag": '"one"'}))
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        await relist(bench, broker)
        await bench.new_changes()
        stored = await relist(bench, broker)
        assert stored.status.reconciled_generation == 3
        assert await bench.new_changes(CLASSES, PLANS) == []
        assert [request.headers.get("If-None-Match") for request in server.seen_of(GET_CATALOG)] == [None] * 3

        server.always(GET_CATALOG, Reply(200, simple_catalog(), {"ETag": '"one"'}))
        await relist(bench, broker)
    assert len(await bench.all(PLANS)) == 1


async def test_request_mends_what_people_have_made_of_the_stored_catalog(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        await relist(bench, broker)
        large, small = await bench.all(PLANS)

        await bench.change(small, spec=small.spec.model_copy(update={"description": "free of charge"}))
        await relist(bench, broker)
        assert (await bench.get(small)).spec.description == small.spec.description

        # As many as before, but not the same.
        await bench.resources.database.run(lambda unit: unit.objects.remove(large))
        other = large.metadata.model_copy(update={"name": "other", "uid": "other"})
        await bench.create(large.model_copy(update={"metadata": other}))
        await relist(bench, broker)
        names = {each.metadata.name for each in await bench.all(PLANS)}
    assert {large.metadata.name, small.metadata.name} <= names


async def test_relist_sends_the_validator_and_304_keeps_everything(bench: Bench) -> None:
    async with ScriptedBroker() as server:
        server.script(GET_CATALOG, Reply(200, two_plans(), {"ETag": '"one"'}), Reply(304, None))
        broker = await bench.cluster_broker(server.url, relist_duration="1s")
        await bench.round(broker)
        await bench.new_changes()
        await _later(bench, broker)

    assert server.seen_of(GET_CATALOG)[1].headers["If-None-Match"] == '"one"'
    assert ready(await bench.get(broker)) == ("True", "FetchedCatalog")
    assert await bench.new_changes(CLASSES, PLANS) == []


async def test_broker_without_validators_is_recognised_by_the_body_of_its_catalog(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url, relist_duration="1s")
        await bench.round(broker)
        await bench.new_changes()
        await _later(bench, broker)
        assert await bench.new_changes(CLASSES, PLANS) == []
        assert ready(await bench.get(broker)) == ("True", "FetchedCatalog")

        (small, *_) = await bench.all(PLANS)
        await bench.resources.database.run(lambda unit: unit.objects.remove(small))
        await _later(bench, broker)
    assert len(await bench.all(PLANS)) == 2, "a plan that somebody has removed comes back"


async def test_other_credentials_make_the_validator_worthless(bench: Bench) -> None:
    auth = {"bearer": {"secretRef": {"namespace": "ops", "name": "login"}}}
    secret = Secret(metadata=ObjectMeta(name="login", namespace="ops"), data={"token": "b25l"})
    async with ScriptedBroker() as server:
        server.always(GET_CATALOG, Reply(200, two_plans(), {"ETag": '"one"'}))
        stored = await bench.create(secret)
        broker = await bench.cluster_broker(server.url, relist_duration="1s", auth_info=auth)
        await bench.round(broker)
        await _later(bench, broker)
        await bench.change(stored, data={"token": "dHdv"})
        await _later(bench, broker)

    seen = server.seen_of(GET_CATALOG)
    assert [request.headers.get("If-None-Match") for request in seen] == [None, '"one"', None]
    assert [request.headers["Authorization"] for request in seen] == ["Bearer one", "Bearer one", "Bearer two"]


async def test_unchanged_relist_of_a_thousand_plans_writes_nothing(bench: Bench) -> None:
    services = [simple_service(f"s-{n}", plans=[f"p-{number}" for number in range(20)]) for n in range(50)]
    async with ScriptedBroker(simple_catalog(*services)) as server:
        broker = await bench.cluster_broker(server.url, relist_duration="1s")
        await bench.round(broker)
        await bench.new_changes()
        await _later(bench, broker)
        assert await bench.new_changes(CLASSES, PLANS) == []
        assert len(server.seen_of(GET_CATALOG)) == 2
    assert len(await bench.all(PLANS)) == 1000


async def _later(bench: Bench, broker: ClusterServiceBroker) -> None:
    """A round when the catalog is to be fetched again."""
    let_time_pass(bench, timedelta(seconds=1))
    await bench.change(broker)
    await bench.round(broker)
