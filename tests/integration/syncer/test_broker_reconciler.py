"""Catalog syncs from end to end: a scripted broker over HTTP, the real rounds, the real database."""

from datetime import timedelta

from chandlery.model.objects import kinds
from chandlery.model.objects.core import Secret
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.reconcile.reconcile_result import broker_key, relist_key
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.conformance.scripted.scripted_templates import GET_CATALOG
from tests.integration.syncer.conftest import Bench
from tests.integration.syncer.syncer_actions import CLASSES, PLANS, let_time_pass, ready, relist, two_plans, wake


async def test_first_sync_stores_classes_and_plans_and_says_so(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)

    stored = await bench.get(broker)
    assert ready(stored) == ("True", "FetchedCatalog")
    assert stored.status.reconciled_generation == 1
    assert stored.status.last_catalog_retrieval_time is not None
    assert [each.spec.external_name for each in await bench.all(CLASSES)] == ["db"]
    assert sorted(each.spec.external_name for each in await bench.all(PLANS)) == ["large", "small"]
    assert await bench.reasons() == ["FetchedCatalog"]


async def test_failing_broker_keeps_the_last_good_catalog(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        await bench.new_changes()
        server.always(GET_CATALOG, Reply(500, {"description": "disk full"}))
        stored = await relist(bench, broker)

    assert ready(stored) == ("False", "ErrorFetchingCatalog")
    assert "disk full" in stored.status.conditions[0].message
    assert stored.status.operation_start_time is not None
    assert await bench.new_changes(CLASSES, PLANS) == []


async def test_invalid_catalog_names_every_problem_and_changes_nothing(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        await bench.new_changes()
        server.catalog = {"services": [{"id": "x", "name": "x", "plans": []}]}
        stored = await relist(bench, broker)

    assert ready(stored) == ("False", "ErrorSyncingCatalog")
    message = stored.status.conditions[0].message
    assert all(path in message for path in ("services[0].description", "services[0].plans"))
    assert await bench.new_changes(CLASSES, PLANS) == []


async def test_broker_without_its_secret_waits_for_it(bench: Bench) -> None:
    auth = {"basic": {"secretRef": {"namespace": "ops", "name": "login"}}}
    async with ScriptedBroker(two_plans(), basic=("admin", "s3cret")) as server:
        broker = await bench.cluster_broker(server.url, auth_info=auth)
        await bench.round(broker)
        assert ready(await bench.get(broker)) == ("False", "ErrorFetchingCatalog")
        assert await bench.reasons() == ["ErrorGettingAuthCredentials"]
        assert server.seen == []

        data = {"username": "YWRtaW4=", "password": "czNjcmV0"}
        bench.take_commands()
        await bench.create(Secret(metadata=ObjectMeta(name="login", namespace="ops"), data=data))
        assert bench.take_commands() == {broker.metadata.uid}
        await bench.round(broker)

    assert ready(await bench.get(broker)) == ("True", "FetchedCatalog")


async def test_catalog_found_out_of_date_is_fetched_at_once_but_not_again_and_again(bench: Bench) -> None:
    key = relist_key(broker_key("", "broker"))
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        bench.take_commands()
        await bench.resources.database.run(lambda unit: wake(unit, key))
        assert bench.take_commands() == {broker.metadata.uid}
        await bench.round(broker)
        assert len(server.seen_of(GET_CATALOG)) == 2

        await bench.resources.database.run(lambda unit: wake(unit, key))
        assert bench.take_commands() == {broker.metadata.uid}, "it listens again"
        await bench.round(broker)
        assert len(server.seen_of(GET_CATALOG)) == 2
        let_time_pass(bench, timedelta(minutes=1))
        await bench.round(broker)
        assert len(server.seen_of(GET_CATALOG)) == 3
        await bench.change(broker, metadata={"annotations": {"chandlery.io/retry-requested-at": "now"}})
        await bench.round(broker)
        assert len(server.seen_of(GET_CATALOG)) == 4, "an order is carried out at once"


async def test_failures_are_counted_in_the_status_and_in_one_event(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        server.always(GET_CATALOG, Reply(500, {"description": "disk full"}))
        broker = await bench.cluster_broker(server.url)
        for _ in range(3):
            await bench.round(broker)
            await bench.make_due(broker)
        stored = await bench.get(broker)
        (event,) = await bench.all(kinds.EVENT)
        assert (event.reason, event.count, event.type) == ("ErrorFetchingCatalog", 3, "Warning")
        assert stored.status.attempts == 3
        assert stored.status.next_attempt_time > stored.status.operation_start_time

        server.always(GET_CATALOG, None)
        await bench.round(broker)
        stored = await bench.get(broker)
        assert (stored.status.attempts, stored.status.next_attempt_time) == (None, None)
        assert ready(stored) == ("True", "FetchedCatalog")
