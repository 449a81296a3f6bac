"""Whole rounds of the binder: real requests to a scripted broker, real transactions in SQLite, a clock to move."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from chandlery.contracts.messages import Reconcile
from chandlery.messaging.inprocess_bus import InProcessBus
from chandlery.model import kinds
from chandlery.model.bindings import ServiceBinding, ServiceBindingSpec
from chandlery.model.brokers import ClusterServiceBroker, ClusterServiceBrokerSpec, LocalObjectReference
from chandlery.model.conditions import Condition, ConditionStatus, ConditionType, find_condition
from chandlery.model.core import Namespace, Secret
from chandlery.model.instances import ServiceInstance, ServiceInstanceSpec, ServiceInstanceStatus, UserInfo
from chandlery.model.kinds import AnyObject
from chandlery.model.metadata import ObjectMeta
from chandlery.model.names import FINALIZER
from chandlery.model.offerings import (
    ClusterServiceClass,
    ClusterServiceClassSpec,
    ClusterServicePlan,
    ClusterServicePlanSpec,
)
from chandlery.osb.client import OsbClient
from chandlery.reconcile.answers import Answer
from chandlery.runtime.relay import Relay
from chandlery.runtime.resources import Resources
from chandlery.runtime.rounds import Rounds
from chandlery.runtime.settings import Settings
from chandlery.runtime.standalone_cluster import StandaloneCluster
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.engine import open_engine
from chandlery.store.migrate import migrate
from chandlery.store.reconciliations import Claim, Release
from chandlery.store.sealing import Keyring, new_key
from chandlery_binder.binding_loading import Loaded
from chandlery_binder.binding_reconciler import BindingReconciler, Sending
from tests.conformance import scripted_templates as osb
from tests.conformance.scripted_broker import Reply, ScriptedBroker

CREDENTIALS = {"uri": "tcp://rope", "port": 4711}
BINDING = Reconcile(kind="ServiceBinding", uid="b-uid")
INSTANCE_MEMORY = {"lane": "broker:/harbour", "serviceID": "service-1", "planID": "plan-1", "polls": 0}
BEGINNING = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
IDENTITY = "X-Broker-API-Originating-Identity"


class Harbour:
    """A namespace with a ready instance, one binding to it, its broker, and the binder's loop."""

    def __init__(self, database: Database, resources: Resources, broker: ScriptedBroker) -> None:
        self.broker = broker
        self.now = BEGINNING
        self.database = database
        self.rounds: Rounds[Loaded, Sending, Answer, ServiceBinding] = Rounds(BindingReconciler(resources), resources)

    async def work(self, *, after_seconds: float = 0.0) -> ServiceBinding | None:
        """Let time pass and handle one command; the binding as it is then."""
        self.now += timedelta(seconds=after_seconds)
        await self.rounds.handle(BINDING)
        found = await self.find(kinds.SERVICE_BINDING, "knot")
        return found if isinstance(found, ServiceBinding) else None

    async def find(self, kind: kinds.Kind, name: str) -> AnyObject | None:
        return await self.database.run(lambda unit: unit.objects.get(kind, "ns", name))

    async def secret(self, name: str = "knot") -> dict[str, str] | None:
        """The decoded Secret."""
        found = await self.find(kinds.SECRET, name)
        if not isinstance(found, Secret):
            return None
        return {key: base64.b64decode(value).decode() for key, value in (found.data or {}).items()}

    async def add(self, *documents: AnyObject) -> None:
        async def insert(unit: UnitOfWork) -> None:
            for document in documents:
                metadata = document.metadata.model_copy(update={"creation_timestamp": unit.now})
                await unit.objects.insert(document.model_copy(update={"metadata": metadata}))

        await self.database.run(insert)

    async def remove(self, kind: kinds.Kind, name: str) -> None:
        async def remove(unit: UnitOfWork) -> None:
            found = await unit.objects.get(kind, "ns", name)
            assert found is not None
            await unit.objects.remove(found)

        await self.database.run(remove)

    async def delete_binding(self) -> None:
        """What the gateway does when a user deletes it."""

        async def mark(unit: UnitOfWork) -> None:
            found = await unit.objects.get(kinds.SERVICE_BINDING, "ns", "knot")
            assert found is not None
            metadata = found.metadata.model_copy(update={"deletion_timestamp": unit.now})
            await unit.objects.update(found, found.model_copy(update={"metadata": metadata}))
            await unit.reconciliations.touch("b-uid")

        await self.database.run(mark)

    def requests(self) -> list[str]:
        """The verbs that the broker has seen, in order."""
        return [request.method for request in self.broker.seen]


