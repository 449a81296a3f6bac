"""A syncer without its queue: commands are handed to its rounds by the test. On SQLite and on PostgreSQL."""

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from pydantic import SecretStr
from sqlalchemy import DateTime, bindparam, text

from chandlery.contracts.messages import Reconcile
from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.engine.resources import Resources
from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import ClusterServiceBroker
from chandlery.model.objects.kinds import AnyObject, Kind, kind_of
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.text.names import FINALIZER
from chandlery.process.composition import open_resources
from chandlery.reconcile.reconcile_result import broker_key
from chandlery.settings.settings import Settings
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.changes import LoggedChange
from chandlery.store.objects.object_reads import Listing
from chandlery.store.sealing.sealing import new_key
from chandlery_syncer.broker_reconciler import BrokerReconciler
from chandlery_syncer.namespace_reconciler import NamespaceReconciler
from tests.support.waiting import eventually

"""Seconds that a test waits for what should happen within milliseconds."""


@dataclass
class Bench:
    """The database with what a syncer does to it."""

    resources: Resources
    seen_position: int = 0
    commands: list[Reconcile] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.resources.database.on_commit(
            lambda entries: self.commands.extend(
                entry.message for entry in entries if isinstance(entry.message, Reconcile)
            )
        )
        brokers = ReconcileLoop(BrokerReconciler(self.resources), self.resources).handle
        namespaces = ReconcileLoop(NamespaceReconciler(self.resources), self.resources).handle
        self._handlers = {
            kinds.CLUSTER_SERVICE_BROKER.kind: brokers,
            kinds.SERVICE_BROKER.kind: brokers,
            kinds.NAMESPACE.kind: namespaces,
        }

    async def create(self, document: AnyObject, *, lane: str = "", finalizer: bool = True) -> AnyObject:
        """Store the object as the gateway would, with its row in the work table if a worker looks after it."""
        metadata = document.metadata.model_copy(update={"uid": str(uuid.uuid4()), "generation": 1})
        if kind_of(document).has_finalizer and finalizer:
            metadata = metadata.model_copy(update={"finalizers": [FINALIZER]})

        async def work(unit: UnitOfWork) -> AnyObject:
            timed = metadata.model_copy(update={"creation_timestamp": unit.now})
            created = await unit.objects.insert(document.model_copy(update={"metadata": timed}))
            own_lane = lane or broker_key(metadata.namespace, metadata.name)
            if kind_of(document).has_finalizer or kind_of(document) is kinds.NAMESPACE:
                await unit.work_queue.add(document.kind, metadata.uid or "", lane=own_lane)
            return created

        return await self.resources.database.run(work)

    async def change(self, document: AnyObject, **update: Any) -> AnyObject:
        """Write fields of the object; a spec brings a new generation. Makes it due."""
        uid = document.metadata.uid or ""

        async def work(unit: UnitOfWork) -> AnyObject:
            old = await unit.objects.get_by_uid(kind_of(document), uid, lock=True)
            assert old is not None
            metadata = old.metadata.model_copy(update=update.pop("metadata", {}))
            if "spec" in update:
                metadata = metadata.model_copy(update={"generation": (metadata.generation or 1) + 1})
            new = await unit.objects.update(old, old.model_copy(update={"metadata": metadata, **update}))
            unit.outbox.add(await unit.work_queue.enqueue_changed(uid))
            return new

        return await self.resources.database.run(work)

    async def make_due(self, document: AnyObject) -> None:
        """As if the time of the next attempt had come."""

        async def work(unit: UnitOfWork) -> None:
            claim = unit.work_queue
            statement = text("UPDATE work_queue SET due_at = :now WHERE uid = :uid")
            bound = statement.bindparams(bindparam("now", type_=DateTime(timezone=True)))
            await claim._connection.execute(bound, {"now": unit.now, "uid": document.metadata.uid})

        await self.resources.database.run(work)

    async def delete(self, document: AnyObject) -> AnyObject:
        """Ask for the object's deletion."""
        now = document.metadata.creation_timestamp
        return await self.change(document, metadata={"deletion_timestamp": now, "deletion_grace_period_seconds": 0})

    async def take_away(self, document: AnyObject) -> None:
        """Let the object go, as its worker would."""

        async def work(unit: UnitOfWork) -> None:
            old = await unit.objects.get_by_uid(kind_of(document), document.metadata.uid or "", lock=True)
            assert old is not None
            await unit.objects.remove(old)
            await unit.work_queue.remove(document.metadata.uid or "")

        await self.resources.database.run(work)

    async def round(self, document: AnyObject) -> None:
        """Hand the syncer a command for the object."""
        await self._handlers[document.kind](Reconcile(kind=document.kind, uid=document.metadata.uid or ""))

    def take_commands(self) -> set[str]:
        """The uids of the objects that commands were sent for since the last call."""
        uids = {command.uid for command in self.commands}
        self.commands.clear()
        return uids

    async def all(self, kind: Kind) -> Sequence[Any]:
        """Every object of the kind."""
        return await self.resources.database.run(lambda unit: unit.objects.list(kind, Listing()))

    async def get(self, document: AnyObject) -> Any:
        """The object as it is stored now, or None."""
        uid = document.metadata.uid or ""
        return await self.resources.database.run(lambda unit: unit.objects.get_by_uid(kind_of(document), uid))

    async def reasons(self) -> list[str]:
        """The reasons of all recorded events."""
        return [event.reason for event in await self.all(kinds.EVENT)]

    async def new_changes(self, *of: Kind) -> list[LoggedChange]:
        """What the change log says about these kinds since the last call."""
        until = await self.resources.database.run(lambda unit: unit.changes.next_position())
        # The log is shown up to the oldest transaction of the whole server, and others may be at work on it.
        run = self.resources.database.run
        await eventually(
            lambda: run(lambda unit: unit.changes.horizon()), lambda seen: seen > until, what="the horizon"
        )
        changes = await self.resources.database.run(lambda unit: unit.changes.read(self.seen_position, limit=100_000))
        self.seen_position = max([self.seen_position, *(change.position for change in changes)])
        names = {kind.kind for kind in of}
        return [change for change in changes if change.kind in names]

    async def cluster_broker(self, url: str, name: str = "broker", **spec: Any) -> ClusterServiceBroker:
        """A cluster-wide broker at the address."""
        fields = {"url": url, **spec}
        document = ClusterServiceBroker.model_validate({"metadata": ObjectMeta(name=name), "spec": fields})
        return cast("ClusterServiceBroker", await self.create(document))


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    """A syncer on an empty database of each sort."""
    async with _open(database_url) as resources:
        yield Bench(resources)


def _open(url: str) -> Any:
    settings = Settings(
        database_url=SecretStr(url),
        amqp_url=SecretStr("memory:"),
        encryption_keys=SecretStr(new_key("test")),
        osb_timeout_seconds=5.0,
    )
    return open_resources(settings, service="syncer", migrates=True)
