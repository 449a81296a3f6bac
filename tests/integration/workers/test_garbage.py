"""Owner references are honoured as Kubernetes does: background, foreground, orphan, on both backends."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.model.objects import kinds
from chandlery.model.objects.core import Namespace, Secret
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import ObjectMeta, OwnerReference
from chandlery.store.schema import GARBAGE
from chandlery_syncer.namespace_reconciler import NamespaceReconciler
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.integration.workers.fleet import BINDING, INSTANCE, NS, SECRET, Fleet, binding, broker, instance
from tests.support.waiting import eventually

HELD = "example.com/held"


def owned_by(*owners: AnyObject, blocks: bool = False) -> list[OwnerReference]:
    """References to these."""
    return [
        OwnerReference(
            api_version=owner.api_version,
            kind=owner.kind,
            name=owner.metadata.name,
            uid=owner.metadata.uid or "",
            block_owner_deletion=blocks or None,
        )
        for owner in owners
    ]


def saying(references: list[OwnerReference], **fields: str) -> list[OwnerReference]:
    """The references with something else in these fields."""
    return [reference.model_copy(update=fields) for reference in references]


def secret(
    name: str, owners: Sequence[OwnerReference] = (), *, namespace: str = NS, finalizers: tuple[str, ...] = ()
) -> Secret:
    metadata = ObjectMeta(
        name=name, namespace=namespace, owner_references=list(owners) or None, finalizers=list(finalizers) or None
    )
    return Secret(metadata=metadata)


async def made(fleet: Fleet, document: AnyObject) -> Any:
    """The object as it has been stored."""
    await fleet.create(document)
    return await found(fleet, document)


async def found(fleet: Fleet, document: AnyObject) -> Any:
    kind, meta = kinds.kind_of(document), document.metadata
    return await fleet.front.database.run(lambda unit: unit.objects.get(kind, meta.namespace or "", meta.name))


async def until_quiet(fleet: Fleet) -> None:
    """Nothing is left for the collector to look at."""

    async def is_quiet() -> bool:
        return not await fleet.rows("garbage")

    await eventually(is_quiet, what="the collector to have looked at everything")


async def let_go(fleet: Fleet, document: AnyObject) -> None:
    """Take all finalizers away, as whoever has set them does."""

    def change(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
        return old.model_copy(update={"metadata": old.metadata.model_copy(update={"finalizers": None})}), ()

    await fleet.change(document, change)


@pytest.mark.parametrize("policy", [None, "Background", "Foreground"])
async def test_what_an_owner_owned_goes_with_it(fleet: Fleet, policy: str | None) -> None:
    await fleet.collector()
    owner = await made(fleet, secret("owner"))
    child = await made(fleet, secret("child", owned_by(owner)))
    await made(fleet, secret("grandchild", owned_by(child)))
    await made(fleet, secret("stranger"))
    await fleet.delete(owner, policy=policy)
    for name in ("owner", "child", "grandchild"):
        await fleet.until_gone(SECRET, name)
    await until_quiet(fleet)
    assert await fleet.find(SECRET, "stranger") is not None
    assert await fleet.rows("owner_links") == []
    told = {(row["verb"], row["object_name"], row["username"]) for row in await fleet.rows("audit_events")}
    assert told >= {("withdraw", name, "system:chandlery:syncer") for name in ("child", "grandchild")}
    assert owner.metadata.uid in {row["uid"] for row in await fleet.rows("audit_subjects")}


async def test_what_an_orphaning_deletion_leaves_stays_without_its_owner(fleet: Fleet) -> None:
    await fleet.collector()
    owner, other = await made(fleet, secret("owner")), await made(fleet, secret("other"))
    await made(fleet, secret("child", owned_by(owner)))
    await made(fleet, secret("shared", owned_by(owner, other)))
    await fleet.delete(owner, policy="Orphan")
    await fleet.until_gone(SECRET, "owner")
    await until_quiet(fleet)
    assert (await fleet.find(SECRET, "child")).metadata.owner_references is None
    left = (await fleet.find(SECRET, "shared")).metadata.owner_references
    assert [each.name for each in left] == ["other"]


async def test_an_object_goes_when_the_last_of_its_owners_has_gone(fleet: Fleet) -> None:
    await fleet.collector()
    first, second = await made(fleet, secret("first")), await made(fleet, secret("second"))
    await made(fleet, secret("child", owned_by(first, second)))
    await fleet.delete(first)
    await until_quiet(fleet)
    left = (await fleet.find(SECRET, "child")).metadata.owner_references
    assert [each.name for each in left] == ["second"], "the one that is gone is no owner any more"
    await fleet.delete(second)
    await fleet.until_gone(SECRET, "child")


async def test_a_foreground_deletion_waits_for_those_who_block_it_and_for_nobody_else(fleet: Fleet) -> None:
    await fleet.collector()
    owner = await made(fleet, secret("owner"))
    blocking = await made(fleet, secret("blocking", owned_by(owner, blocks=True), finalizers=(HELD,)))
    await made(fleet, secret("patient", owned_by(owner), finalizers=(HELD,)))
    await fleet.delete(owner, policy="Foreground")

    async def both_go() -> bool:
        each = [await fleet.find(SECRET, name) for name in ("blocking", "patient")]
        return all(one.metadata.deletion_timestamp is not None for one in each)

    await eventually(both_go, what="the dependents to be deleted")
    waiting = await fleet.find(SECRET, "owner")
    assert waiting.metadata.finalizers == ["foregroundDeletion"]
    await let_go(fleet, blocking)
    await fleet.until_gone(SECRET, "owner")
    assert await fleet.find(SECRET, "patient") is not None, "it holds itself up, not its owner"


async def test_a_foreground_deletion_waits_for_nothing_that_another_namespace_has_hung_on_its_object(
    fleet: Fleet,
) -> None:
    await fleet.collector()
    await fleet.create(Namespace(metadata=ObjectMeta(name="elsewhere")))
    owner = await made(fleet, secret("owner"))
    foreign = owned_by(owner, blocks=True)
    await fleet.create(secret("foreign", foreign, namespace="elsewhere", finalizers=(HELD,)))
    await fleet.delete(owner, policy="Foreground")
    await fleet.until_gone(SECRET, "owner")


async def test_a_ring_of_owners_goes_in_the_foreground_too(fleet: Fleet) -> None:
    await fleet.collector()
    first = await made(fleet, secret("first"))
    second = await made(fleet, secret("second", owned_by(first, blocks=True)))

    def close(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
        metadata = old.metadata.model_copy(update={"owner_references": owned_by(second, blocks=True)})
        return old.model_copy(update={"metadata": metadata}), ()

    await fleet.change(first, close)
    await fleet.delete(first, policy="Foreground")
    await fleet.until_gone(SECRET, "first")
    await fleet.until_gone(SECRET, "second")


async def test_another_policy_may_be_given_while_an_object_goes(fleet: Fleet) -> None:
    owner = await made(fleet, secret("owner"))
    await made(fleet, secret("child", owned_by(owner, blocks=True)))
    await fleet.delete(owner, policy="Foreground")
    await fleet.delete(owner, policy="Orphan")
    assert (await fleet.find(SECRET, "owner")).metadata.finalizers == ["orphan"]
    await fleet.collector()
    await fleet.until_gone(SECRET, "owner")
    assert (await fleet.find(SECRET, "child")).metadata.owner_references is None


@pytest.mark.parametrize(
    "fields",
    [{"uid": "11111111-1111-4111-8111-111111111111"}, {"name": "another"}],
    ids=["uid of nobody", "name of another"],
)
async def test_an_owner_that_is_not_the_one_that_is_meant_counts_as_gone(fleet: Fleet, fields: dict[str, str]) -> None:
    await fleet.collector()
    owner = await made(fleet, secret("owner"))
    await fleet.create(secret("child", saying(owned_by(owner), **fields)))
    await fleet.until_gone(SECRET, "child")
    assert await fleet.find(SECRET, "owner") is not None


async def test_an_owner_in_another_namespace_counts_as_gone(fleet: Fleet) -> None:
    await fleet.collector()
    await fleet.create(Namespace(metadata=ObjectMeta(name="elsewhere")))
    owner = await made(fleet, secret("owner", namespace="elsewhere"))
    await fleet.create(secret("child", owned_by(owner)))
    await fleet.until_gone(SECRET, "child")


async def test_an_api_version_that_nobody_serves_makes_no_dependent_of_the_uid_of_another(fleet: Fleet) -> None:
    await fleet.collector()
    owner = await made(fleet, secret("owner"))
    await fleet.create(secret("child", saying(owned_by(owner, blocks=True), api_version="v2"), finalizers=(HELD,)))
    await fleet.delete(owner, policy="Foreground")
    await fleet.until_gone(SECRET, "owner")
    assert (await fleet.find(SECRET, "child")).metadata.deletion_timestamp is None


async def test_owners_that_nobody_can_look_for_are_left_alone(fleet: Fleet) -> None:
    await fleet.collector()
    owner = await made(fleet, secret("owner"))
    deployment = saying(owned_by(owner), api_version="apps/v1", kind="Deployment")
    await made(fleet, secret("child", deployment))
    wide = broker("wide", "http://127.0.0.1:9")
    metadata = wide.metadata.model_copy(update={"owner_references": owned_by(owner)})
    wide = await made(fleet, wide.model_copy(update={"metadata": metadata}))
    await fleet.delete(owner)
    await fleet.until_gone(SECRET, "owner")
    await until_quiet(fleet)
    assert await fleet.find(SECRET, "child") is not None
    assert await found(fleet, wide) is not None, "an object without a namespace has no owner in one"


async def test_more_dependents_than_one_transaction_takes_go_all_the_same(fleet: Fleet) -> None:
    await fleet.collector()
    owner = await made(fleet, secret("owner"))
    await fleet.create(*(secret(f"child-{number:03}", owned_by(owner, blocks=True)) for number in range(230)))
    await fleet.delete(owner, policy="Foreground")
    await fleet.until_gone(SECRET, "owner")
    await until_quiet(fleet)
    assert await fleet.rows("owner_links") == []
    assert [row["name"] for row in await fleet.rows("secrets")] == []


async def test_a_binding_let_go_of_by_its_finalizer_leaves_no_secret_in_the_way_of_the_next(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        scripted.always(osb.BIND, Reply(201, {"credentials": {"password": "hunter2"}}))
        await fleet.collector()
        await fleet.offer("db", scripted.url)
        await fleet.worker("ServiceInstance", "ServiceBinding")
        await fleet.create(instance("one", "db"), binding("one"))
        await fleet.until_ready(BINDING, "one")
        before = await fleet.find(SECRET, "one")
        # What `svcat unbind --abandon` does.
        await let_go(fleet, binding("one"))
        await fleet.delete(binding("one"))
        await fleet.create(binding("one"))
        await fleet.until_ready(BINDING, "one")
        after = await fleet.find(SECRET, "one")
        assert after.metadata.uid != before.metadata.uid
        assert len(scripted.seen_of(osb.UNBIND)) == 0


async def test_an_instance_that_loses_its_owner_is_deprovisioned(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fleet.collector()
        await fleet.offer("db", scripted.url)
        await fleet.worker("ServiceInstance")
        owner = await made(fleet, secret("app"))
        desired = instance("one", "db")
        metadata = desired.metadata.model_copy(update={"owner_references": owned_by(owner, blocks=True)})
        await fleet.create(desired.model_copy(update={"metadata": metadata}))
        await fleet.until_ready(INSTANCE, "one")
        await fleet.delete(owner, policy="Foreground")
        await fleet.until_gone(INSTANCE, "one")
        await fleet.until_gone(SECRET, "app")
        assert len(scripted.seen_of(osb.DEPROVISION)) == 1


@pytest.mark.parametrize("policy", ["Foreground", "Orphan"])
async def test_an_instance_goes_by_any_policy_when_its_broker_has_agreed(fleet: Fleet, policy: str) -> None:
    async with ScriptedBroker() as scripted:
        await fleet.collector()
        await fleet.offer("db", scripted.url)
        await fleet.worker("ServiceInstance")
        await fleet.create(instance("one", "db"))
        await fleet.until_ready(INSTANCE, "one")
        await fleet.delete(instance("one", "db"), policy=policy)
        await fleet.until_gone(INSTANCE, "one")
        assert len(scripted.seen_of(osb.DEPROVISION)) == 1


async def test_what_another_collector_took_upon_itself_and_died_with_is_collected(fleet: Fleet) -> None:
    owner = await made(fleet, secret("owner"))
    await made(fleet, secret("child", owned_by(owner)))
    await fleet.delete(owner)
    taken = await fleet.front.database.run(lambda unit: unit.garbage.take(limit=10))
    assert len(taken) == 1
    fleet.clock.advance(timedelta(minutes=1).total_seconds())
    await fleet.collector()
    await fleet.until_gone(SECRET, "child")


async def test_what_an_older_release_left_without_an_owner_is_found(fleet: Fleet) -> None:
    owner = await made(fleet, secret("owner"))
    await made(fleet, secret("child", owned_by(owner)))
    await fleet.delete(owner)
    async with fleet.front.engine.begin() as connection:
        await connection.execute(delete(GARBAGE))
    assert await fleet.rows("owner_links") != []
    await fleet.collector()
    await fleet.until_gone(SECRET, "child")


async def test_a_broker_that_goes_takes_what_a_user_hung_on_it(fleet: Fleet) -> None:
    await fleet.collector()
    wide = await made(fleet, broker("wide", "http://127.0.0.1:9"))
    await made(fleet, secret("child", owned_by(wide)))
    await let_go(fleet, wide)
    await fleet.delete(wide)
    await fleet.until_gone(SECRET, "child")


async def test_a_namespace_may_go_in_the_foreground(fleet: Fleet) -> None:
    await fleet.collector()
    worker = await fleet.process("syncer")
    await worker.relay().work(
        {"Namespace": lambda resources: ReconcileLoop(NamespaceReconciler(resources), resources).handle}
    )
    home = await made(fleet, Namespace(metadata=ObjectMeta(name="elsewhere")))
    await fleet.create(secret("inside", namespace="elsewhere"))
    await made(fleet, secret("child", owned_by(home, blocks=True)))
    await fleet.delete(home, policy="Foreground")
    await fleet.until_gone(kinds.NAMESPACE, "elsewhere")
    assert await fleet.find(SECRET, "child") is None
