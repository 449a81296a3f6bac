"""What an import holds stays held, whatever comes by that wakes those at rest: nobody has asked for a call."""

from chandlery.model.objects import kinds
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_plan, simple_service
from tests.integration.workers.fleet import Fleet
from tests.integration.workers.imports.importing import Importing, changes_at
from tests.integration.workers.imports.test_moving_in import rest
from tests.support.dumps import old_catalog as old


async def test_a_catalog_that_tells_of_upkeep_wakes_none_that_is_held(fleet: Fleet, importing: Importing) -> None:
    plans = [simple_plan(name, plan_id=f"db-{name}-id", maintenance_version="1.0.0") for name in ("small", "large")]
    scripted_broker = ScriptedBroker(simple_catalog(simple_service("db", plans=plans, plan_updateable=True)))
    for template in (osb.PROVISION, osb.UPDATE, osb.DEPROVISION):
        scripted_broker.always(template, Reply(200, {}))
    async with scripted_broker as scripted:
        going = {"deletionTimestamp": old.SINCE, "deletionGracePeriodSeconds": 0}
        await importing.apply(
            *old.offered(scripted.url),
            old.home(),
            old.instance("going", old.provisioned(), metadata=going),
            old.instance("changed", old.provisioned(observedGeneration=1, reconciledGeneration=1)),
            old.instance("retrying", old.retrying()),
            old.instance("refused", old.refused()),
            old.instance("orders", old.provisioned()),
        )
        await rest(fleet, scripted)
        plan = await fleet.find(kinds.CLUSTER_SERVICE_PLAN, old.SMALL)
        assert plan.spec.maintenance_info.version == "1.0.0"
        assert changes_at(scripted) == []
