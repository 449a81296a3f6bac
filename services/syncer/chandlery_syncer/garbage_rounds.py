"""Looks at one object that may be garbage, in a transaction of its own: the effects around `garbage_machine.py`.

Called by `garbage_collector.py` for each row of the table `garbage`.
"""

from datetime import timedelta
from typing import Final

from chandlery.engine import deletions
from chandlery.model.objects.core import Namespace
from chandlery.model.objects.kinds import KINDS, AnyObject
from chandlery.model.objects.metadata import FOREGROUND, ORPHAN, OwnerReference
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.garbage import Suspect
from chandlery_syncer.decide import garbage_machine as machine
from chandlery_syncer.decide.garbage_machine import (
    DeleteDependent,
    Detach,
    KeepObject,
    Owners,
    PartWithDependents,
    TakeAlong,
)

_BATCH: Final = 100
"""Dependents that one transaction deals with."""
_AT_ONCE: Final = timedelta(0)
_LOOK_AGAIN: Final = timedelta(minutes=1)
"""At an owner that waits for its dependents. The last one that goes brings it back earlier."""


async def look(unit: UnitOfWork, suspect: Suspect) -> None:
    """Do what is due, and note whether there is more to come."""
    document = await deletions.locked(unit, KINDS[suspect.kind], suspect.uid)
    if document is None:
        await unit.garbage.unlink(suspect.uid)
        await unit.garbage.settle(suspect, again_after=None)
        return
    await unit.garbage.settle(suspect, again_after=await _deal_with(unit, document))


async def _deal_with(unit: UnitOfWork, document: AnyObject) -> timedelta | None:
    verdict = await _verdict(unit, document)
    match verdict:
        case KeepObject():
            return None
        case Detach():
            await unit.objects.update(document, machine.with_owners(document, verdict.owners))
            return None
        case DeleteDependent():
            await _delete(unit, document, verdict)
            return None
        case PartWithDependents():
            return await _part(unit, document)
        case TakeAlong():
            return await _take_along(unit, document)


async def _verdict(unit: UnitOfWork, document: AnyObject) -> machine.GarbageVerdict:
    owners = await _owners(unit, document)
    dependents = await unit.garbage.linked(document.metadata.uid or "", limit=_BATCH) if owners.waiting else ()
    is_ring = False
    for uid, kind in dependents:
        found = await unit.objects.get_by_uid(KINDS[kind], uid)
        is_ring = is_ring or (found is not None and machine.waits_for_dependents(found))
    return machine.judge(document, owners, has_dependents=bool(dependents), is_ring=is_ring)


async def _owners(unit: UnitOfWork, document: AnyObject) -> Owners:
    wanted: dict[str, set[str]] = {}
    references = document.metadata.owner_references or ()
    for reference in references:
        if (kind := machine.kind_of_owner(document, reference)) is not None:
            wanted.setdefault(kind.kind, set()).add(reference.uid)
    there = {name: await unit.objects.get_many(KINDS[name], sorted(uids)) for name, uids in wanted.items()}
    solid: list[OwnerReference] = []
    gone: list[OwnerReference] = []
    waiting: list[OwnerReference] = []
    for reference in references:
        kind = machine.kind_of_owner(document, reference)
        found = there[kind.kind].get(reference.uid) if kind is not None else None
        if kind is None:
            solid.append(reference)
        elif found is None or not machine.is_the_owner(document, reference, found):
            gone.append(reference)
        else:
            (waiting if machine.waits_for_dependents(found) else solid).append(reference)
    return Owners(solid=tuple(solid), gone=tuple(gone), waiting=tuple(waiting))


async def _delete(unit: UnitOfWork, document: AnyObject, verdict: DeleteDependent) -> None:
    if verdict.unblocks:
        document = await unit.objects.update(document, machine.unblocked(document))
    await deletions.delete(unit, document, policy=verdict.policy)


async def _part(unit: UnitOfWork, document: AnyObject) -> timedelta | None:
    uid = document.metadata.uid or ""
    dependents = await unit.garbage.linked(uid, limit=_BATCH)
    for its_uid, kind in dependents:
        found = await deletions.locked(unit, KINDS[kind], its_uid)
        if found is None:
            await unit.garbage.unlink(its_uid)
        else:
            await unit.objects.update(found, machine.without_owner(found, uid))
    if len(dependents) == _BATCH:
        return _AT_ONCE
    await _let_go(unit, document, ORPHAN)
    return None


async def _take_along(unit: UnitOfWork, document: AnyObject) -> timedelta | None:
    uid, namespace = document.metadata.uid or "", document.metadata.namespace
    dependents = await unit.garbage.dependents(uid, namespace=namespace, limit=_BATCH)
    for its_uid, kind in dependents:
        found = await deletions.locked(unit, KINDS[kind], its_uid)
        if found is not None:
            await _deal_with(unit, found)
    if dependents:
        # They may have been the last, or there may be more.
        return _AT_ONCE
    if await unit.garbage.is_blocked(uid, namespace=namespace):
        return _LOOK_AGAIN
    await _let_go(unit, document, FOREGROUND)
    return None


async def _let_go(unit: UnitOfWork, document: AnyObject, finalizer: str) -> None:
    left = machine.without_finalizer(document, finalizer)
    if left.metadata.finalizers or isinstance(left, Namespace):
        await unit.objects.update(document, left)
        # A namespace goes when its own worker finds it empty.
        unit.outbox.add(await unit.work_queue.enqueue_changed(document.metadata.uid or ""))
        return
    await deletions.remove(unit, document)
