"""What waits in the database, who is at work on it, and what stands in the way. Only read; see `chandlery doctor`.

Through `UnitOfWork.inspection`, in a transaction that may read alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, func, or_, select

from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.contracts.topology import SINGLE_LANE
from chandlery.model.objects.kinds import BROKER_KINDS
from chandlery.reconcile.reconcile_result import BROKER_LANE, broker_key
from chandlery.store.inspection.waited_keys import WaitedKeys
from chandlery.store.rows import utc
from chandlery.store.schema import CIRCUITS, LEASES, OBJECTS, OUTBOX
from chandlery.store.schema import WORK_QUEUE as W
from chandlery.store.work.broker_protection import LONGEST_SILENCE

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_MOST_LANES: Final = 20
_FIRST_TRIES: Final = 5


@dataclass(frozen=True)
class Waiting:
    """Things that wait."""

    count: int
    seconds: float
    """For which the oldest has waited."""


@dataclass(frozen=True)
class LaneBacklog:
    """Objects of a kind on a lane that are due, and that nobody works on."""

    kind: str
    lane: str
    waiting: Waiting


@dataclass(frozen=True)
class AbandonedLeases:
    """Leases on objects that ran out without having been given back or taken over."""

    owner: str
    count: int
    seconds: float
    """Since the oldest has run out."""


@dataclass(frozen=True)
class NamedLease:
    """See `leases`. It is held as long as its seconds are no less than 0."""

    name: str
    owner: str
    seconds_left: float


@dataclass(frozen=True)
class HeldCircuit:
    """A service broker to which a process has paused its calls."""

    lane: str
    owner: str
    opened_seconds: float


@dataclass(frozen=True)
class BrokerShare:
    """A service broker, and how many calls it takes at a time."""

    lane: str
    limit: int | None


@dataclass(frozen=True)
class BrokerRounds:
    """What workers do for the objects of one service broker, as far as it takes long or is tried again."""

    lane: str
    in_hand: int
    seconds: float
    """For which the oldest of those in hand has been due: it waited for a worker, and now for an answer."""
    tried_again: int
    """Objects whose first tries have failed. Later ones tell of the object rather than of the service broker."""


class Inspection:
    """The questions, as this transaction sees the answers."""

    def __init__(self, connection: "AsyncConnection", now: datetime) -> None:
        self._connection = connection
        self._now = now

    @property
    def waited_keys(self) -> WaitedKeys:
        """What objects wait for, or follow."""
        return WaitedKeys(self._connection)

    async def outbox(self) -> Waiting:
        """Messages that the bus has not confirmed."""
        row = (await self._connection.execute(select(func.count(), func.min(OUTBOX.c.at)))).one()
        return Waiting(row[0], self._since(row[1]))

    async def backlog(self) -> Sequence[LaneBacklog]:
        """What is due, by lane, the lane whose oldest has waited longest first; at most some."""
        oldest = func.min(W.c.due_at)
        free = or_(W.c.lease_until.is_(None), W.c.lease_until < self._now)
        query = (
            select(W.c.kind, W.c.lane, func.count(), oldest)
            .where(W.c.due_at <= self._now, free)
            .group_by(W.c.kind, W.c.lane)
            .order_by(oldest)
            .limit(_MOST_LANES)
        )
        rows = (await self._connection.execute(query)).all()
        return [LaneBacklog(kind, lane, Waiting(count, self._since(due))) for kind, lane, count, due in rows]

    async def objects(self) -> tuple[int, int]:
        """How many objects workers look after, and how many are worked on now."""
        held = func.count(W.c.lease_until).filter(W.c.lease_until >= self._now)
        total, in_hand = (await self._connection.execute(select(func.count(), held).select_from(W))).one()
        return total, in_hand

    async def abandoned(self, *, after: timedelta) -> Sequence[AbandonedLeases]:
        """By owner, those whose objects nobody has taken for so long."""
        lost = and_(W.c.lease_owner.is_not(None), W.c.lease_until < self._now - after)
        query = select(W.c.lease_owner, func.count(), func.min(W.c.lease_until)).where(lost)
        rows = (await self._connection.execute(query.group_by(W.c.lease_owner).limit(_MOST_LANES))).all()
        return [AbandonedLeases(owner, count, self._since(until)) for owner, count, until in rows]

    async def leases(self) -> Sequence[NamedLease]:
        """All of what only one process does at a time, or is counted by."""
        rows = (await self._connection.execute(select(LEASES.c.name, LEASES.c.owner, LEASES.c.until))).all()
        return [NamedLease(name, owner, -self._since(until)) for name, owner, until in rows]

    async def circuits(self) -> Sequence[HeldCircuit]:
        """Those of living processes, oldest first. What the broker said may be sealed, and is not read."""
        query = select(CIRCUITS.c.lane, CIRCUITS.c.owner, CIRCUITS.c.opened_at)
        query = query.where(CIRCUITS.c.retry_at > self._now - LONGEST_SILENCE).order_by(CIRCUITS.c.opened_at)
        rows = (await self._connection.execute(query)).all()
        return [HeldCircuit(lane, owner, self._since(opened)) for lane, owner, opened in rows]

    async def broker_rounds(self) -> Sequence[BrokerRounds]:
        """By service broker, the one whose oldest round has been due for longest first; at most some."""
        is_held = W.c.lease_until >= self._now
        is_tried_again = W.c.attempt.between(1, _FIRST_TRIES)
        oldest = func.min(W.c.due_at).filter(is_held)
        query = (
            select(W.c.lane, func.count().filter(is_held), oldest, func.count().filter(is_tried_again))
            .where(W.c.lane.startswith(BROKER_LANE, autoescape=True), or_(is_held, is_tried_again))
            .group_by(W.c.lane)
            .order_by(oldest.nulls_last())
            .limit(_MOST_LANES)
        )
        rows = (await self._connection.execute(query)).all()
        return [BrokerRounds(lane, in_hand, self._since(due), again) for lane, in_hand, due, again in rows]

    async def brokers(self) -> Sequence[BrokerShare]:
        """All of them."""
        found = []
        for kind in BROKER_KINDS:
            table = OBJECTS[kind.kind]
            limit = table.c.spec["maxConcurrentRequests"].as_integer()
            for namespace, name, most in await self._connection.execute(select(table.c.namespace, table.c.name, limit)):
                found.append(BrokerShare(broker_key(namespace, name), most))
        return found

    async def lanes(self) -> Sequence[str]:
        """Those that workers listen on: of the service brokers, and of objects whose broker is gone."""
        worked = (await self._connection.execute(select(W.c.lane).distinct())).scalars().all()
        return sorted({UNRESOLVED_LANE, *worked, *(each.lane for each in await self.brokers())} - {SINGLE_LANE})

    def _since(self, moment: datetime | None) -> float:
        return (self._now - utc(moment)).total_seconds() if moment is not None else 0.0
