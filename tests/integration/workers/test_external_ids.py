"""What the workers do with two objects of one external id: nothing is bound, deleted or changed for the second one."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import delete

from chandlery.model.faults import Invalid
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.store.schema import EXTERNAL_IDS, WORK_QUEUE
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import ScriptedBroker, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_service
from tests.integration.workers.fleet import BINDING, INSTANCE, SECRET, Fleet, binding, broker, instance
from tests.support.waiting import eventually

IN_USE = ("False", "ExternalIDInUse")
WRITES = (osb.PROVISION, osb.UPDATE, osb.DEPROVISION, osb.BIND, osb.UNBIND)


async def forget_claims(fleet: Fleet) -> None:
    """As if the objects that are there had been made by a release that let anybody have any id."""
    async with fleet.front.engine.begin() as connection:
        await connection.execute(delete(EXTERNAL_IDS))


def calls(scripted: ScriptedBroker) -> int:
    """How many requests that change something the broker has seen."""
    return sum(len(scripted.seen_of(template)) for template in WRITES)


async def until_unclaimed(fleet: Fleet, kind: Kind, name: str) -> None:
    """The object is refused, and its message has the way out and no other object's name."""
    await fleet.until_condition(kind, name, IN_USE)
    ready = next(each for each in (await fleet.find(kind, name)).status.conditions if each.type == "Ready")
    assert f"kubectl delete {kind.singular} {name} -n ns" in ready.message
    assert "first" not in ready.message


async def test_the_second_instance_whose_class_appears_later_is_not_provisioned_with_an_id_in_use(fleet: Fleet) -> None:
    async with ScriptedBroker(simple_catalog(simple_service("db", plans=["small"]))) as scripted:
        await fleet.worker("ServiceInstance")
        # Nobody knows yet which broker is meant, so neither can be refused.
        await fleet.create(instance("first", "db", external_id="id-1"))
        await fleet.create(instance("second", "db", external_id="id-1"))
        for name in ("first", "second"):
            await fleet.until_condition(INSTANCE, name, ("False", "ReferencesNonexistentServiceClass"))
        await fleet.worker("ClusterServiceBroker")
        await fleet.create(broker("harbour", scripted.url))

        async def is_decided() -> bool:
            found = [await fleet.ready(INSTANCE, name) for name in ("first", "second")]
            return IN_USE in found and ("True", "ProvisionedSuccessfully") in found

        await eventually(is_decided, what="one instance to be ready and the other to be refused")
        assert len(scripted.seen_of(osb.PROVISION)) == 1
        loser = "second" if await fleet.ready(INSTANCE, "second") == IN_USE else "first"
        await fleet.delete(instance(loser, "db"))
        await fleet.until_gone(INSTANCE, loser)
        assert calls(scripted) == 1, "deleting the refused one destroys nothing"
        await fleet.delete(instance("first" if loser == "second" else "second", "db"))
        await fleet.until_gone(INSTANCE, "first" if loser == "second" else "second")
        assert len(scripted.seen_of(osb.DEPROVISION)) == 1


@dataclass
class Doubled:
    """Two instances of one external id, and their bindings, from before ids were claimed; no worker is left."""

    fleet: Fleet
    scripted: ScriptedBroker
    calls: int


async def doubled(fleet: Fleet, scripted: ScriptedBroker) -> Doubled:
    await fleet.offer("db", scripted.url)
    worker = await fleet.worker("ServiceInstance", "ServiceBinding")
    for name in ("first", "second"):
        await fleet.create(instance(name, "db", external_id="id-1"))
        await fleet.create(binding(name))
        await fleet.until_ready(BINDING, name)
        await forget_claims(fleet)
        await _forget_notes(fleet)
    await worker.stop()
    await _claim(fleet, await fleet.find(INSTANCE, "first"))
    return Doubled(fleet, scripted, calls(scripted))


async def _claim(fleet: Fleet, document: AnyObject) -> None:
    async with fleet.front.engine.begin() as connection:
        await connection.execute(
            EXTERNAL_IDS.insert().values(
                lane="broker:/db", kind=document.kind, external_id="id-1", uid=document.metadata.uid
            )
        )


async def _forget_notes(fleet: Fleet) -> None:
    # The notes of an older release know nothing of claims.
    rows = await fleet.rows("work_queue")
    async with fleet.front.engine.begin() as connection:
        for row in rows:
            memory = {key: value for key, value in row["memory"].items() if key != "idLane"}
            statement = WORK_QUEUE.update().where(WORK_QUEUE.c.uid == row["uid"])
            await connection.execute(statement.values(memory=memory))


