"""What is done all the time, done once with the code that does it: pages, watches, claims, the sweep, pruning.

`MEASURED` names each; it is asked of a database that was filled by `filling.py`, at the place that `at` says.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from chandlery.engine.circuits.lane_shares import WorkerName, find_lanes
from chandlery.engine.upkeep.retention import Retention
from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import Kind
from chandlery.settings.settings import Settings
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.work.work_claims import Claim, Release
from chandlery_gateway.identity.authorization import EVERYTHING
from chandlery_gateway.kube.query.list_options import ListOptions
from chandlery_gateway.kube.query.selectors import parse_field_selector, parse_label_selector
from chandlery_gateway.read.object_reader import ObjectReader, Page
from chandlery_gateway.read.selection import Selection
from tests.support.scale.filling import Filling, Place, position_of

LEASE: Final = timedelta(seconds=10)
BATCH: Final = 32
PAGE: Final = 500
SWEPT: Final = 500
RESUMED: Final = 1_000
"""Changes that a watch has missed."""


@dataclass(frozen=True)
class Ground:
    """Where it is done."""

    database: Database
    filling: Filling
    at: int
    """Number of an instance; another each time, so that nothing is found warm."""
    step: int = 5_000
    """Rows that are looked at by a step of pruning."""

    @property
    def place(self) -> Place:
        """What is known of that instance."""
        return self.filling.place(self.at % self.filling.instances)

    @property
    def batch(self) -> list[Place]:
        """Of so many, far from each other."""
        step = max(1, self.filling.instances // BATCH)
        return [self.filling.place((self.at + number * step) % self.filling.instances) for number in range(BATCH)]


Done = Callable[[Ground], Awaitable[object]]


def _listed(
    kind: Kind = kinds.SERVICE_INSTANCE,
    *,
    labels: str = "",
    fields: str = "",
    in_namespace: bool = False,
    pages: int = 1,
    size: int = PAGE,
) -> Done:
    async def do(ground: Ground) -> Page:
        place, reader = ground.place, ObjectReader(ground.database)
        known = {name: getattr(place, name) for name in ("uid", "name", "namespace", "broker", "app", "external_id")}
        selection = Selection(
            kind=kind,
            namespace=place.namespace if in_namespace else None,
            labels=parse_label_selector(labels.format(**known)),
            fields=parse_field_selector(kind, fields.format(**known)),
            reach=EVERYTHING,
        )
        page = await reader.list(selection, ListOptions(limit=size))
        for _ in range(pages - 1):
            page = await reader.list(selection, ListOptions(limit=size, token=page.continue_token or ""))
        if not page.items:
            raise LookupError("nothing was found")
        return page

    return do


async def _watch_starts(ground: Ground) -> object:
    async def begin(unit: UnitOfWork) -> int:
        return (await unit.changes.snapshot()).version

    version = await ground.database.run(begin)
    return await ground.database.run(lambda unit: unit.changes.read(version, limit=RESUMED))


async def _watch_resumes(ground: Ground) -> object:
    last = ground.filling.changes - RESUMED - ground.at % RESUMED - 1

    async def read(unit: UnitOfWork) -> int:
        found = await unit.changes.read(position_of(last), limit=RESUMED)
        await unit.changes.trimmed_to()
        return len(found)

    found = await ground.database.run(read)
    if found < min(RESUMED, ground.filling.changes // 2):
        raise LookupError(f"only {found} changes were found")
    return found


async def _claimed_and_released(ground: Ground) -> object:
    database, uids = ground.database, [place.uid for place in ground.batch]

    async def enqueue(unit: UnitOfWork) -> None:
        for uid in uids:
            await unit.work_queue.enqueue_changed(uid)

    await database.run(enqueue)
    claims = await database.run(lambda unit: _claim(unit, uids))
    await database.run(lambda unit: _release(unit, list(claims.values())))
    return len(claims)


async def _claim(unit: UnitOfWork, uids: list[str]) -> dict[str, Claim]:
    claims = await unit.work_queue.claim_many(uids, owner="bench", lease=LEASE)
    if len(claims) < len(set(uids)):
        raise LookupError(f"{len(claims)} of {len(uids)} were claimed")
    await unit.objects.get_many(kinds.SERVICE_INSTANCE, uids)
    await unit.external_ids.prefetch(uids)
    return claims


async def _release(unit: UnitOfWork, claims: list[Claim]) -> None:
    await unit.work_queue.hold(claims)
    for claim in claims:
        rest = Release(due_at=None, lane=claim.lane, memory=claim.memory, ready="True", is_reached=True)
        unit.work_queue.release_later(claim, rest)


async def _swept(ground: Ground) -> object:
    async def look(unit: UnitOfWork) -> int:
        await unit.leases.acquire("bench", owner="bench", duration=LEASE)
        await unit.outbox.older_than(unit.now - LEASE, limit=SWEPT)
        return len(await unit.work_queue.due(limit=SWEPT))

    return await ground.database.run(look)


async def _pruned(ground: Ground) -> object:
    return await Retention(ground.database, Settings(), step=ground.step).prune()


async def _woken(ground: Ground) -> object:
    keys = [f"secret:/{place.namespace}/{place.name}" for place in ground.batch]
    return await ground.database.run(lambda unit: unit.wakes.enqueue_waiting(*keys))


async def _lanes(ground: Ground) -> object:
    worker = WorkerName(owner="bench", queues=["provisioner"], calls_brokers=True)
    lanes = await ground.database.run(lambda unit: find_lanes(unit, worker=worker, lease=LEASE))
    if len(lanes.names) < ground.filling.brokers:
        raise LookupError(f"{len(lanes.names)} lanes were found")
    return lanes


async def _heartbeat(ground: Ground) -> object:
    uids = [place.uid for place in ground.batch]
    return await ground.database.run(lambda unit: unit.work_queue.extend(uids, owner="bench", lease=LEASE))


async def _counted(ground: Ground) -> object:
    async def look(unit: UnitOfWork) -> object:
        return await unit.counts.backlog(), await unit.counts.expiring(), await unit.counts.outbox()

    return await ground.database.run(look)


async def _garbage(ground: Ground) -> object:
    async def look(unit: UnitOfWork) -> object:
        return await unit.garbage.find_lost(limit=ground.step), await unit.garbage.take(limit=50)

    return await ground.database.run(look)


async def _written(ground: Ground) -> object:
    """A batch is changed: objects, change log, outbox."""

    async def write(unit: UnitOfWork) -> None:
        uids = [place.uid for place in ground.batch]
        for old in (await unit.objects.get_many(kinds.SERVICE_INSTANCE, uids)).values():
            annotations = {"at": f"{datetime.now().astimezone():%c} {ground.at}"}
            metadata = old.metadata.model_copy(update={"annotations": annotations})
            await unit.objects.update_later(old, old.model_copy(update={"metadata": metadata}))

    return await ground.database.run(write)


MEASURED: Final[Mapping[str, Done]] = {
    "page of 500, all namespaces": _listed(),
    "second page of 500, all namespaces": _listed(pages=2),
    "page of 500 of one namespace": _listed(in_namespace=True),
    "page by a label that 100 have": _listed(labels="app={app}"),
    "page by a label that half have": _listed(labels="tier=web"),
    "page by two labels": _listed(labels="app={app},tier in (web,data)"),
    "page by a label of one namespace": _listed(labels="app={app}", in_namespace=True),
    "page by field: plan": _listed(fields="spec.clusterServicePlanRef.name=plan-{broker}"),
    "page by field: external id": _listed(fields="spec.externalID={external_id}"),
    "page by field: name": _listed(fields="metadata.name={name}", in_namespace=True),
    "page by field: name, all namespaces": _listed(fields="metadata.name={name}"),
    "events of one object": _listed(kinds.EVENT, fields="involvedObject.uid={uid}"),
    "events of one object by name": _listed(kinds.EVENT, fields="involvedObject.name={name}", in_namespace=True),
    "watch starts": _watch_starts,
    "watch resumes 1,000 changes ago": _watch_resumes,
    "claim and release of 32": _claimed_and_released,
    "update of 32 objects": _written,
    "wake by 32 keys": _woken,
    "sweep": _swept,
    "prune, one step": _pruned,
    "lanes, as each worker looks for them": _lanes,
    "heartbeat of 32": _heartbeat,
    "counts for metrics": _counted,
    "garbage: what has lost its owner": _garbage,
}
