"""Which object goes by which id at which service broker: the first that has an id there keeps it until it is gone.

The gateway claims for new objects whose broker is known, a worker for those that find theirs later, and before it calls
the broker for the first time. The primary key decides among all processes at once.
"""

from collections.abc import Collection
from dataclasses import astuple, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from chandlery.model.faults import Fault
from chandlery.store.schema import EXTERNAL_IDS as E
from chandlery.store.sets_of_values import is_one_of_given

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection

_UNLESS_THERE = {
    "postgresql": postgresql.insert(E).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(E).on_conflict_do_nothing(),
}


class ExternalIdTaken(Fault):
    """The external id belongs to another object of the same service broker."""


@dataclass(frozen=True, order=True, slots=True)
class ExternalId:
    """An id as a service broker knows it; instances and bindings have theirs apart."""

    lane: str
    """Names the broker."""
    kind: str
    value: str


class ExternalIdStore:
    """The ids that are taken, as this transaction sees them."""

    def __init__(self, connection: "AsyncConnection") -> None:
        self._connection = connection
        self._insert_unless_there = _UNLESS_THERE[connection.dialect.name]
        self._later: dict[ExternalId, str] = {}
        self._owners: dict[ExternalId, str] = {}

    def claim_later(self, external_id: ExternalId, uid: str) -> None:
        """Claim the id when the transaction ends, together with others; raises ExternalIdTaken for two of this one."""
        if self._later.setdefault(external_id, uid) != uid:
            raise ExternalIdTaken

    async def flush(self) -> None:
        """Write what `claim_later` was given; raises ExternalIdTaken if one of them belongs to somebody."""
        if not self._later:
            return
        # In one order, so that two transactions that claim several do not wait for each other.
        rows = [_row(external_id, self._later[external_id]) for external_id in sorted(self._later)]
        self._later.clear()
        try:
            await self._connection.execute(insert(E), rows)
        except IntegrityError as error:
            raise ExternalIdTaken from error

    async def prefetch(self, uids: Collection[str]) -> None:
        """Read which ids these objects have, so that `claim` need not look for each."""
        query = _of_objects(is_postgresql=self._connection.dialect.name == "postgresql")
        for row in await self._connection.execute(query, {"uids": list(uids)}):
            self._owners[ExternalId(row.lane, row.kind, row.external_id)] = row.uid

    async def claim(self, external_id: ExternalId, uid: str) -> bool:
        """Whether the id belongs to the object, by now at least."""
        if self._owners.get(external_id) == uid:
            # It stays so until the object is gone.
            return True
        owner = await self.owner(external_id)
        if owner is None:
            await self._connection.execute(self._insert_unless_there, _row(external_id, uid))
            owner = await self.owner(external_id)
        return owner == uid

    async def owner(self, external_id: ExternalId) -> str | None:
        """The uid of the object that the id belongs to."""
        query = select(E.c.uid).where(tuple_(E.c.lane, E.c.kind, E.c.external_id) == astuple(external_id))
        return (await self._connection.execute(query)).scalar()

    async def owners(self, external_ids: Collection[ExternalId]) -> dict[ExternalId, str]:
        """The uids of the objects that these ids belong to; those that belong to nobody are left out."""
        if not external_ids:
            return {}
        wanted = tuple_(E.c.lane, E.c.kind, E.c.external_id).in_([astuple(each) for each in external_ids])
        rows = await self._connection.execute(select(E).where(wanted))
        return {ExternalId(row.lane, row.kind, row.external_id): row.uid for row in rows}


@cache
def _of_objects(*, is_postgresql: bool) -> "Select[Any]":
    return select(E).where(is_one_of_given(E.c.uid, "uids", is_postgresql=is_postgresql))


def _row(external_id: ExternalId, uid: str) -> dict[str, str]:
    return {"lane": external_id.lane, "kind": external_id.kind, "external_id": external_id.value, "uid": uid}
