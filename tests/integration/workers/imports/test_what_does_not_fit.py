"""What an import tells of objects that do not fit, and that it can be repeated: nothing that is there is touched."""

from typing import Any

import pytest

from chandlery.model.objects import kinds
from chandlery.process.commands.imports.import_entries import Verdict
from chandlery.store.database import UnitOfWork
from tests.integration.workers.fleet import BINDING, INSTANCE, SECRET, Fleet
from tests.integration.workers.imports.importing import Importing, entry_of
from tests.support.dumps import old_catalog as old

URL = "https://broker.example.com"


def orders() -> list[old.Document]:
    return [
        old.home(),
        old.instance("orders", old.provisioned()),
        old.binding("login", "orders", old.bound()),
        old.secret("login", of="login", password="p"),
    ]


async def test_a_dry_run_stores_nothing(fleet: Fleet, importing: Importing) -> None:
    before = await fleet.rows("changes")
    report = await importing.look(*old.offered(URL), *orders())
    assert {each.verdict for each in report.entries} == {Verdict.CREATE}
    assert await fleet.find(INSTANCE, "orders") is None
    assert await fleet.rows("changes") == before


async def test_a_second_import_leaves_all_as_it_is(fleet: Fleet, importing: Importing) -> None:
    await importing.apply(*old.offered(URL), *orders())
    before = await fleet.rows("changes")
    report = await importing.apply(*old.offered(URL), *orders())
    assert {each.verdict for each in report.entries} == {Verdict.THERE}
    assert await fleet.rows("changes") == before


async def test_secrets_that_a_first_dump_was_without_come_with_the_second(fleet: Fleet, importing: Importing) -> None:
    await importing.apply(*old.offered(URL), *orders()[:-1])
    assert await fleet.find(SECRET, "login") is None
    report = await importing.apply(*old.offered(URL), *orders())
    assert entry_of(report, "Secret", "login").verdict == Verdict.CREATE
    (owner,) = (await fleet.find(SECRET, "login")).metadata.owner_references
    assert owner.uid == (await fleet.find(BINDING, "login")).metadata.uid


async def test_what_has_been_changed_since_is_told_and_stays(fleet: Fleet, importing: Importing) -> None:
    await importing.apply(*old.offered(URL), *orders())
    changed = old.instance("orders", old.provisioned(), parameters={"size": 9})
    report = await importing.apply(*old.offered(URL), old.home(), changed)
    told = entry_of(report, "ServiceInstance", "orders")
    assert (told.verdict, told.remarks) == (
        Verdict.THERE,
        ("what is here stays as it is; it differs in parameters",),
    )
    assert (await fleet.find(INSTANCE, "orders")).spec.parameters is None


async def test_the_rest_of_a_larger_dump_comes_beside_what_is_there(fleet: Fleet, importing: Importing) -> None:
    await importing.apply(*old.offered(URL), old.home(), old.instance("orders", old.provisioned()))
    report = await importing.apply(*old.offered(URL), *orders())
    assert entry_of(report, "ServiceInstance", "orders").verdict == Verdict.THERE
    assert entry_of(report, "ServiceBinding", "login").verdict == Verdict.CREATE
    row = await fleet.work_row(BINDING, "login")
    assert row["memory"]["placement"] == {
        "instanceID": "id-of-orders",
        "serviceID": old.CLASS,
        "planID": old.SMALL,
        "bindingID": "",
    }


UNFIT = {
    "the second of an external id": (
        old.instance("twin", old.provisioned(), externalID="id-of-orders"),
        "ns/orders in the dump has the same external id at the same service broker",
    ),
    "an external id that cannot stand in a path": (
        old.instance("twin", old.provisioned(), externalID="../../v2/catalog"),
        "spec.externalID: ",
    ),
    "no external id": (
        old.instance("twin", old.provisioned(), externalID=""),
        "spec.externalID: nobody can tell what the service broker knows it by",
    ),
    "a class that is nowhere": (
        old.instance("twin", old.provisioned(), clusterServiceClassRef={"name": "gone"}),
        "its class is not known",
    ),
    "two classes": (
        old.instance("twin", old.provisioned(), clusterServiceClassName="db-id"),
        "--accept-invalid",
    ),
    "gone but for its entry": (
        old.instance("twin", old.refused(), metadata={"deletionTimestamp": old.SINCE, "finalizers": []}),
        "nothing holds it any more",
    ),
    "a field of another type": (
        old.instance("twin", old.provisioned(), updateRequests="three"),
        "spec.updateRequests: must be a whole number",
    ),
}


