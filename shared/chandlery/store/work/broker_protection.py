"""What protects service brokers and must outlive a process or be seen by others: open circuits, planned calls.

Deciding is done by the pure `retry/circuit.py` and `retry/rate_limit.py`; here is only what they need remembered.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from chandlery.retry.circuit import OpenCircuit
from chandlery.retry.rate_limit import CallRate, Turn, next_turn
from chandlery.store.rows import utc
from chandlery.store.schema import CIRCUITS, RATE_LIMITS
from chandlery.store.sealing.sealing import Keyring
from chandlery.store.work.sealed_notes import open_said, seal_said

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

LONGEST_SILENCE = timedelta(minutes=15)
"""A process that lives tries a broker again, or forgets its circuit, sooner than that."""


class CircuitStore:
    """Open circuits, as this transaction sees them."""

    def __init__(self, connection: "AsyncConnection", keyring: Keyring, now: datetime) -> None:
        self._connection = connection
        self._keyring = keyring
        self._now = now

    async def open_circuit(self, lane: str) -> OpenCircuit | None:
        """The circuit of this lane that has been open for longest in any living process."""
        query = select(CIRCUITS).where(CIRCUITS.c.lane == lane, CIRCUITS.c.retry_at > self._now - LONGEST_SILENCE)
        row = (await self._connection.execute(query.order_by(CIRCUITS.c.opened_at).limit(1))).mappings().first()
        if row is None:
            return None
        opened_at, retry_at = utc(row["opened_at"]), utc(row["retry_at"])
        message = open_said(self._keyring, lane, row["message"])
        return OpenCircuit(opened_at=opened_at, retry_at=retry_at, message=message)

    async def open_lanes(self, owner: str) -> set[str]:
        """Whose circuits this process has noted as open; who closed one took the notes of all away."""
        query = select(CIRCUITS.c.lane).where(CIRCUITS.c.owner == owner)
        return set((await self._connection.execute(query)).scalars())

    async def note_open(self, lane: str, circuit: OpenCircuit, *, owner: str) -> bool:
        """This process holds back calls; True if it has not said so before."""
        mine = (CIRCUITS.c.lane == lane) & (CIRCUITS.c.owner == owner)
        message = seal_said(self._keyring, lane, circuit.message)
        values = {"opened_at": circuit.opened_at, "retry_at": circuit.retry_at, "message": message}
        if (await self._connection.execute(update(CIRCUITS).where(mine).values(values))).rowcount:
            return False
        await self._connection.execute(insert(CIRCUITS).values(lane=lane, owner=owner, **values))
        return True

    async def note_closed(self, lane: str, *, owner: str | None = None) -> bool:
        """Nobody, or not this owner, holds back calls any more; True if that was on record."""
        which = CIRCUITS.c.lane == lane
        if owner is not None:
            which &= CIRCUITS.c.owner == owner
        return bool((await self._connection.execute(delete(CIRCUITS).where(which))).rowcount)

    async def forget_silent(self) -> Sequence[str]:
        """Remove what dead processes have left; returns the lanes."""
        silent = CIRCUITS.c.retry_at < self._now - LONGEST_SILENCE
        removed = await self._connection.execute(delete(CIRCUITS).where(silent).returning(CIRCUITS.c.lane))
        return sorted(set(removed.scalars()))


class RateLimitStore:
    """How far the calls to each service broker with a rate limit are planned, as this transaction sees it."""

    def __init__(self, connection: "AsyncConnection", now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._is_postgresql = connection.dialect.name == "postgresql"

    async def take_turn(self, lane: str, rate: CallRate) -> Turn:
        """A turn in the line before this service broker, among all processes."""
        query = select(RATE_LIMITS.c.full_at).where(RATE_LIMITS.c.lane == lane)
        if self._is_postgresql:
            query = query.with_for_update()
        full_at = (await self._connection.execute(query)).scalar()
        if full_at is None:
            await self._begin_line(lane)
            full_at = (await self._connection.execute(query)).scalar_one()
        turn = next_turn(rate, utc(full_at), self._now)
        if turn.is_kept:
            statement = update(RATE_LIMITS).where(RATE_LIMITS.c.lane == lane).values(full_at=turn.full_at)
            await self._connection.execute(statement)
        return turn

    async def _begin_line(self, lane: str) -> None:
        # Unless another process does so at the same time.
        with suppress(IntegrityError):
            async with self._connection.begin_nested():
                await self._connection.execute(insert(RATE_LIMITS).values(lane=lane, full_at=self._now))
