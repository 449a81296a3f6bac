"""How workers delete objects that are not their own: what a namespace takes along, what has lost its owners.

Called within the transaction of a round.
"""

from chandlery.model.history.system_users import SYNCER
from chandlery.model.objects import kinds
from chandlery.model.objects.core import Namespace, Secret
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.reconcile.deletion import is_removed_at_once, marked_deleted, with_policy
from chandlery.store.audit.credential_trail import WITHDRAW, secret_entry
from chandlery.store.database import UnitOfWork


async def locked(unit: UnitOfWork, kind: Kind, uid: str) -> AnyObject | None:
    """The object as it is now, kept from everybody else until the transaction ends."""
    # The work row first, as workers do: the other way round the two would wait for each other.
    await unit.work_queue.lock(uid)
    return await unit.objects.get_by_uid(kind, uid, lock=True)


async def delete(unit: UnitOfWork, seen: AnyObject, *, policy: str | None = None) -> None:
    """Begin to delete the object, or remove it if nobody has to agree; one that is gone already stays so.

    `policy` is Kubernetes' propagation policy; without one, what the object says itself.
    """
    latest = await locked(unit, kinds.kind_of(seen), seen.metadata.uid or "")
    if latest is None:
        return
    meant = with_policy(latest, policy)
    if is_removed_at_once(meant) and not isinstance(meant, Namespace):
        await remove(unit, latest)
        return
    await unit.objects.update(latest, marked_deleted(meant, unit.now))
    unit.outbox.add(await unit.work_queue.enqueue_changed(latest.metadata.uid or ""))


async def remove(unit: UnitOfWork, document: AnyObject) -> None:
    """Take the object away, with its work."""
    uid = document.metadata.uid or ""
    await unit.objects.remove(document)
    await unit.work_queue.remove(uid)
    if isinstance(document, Secret):
        unit.audit.note(secret_entry(document, WITHDRAW, by=SYNCER))