@pytest.fixture
async def harbour(tmp_path: Path) -> AsyncIterator[Harbour]:
    clock: list[Harbour] = []
    engine = open_engine(f"sqlite:///{tmp_path}/state.db", application_name="test")
    await migrate(engine)
    database = Database(engine, Keyring.parse(new_key("k")), clock=lambda: clock[0].now if clock else BEGINNING)
    bus, client = InProcessBus(), OsbClient()
    async with ScriptedBroker(credentials=CREDENTIALS) as broker:
        resources = Resources(
            settings=Settings(database_url=SecretStr("sqlite://"), osb_timeout_seconds=2.0),
            database=database,
            bus=bus,
            relay=Relay(database, bus),
            cluster=StandaloneCluster(),
            osb=client,
            cluster_id="cluster-1",
            owner="test",
        )
        world = Harbour(database, resources, broker)
        clock.append(world)
        await world.add(*_surroundings(broker.url), _instance(), _binding())
        await database.run(_look_after)
        yield world
        await client.close()
    await database.close()


async def test_bind_delivers_a_secret(harbour: Harbour) -> None:
    binding = await harbour.work()
    assert _ready(binding) == ("True", "InjectedBindResult")
    assert await harbour.secret() == {"uri": "tcp://rope", "port": "4711"}
    (seen,) = harbour.broker.seen_of(osb.BIND)
    assert seen.ids == {"instance_id": "instance-1", "binding_id": "binding-1"}
    assert seen.query == {}
    assert seen.body == {
        "service_id": "service-1",
        "plan_id": "plan-1",
        "app_guid": "n-uid",
        "bind_resource": {"app_guid": "n-uid"},
        "context": {
            "platform": "kubernetes",
            "namespace": "ns",
            "clusterid": "cluster-1",
            "instance_name": "rope",
        },
    }
    platform, _, identity = seen.headers[IDENTITY].partition(" ")
    assert (platform, json.loads(base64.b64decode(identity))["username"]) == ("kubernetes", "ann")


async def test_bind_is_tried_again_after_the_broker_has_confirmed_the_mitigation(harbour: Harbour) -> None:
    harbour.broker.script(osb.BIND, Reply(500))
    harbour.broker.script(osb.UNBIND, Reply(503))
    await harbour.work()
    assert harbour.requests() == ["PUT", "DELETE"]
    waiting = await harbour.work(after_seconds=5)
    assert _ready(waiting) == ("False", "OrphanMitigationSuccessful")
    assert harbour.requests() == ["PUT", "DELETE", "DELETE"]
    assert IDENTITY not in harbour.broker.seen_of(osb.UNBIND)[0].headers
    binding = await harbour.work(after_seconds=10)
    assert _ready(binding) == ("True", "InjectedBindResult")
    assert [seen.ids["binding_id"] for seen in harbour.broker.seen_of(osb.BIND)] == ["binding-1", "binding-1"]


async def test_credentials_outlive_a_secret_that_is_in_the_way(harbour: Harbour, tmp_path: Path) -> None:
    await harbour.add(Secret(metadata=ObjectMeta(name="knot", namespace="ns", uid="s-uid"), data={"mine": "eA=="}))
    binding = await harbour.work()
    assert _ready(binding) == ("False", "ErrorInjectingBindResult")
    assert await harbour.secret() == {"mine": "x"}
    assert b"tcp://rope" not in _all_bytes(tmp_path)
    await harbour.remove(kinds.SECRET, "knot")
    binding = await harbour.work(after_seconds=60)
    assert _ready(binding) == ("True", "InjectedBindResult")
    assert await harbour.secret() == {"uri": "tcp://rope", "port": "4711"}
    assert harbour.requests() == ["PUT"]


