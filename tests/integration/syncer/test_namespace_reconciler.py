"""A namespace with everything in it goes, on the real database; the other workers are played by the test."""

from datetime import UTC, datetime, timedelta

from chandlery.model.history.recorded_operations import (
    OperationName,
    OperationOutcome,
    OperationReason,
    RecordedOperation,
)
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding, ServiceBindingSpec
from chandlery.model.objects.brokers import LocalObjectReference, ServiceBroker, ServiceBrokerSpec
from chandlery.model.objects.core import Event, Namespace, NamespaceSpec, Secret, ServiceAccount
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.rbac import Role, RoleBinding, RoleRef
from chandlery.store.database import UnitOfWork
from chandlery.store.history.stored_operations import OperationFilter
from chandlery_syncer.decide.namespace_machine import BATCH
from tests.integration.syncer.conftest import Bench

LANE = "broker:team/mine"


def meta(name: str) -> ObjectMeta:
    return ObjectMeta(name=name, namespace="team")


async def namespace(bench: Bench) -> AnyObject:
    return await bench.create(
        Namespace(metadata=ObjectMeta(name="team"), spec=NamespaceSpec(finalizers=("kubernetes",))), lane="all"
    )


async def test_namespace_takes_everything_along_in_order(bench: Bench) -> None:
    team = await namespace(bench)
    broker = await bench.create(ServiceBroker(metadata=meta("mine"), spec=ServiceBrokerSpec(url="http://127.0.0.1:9")))
    instance = await bench.create(ServiceInstance(metadata=meta("db")), lane=LANE)
    spec = ServiceBindingSpec(instance_ref=LocalObjectReference(name="db"))
    binding = await bench.create(ServiceBinding(metadata=meta("login"), spec=spec), lane=LANE)
    await bench.create(Secret(metadata=meta("login"), data={"password": "czNjcmV0"}))
    await bench.create(Event(metadata=meta("event")))
    await bench.create(ServiceAccount(metadata=meta("robot")))
    await bench.create(Role(metadata=meta("reader")))
    await bench.create(RoleBinding(metadata=meta("ann-reads"), role_ref=RoleRef(kind="Role", name="reader")))
    elsewhere = await bench.create(Secret(metadata=ObjectMeta(name="other", namespace="elsewhere"), data={}))
    await bench.delete(team)
    bench.take_commands()

    await bench.round(team)
    assert bench.take_commands() == {binding.metadata.uid}
    assert (await bench.get(team)).status.phase == "Terminating"
    assert (await bench.get(binding)).metadata.deletion_timestamp is not None
    assert (await bench.get(instance)).metadata.deletion_timestamp is None

    await bench.take_away(binding)
    assert bench.take_commands() == {team.metadata.uid}
    await bench.round(team)
    assert bench.take_commands() == {instance.metadata.uid}
    assert (await bench.get(broker)).metadata.deletion_timestamp is None

    await bench.take_away(instance)
    assert bench.take_commands() == {team.metadata.uid}
    await bench.round(team)
    bench.take_commands()
    assert len(await bench.all(kinds.SECRET)) == 2

    await bench.round(broker)
    assert await bench.get(broker) is None
    assert bench.take_commands() == {team.metadata.uid}
    await bench.round(team)
    assert await bench.get(team) is None
    assert await bench.all(kinds.SERVICE_ACCOUNT) == []
    assert await bench.all(kinds.ROLE) == await bench.all(kinds.ROLE_BINDING) == []
    assert [each.metadata.uid for each in await bench.all(kinds.SECRET)] == [elsewhere.metadata.uid]
    assert await bench.all(kinds.EVENT) == []


async def test_namespace_that_waits_says_for_what(bench: Bench) -> None:
    team = await namespace(bench)
    binding = ServiceBindingSpec(instance_ref=LocalObjectReference(name="db"))
    await bench.create(ServiceBinding(metadata=meta("login"), spec=binding), lane=LANE)
    await bench.create(ServiceInstance(metadata=meta("db")), lane=LANE)
    await bench.delete(team)

    await bench.round(team)
    status = (await bench.get(team)).status
    assert [(each.type, each.status) for each in status.conditions] == [
        ("NamespaceContentRemaining", "True"),
        ("NamespaceFinalizersRemaining", "True"),
    ]
    remaining, finalizers = (each.message for each in status.conditions)
    assert "servicebindings.servicecatalog.k8s.io has 1 resource instances" in remaining
    assert "serviceinstances.servicecatalog.k8s.io has 1 resource instances" in remaining
    assert "Remaining: servicebindings.servicecatalog.k8s.io login" in remaining
    assert "in 1 resource instances" in finalizers


async def test_crowded_namespace_goes_in_batches(bench: Bench) -> None:
    team = await namespace(bench)
    for number in range(3):
        await bench.create(ServiceInstance(metadata=meta(f"unheld-{number}")), finalizer=False)

    async def fill(unit: UnitOfWork) -> None:
        metadata = [meta(f"event-{number}") for number in range(1200)]
        stamped = [
            each.model_copy(update={"uid": f"event-{each.name}", "creation_timestamp": unit.now}) for each in metadata
        ]
        assert await unit.objects.insert_many([Event(metadata=each) for each in stamped]) == []

    await bench.resources.database.run(fill)
    await bench.delete(team)
    await bench.round(team)
    assert await bench.get(team) is None
    assert await bench.all(kinds.EVENT) == []


async def test_what_happened_in_a_namespace_is_forgotten_with_it(bench: Bench) -> None:
    team = await namespace(bench)
    started_at = datetime(2026, 3, 1, tzinfo=UTC)
    told = [
        RecordedOperation(
            operation=OperationName.PROVISION,
            started_at=started_at + timedelta(seconds=number),
            external_id="id",
            reason=OperationReason.CREATED,
            requested_by="ann",
            instance_name="db",
            attempts=1,
            outcome=OperationOutcome.SUCCEEDED,
        )
        for number in range(BATCH + 1)
    ]

    async def note(unit: UnitOfWork) -> None:
        for place in ("team", "elsewhere"):
            of = ServiceInstance(metadata=ObjectMeta(name="db", namespace=place, uid=f"uid-in-{place}"))
            unit.operations.note(of, told, broker="harbour", trace_id="")

    async def left() -> list[str]:
        of = OperationFilter(kind="ServiceInstance")
        found = await bench.resources.database.run(lambda unit: unit.operations.find(of, limit=5_000))
        return [each.namespace for each in found]

    await bench.resources.database.run(note)
    await bench.delete(team)
    await bench.round(team)
    assert "team" not in await left()
    assert (await left()).count("elsewhere") == len(told)
    assert await bench.get(team) is None


async def test_living_namespace_is_not_touched(bench: Bench) -> None:
    team = await namespace(bench)
    await bench.create(ServiceInstance(metadata=meta("db")), lane=LANE)
    await bench.new_changes()
    await bench.round(team)
    assert await bench.new_changes(kinds.NAMESPACE, kinds.SERVICE_INSTANCE) == []
