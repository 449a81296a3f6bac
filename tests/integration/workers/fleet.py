"""Several processes in one: each with a database, a bus connection, a relay and workers of its own, to stop or to kill.

The time is the real one, plus whatever a test lets pass; all processes go by it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.contracts.messages import Message
from chandlery.contracts.topology import COMMANDS_EXCHANGE, route, work_queue
from chandlery.engine.circuits.circuit_breakers import CircuitBreakers
from chandlery.engine.circuits.circuit_sync import keep_circuits
from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.engine.relay import Relay
from chandlery.engine.resources import Resources
from chandlery.engine.upkeep.heartbeat import keep_leases
from chandlery.engine.upkeep.sweep import Sweep
from chandlery.engine.worker import Worker
from chandlery.lookup.broker_egress import context_signer_of
from chandlery.messaging.bus import Bus, Handler, Subscription
from chandlery.model.faults import Unavailable
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding, ServiceBindingSpec
from chandlery.model.objects.brokers import ClusterServiceBroker, ClusterServiceBrokerSpec, LocalObjectReference
from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.model.objects.core import Namespace
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceSpec, UserInfo
from chandlery.model.objects.kinds import AnyObject, Kind, kind_of
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.offerings import (
    ClusterServiceClass,
    ClusterServiceClassSpec,
    ClusterServicePlan,
    ClusterServicePlanSpec,
)
from chandlery.osb.client import OsbClient
from chandlery.osb.transport.egress import TRUSTING_LOOPBACK
from chandlery.platform.protocol import Platform
from chandlery.platform.standalone.standalone_platform import StandalonePlatform
from chandlery.settings.settings import Settings
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database, UnitOfWork, Work
from chandlery.store.schema import METADATA
from chandlery.store.sealing.data_keys import DataKeyLimits
from chandlery.store.sealing.providers.key_provider import KeyProviders
from chandlery.store.sealing.sealing import Keyring
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics
from chandlery_binder.binding_reconciler import BindingReconciler
from chandlery_gateway.write.object_writer import ObjectWriter
from chandlery_gateway.write.write_requests import Preconditions, WriteRequest
from chandlery_provisioner.instance_reconciler import InstanceReconciler
from chandlery_syncer.broker_reconciler import BrokerReconciler
from chandlery_syncer.garbage_collector import GarbageCollector
from tests.support.allow_everything import AllowEverything
from tests.support.broker_places import PLACES_OF_TESTS
from tests.support.measured.metrics_page import Told, told
from tests.support.waiting import SOON, eventually

T = TypeVar("T")
Build = Callable[[Resources], Handler]
_IN_TRANSACTIONS: set["asyncio.Task[Any] | None"] = set()

"""Seconds that a test waits for what should happen within milliseconds."""
NS = "ns"
BUILDS: dict[str, Build] = {
    "ServiceInstance": lambda resources: ReconcileLoop(InstanceReconciler(resources), resources).handle,
    "ServiceBinding": lambda resources: ReconcileLoop(BindingReconciler(resources), resources).handle,
    "ClusterServiceBroker": lambda resources: ReconcileLoop(BrokerReconciler(resources), resources).handle,
    "ServiceBroker": lambda resources: ReconcileLoop(BrokerReconciler(resources), resources).handle,
}


class Clock:
    """The real time, and what has been let pass beside it."""

    def __init__(self) -> None:
        self._passed = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._passed

    def advance(self, seconds: float) -> None:
        self._passed += timedelta(seconds=seconds)


def is_in_transaction() -> bool:
    """Whether whoever asks does so in the task of a transaction that is open."""
    return asyncio.current_task() in _IN_TRANSACTIONS


class MortalDatabase(Database):
    """A process's way to the database, which ends with the process."""

    is_dead = False
    under_way = 0
    """How many transactions are open."""

    async def run(self, work: Work[T], *, dry_run: bool = False) -> T:
        if self.is_dead:
            raise Unavailable("this process is dead")

        async def marked(unit: UnitOfWork) -> T:
            # The task, not a context variable: parts of a batch run in contexts that know nothing of it.
            task = asyncio.current_task()
            _IN_TRANSACTIONS.add(task)
            try:
                return await work(unit)
            finally:
                _IN_TRANSACTIONS.discard(task)

        self.under_way += 1
        try:
            return await super().run(marked, dry_run=dry_run)
        finally:
            self.under_way -= 1


