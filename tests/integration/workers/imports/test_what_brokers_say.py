"""`--check` compares a dump with what service brokers have, and asks for nothing that would change anything."""

from chandlery.process.commands.imports.broker_comparison import Comparison
from chandlery.process.commands.imports.import_run import check_brokers
from chandlery.process.commands.imports.sources.dump_shelf import DumpShelf
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_service
from tests.integration.workers.fleet import Fleet
from tests.integration.workers.imports.importing import changes_at
from tests.support.dumps import old_catalog as old


def scripted_broker(*plans: str, is_open: bool = True) -> ScriptedBroker:
    service = simple_service(
        "db", plans=plans or ["small", "large"], instances_retrievable=is_open, bindings_retrievable=is_open
    )
    return ScriptedBroker(simple_catalog(service), basic=("u", "p"))


async def compared(fleet: Fleet, scripted: ScriptedBroker, *documents: old.Document) -> Comparison:
    shelf = DumpShelf()
    login = {"basic": {"secretRef": {"namespace": "ns", "name": "broker-login"}}}
    known = [*old.offered(scripted.url, authInfo=login), old.secret("broker-login", username="u", password="p")]
    for document in (*known, *documents):
        shelf.add(document)
    process = fleet.front
    settings = process.resources.settings.model_copy(
        update={"broker_trusted_networks": "127.0.0.0/8", "broker_http_credentials": True}
    )
    comparison = await check_brokers(process.database, settings, shelf)
    assert changes_at(scripted) == []
    return comparison


def objects() -> list[old.Document]:
    return [old.instance("orders", old.provisioned()), old.binding("login", "orders", old.bound())]


async def test_what_agrees_is_counted(fleet: Fleet) -> None:
    async with scripted_broker() as scripted:
        scripted.always(osb.FETCH_INSTANCE, Reply(200, {"service_id": old.CLASS, "plan_id": old.SMALL}))
        scripted.always(osb.FETCH_BINDING, Reply(200, {"credentials": {"password": "p"}}))
        found = await compared(fleet, scripted, *objects())
        assert (found.findings, found.agreed, found.unasked) == ([], 3, 0)


async def test_what_the_broker_has_otherwise_is_found(fleet: Fleet) -> None:
    async with scripted_broker("small") as scripted:
        scripted.script(osb.FETCH_INSTANCE, Reply(200, {"plan_id": "tiny"}), only="id-of-orders")
        scripted.script(osb.FETCH_INSTANCE, Reply(404, {}), only="id-of-gone")
        scripted.always(osb.FETCH_BINDING, Reply(404, {}))
        on_large = old.instance("gone", old.provisioned(externalProperties=old.state_of("large")), plan_name="large")
        found = await compared(fleet, scripted, *objects(), on_large)
        assert sorted((each.place[1], each.message) for each in found.findings) == [
            ("gone", "its class or its plan is not in the catalog of its service broker any more"),
            ("gone", "its service broker does not have it"),
            ("login", "its service broker does not have it"),
            ("orders", f'its service broker has it on the plan "tiny", and not on "{old.SMALL}"'),
        ]


async def test_a_broker_that_lets_nobody_ask_is_not_asked(fleet: Fleet) -> None:
    async with scripted_broker(is_open=False) as scripted:
        found = await compared(fleet, scripted, *objects())
        assert (found.findings, found.agreed, found.unasked) == ([], 1, 2)
        assert {each.template for each in scripted.seen} == {osb.GET_CATALOG}


async def test_a_broker_that_cannot_be_asked_is_found(fleet: Fleet) -> None:
    async with scripted_broker() as scripted:
        scripted.always(osb.GET_CATALOG, Reply(503, {"description": "closed"}))
        found = await compared(fleet, scripted, *objects())
        (finding,) = found.findings
        assert finding.place == ("", old.BROKER)
        assert "closed" in finding.message