@pytest.mark.parametrize(("document", "why"), UNFIT.values(), ids=UNFIT.keys())
async def test_an_instance_does_not_fit(fleet: Fleet, importing: Importing, document: old.Document, why: str) -> None:
    report = await importing.look(*old.offered(URL), *orders(), document, applies=True)
    told = entry_of(report, "ServiceInstance", "twin")
    assert told.verdict == Verdict.UNFIT
    assert why in told.why
    assert await fleet.find(INSTANCE, "twin") is None
    # Its neighbours are none the worse for it.
    assert await fleet.find(INSTANCE, "orders") is not None
    assert await fleet.find(BINDING, "login") is not None


async def test_an_external_id_that_belongs_to_somebody_here_is_refused(fleet: Fleet, importing: Importing) -> None:
    await importing.apply(*old.offered(URL), *orders())
    other = old.instance("other", old.provisioned(), externalID="id-of-orders")
    report = await importing.look(*old.offered(URL), old.home(), other, applies=True)
    assert "another object here has its external id" in entry_of(report, "ServiceInstance", "other").why


async def test_another_object_of_the_name_is_not_touched(fleet: Fleet, importing: Importing) -> None:
    await importing.apply(*old.offered(URL), *orders())
    other = old.instance("orders", old.provisioned(), externalID="another")
    report = await importing.look(*old.offered("https://elsewhere.example.com"), old.home(), other, applies=True)
    assert (
        "an object with another external id of this name is here" in entry_of(report, "ServiceInstance", "orders").why
    )
    assert "another service broker of this name is here" in entry_of(report, "ClusterServiceBroker", old.BROKER).why


async def test_bindings_go_with_what_becomes_of_their_instance(fleet: Fleet, importing: Importing) -> None:
    twin = old.instance("twin", old.provisioned(), externalID="id-of-orders")
    lost = [old.binding("of-twin", "twin", old.bound()), old.binding("of-nobody", "nobody", old.bound())]
    report = await importing.look(*old.offered(URL), *orders(), twin, *lost, applies=True)
    for name in ("of-twin", "of-nobody"):
        told = entry_of(report, "ServiceBinding", name)
        assert told.verdict == Verdict.UNFIT
        assert "its ServiceInstance is not known" in told.why


async def test_bindings_do_not_come_to_another_instance_of_the_name(fleet: Fleet, importing: Importing) -> None:
    await importing.apply(*old.offered(URL), *orders())
    other = old.instance("orders", old.provisioned(), externalID="another")
    report = await importing.look(*old.offered(URL), other, old.binding("theirs", "orders", old.bound()), applies=True)
    told = entry_of(report, "ServiceBinding", "theirs")
    assert (told.verdict, told.why[:34]) == (Verdict.UNFIT, "its ServiceInstance is not known, ")
    assert await fleet.find(BINDING, "theirs") is None


async def test_instances_do_not_come_to_another_broker_with_a_class_of_the_name(
    fleet: Fleet, importing: Importing
) -> None:
    await importing.apply(*old.offered(URL), old.home())
    other = old.broker("https://other.example.com")
    other["metadata"] |= {"name": "other", "uid": old.uid_of("ClusterServiceBroker", "other")}
    theirs = [old.service_class(clusterServiceBrokerName="other"), old.plan("small", old.SMALL)]
    theirs[1]["spec"]["clusterServiceBrokerName"] = "other"
    report = await importing.look(other, *theirs, *orders(), applies=True)
    for kind, name in (("ClusterServiceClass", old.CLASS), ("ClusterServicePlan", old.SMALL)):
        assert "one of another service broker, or with another id, of this name" in entry_of(report, kind, name).why
    assert "its class is not known" in entry_of(report, "ServiceInstance", "orders").why
    assert await fleet.find(INSTANCE, "orders") is None


