"""A platform without bus and without HTTP: the real store, the real way in for users, the real rounds, a model broker.

Nothing happens by itself. The test says what users do, whose turn it is and how time passes, so that a history that
went wrong happens again in the same way.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr
from sqlalchemy import create_engine

from chandlery.contracts.messages import Message, Reconcile
from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.engine.relay import Relay
from chandlery.engine.resources import Resources
from chandlery.engine.rounds import round_calls
from chandlery.messaging.inprocess.inprocess_bus import InProcessBus
from chandlery.model.faults import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from chandlery.model.objects import kinds
from chandlery.model.objects.annotations import PREFIX, requested_actions_of
from chandlery.model.objects.bindings import ServiceBinding, ServiceBindingSpec
from chandlery.model.objects.brokers import ClusterServiceBroker, ClusterServiceBrokerSpec, LocalObjectReference
from chandlery.model.objects.core import Namespace
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceSpec, UserInfo
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.platform.standalone.standalone_platform import StandalonePlatform
from chandlery.settings.settings import Settings
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.sealing.sealing import Keyring, new_key
from chandlery_binder.binding_reconciler import BindingReconciler
from chandlery_gateway.write.object_writer import ObjectWriter
from chandlery_gateway.write.write_requests import Preconditions, WriteRequest
from chandlery_provisioner.instance_reconciler import InstanceReconciler
from chandlery_syncer.broker_reconciler import BrokerReconciler
from chandlery_syncer.namespace_reconciler import NamespaceReconciler
from tests.integration.properties.ledger import Ledger, Task
from tests.integration.properties.model_broker import ModelBroker, WorkerDied
from tests.support.allow_everything import AllowEverything
from tests.support.broker_places import PLACES_OF_TESTS

T = TypeVar("T")
Handler = Callable[[Message], Awaitable[None]]

NS, BROKER = "ns", "harbour"
INSTANCE, BINDING, SECRET = kinds.SERVICE_INSTANCE, kinds.SERVICE_BINDING, kinds.SECRET
LEASE = timedelta(seconds=10)
_BEGINNING = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
_REFUSALS = (AlreadyExists, Conflict, Forbidden, Invalid, NotFound)
_NEVER = 3600.0
"""Seconds after which a call is announced, unless it is one of the slow ones."""


class Store:
    """A file for one world after the other: whoever opens an engine has to compile all statements anew."""

    def __init__(self, template: Path, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self.engine = open_engine(self.url, application_name="test")
        self.other_engine = create_engine(self.url)
        self._template, self._path = template, path

    def clear(self) -> None:
        """Begin with the template. Nothing may be connected."""
        for suffix in ("-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        shutil.copy(self._template, self._path)


class World:
    """Users, workers and time."""

    def __init__(self, store: "Store") -> None:
        self.runner = asyncio.Runner()
        self.now = _BEGINNING
        self.broker: ModelBroker
        self.at_work: list[str] = []
        """uids of the objects whose workers are in the middle of a round, the latest last."""
        self.let_go: set[str] = set()
        """uids of objects of which something may stay at the broker, because a person said so."""
        self.waived: set[str] = set()
        keyring = Keyring.parse(new_key("test"))
        self._store = store
        self.database = Database(store.engine, keyring, clock=lambda: self.now)
        self.ledger = Ledger(store.other_engine, keyring)
        self._settings = Settings(database_url=SecretStr(store.url), lease_seconds=LEASE.total_seconds())
        self._object_writer: ObjectWriter
        self._workers: dict[str, dict[str, Handler]] = {}

    def open(self, broker: ModelBroker) -> None:
        """Start two processes of every worker."""
        self.broker = broker
        self.run(self._open())

    def close(self) -> None:
        self.run(self._store.engine.dispose())
        self._store.other_engine.dispose()
        self.runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _open(self) -> None:
        self._object_writer = ObjectWriter(
            self.database, on_write=lambda _request: None, authorizer=AllowEverything(), places=PLACES_OF_TESTS
        )
        self._workers = {name: self._process(name) for name in ("first", "second")}

    def _process(self, name: str) -> dict[str, Handler]:
        bus = InProcessBus()
        resources = Resources(
            settings=self._settings,
            database=self.database,
            bus=bus,
            relay=Relay(self.database, bus),
            platform=StandalonePlatform(),
            osb=self.broker,  # type: ignore[arg-type]
            cluster_id="cluster",
            owner=name,
        )
        return {
            "Namespace": ReconcileLoop(NamespaceReconciler(resources), resources).handle,
            "ClusterServiceBroker": ReconcileLoop(BrokerReconciler(resources), resources).handle,
            "ServiceInstance": ReconcileLoop(InstanceReconciler(resources), resources).handle,
            "ServiceBinding": ReconcileLoop(BindingReconciler(resources), resources).handle,
        }

    # Users

    async def create(self, document: AnyObject) -> bool:
        """Returns whether the gateway has taken it."""
        with suppress(*_REFUSALS):
            await self._object_writer.create(_request(kinds.kind_of(document), document.metadata.name), document)
            return True
        return False

    async def change(self, kind: Kind, name: str, **spec: Any) -> bool:
        def changed(old: Any) -> tuple[AnyObject, tuple[str, ...]]:
            return old.model_copy(update={"spec": old.spec.model_copy(update=spec)}), ()

        with suppress(*_REFUSALS):
            await self._object_writer.patch(_request(kind, name), changed)
            return True
        return False

    async def annotate(self, kind: Kind, name: str, **orders: str) -> bool:
        given = {f"{PREFIX}{order.replace('_', '-')}": value for order, value in orders.items()}

        def changed(old: Any) -> tuple[AnyObject, tuple[str, ...]]:
            annotations = {**(old.metadata.annotations or {}), **given}
            return old.model_copy(update={"metadata": old.metadata.model_copy(update={"annotations": annotations})}), ()

        with suppress(*_REFUSALS):
            stored = await self._object_writer.patch(_request(kind, name), changed)
            if orders.get("orphan_mitigation") == "Waive":
                self.waived.add(stored.object.metadata.uid or "")
            return True
        return False

    async def delete(self, kind: Kind, name: str) -> bool:
        with suppress(*_REFUSALS):
            await self._object_writer.delete(_request(kind, name), Preconditions())
            return True
        return False

    # Workers

    async def work(self, task: Task, process: str, *, is_slow: bool = False) -> None:
        """Have the worker handle the command for a row, until nothing of it is due or the worker ends."""
        # Whether a call is announced must not depend on how busy the machine is.
        round_calls._SLOW_CALL_SECONDS = 0.0 if is_slow else _NEVER
        self.note_orders()
        self.at_work.append(task.uid)
        try:
            await self._workers[process][task.kind](Reconcile(kind=task.kind, uid=task.uid, lane=task.lane))
        except (WorkerDied, asyncio.CancelledError):
            self._workers[process] = self._process(process)
        finally:
            self.at_work.pop()

    def due(self) -> list[Task]:
        """What a worker would take up now."""
        return [
            task
            for task in self.ledger.tasks()
            if task.due_at is not None
            and task.due_at <= self.now
            and (task.lease_until is None or task.lease_until < self.now)
        ]

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def next_moment(self) -> datetime | None:
        """When something is due next, or a dead worker's lease ends."""
        moments = [moment for task in self.ledger.tasks() if (moment := task.next_at()) is not None]
        return min(moments, default=None)

    def note_orders(self) -> None:
        """Remember of what something may stay at the broker."""
        for kind in (INSTANCE, BINDING):
            for each in self.ledger.objects(kind):
                orders = requested_actions_of(each.metadata)
                if each.metadata.deletion_timestamp and (orders.abandons or orders.forces_deletion):
                    self.let_go.add(each.metadata.uid)

    def may(self, what: str, uid: str) -> bool:
        """Whether a person has allowed it: `waive` or `let go`."""
        if what == "waive":
            return uid in self.waived
        self.note_orders()
        return uid in self.let_go


def namespace() -> Namespace:
    return Namespace(metadata=ObjectMeta(name=NS))


def registration(**spec: Any) -> ClusterServiceBroker:
    return ClusterServiceBroker(
        metadata=ObjectMeta(name=BROKER), spec=ClusterServiceBrokerSpec(url="http://harbour.test", **spec)
    )


def instance(name: str, plan: str, parameters: dict[str, Any] | None = None) -> ServiceInstance:
    spec = ServiceInstanceSpec(
        cluster_service_class_external_name="ropes",
        cluster_service_plan_external_name=plan,
        parameters=parameters,
    )
    return ServiceInstance(metadata=ObjectMeta(name=name, namespace=NS), spec=spec)


def binding(name: str, to: str) -> ServiceBinding:
    spec = ServiceBindingSpec(instance_ref=LocalObjectReference(name=to))
    return ServiceBinding(metadata=ObjectMeta(name=name, namespace=NS), spec=spec)


def _request(kind: Kind, name: str) -> WriteRequest:
    namespace = NS if kind.namespaced else ""
    return WriteRequest(kind=kind, namespace=namespace, name=name, user=UserInfo(username="ann"))