async def test_secret_is_gone_before_the_broker_is_asked_to_unbind(harbour: Harbour) -> None:
    await harbour.work()
    await harbour.delete_binding()
    gate = asyncio.Event()
    harbour.broker.script(osb.UNBIND, Reply(200, gate=gate))
    working = asyncio.create_task(harbour.work())
    (seen,) = await harbour.broker.wait_for(osb.UNBIND)
    assert await harbour.secret() is None
    assert seen.query == {"service_id": "service-1", "plan_id": "plan-1", "accepts_incomplete": "true"}
    assert IDENTITY in seen.headers
    gate.set()
    assert await working is None


async def test_unbind_leaves_the_secrets_of_others_alone(harbour: Harbour) -> None:
    await harbour.add(Secret(metadata=ObjectMeta(name="knot", namespace="ns", uid="s-uid"), data={"mine": "eA=="}))
    await harbour.work()
    await harbour.delete_binding()
    assert await harbour.work() is None
    assert await harbour.secret() == {"mine": "x"}
    assert harbour.requests() == ["PUT", "DELETE"]


async def test_unbind_needs_neither_instance_nor_class(harbour: Harbour) -> None:
    await harbour.work()
    await harbour.remove(kinds.SERVICE_INSTANCE, "rope")
    await harbour.delete_binding()
    assert await harbour.work() is None
    (seen,) = harbour.broker.seen_of(osb.UNBIND)
    assert seen.ids == {"instance_id": "instance-1", "binding_id": "binding-1"}
    assert (seen.query["service_id"], seen.query["plan_id"]) == ("service-1", "plan-1")


async def test_refused_bind_is_deleted_without_a_call(harbour: Harbour) -> None:
    harbour.broker.script(osb.BIND, Reply(400, {"description": "no such knot"}))
    assert _ready(await harbour.work()) == ("False", "BindCallFailed")
    await harbour.delete_binding()
    assert await harbour.work() is None
    assert harbour.requests() == ["PUT"]


async def test_worker_that_stops_leaves_the_same_bind_to_the_next(harbour: Harbour) -> None:
    harbour.broker.script(osb.BIND, Reply(201, {"credentials": {"lost": "x"}}, gate=asyncio.Event()))
    stopped = asyncio.create_task(harbour.work())
    await harbour.broker.wait_for(osb.BIND)
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped
    await harbour.remove(kinds.SERVICE_INSTANCE, "rope")
    binding = await harbour.work(after_seconds=1)
    assert _ready(binding) == ("True", "InjectedBindResult")
    first, second = harbour.broker.seen_of(osb.BIND)
    assert first.raw_body == second.raw_body


async def test_worker_that_stopped_makes_the_next_wait_while_the_broker_is_not_registered(harbour: Harbour) -> None:
    harbour.broker.script(osb.BIND, Reply(201, gate=asyncio.Event()))
    stopped = asyncio.create_task(harbour.work())
    await harbour.broker.wait_for(osb.BIND)
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped
    await _remove_broker(harbour)
    assert _ready(await harbour.work(after_seconds=1)) == ("False", "ReferencesNonexistentBroker")
    await harbour.add(_broker(harbour.broker.url))
    assert _ready(await harbour.work(after_seconds=600)) == ("True", "InjectedBindResult")
    assert harbour.requests() == ["PUT", "PUT"]


async def test_asynchronous_bind_is_polled_and_fetched(harbour: Harbour) -> None:
    await _set_retrievable(harbour)
    harbour.broker.script(osb.BIND, Reply(202, {"operation": "key-1", "credentials": {"not": "for use"}}))
    harbour.broker.script(osb.POLL_BINDING, Reply(200, {"state": "in progress"}), Reply(200, {"state": "succeeded"}))
    harbour.broker.script(osb.FETCH_BINDING, Reply(404), Reply(200, {"credentials": CREDENTIALS}))
    assert _ready(await harbour.work()) == ("False", "Binding")
    await harbour.work(after_seconds=5)
    assert _ready(await harbour.work(after_seconds=5)) == ("False", "FetchingBindingFailed")
    assert _ready(await harbour.work(after_seconds=60)) == ("True", "InjectedBindResult")
    assert await harbour.secret() == {"uri": "tcp://rope", "port": "4711"}
    assert harbour.broker.seen_of(osb.POLL_BINDING)[0].query["operation"] == "key-1"
    assert harbour.requests() == ["PUT", "GET", "GET", "GET", "GET"]