async def test_what_is_refused_here_can_be_stored_as_it_is(fleet: Fleet, importing: Importing) -> None:
    from_elsewhere = {"addKeysFrom": {"secretRef": {"namespace": "other", "name": "ca"}}}
    odd = old.binding("odd", "orders", old.bound(), secretTransforms=[from_elsewhere])
    report = await importing.look(*old.offered(URL), *orders(), odd)
    assert entry_of(report, "ServiceBinding", "odd").verdict == Verdict.UNFIT
    report = await importing.apply(*old.offered(URL), *orders(), odd, accepts_invalid=True)
    told = entry_of(report, "ServiceBinding", "odd")
    assert told.verdict == Verdict.CREATE
    assert any("must be the namespace of the binding" in each for each in told.remarks)


async def test_what_is_left_out_or_missing_is_told(fleet: Fleet, importing: Importing) -> None:
    odd = old.instance(
        "odd", old.provisioned(), shape="round", parametersFrom=[{"secretKeyRef": {"name": "s", "key": "k"}}]
    )
    report = await importing.apply(
        *old.offered(URL, authInfo={"basic": {"secretRef": {"namespace": "ns", "name": "broker-login"}}}),
        old.home(),
        odd,
        old.binding("bare", "odd", old.bound()),
    )
    assert entry_of(report, "ServiceInstance", "odd").remarks == (
        'unknown field "spec.shape"',
        'the Secret "ns/s" of spec.parametersFrom[0] is not in the dump or here: create it',
    )
    (missing,) = entry_of(report, "ClusterServiceBroker", old.BROKER).remarks
    assert '"ns/broker-login" of spec.authInfo.basic is not in the dump' in missing
    (without,) = entry_of(report, "ServiceBinding", "bare").remarks
    assert without.startswith('its Secret "ns/bare" is missing')


async def test_only_secrets_that_somebody_uses_are_stored(fleet: Fleet, importing: Importing) -> None:
    await importing.apply(*old.offered(URL), *orders(), old.secret("unrelated", a="b"))
    assert await fleet.find(SECRET, "login") is not None
    assert await fleet.find(SECRET, "unrelated") is None


async def test_a_namespace_that_is_missing_is_made_as_the_dump_has_it(fleet: Fleet, importing: Importing) -> None:
    there = old.instance("far", old.provisioned(), metadata={"namespace": "far"})
    away = old.instance("away", old.provisioned(), metadata={"namespace": "away"})
    report = await importing.apply(*old.offered(URL), old.home("far"), there, away)

    async def stored(unit: UnitOfWork) -> list[Any]:
        return [await unit.objects.get(kinds.NAMESPACE, "", name) for name in ("far", "away")]

    far, made = await fleet.front.database.run(stored)
    assert far.metadata.uid == old.uid_of("Namespace", "far")
    assert made.metadata.uid
    (remark,) = entry_of(report, "Namespace", "away").remarks
    assert "gets a new uid" in remark


async def test_a_plan_that_has_gone_is_told_and_the_instance_is_taken_all_the_same(
    fleet: Fleet, importing: Importing
) -> None:
    broker, service_class, small, _ = old.offered(URL)
    on_large = old.provisioned(externalProperties=old.state_of("large"))
    report = await importing.apply(
        broker, service_class, small, old.home(), old.instance("orders", on_large, plan_name="large")
    )
    (remark,) = entry_of(report, "ServiceInstance", "orders").remarks
    assert "its plan is not in the catalog any more" in remark
    assert (await fleet.work_row(INSTANCE, "orders"))["memory"]["planID"] == old.LARGE
