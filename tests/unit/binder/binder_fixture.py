"""A namespace with a ready instance, one binding to it, its broker, and the binder's loop, on a clock that is moved."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from chandlery.contracts.messages import Reconcile
from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.engine.relay import Relay
from chandlery.engine.resources import Resources
from chandlery.messaging.inprocess.inprocess_bus import InProcessBus
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding, ServiceBindingSpec
from chandlery.model.objects.brokers import ClusterServiceBroker, ClusterServiceBrokerSpec, LocalObjectReference
from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType, find_condition
from chandlery.model.objects.core import Event, Namespace, Secret
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceSpec, ServiceInstanceStatus, UserInfo
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.offerings import (
    ClusterServiceClass,
    ClusterServiceClassSpec,
    ClusterServicePlan,
    ClusterServicePlanSpec,
)
from chandlery.model.text.names import FINALIZER
from chandlery.osb.client import OsbClient
from chandlery.osb.transport.egress import TRUSTING_LOOPBACK
from chandlery.platform.standalone.standalone_platform import StandalonePlatform
from chandlery.reconcile.answers import Answer
from chandlery.settings.settings import Settings
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.object_reads import Listing
from chandlery.store.sealing.sealing import Keyring, new_key
from chandlery.store.work.work_claims import Claim, Release
from chandlery_binder.binding_loading import LoadedBinding
from chandlery_binder.binding_reconciler import BindingReconciler, PreparedBindingCall
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.unit.migrated_file import migrated_file

CREDENTIALS = {"uri": "tcp://rope", "port": 4711}
BINDING = Reconcile(kind="ServiceBinding", uid="b-uid")
INSTANCE_MEMORY = {"lane": "broker:/harbour", "serviceID": "service-1", "planID": "plan-1", "polls": 0}
BEGINNING = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class BinderFixture:
    """A namespace with a ready instance, one binding to it, its broker, and the binder's loop."""

    def __init__(self, database: Database, resources: Resources, broker: ScriptedBroker) -> None:
        self.broker = broker
        self.now = BEGINNING
        self.database = database
        self.rounds: ReconcileLoop[LoadedBinding, PreparedBindingCall, Answer, ServiceBinding] = ReconcileLoop(
            BindingReconciler(resources), resources
        )

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

    async def change(self, kind: kinds.Kind, name: str, *, namespace: str = "ns", **spec: Any) -> None:
        """Give the specification of an object other values."""

        async def change(unit: UnitOfWork) -> None:
            found: Any = await unit.objects.get(kind, namespace, name)
            await unit.objects.update(found, found.model_copy(update={"spec": found.spec.model_copy(update=spec)}))

        await self.database.run(change)

    async def annotate(self, **annotations: str) -> None:
        """What the gateway does when a user annotates the binding; names are those after `chandlery.io/`."""

        async def annotate(unit: UnitOfWork) -> None:
            found: Any = await unit.objects.get(kinds.SERVICE_BINDING, "ns", "knot")
            given = {f"chandlery.io/{name.replace('_', '-')}": value for name, value in annotations.items()}
            metadata = found.metadata.model_copy(update={"annotations": (found.metadata.annotations or {}) | given})
            await unit.objects.update(found, found.model_copy(update={"metadata": metadata}))
            await unit.work_queue.enqueue_changed("b-uid")

        await self.database.run(annotate)

    async def change_secret(self, data: dict[str, str] | None) -> list[str]:
        """What the gateway does when a user changes the Secret, or deletes it; whom that wakes."""

        async def change(unit: UnitOfWork) -> list[str]:
            found: Any = await unit.objects.get(kinds.SECRET, "ns", "knot")
            if data is None:
                await unit.objects.remove(found)
            else:
                await unit.objects.update(found, found.model_copy(update={"data": data}))
            return [command.uid for command in await unit.wakes.enqueue_waiting("secret:ns/knot")]

        return await self.database.run(change)

    async def wake(self, key: str) -> list[str]:
        """Whom it wakes that something has appeared."""

        async def wake(unit: UnitOfWork) -> list[str]:
            return [command.uid for command in await unit.wakes.enqueue_waiting(key)]

        return await self.database.run(wake)

    async def events(self) -> list[tuple[str, str]]:
        """Reasons and messages of what was recorded."""
        found = await self.database.run(lambda unit: unit.objects.list(kinds.EVENT, Listing(namespace="ns")))
        return [(each.reason, each.message) for each in found if isinstance(each, Event)]

    async def delete_binding(self) -> None:
        """What the gateway does when a user deletes it."""

        async def mark(unit: UnitOfWork) -> None:
            found = await unit.objects.get(kinds.SERVICE_BINDING, "ns", "knot")
            assert found is not None
            metadata = found.metadata.model_copy(update={"deletion_timestamp": unit.now})
            await unit.objects.update(found, found.model_copy(update={"metadata": metadata}))
            await unit.work_queue.enqueue_changed("b-uid")

        await self.database.run(mark)

    def requests(self) -> list[str]:
        """The verbs that the broker has seen, in order."""
        return [request.method for request in self.broker.seen]