class Line:
    """A process's connection to the bus: can be down, can say everything several times, remembers what it was told."""

    def __init__(self, bus: Bus, *, is_shared: bool) -> None:
        self.copies = 1
        self.is_down = False
        self.published: list[Message] = []
        self.listening: set[tuple[str, str]] = set()
        self.work_queues: set[str] = set()
        self.retired: list[tuple[str, bool]] = []
        self._bus = bus
        self._is_shared = is_shared
        self._subscriptions: list[Subscription] = []

    async def start(self) -> None:
        await self._bus.start()

    async def publish(self, messages: Sequence[Message]) -> None:
        if self.is_down:
            raise Unavailable("the bus is away")
        ways = [route(message) for message in messages]
        self.work_queues |= {way.routing_key for way in ways if way.exchange == COMMANDS_EXCHANGE}
        self.published += messages
        await self._bus.publish([message for message in messages for _ in range(self.copies)])

    async def consume(self, kinds: Sequence[str], lane: str, handler: Handler, *, concurrency: int) -> Subscription:
        names = {(kind, lane) for kind in kinds}
        self.work_queues |= {work_queue(kind, lane) for kind in kinds}
        inner = await self._bus.consume(kinds, lane, handler, concurrency=concurrency)
        self.listening |= names
        self._subscriptions.append(inner)
        return _Listening(inner, lambda: self.listening.difference_update(names))

    async def remove_queues(self, kinds: Sequence[str], lane: str) -> bool:
        is_done = await self._bus.remove_queues(kinds, lane)
        self.retired.append((lane, is_done))
        return is_done

    async def subscribe(self, pattern: str, handler: Handler) -> Subscription:
        subscription = await self._bus.subscribe(pattern, handler)
        self._subscriptions.append(subscription)
        return subscription

    async def ping(self) -> None:
        await self._bus.ping()

    async def count_dead_letters(self) -> Mapping[str, int]:
        return await self._bus.count_dead_letters()

    async def close(self) -> None:
        async with asyncio.timeout(SOON):
            if self._is_shared:
                await asyncio.gather(*(subscription.close() for subscription in self._subscriptions))
            else:
                await self._bus.close()


@dataclass(frozen=True)
class _Listening:
    inner: Subscription
    forget: Callable[[], None]

    async def close(self) -> None:
        await self.inner.close()
        self.forget()

    def run_beside(self, work: Callable[[], Coroutine[Any, Any, None]]) -> "asyncio.Task[None] | None":
        return self.inner.run_beside(work)


@dataclass
class Process:
    """One operating-system process, as far as the others can tell."""

    resources: Resources
    database: MortalDatabase
    engine: AsyncEngine
    line: Line
    metrics: PrometheusMetrics
    handled: list[Message] = field(default_factory=list)
    worker: Worker | None = None
    stop_asked: asyncio.Event = field(default_factory=asyncio.Event)
    serving: "asyncio.Task[None] | None" = None
    background: list["asyncio.Task[None]"] = field(default_factory=list)
    is_over: bool = False

    async def work(self, builds: Mapping[str, Build], *, look_every_seconds: float = 3600.0) -> "Process":
        """Serve these kinds, from when this returns."""
        handlers = {kind: self._noted(build(self.resources)) for kind, build in builds.items()}
        self.worker = Worker(self.resources, handlers, look_every_seconds=look_every_seconds)
        ready = asyncio.Event()
        self.serving = asyncio.create_task(self.worker.serve(self.stop_asked, ready.set))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({waiting, self.serving}, timeout=SOON, return_when=asyncio.FIRST_COMPLETED)
        assert ready.is_set(), "the worker does not get ready"
        return self

    def relay(self) -> "Process":
        """Publish what is committed here."""
        self.background.append(asyncio.create_task(self.resources.relay.run()))
        return self

    def beat(self) -> "Process":
        """Keep the leases of what is in hand."""
        self.background.append(asyncio.create_task(keep_leases(self.resources)))
        return self

    def guard(self) -> "Process":
        """Tell the database of service brokers that fail, and bring back what waits for them."""
        self.background.append(asyncio.create_task(keep_circuits(self.resources)))
        return self

    def told(self) -> Told:
        """What its metrics are by now."""
        return told(self.metrics.render()[0].decode())

    def sweep(self) -> Sweep:
        resources = self.resources
        return Sweep(resources.database, resources.bus, resources.relay, resources.settings, owner=resources.owner)

    async def stop(self) -> None:
        """The clean end."""
        self.stop_asked.set()
        if self.serving is not None:
            async with asyncio.timeout(SOON):
                await self.serving
        await self._end_background()
        with suppress(Unavailable):
            await self.resources.relay.drain()
        await self._close()

    async def kill(self) -> None:
        """The end without a last word: nothing is written, published or acknowledged any more."""
        self.database.is_dead = self.line.is_down = True
        await self._end_background()
        # What the relay has begun belongs to no task of its own; the dead would go on to write.
        tasks = [*(self.worker._running if self.worker else ()), *([self.serving] if self.serving else ())]
        await _all_ended([*tasks, *self.resources.relay._under_way])
        await self._close()

    async def _end_background(self) -> None:
        await _all_ended(self.background)

    async def _close(self) -> None:
        self.is_over = True
        await self.line.close()
        await self.resources.osb.close()
        await self.database.close()

    def _noted(self, handler: Handler) -> Handler:
        async def handle(message: Message) -> None:
            self.handled.append(message)
            await handler(message)

        return handle


