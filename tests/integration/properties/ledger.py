"""What is stored, read past the platform's own connection, so that a look at it changes nothing and takes no time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, select

from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.store.rows import RowCodec
from chandlery.store.schema import OBJECTS, WORK_QUEUE
from chandlery.store.sealing.sealing import Keyring
from chandlery.store.work.sealed_notes import open_note

LOOKED_AFTER = (kinds.NAMESPACE, kinds.CLUSTER_SERVICE_BROKER, kinds.SERVICE_INSTANCE, kinds.SERVICE_BINDING)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A row of the work table with its object."""

    kind: str
    uid: str
    lane: str
    due_at: datetime | None
    lease_until: datetime | None
    waiting_for: str | None
    sealed: JsonObject | None
    memory: JsonObject
    object: Any

    @property
    def name(self) -> str:
        return f"{self.kind} {self.object.metadata.name}" if self.object else f"{self.kind} that is gone"

    def next_at(self) -> datetime | None:
        """When anything can happen by itself."""
        moments = [moment for moment in (self.due_at, self.lease_until) if moment is not None]
        return max(moments) if self.due_at is not None else None


class Ledger:
    """Reads the SQLite file of a world."""

    def __init__(self, engine: Engine, keyring: Keyring) -> None:
        self._engine = engine
        self._codec = RowCodec(keyring)
        self._keyring = keyring

    def objects(self, kind: Kind) -> list[Any]:
        with self._engine.connect() as connection:
            rows = connection.execute(select(OBJECTS[kind.kind])).mappings().all()
        found = [self._codec.from_row(kind, dict(row)) for row in rows]
        return sorted(found, key=lambda each: (each.metadata.namespace or "", each.metadata.name))

    def find(self, kind: Kind, name: str) -> Any:
        return next((each for each in self.objects(kind) if each.metadata.name == name), None)

    def tasks(self) -> list[Task]:
        """In an order that does not depend on random ids."""
        objects = {each.metadata.uid: each for kind in LOOKED_AFTER for each in self.objects(kind)}
        with self._engine.connect() as connection:
            rows = connection.execute(select(WORK_QUEUE)).mappings().all()
        tasks = [self._task(row, objects.get(row["uid"])) for row in rows]
        return sorted(tasks, key=lambda each: each.name)

    def _task(self, row: Any, document: AnyObject | None) -> Task:
        sealed = row["sealed"]
        return Task(
            kind=row["kind"],
            uid=row["uid"],
            lane=row["lane"],
            due_at=_utc(row["due_at"]),
            lease_until=_utc(row["lease_until"]),
            waiting_for=row["waiting_for"],
            sealed=open_note(self._keyring, row["uid"], sealed).note if sealed else None,
            memory=row["memory"],
            object=document,
        )


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None else None
