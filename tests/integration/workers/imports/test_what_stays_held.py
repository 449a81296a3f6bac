"""What an import holds stays held, whatever comes by that wakes those at rest: nobody has asked for a call."""

from chandlery.model.objects import kinds
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_plan, simple_service
from tests.integration.workers.fleet import INSTANCE, Fleet
from tests.integration.workers.imports.importing import Importing, changes_at, entry_of
from tests.integration.workers.imports.test_moving_in import WORKERS, rest, scripted_broker
from tests.support.dumps import old_catalog as old


async def test_a_catalog_that_tells_of_upkeep_wakes_none_that_is_held(fleet: Fleet, importing: Importing) -> None:
    plans = [simple_plan(name, plan_id=f"db-{name}-id", maintenance_version="1.0.0") for name in ("small", "large")]
    new = ScriptedBroker(simple_catalog(simple_service("db", plans=plans, plan_updateable=True)))
    for template in (osb.PROVISION, osb.UPDATE, osb.DEPROVISION):
        new.always(template, Reply(200, {}))
    async with new as scripted:
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


async def test_a_later_import_shows_what_is_held_and_resumes_it(fleet: Fleet, importing: Importing) -> None:
    async with scripted_broker() as scripted:
        dump = (*old.offered(scripted.url), old.home(), old.instance("retrying", old.retrying()))
        await importing.apply(*dump)
        await rest(fleet, scripted)
        seen = entry_of(await importing.look(*dump), "ServiceInstance", "retrying")
        assert (seen.verdict, seen.stance) == ("already there", "held")
        would = entry_of(await importing.look(*dump, resumes=True), "ServiceInstance", "retrying")
        assert would.stance == "resumed"
        await rest(fleet, scripted)
        assert changes_at(scripted) == []
        await importing.apply(*dump, resumes=True)
        process = await fleet.worker(*WORKERS)
        await fleet.ready_in_time(INSTANCE, "retrying", process.sweep(), seconds=10.0)
        assert changes_at(scripted) == [osb.PROVISION]
        after = entry_of(await importing.apply(*dump, resumes=True), "ServiceInstance", "retrying")
        assert after.stance is None


async def test_what_is_deleted_while_its_broker_works_on_it_is_held(fleet: Fleet, importing: Importing) -> None:
    async with scripted_broker() as scripted:
        scripted.always(osb.POLL_INSTANCE, Reply(200, {"state": "in progress"}))
        scripted.always(osb.POLL_BINDING, Reply(200, {"state": "in progress"}))
        going = {"deletionTimestamp": old.SINCE, "deletionGracePeriodSeconds": 0}
        binding_under_way = old.bound(conditions=[], asyncOpInProgress=True, currentOperation="Bind", lastOperation="b")
        report = await importing.apply(
            *old.offered(scripted.url),
            *(old.home(), old.instance("orders", old.provisioned())),
            old.instance("late", old.provisioning(), metadata=going),
            old.instance("later", old.updating(), plan_name="large", generation=3, metadata=going),
            old.binding("login", "orders", binding_under_way, metadata=going),
            old.instance("leaving", old.provisioning(currentOperation="Deprovision"), metadata=going),
        )
        stances = {each.place[1]: each.stance for each in report.entries if each.stance}
        assert stances == {"late": "held", "later": "held", "login": "held", "leaving": "polled", "orders": "at rest"}
        await rest(fleet, scripted)
        assert {seen.ids["instance_id"] for seen in scripted.seen_of(osb.POLL_INSTANCE)} == {"id-of-leaving"}
        assert changes_at(scripted) == []


async def test_a_clean_up_under_way_is_polled_and_not_begun_anew(fleet: Fleet, importing: Importing) -> None:
    async with scripted_broker() as scripted:
        scripted.always(osb.POLL_INSTANCE, Reply(200, {"state": "in progress"}))
        scripted.always(osb.POLL_BINDING, Reply(200, {"state": "in progress"}))
        under_way = {"asyncOpInProgress": True, "lastOperation": "clean"}
        login = {**old.unbindable(), **under_way, "orphanMitigationInProgress": True, "currentOperation": "Bind"}
        login["conditions"] = [old.condition("Ready", "False", "OrphanMitigation")]
        report = await importing.apply(
            *old.offered(scripted.url),
            *(old.home(), old.instance("orders", old.provisioned())),
            old.instance("lost", {**old.mitigating(), **under_way}),
            old.binding("login", "orders", login),
        )
        stances = {each.place[1]: each.stance for each in report.entries if each.stance}
        assert stances == {"lost": "polled", "login": "polled", "orders": "at rest"}
        await rest(fleet, scripted)
        assert changes_at(scripted) == []
        assert scripted.seen_of(osb.POLL_INSTANCE)[0].query["operation"] == "clean"
        assert scripted.seen_of(osb.POLL_BINDING)[0].query["operation"] == "clean"
