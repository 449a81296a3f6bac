"""The bindings of an instance that is deleted by force: who they are, and how they are told to go. Effects.

Each gets the instance's annotation, so that the binder lets it go in the same way.
"""

from chandlery.engine.deletions import locked, remove
from chandlery.model.objects import kinds
from chandlery.model.objects.annotations import FORCE_DELETE, requested_actions_of
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject
from chandlery.reconcile.deletion import is_removed_at_once, marked_deleted
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.object_reads import Listing


async def find_bindings(unit: UnitOfWork, instance: ServiceInstance) -> list[ServiceBinding]:
    """All that refer to the instance, whatever their state."""
    where = (("instance_name", instance.metadata.name),)
    found = await unit.objects.list(
        kinds.SERVICE_BINDING, Listing(namespace=instance.metadata.namespace or "", where=where)
    )
    return [each for each in found if isinstance(each, ServiceBinding)]


def is_loose(binding: ServiceBinding) -> bool:
    """Whether the binding has not been told to go by force."""
    return binding.metadata.deletion_timestamp is None or not requested_actions_of(binding.metadata).forces_deletion


async def cascade(unit: UnitOfWork, instance: ServiceInstance) -> None:
    """Delete the bindings by force, in this transaction."""
    for each in await find_bindings(unit, instance):
        if is_loose(each):
            await _delete(unit, each)


async def _delete(unit: UnitOfWork, seen: AnyObject) -> None:
    uid = seen.metadata.uid or ""
    latest = await locked(unit, kinds.SERVICE_BINDING, uid)
    if latest is None:
        return
    if is_removed_at_once(latest):
        await remove(unit, latest)
        return
    marked = marked_deleted(latest, unit.now)
    annotations = {**(marked.metadata.annotations or {}), FORCE_DELETE: "true"}
    metadata = marked.metadata.model_copy(update={"annotations": annotations})
    await unit.objects.update(latest, marked.model_copy(update={"metadata": metadata}))
    unit.outbox.add(await unit.work_queue.enqueue_changed(uid))
