"""How many calls at a time this worker may make to each service broker: all of its own, or a share of the broker's.

What a broker says of how many calls it takes at a time (`spec.maxConcurrentRequests`) is for all workers together. Each
takes an equal share, and the message bus hands it no more commands than that (prefetch). Who they are is in the
database: every worker holds a lease there, those that call no brokers, too, so that it is known who is at work.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import AnyBroker
from chandlery.reconcile.reconcile_result import broker_key
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.objects import Listing

_CALLS, _KEEPS = "calls service brokers/", "keeps catalogs/"


@dataclass(frozen=True, kw_only=True)
class WorkerName:
    """A worker in a process, as the others know it."""

    owner: str
    queues: Sequence[str]
    calls_brokers: bool
    """Whether it has a share of what they take at a time."""

    @property
    def lease(self) -> str:
        """What it holds while it is at work."""
        return f"{_CALLS if self.calls_brokers else _KEEPS}{self.owner}/{'+'.join(self.queues)}"


async def count_workers(unit: UnitOfWork) -> Counter[str]:
    """How many are at work: `provisioner`, `binder`, `syncer`."""
    leases = [*await unit.leases.held(_CALLS), *await unit.leases.held(_KEEPS)]
    return Counter(lease.rpartition("/")[2].partition(".")[0] for lease in leases)


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """All lanes there are, and what brokers say of theirs."""

    names: Sequence[str] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    """Calls at a time from all workers together, for brokers that say so."""
    workers: int = 1
    """How many workers call brokers."""

    def share(self, lane: str, default: int) -> int:
        """Calls at a time that one worker may make on this lane: at least one, or the lane would stand still."""
        limit = self.limits.get(lane)
        return default if limit is None else max(1, limit // max(1, self.workers))


async def find_lanes(unit: UnitOfWork, *, worker: WorkerName, lease: timedelta) -> Lanes:
    """Read the lanes, and count the worker in for as long as its lease lasts."""
    await unit.leases.acquire(worker.lease, owner=worker.owner, duration=lease)
    brokers = [broker for kind in kinds.BROKER_KINDS for broker in await unit.objects.list(kind, Listing())]
    known = {broker_key(each.metadata.namespace, each.metadata.name): each for each in brokers}
    names = sorted(known.keys() | set(await unit.work_queue.lanes()) | {UNRESOLVED_LANE})
    limits = {lane: limit for lane, each in known.items() if (limit := _limit(each)) is not None}
    return Lanes(names=names, limits=limits, workers=await unit.leases.count(_CALLS) if limits else 1)


async def stop_sharing(unit: UnitOfWork, *, worker: WorkerName) -> None:
    """The worker ends: the others may take its share."""
    await unit.leases.give_back(worker.lease, owner=worker.owner)


def _limit(broker: object) -> int | None:
    return broker.spec.max_concurrent_requests if isinstance(broker, AnyBroker) else None
