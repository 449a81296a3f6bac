"""Objects of Service Catalog are taken over without a call that changes anything, and work from then on."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from chandlery.model.objects import kinds
from chandlery.store.rows import utc
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_service
from tests.integration.workers.fleet import BINDING, INSTANCE, NS, SECRET, Fleet
from tests.integration.workers.imports.importing import Importing, changes_at, entry_of
from tests.support.dumps import old_catalog as old
from tests.support.waiting import eventually

WORKERS = ("ClusterServiceBroker", "ServiceInstance", "ServiceBinding")


def scripted_broker() -> ScriptedBroker:
    """A broker that has whatever it is asked to change."""
    service = simple_service("db", plans=["small", "large"], plan_updateable=True, instances_retrievable=True)
    scripted = ScriptedBroker(simple_catalog(service))
    for template in (osb.UPDATE, osb.DEPROVISION, osb.UNBIND):
        scripted.always(template, Reply(200, {}))
    return scripted


async def rest(fleet: Fleet, scripted: ScriptedBroker) -> None:
    """Let the workers do all that is due, and again whenever time has passed: what is as before then stays so."""
    process = await fleet.worker(*WORKERS)
    sweep = process.sweep()

    async def left() -> list[object]:
        # Unless its round is over, an object is due, in hand, or on its way there.
        await sweep.once()
        rows, now = await fleet.rows("work_queue"), fleet.clock()
        open_rows = [row for row in rows if row["kind"] in WORKERS and (row["lease_owner"] or _is_due(row, now))]
        return [*open_rows, *await fleet.rows("outbox")]

    for passed in (0.0, *[3600.0] * 4):
        fleet.clock.advance(passed)
        await eventually(left, lambda seen: not seen, what="the workers to have done all that is due")
    await scripted.wait_for(osb.GET_CATALOG, 1)


def _is_due(row: Mapping[str, Any], now: datetime) -> bool:
    return row["due_at"] is not None and utc(row["due_at"]) <= now


def ready_ones() -> list[old.Document]:
    return [
        old.home(),
        old.instance("orders", old.provisioned({"size": 3}), parameters={"size": 3}),
        old.binding("orders-login", "orders", old.bound()),
        old.secret("orders-login", of="orders-login", username="u", password="p"),
    ]


async def test_what_was_ready_stays_ready_and_no_call_changes_anything(fleet: Fleet, importing: Importing) -> None:
    async with scripted_broker() as scripted:
        await importing.apply(*old.offered(scripted.url), *ready_ones())
        await rest(fleet, scripted)
        assert await fleet.ready(INSTANCE, "orders") == ("True", "ProvisionedSuccessfully")
        assert await fleet.ready(BINDING, "orders-login") == ("True", "InjectedBindResult")
        assert changes_at(scripted) == []
        instance = await fleet.find(INSTANCE, "orders")
        assert instance.metadata.uid == old.uid_of("ServiceInstance", "orders")
        assert instance.metadata.finalizers == [old.FINALIZER]
        assert instance.status.dashboard_url == "https://dashboard.example.com/1"
        secret = await fleet.find(SECRET, "orders-login")
        assert secret.data == {"username": "dQ==", "password": "cA=="}


async def test_old_ids_are_used_by_whatever_comes_after(fleet: Fleet, importing: Importing) -> None:
    async with scripted_broker() as scripted:
        await importing.apply(*old.offered(scripted.url), *ready_ones())
        await rest(fleet, scripted)
        instance, binding = await fleet.find(INSTANCE, "orders"), await fleet.find(BINDING, "orders-login")
        await fleet.change_spec(instance, size=4)
        (update,) = await scripted.wait_for(osb.UPDATE, 1)
        assert update.ids == {"instance_id": "id-of-orders"}
        assert update.body["parameters"] == {"size": 4}
        assert update.body["previous_values"]["plan_id"] == old.SMALL
        await fleet.until_condition(INSTANCE, "orders", ("True", "InstanceUpdatedSuccessfully"))
        await fleet.delete(binding)
        (unbind,) = await scripted.wait_for(osb.UNBIND, 1)
        assert unbind.ids == {"instance_id": "id-of-orders", "binding_id": "id-of-orders-login"}
        assert (unbind.query["service_id"], unbind.query["plan_id"]) == (old.CLASS, old.SMALL)
        await fleet.until_gone(BINDING, "orders-login")
        assert await fleet.find(SECRET, "orders-login") is None
        await fleet.delete(instance)
        (deprovision,) = await scripted.wait_for(osb.DEPROVISION, 1)
        assert deprovision.ids == {"instance_id": "id-of-orders"}
        assert (deprovision.query["service_id"], deprovision.query["plan_id"]) == (old.CLASS, old.SMALL)
        await fleet.until_gone(INSTANCE, "orders")
        assert changes_at(scripted) == [osb.UPDATE, osb.UNBIND, osb.DEPROVISION]


async def test_an_instance_that_is_given_the_same_parameters_again_is_not_updated(
    fleet: Fleet, importing: Importing
) -> None:
    async with scripted_broker() as scripted:
        await importing.apply(*old.offered(scripted.url), *ready_ones())
        await rest(fleet, scripted)
        instance = await fleet.find(INSTANCE, "orders")
        await fleet.change_spec(instance, size=3)
        await rest(fleet, scripted)
        assert changes_at(scripted) == []


async def test_an_operation_under_way_goes_on_being_polled(fleet: Fleet, importing: Importing) -> None:
    async with scripted_broker() as scripted:
        scripted.script(osb.POLL_INSTANCE, Reply(200, {"state": "in progress"}), Reply(200, {"state": "succeeded"}))
        report = await importing.apply(*old.offered(scripted.url), old.home(), old.instance("late", old.provisioning()))
        assert entry_of(report, "ServiceInstance", "late").stance == "polled"
        process = await fleet.worker(*WORKERS)
        await fleet.ready_in_time(INSTANCE, "late", process.sweep(), seconds=10.0)
        polls = scripted.seen_of(osb.POLL_INSTANCE)
        assert polls[0].query == {"service_id": old.CLASS, "plan_id": old.SMALL, "operation": "op-7"}
        assert changes_at(scripted) == []


async def test_an_update_under_way_ends_on_the_other_plan(fleet: Fleet, importing: Importing) -> None:
    async with scripted_broker() as scripted:
        scripted.script(osb.POLL_INSTANCE, Reply(200, {"state": "succeeded"}))
        changing = old.instance("late", old.updating(), plan_name="large", generation=3)
        await importing.apply(*old.offered(scripted.url), old.home(), changing)
        process = await fleet.worker(*WORKERS)
        await fleet.ready_in_time(INSTANCE, "late", process.sweep(), seconds=10.0)
        late = await fleet.find(INSTANCE, "late")
        assert late.status.external_properties.cluster_service_plan_external_id == old.LARGE
        await fleet.delete(late)
        (deprovision,) = await scripted.wait_for(osb.DEPROVISION, 1)
        assert deprovision.query["plan_id"] == old.LARGE
        assert changes_at(scripted) == [osb.DEPROVISION]


async def test_what_failed_keeps_its_failure_and_is_not_tried_again(fleet: Fleet, importing: Importing) -> None:
    async with scripted_broker() as scripted:
        await importing.apply(
            *old.offered(scripted.url),
            *ready_ones(),
            old.instance("refused", old.refused()),
            old.binding("bad-login", "orders", old.unbindable()),
        )
        await rest(fleet, scripted)
        assert await fleet.ready(INSTANCE, "refused") == ("False", "ProvisionCallFailed")
        assert await fleet.ready(BINDING, "bad-login") == ("False", "BindCallFailed")
        assert changes_at(scripted) == []


UNSETTLED = {
    "retrying": old.retrying(),
    "mitigating": old.mitigating(),
    "waiting": old.waiting(),
    "changed": old.provisioned(observedGeneration=1, reconciledGeneration=1),
}


async def test_what_is_left_to_do_is_held_until_somebody_asks_for_it(fleet: Fleet, importing: Importing) -> None:
    async with scripted_broker() as scripted:
        going = {"deletionTimestamp": old.SINCE, "deletionGracePeriodSeconds": 0}
        held = [
            *(old.instance(name, status) for name, status in UNSETTLED.items()),
            old.instance("going", old.provisioned(), metadata=going),
            old.binding("login-going", "orders", old.bound(), metadata=going),
        ]
        report = await importing.apply(*old.offered(scripted.url), *ready_ones(), *held)
        await rest(fleet, scripted)
        assert changes_at(scripted) == []
        for document in held:
            entry = entry_of(report, document["kind"], document["metadata"]["name"])
            assert entry.stance == "held", entry
            stored = await fleet.find(entry.kind, entry.place[1])
            told = " ".join(each.message for each in stored.status.conditions)
            assert "nothing has been sent to its service broker" in told
            assert f"kubectl annotate {entry.kind.singular} {entry.place[1]} -n {NS}" in told


async def test_credentials_are_restored_from_the_copy_and_can_be_rotated(fleet: Fleet, importing: Importing) -> None:
    async with scripted_broker() as scripted:
        scripted.always(osb.BIND, Reply(201, {"credentials": {"username": "u2", "password": "p2"}}))
        await importing.apply(*old.offered(scripted.url), *ready_ones())
        await rest(fleet, scripted)
        await fleet.delete(await fleet.find(SECRET, "orders-login"))
        await until_secret(fleet, username="dQ==", password="cA==")
        assert changes_at(scripted) == []
        await fleet.change(await fleet.find(BINDING, "orders-login"), annotated("chandlery.io/rotate-requested-at"))
        await until_secret(fleet, username="dTI=", password="cDI=")
        (bind,) = scripted.seen_of(osb.BIND)
        assert bind.ids["binding_id"] != "id-of-orders-login"
        await fleet.delete(await fleet.find(BINDING, "orders-login"))
        await fleet.until_gone(BINDING, "orders-login")
        unbound = {each.ids["binding_id"] for each in scripted.seen_of(osb.UNBIND)}
        assert unbound == {"id-of-orders-login", bind.ids["binding_id"]}


async def until_secret(fleet: Fleet, **data: str) -> None:
    async def is_there() -> bool:
        found = await fleet.find(SECRET, "orders-login")
        return found is not None and found.data == data

    await eventually(is_there, what="the Secret with its data")


def annotated(key: str) -> Callable[[kinds.AnyObject], tuple[kinds.AnyObject, tuple[str, ...]]]:
    def change(document: kinds.AnyObject) -> tuple[kinds.AnyObject, tuple[str, ...]]:
        metadata = document.metadata.model_copy(update={"annotations": {key: "1"}})
        return document.model_copy(update={"metadata": metadata}), ()

    return change


async def test_a_bind_under_way_is_polled_and_its_credentials_are_fetched(fleet: Fleet, importing: Importing) -> None:
    service = simple_service("db", plans=["small", "large"], bindings_retrievable=True)
    async with ScriptedBroker(simple_catalog(service)) as scripted:
        scripted.script(osb.POLL_BINDING, Reply(200, {"state": "succeeded"}))
        scripted.always(osb.FETCH_BINDING, Reply(200, {"credentials": {"username": "u", "password": "p"}}))
        under_way = {
            **old.bound(reconciledGeneration=0),
            "asyncOpInProgress": True,
            "conditions": [old.condition("Ready", "False", "Binding")],
            "currentOperation": "Bind",
            "externalProperties": None,
            "inProgressProperties": {"userInfo": old.USER},
            "lastOperation": "op-3",
            "operationStartTime": old.SINCE,
        }
        instance, late = old.instance("orders", old.provisioned()), old.binding("orders-login", "orders", under_way)
        await importing.apply(*old.offered(scripted.url), old.home(), instance, late)
        process = await fleet.worker(*WORKERS)
        await fleet.ready_in_time(BINDING, "orders-login", process.sweep(), seconds=10.0)
        await until_secret(fleet, username="dQ==", password="cA==")
        assert changes_at(scripted) == []


async def test_a_held_deletion_goes_on_when_it_is_asked_for(fleet: Fleet, importing: Importing) -> None:
    async with scripted_broker() as scripted:
        going = {"deletionTimestamp": old.SINCE, "deletionGracePeriodSeconds": 0}
        await importing.apply(
            *old.offered(scripted.url), old.home(), old.instance("going", old.provisioned(), metadata=going)
        )
        await rest(fleet, scripted)
        await fleet.change(await fleet.find(INSTANCE, "going"), annotated("chandlery.io/retry-requested-at"))
        await fleet.until_gone(INSTANCE, "going")
        assert changes_at(scripted) == [osb.DEPROVISION]


async def test_what_is_left_to_do_is_done_at_once_if_the_operator_wants_it_so(
    fleet: Fleet, importing: Importing
) -> None:
    async with scripted_broker() as scripted:
        await importing.apply(
            *old.offered(scripted.url), old.home(), old.instance("retrying", old.retrying()), resumes=True
        )
        process = await fleet.worker(*WORKERS)
        await fleet.ready_in_time(INSTANCE, "retrying", process.sweep(), seconds=10.0)
        assert changes_at(scripted) == [osb.PROVISION]


async def test_a_deletion_of_which_the_broker_has_nothing_ends_without_a_call(
    fleet: Fleet, importing: Importing
) -> None:
    async with scripted_broker() as scripted:
        going = {"deletionTimestamp": old.SINCE, "deletionGracePeriodSeconds": 0}
        await importing.apply(
            *old.offered(scripted.url), old.home(), old.instance("refused", old.refused(), metadata=going)
        )
        process = await fleet.worker(*WORKERS)
        await process.sweep().once()
        await fleet.until_gone(INSTANCE, "refused")
        assert changes_at(scripted) == []
