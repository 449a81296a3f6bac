"""A later release has migrated the database, and the processes of this one go on: they are restarted after that."""

from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.integration.later_schema import expand
from tests.integration.workers.fleet import INSTANCE, Fleet, instance
from tests.support.waiting import eventually


async def test_processes_that_run_and_new_ones_work_on_a_later_schema(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        await fleet.offer("db", osb_broker.url)
        worker = await fleet.worker("ServiceInstance")
        await fleet.create(instance("before", "db"))
        await fleet.until_ready(INSTANCE, "before")

        async with fleet.front.engine.begin() as connection:
            await expand(connection)

        await fleet.create(instance("after", "db"))
        await fleet.until_ready(INSTANCE, "after")
        await worker.stop()
        fresh = await fleet.worker("ServiceInstance")
        await fleet.change_spec(await fleet.find(INSTANCE, "before"), size=2)
        await eventually(lambda: _is_up_to_date(fleet, "before"), what="the update to be made")
        await fleet.delete(await fleet.find(INSTANCE, "after"))
        await fleet.until_gone(INSTANCE, "after")
        assert len(osb_broker.seen_of(osb.PROVISION)) == 2
        await fresh.stop()


async def _is_up_to_date(fleet: Fleet, name: str) -> bool:
    found = await fleet.find(INSTANCE, name)
    return bool(found.status.reconciled_generation == found.metadata.generation == 2)