@asynccontextmanager
async def open_binder(folder: Path) -> AsyncIterator[BinderFixture]:
    """A harbour with its state in the folder."""
    clock: list[BinderFixture] = []
    engine = open_engine(await migrated_file(folder), application_name="test")
    database = Database(engine, Keyring.parse(new_key("k")), clock=lambda: clock[0].now if clock else BEGINNING)
    bus, client = InProcessBus(), OsbClient(TRUSTING_LOOPBACK)
    async with ScriptedBroker(credentials=CREDENTIALS) as broker:
        resources = Resources(
            settings=Settings(database_url=SecretStr("sqlite://"), osb_timeout_seconds=2.0),
            database=database,
            bus=bus,
            relay=Relay(database, bus),
            platform=StandalonePlatform(),
            osb=client,
            cluster_id="cluster-1",
            owner="test",
        )
        world = BinderFixture(database, resources, broker)
        clock.append(world)
        await world.add(*surroundings(broker.url), ready_instance(), new_binding())
        await database.run(look_after)
        yield world
        await client.close()
    await database.close()


def ready_of(binding: ServiceBinding | None) -> tuple[str, str] | None:
    """Status and reason of the Ready condition; None for a binding that is gone."""
    found = find_condition(binding.status.conditions, ConditionType.READY) if binding else None
    return (str(found.status), found.reason) if found else None


def message_of(binding: ServiceBinding | None) -> str:
    """Message of the Ready condition; empty for a binding that is gone."""
    found = find_condition(binding.status.conditions, ConditionType.READY) if binding else None
    return found.message if found else ""


def registration(url: str) -> ClusterServiceBroker:
    """The broker `harbour`."""
    return ClusterServiceBroker(
        metadata=ObjectMeta(name="harbour", uid="h-uid"), spec=ClusterServiceBrokerSpec(url=url)
    )


def surroundings(url: str) -> list[AnyObject]:
    """What a bind needs beside the instance."""
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
        registration(url),
        ClusterServiceClass(metadata=ObjectMeta(name="class-1", uid="c-uid"), spec=service_class),
        ClusterServicePlan(metadata=ObjectMeta(name="plan-1", uid="p-uid"), spec=plan),
    ]


def ready_instance() -> ServiceInstance:
    """The instance `rope`."""
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


def new_binding() -> ServiceBinding:
    """The binding `knot`."""
    return ServiceBinding(
        metadata=ObjectMeta(name="knot", namespace="ns", uid="b-uid", generation=1, finalizers=[FINALIZER]),
        spec=ServiceBindingSpec(
            instance_ref=LocalObjectReference(name="rope"),
            external_id="binding-1",
            user_info=UserInfo(username="ann"),
        ),
    )


async def look_after(unit: UnitOfWork) -> None:
    """The work rows of both."""
    await unit.work_queue.add("ServiceBinding", "b-uid", lane="broker:/harbour")
    await unit.work_queue.add("ServiceInstance", "i-uid", lane="broker:/harbour")
    claim = await unit.work_queue.claim("i-uid", owner="test", lease=timedelta(seconds=10))
    assert isinstance(claim, Claim)
    await unit.work_queue.release(claim, Release(due_at=None, lane="broker:/harbour", memory=INSTANCE_MEMORY))
