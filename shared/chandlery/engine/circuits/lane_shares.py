"""How many calls at a time this worker may make to each service broker: all of its own, or a share of the broker's.

What a broker says of how many calls it takes at a time (`spec.maxConcurrentRequests`) is for all workers together. Each
takes an equal share, and the message bus hands it no more commands than that (prefetch). Who they are is in the
database: every worker holds a lease there, those that call no brokers, too, so that it is known who is at work.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.broker_facts import BrokerVersion

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
    versions: Mapping[str, BrokerVersion] = field(default_factory=dict)
    """Of which specifications the limits are."""
    workers: int = 1
    """How many workers call brokers."""

    def share(self, lane: str, default: int) -> int:
        """Calls at a time that one worker may make on this lane: at least one, or the lane would stand still."""
        limit = self.limits.get(lane)
        return default if limit is None else max(1, limit // max(1, self.workers))


NO_LANES: Final = Lanes()


async def find_lanes(unit: UnitOfWork, *, worker: WorkerName, lease: timedelta, before: Lanes = NO_LANES) -> Lanes:
    """Read the lanes, and count the worker in for as long as its lease lasts.

    Limits are read of brokers whose specification is another than it was before.
    """
    await unit.leases.acquire(worker.lease, owner=worker.owner, duration=lease)
    versions = await unit.broker_facts.versions()
    changed = {lane: each for lane, each in versions.items() if before.versions.get(lane) != each}
    said = await unit.broker_facts.limits(changed.values())
    limits = {lane: limit for lane, limit in before.limits.items() if lane in versions and lane not in changed}
    limits |= {lane: said[each.uid] for lane, each in changed.items() if each.uid in said}
    names = sorted(versions.keys() | set(await unit.work_queue.lanes()) | {UNRESOLVED_LANE})
    workers = await unit.leases.count(_CALLS) if limits else 1
    return Lanes(names=names, limits=limits, versions=versions, workers=workers)


async def stop_sharing(unit: UnitOfWork, *, worker: WorkerName) -> None:
    """The worker ends: the others may take its share."""
    await unit.leases.give_back(worker.lease, owner=worker.owner)
