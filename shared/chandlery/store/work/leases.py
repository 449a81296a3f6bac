"""Named leases: what only one process at a time should do, such as the sweep. Also a few facts about the whole."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.exc import IntegrityError

from chandlery.store.schema import LEASES, MARKS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


async def read_mark(connection: "AsyncConnection", name: str) -> str | None:
    """What is marked under that name."""
    return (await connection.execute(select(MARKS.c.value).where(MARKS.c.name == name))).scalar()


async def set_mark(connection: "AsyncConnection", name: str, value: str) -> None:
    """Mark this instead; of two transactions that mark for the first time at once, one counts."""
    done = await connection.execute(update(MARKS).where(MARKS.c.name == name).values(value=value))
    if done.rowcount:
        return
    if connection.dialect.name == "postgresql":
        await connection.execute(postgresql_insert(MARKS).values(name=name, value=value).on_conflict_do_nothing())
        return
    await connection.execute(insert(MARKS).values(name=name, value=value))


if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_CLUSTER_ID = "cluster id"


class LeaseStore:
    """The leases, as this transaction sees them."""

    def __init__(self, connection: "AsyncConnection", now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def acquire(self, name: str, *, owner: str, duration: timedelta) -> bool:
        """Take or renew a lease. False if somebody else holds it."""
        until = self._now + duration
        mine = or_(LEASES.c.owner == owner, LEASES.c.until < self._now)
        statement = update(LEASES).where(LEASES.c.name == name, mine).values(owner=owner, until=until)
        if (await self._connection.execute(statement)).rowcount:
            return True
        if (await self._connection.execute(select(LEASES.c.name).where(LEASES.c.name == name))).first():
            return False
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(insert(LEASES).values(name=name, owner=owner, until=until))
        except IntegrityError:
            return False
        return True

    async def give_back(self, name: str, *, owner: str) -> None:
        """Let go of a lease, if it is this owner's."""
        await self._connection.execute(delete(LEASES).where(LEASES.c.name == name, LEASES.c.owner == owner))

    async def count(self, prefix: str) -> int:
        """How many leases whose names begin so are held. Those that have run out are removed."""
        named = LEASES.c.name.startswith(prefix, autoescape=True)
        await self._connection.execute(delete(LEASES).where(named, LEASES.c.until < self._now))
        counted = await self._connection.execute(select(func.count()).select_from(LEASES).where(named))
        return int(counted.scalar_one())

    async def held(self, prefix: str) -> Sequence[str]:
        """The names of those leases that begin so and have not run out."""
        named = LEASES.c.name.startswith(prefix, autoescape=True)
        query = select(LEASES.c.name).where(named, LEASES.c.until >= self._now)
        return (await self._connection.execute(query)).scalars().all()

    async def fact(self, name: str) -> str | None:
        """A fact about the whole that the holder of a lease has noted."""
        return await read_mark(self._connection, name)

    async def note_fact(self, name: str, value: str) -> None:
        """Note it instead of what was noted."""
        await set_mark(self._connection, name, value)

    async def cluster_id(self, wanted: str | None) -> str:
        """The id that brokers know this installation by: the configured one, else one made up once and kept."""
        noted = await self.first_noted(_CLUSTER_ID, wanted or str(uuid.uuid4()))
        return wanted or noted

    async def first_noted(self, name: str, value: str) -> str:
        """The fact that somebody noted first and that stays: this value, if there was none."""
        query = select(MARKS.c.value).where(MARKS.c.name == name)
        known = (await self._connection.execute(query)).scalar()
        if known is not None:
            return str(known)
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(insert(MARKS).values(name=name, value=value))
        except IntegrityError:
            return str((await self._connection.execute(query)).scalar_one())
        return value