async def test_an_older_double_is_told_so_and_not_acted_upon(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await doubled(fleet, scripted)
        before = calls(scripted)
        await fleet.worker("ServiceInstance", "ServiceBinding")
        await fleet.change_spec(instance("second", "db"), size="xl")
        await until_unclaimed(fleet, INSTANCE, "second")
        again = binding("second").model_copy(
            update={"metadata": binding("second").metadata.model_copy(update={"name": "more"})}
        )
        await fleet.create(again)
        await fleet.until_condition(BINDING, "more", ("False", "ErrorInstanceNotReady"))
        assert calls(scripted) == before, "neither an update nor a bind with the other's id"


async def test_a_double_is_not_bound_even_before_its_own_worker_has_looked(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await doubled(fleet, scripted)
        before = calls(scripted)
        await fleet.worker("ServiceBinding")
        again = binding("second").model_copy(
            update={"metadata": binding("second").metadata.model_copy(update={"name": "more"})}
        )
        await fleet.create(again)
        await fleet.until_condition(BINDING, "more", ("False", "ErrorInstanceNotReady"))
        assert calls(scripted) == before


async def test_deleting_an_older_double_revokes_its_own_binding_and_leaves_the_instance(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await doubled(fleet, scripted)
        await fleet.worker("ServiceInstance", "ServiceBinding")
        await fleet.delete(instance("second", "db"))
        await fleet.delete(binding("second"))
        await fleet.until_gone(INSTANCE, "second")
        assert len(scripted.seen_of(osb.UNBIND)) == 1, "its credentials are its own"
        assert scripted.seen_of(osb.DEPROVISION) == []
        await fleet.delete(binding("first"))
        await fleet.delete(instance("first", "db"))
        await fleet.until_gone(INSTANCE, "first")
        assert len(scripted.seen_of(osb.DEPROVISION)) == 1


async def test_the_second_binding_of_an_id_is_neither_bound_nor_unbound(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fleet.offer("db", scripted.url)
        await fleet.worker("ServiceInstance")
        await fleet.create(instance("first", "db"), instance("second", "db"))
        await fleet.until_ready(INSTANCE, "first", "second")
        first, second = (_with_id(binding(name), "bid-1") for name in ("first", "second"))
        await fleet.create(first)
        with pytest.raises(Invalid):
            await fleet.create(second)
        await forget_claims(fleet)
        await fleet.create(second)
        await forget_claims(fleet)
        await _claim_binding(fleet, "first")
        await fleet.worker("ServiceBinding")
        await fleet.until_ready(BINDING, "first")
        await until_unclaimed(fleet, BINDING, "second")
        await fleet.delete(second)
        await fleet.until_gone(BINDING, "second")
        assert (len(scripted.seen_of(osb.BIND)), len(scripted.seen_of(osb.UNBIND))) == (1, 0)
        assert await fleet.find(SECRET, "first") is not None


async def test_the_id_of_rotated_credentials_belongs_to_their_binding(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fleet.offer("db", scripted.url)
        await fleet.worker("ServiceInstance", "ServiceBinding")
        await fleet.create(instance("first", "db"), binding("first"))
        await fleet.until_ready(BINDING, "first")
        await fleet.change(binding("first"), _rotate)

        async def is_rotated() -> bool:
            return bool((await fleet.find(BINDING, "first")).status.external_id)

        await eventually(is_rotated, what="the credentials to be rotated")
        rotated = (await fleet.find(BINDING, "first")).status.external_id
        second = binding("first").model_copy(
            update={
                "metadata": binding("first").metadata.model_copy(update={"name": "thief"}),
                "spec": binding("first").spec.model_copy(update={"external_id": rotated}),
            }
        )
        with pytest.raises(Invalid, match="is in use at the service broker"):
            await fleet.create(second)


async def test_ids_of_what_an_older_release_removed_are_let_go_of(fleet: Fleet) -> None:
    async with fleet.front.engine.begin() as connection:
        values = {"lane": "broker:/db", "kind": "ServiceInstance", "external_id": "id-1", "uid": "gone"}
        await connection.execute(EXTERNAL_IDS.insert().values(values))
    await fleet.front.sweep().once()
    assert await fleet.rows("external_ids") == []


async def _claim_binding(fleet: Fleet, name: str) -> None:
    found = await fleet.find(BINDING, name)
    async with fleet.front.engine.begin() as connection:
        await connection.execute(
            EXTERNAL_IDS.insert().values(
                lane="broker:/db", kind="ServiceBinding", external_id="bid-1", uid=found.metadata.uid
            )
        )


def _with_id(document: Any, external_id: str) -> Any:
    return document.model_copy(update={"spec": document.spec.model_copy(update={"external_id": external_id})})


def _rotate(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
    annotations = {"chandlery.io/rotate-requested-at": "1"}
    return old.model_copy(update={"metadata": old.metadata.model_copy(update={"annotations": annotations})}), ()