class Fleet:
    """The processes of a test, with a gateway that only takes writes."""

    def __init__(self, database_url: str, open_line: Callable[[], Line], keys: str, amqp: tuple[str, str]) -> None:
        """`amqp` is the server and the prefix of all names there, both empty for the in-process bus."""
        self.amqp = amqp
        self.clock = Clock()
        self.processes: list[Process] = []
        self.platform: Platform[UnitOfWork] = StandalonePlatform()
        """What the processes that come from now on write Secrets to."""
        self.providers: KeyProviders | None = None
        """Of keys, of the processes that come from now on; without any, the keys of the fleet seal themselves."""
        self.limits = DataKeyLimits(wait_seconds=0.0)
        self.database_url = database_url
        self._open_line = open_line
        self._keys = keys

    async def process(self, name: str, **settings: Any) -> Process:
        """A new process that does nothing yet."""
        engine = open_engine(self.database_url, application_name=name, pool_size=5)
        metrics = PrometheusMetrics()
        database = MortalDatabase(
            engine,
            Keyring.parse(self._keys),
            clock=self.clock,
            providers=self.providers,
            limits=self.limits,
            metrics=metrics,
        )
        if self.providers:
            await database.data_keys.start()
        line = self._open_line()
        async with asyncio.timeout(SOON):
            await line.start()
        given = {"broker_concurrency": 4, "osb_timeout_seconds": 30.0, "shutdown_seconds": 10.0, **settings}
        own_settings = Settings(database_url=SecretStr(self.database_url), **given)
        resources = Resources(
            settings=own_settings,
            database=database,
            bus=line,
            relay=Relay(database, line),
            platform=self.platform,
            osb=OsbClient(TRUSTING_LOOPBACK, metrics=metrics),
            circuits=CircuitBreakers(metrics),
            metrics=metrics,
            cluster_id="cluster-1",
            context_signer=context_signer_of(own_settings, cluster_id="cluster-1"),
            owner=f"{name}/{len(self.processes)}",
        )
        process = Process(resources, database, engine, line, metrics)
        self.processes.append(process)
        return process

    async def worker(self, *kinds: str, **settings: Any) -> Process:
        """A new process that serves these kinds, as they are wired in production."""
        process = await self.process("worker", **settings)
        return await process.relay().guard().work({kind: BUILDS[kind] for kind in kinds})

    async def collector(self) -> Process:
        """A new process that collects garbage, as each syncer does."""
        process = (await self.process("collector")).relay()
        process.background.append(asyncio.create_task(GarbageCollector(process.resources).run()))
        return process

    async def gateway(self) -> Process:
        """The first process: takes writes, and publishes what they are to bring about."""
        process = await self.process("gateway")
        return process.relay()

    @property
    def front(self) -> Process:
        return self.processes[0]

    async def create(self, *documents: AnyObject, through: Process | None = None) -> None:
        """What the gateway does when users create these, one after the other."""
        object_writer = _object_writer(through or self.front)
        for document in documents:
            await object_writer.create(_request(document), document)

    async def create_together(self, *documents: AnyObject, through: Process | None = None) -> None:
        """What the gateway does when users create these at the same moment."""
        object_writer = _object_writer(through or self.front)
        await asyncio.gather(*(object_writer.create(_request(document), document) for document in documents))

    async def delete(self, document: AnyObject, *, policy: str | None = None) -> None:
        """What the gateway does when a user deletes it."""
        await _object_writer(self.front).delete(_request(document), Preconditions(), policy=policy)

    async def delete_together(self, *documents: AnyObject, through: Process | None = None) -> None:
        """What the gateway does when users delete these in the same turn of its loop."""
        writer = _object_writer(through or self.front)
        await asyncio.gather(*(writer.delete(_request(document), Preconditions()) for document in documents))

    async def annotate_together(self, *documents: AnyObject, through: Process | None = None) -> None:
        """What the gateway does when users patch these in the same turn of its loop."""

        def annotated(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
            metadata = old.metadata.model_copy(update={"annotations": {"seen": "yes"}})
            return old.model_copy(update={"metadata": metadata}), ()

        writer = _object_writer(through or self.front)
        await asyncio.gather(*(writer.patch(_request(document), annotated) for document in documents))

    async def change_spec(self, instance: ServiceInstance, **parameters: Any) -> None:
        """What the gateway does when a user changes the parameters of an instance."""

        def change(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
            assert isinstance(old, ServiceInstance)
            return old.model_copy(update={"spec": old.spec.model_copy(update={"parameters": parameters})}), ()

        await self.change(instance, change)

    async def change(
        self, document: AnyObject, change: Callable[[AnyObject], tuple[AnyObject, tuple[str, ...]]]
    ) -> None:
        """What the gateway does when a user changes an object."""
        await _object_writer(self.front).patch(_request(document), change)

    async def insert(self, *documents: AnyObject) -> None:
        """Put objects into the tables that no worker is to look after."""

        async def insert(unit: UnitOfWork) -> None:
            for document in documents:
                given = {"uid": f"uid-of-{document.metadata.name}", "creation_timestamp": unit.now, "generation": 1}
                metadata = document.metadata.model_copy(update=given)
                await unit.objects.insert(document.model_copy(update={"metadata": metadata}))

        await self.front.database.run(insert)

    async def offer(self, name: str, url: str, **spec: Any) -> None:
        """A service broker whose catalog is known already: one class `<name>` with the plan `small`."""
        await self.create(broker(name, url, **spec))
        await self.insert(*catalog(name))

    async def find(self, kind: Kind, name: str) -> Any:
        """The object as it is stored now, or None."""
        namespace = NS if kind.namespaced else ""
        return await self.front.database.run(lambda unit: unit.objects.get(kind, namespace, name))

    async def ready(self, kind: Kind, name: str) -> tuple[str, str] | None:
        """Status and reason of the object's condition `Ready`."""
        found = await self.find(kind, name)
        condition = find_condition(found.status.conditions, ConditionType.READY) if found else None
        return (str(condition.status), condition.reason) if condition else None

    async def until_condition(self, kind: Kind, name: str, wanted: tuple[str, str]) -> None:
        """Wait until the condition `Ready` of the object has this status and this reason."""

        async def is_wanted() -> bool:
            return await self.ready(kind, name) == wanted

        await eventually(is_wanted, what=f"{kind.kind} {name} to be {wanted}")

    async def until_ready(self, kind: Kind, *names: str) -> None:
        """Wait until all of these are ready."""
        for name in names:

            async def is_ready(name: str = name) -> bool:
                return (await self.ready(kind, name) or ("", ""))[0] == "True"

            await eventually(is_ready, what=f"{kind.kind} {name} to be ready")

    async def ready_in_time(self, kind: Kind, name: str, sweep: Sweep, *, seconds: float) -> None:
        """Wait until the object is ready, letting so much time pass whenever nobody works on it."""

        async def is_ready() -> bool:
            return (await self.ready(kind, name) or ("", ""))[0] == "True"

        await self.in_time(is_ready, kind, name, sweep, seconds=seconds)

    async def in_time(
        self, look: Callable[[], Awaitable[bool]], kind: Kind, name: str, sweep: Sweep, *, seconds: float
    ) -> None:
        """Wait until this is true, letting so much time pass whenever nobody works on the object."""

        async def is_so() -> bool:
            # Before any time passes: what it brings may be over by the next look.
            if await look():
                return True
            row = await self.find_work_row(kind, name)
            if row is None or row["lease_owner"] is None:
                self.clock.advance(seconds)
                await sweep.once()
            return await look()

        await eventually(is_so, what=f"what is to become of {kind.kind} {name}")

    async def until_gone(self, kind: Kind, name: str) -> None:
        """Wait until the object is gone."""

        async def is_gone() -> bool:
            return await self.find(kind, name) is None

        await eventually(is_gone, what=f"{kind.kind} {name} to be gone")

    async def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table."""
        async with self.front.engine.connect() as connection:
            found = await connection.execute(select(METADATA.tables[table]))
            return [dict(row) for row in found.mappings()]

    async def work_row(self, kind: Kind, name: str) -> dict[str, Any]:
        """The row of the work table about an object."""
        row = await self.find_work_row(kind, name)
        assert row is not None, f"there is no work on {kind.kind} {name}"
        return row

    async def find_work_row(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """The same, or None where there is no such object or nothing to be done about it."""
        found = await self.find(kind, name)
        rows = await self.rows("work_queue") if found else []
        return next((row for row in rows if row["uid"] == found.metadata.uid), None)


async def ended(task: "asyncio.Task[Any]") -> None:
    """Cancel the task, and let it finish what it has to."""
    await _all_ended([task])


async def _all_ended(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def namespace() -> Namespace:
    return Namespace(metadata=ObjectMeta(name=NS))


def broker(name: str, url: str, **spec: Any) -> ClusterServiceBroker:
    return ClusterServiceBroker(metadata=ObjectMeta(name=name), spec=ClusterServiceBrokerSpec(url=url, **spec))


def catalog(name: str) -> tuple[AnyObject, AnyObject]:
    """The class and the plan of the broker of that name."""
    return (
        ClusterServiceClass(
            metadata=ObjectMeta(name=f"{name}-class"),
            spec=ClusterServiceClassSpec(
                external_name=name,
                external_id=f"{name}-service",
                bindable=True,
                plan_updatable=True,
                cluster_service_broker_name=name,
            ),
        ),
        ClusterServicePlan(
            metadata=ObjectMeta(name=f"{name}-plan"),
            spec=ClusterServicePlanSpec(
                external_name="small",
                external_id=f"{name}-small",
                cluster_service_broker_name=name,
                cluster_service_class_ref=LocalObjectReference(name=f"{name}-class"),
            ),
        ),
    )


def instance(name: str, of: str, *, plan: str = "small", **spec: Any) -> ServiceInstance:
    """An instance of the class `of`."""
    wanted = {"cluster_service_class_external_name": of, "cluster_service_plan_external_name": plan, **spec}
    return ServiceInstance(metadata=ObjectMeta(name=name, namespace=NS), spec=ServiceInstanceSpec(**wanted))


def binding(name: str) -> ServiceBinding:
    """A binding to the instance of the same name."""
    spec = ServiceBindingSpec(instance_ref=LocalObjectReference(name=name))
    return ServiceBinding(metadata=ObjectMeta(name=name, namespace=NS), spec=spec)


def _object_writer(process: Process) -> ObjectWriter:
    return ObjectWriter(
        process.database, on_write=lambda _request: None, authorizer=AllowEverything(), places=PLACES_OF_TESTS
    )


def _request(document: AnyObject) -> WriteRequest:
    meta = document.metadata
    return WriteRequest(
        kind=kind_of(document), namespace=meta.namespace or "", name=meta.name, user=UserInfo(username="ann")
    )


INSTANCE, BINDING, SECRET = kinds.SERVICE_INSTANCE, kinds.SERVICE_BINDING, kinds.SECRET