async def test_bind_waits_for_its_instance(harbour: Harbour) -> None:
    await harbour.remove(kinds.SERVICE_INSTANCE, "rope")
    assert _ready(await harbour.work()) == ("False", "ReferencesNonexistentInstance")
    await harbour.add(_instance())

    async def wake(unit: UnitOfWork) -> list[str]:
        return [command.uid for command in await unit.reconciliations.wake("instance:ns/rope")]

    assert await harbour.database.run(wake) == ["b-uid"]
    assert _ready(await harbour.work()) == ("True", "InjectedBindResult")


def _all_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def _ready(binding: ServiceBinding | None) -> tuple[str, str] | None:
    found = find_condition(binding.status.conditions, ConditionType.READY) if binding else None
    return (str(found.status), found.reason) if found else None


def _broker(url: str) -> ClusterServiceBroker:
    return ClusterServiceBroker(
        metadata=ObjectMeta(name="harbour", uid="h-uid"), spec=ClusterServiceBrokerSpec(url=url)
    )


def _surroundings(url: str) -> list[AnyObject]:
    service_class = ClusterServiceClassSpec(
        external_name="ropes", external_id="service-1", bindable=True, cluster_service_broker_name="harbour"
    )
    plan = ClusterServicePlanSpec(
        external_name="small",
        external_id="plan-1",
        cluster_service_broker_name="harbour",
        cluster_service_class_ref=LocalObjectReference(name="class-1"),
    )
    return [
        Namespace(metadata=ObjectMeta(name="ns", uid="n-uid")),
        _broker(url),
        ClusterServiceClass(metadata=ObjectMeta(name="class-1", uid="c-uid"), spec=service_class),
        ClusterServicePlan(metadata=ObjectMeta(name="plan-1", uid="p-uid"), spec=plan),
    ]


def _instance() -> ServiceInstance:
    ready = Condition(type=ConditionType.READY, status=ConditionStatus.TRUE, reason="ProvisionedSuccessfully")
    return ServiceInstance(
        metadata=ObjectMeta(name="rope", namespace="ns", uid="i-uid", generation=1),
        spec=ServiceInstanceSpec(
            external_id="instance-1",
            cluster_service_class_external_name="ropes",
            cluster_service_plan_external_name="small",
            cluster_service_class_ref=LocalObjectReference(name="class-1"),
            cluster_service_plan_ref=LocalObjectReference(name="plan-1"),
        ),
        status=ServiceInstanceStatus(conditions=(ready,)),
    )


def _binding() -> ServiceBinding:
    return ServiceBinding(
        metadata=ObjectMeta(name="knot", namespace="ns", uid="b-uid", generation=1, finalizers=[FINALIZER]),
        spec=ServiceBindingSpec(
            instance_ref=LocalObjectReference(name="rope"),
            external_id="binding-1",
            user_info=UserInfo(username="ann"),
        ),
    )


async def _look_after(unit: UnitOfWork) -> None:
    await unit.reconciliations.add("ServiceBinding", "b-uid", lane="broker:/harbour")
    await unit.reconciliations.add("ServiceInstance", "i-uid", lane="broker:/harbour")
    claim = await unit.reconciliations.claim("i-uid", owner="test", lease=timedelta(seconds=10))
    assert isinstance(claim, Claim)
    await unit.reconciliations.release(claim, Release(due_at=None, lane="broker:/harbour", memory=INSTANCE_MEMORY))


async def _set_retrievable(harbour: Harbour) -> None:
    async def change(unit: UnitOfWork) -> None:
        found: Any = await unit.objects.get(kinds.CLUSTER_SERVICE_CLASS, "", "class-1")
        spec = found.spec.model_copy(update={"binding_retrievable": True})
        await unit.objects.update(found, found.model_copy(update={"spec": spec}))

    await harbour.database.run(change)


async def _remove_broker(harbour: Harbour) -> None:
    async def remove(unit: UnitOfWork) -> None:
        found = await unit.objects.get(kinds.CLUSTER_SERVICE_BROKER, "", "harbour")
        assert found is not None
        await unit.objects.remove(found)

    await harbour.database.run(remove)
