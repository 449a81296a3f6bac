"""Whether an object may act under its external id at its service broker. Both workers ask before they decide anything.

An id that belongs to another object of the same broker must not be used for anything: not to bind what that object
has there, and not to delete it.
"""

from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.instances import ServiceInstance
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.external_ids import ExternalId


async def claims_id(
    unit: UnitOfWork, document: ServiceInstance | ServiceBinding, *, lane: str, noted: str, value: str | None = None
) -> bool:
    """Claim the id for the object at the broker of the lane, unless the notes say that this has been done.

    `value` is an id beside that of the specification. Without a lane there is no broker that could be called.
    """
    wanted = value or document.spec.external_id
    if not lane or not wanted or noted == lane:
        return True
    return await unit.external_ids.claim(ExternalId(lane, document.kind, wanted), document.metadata.uid or "")


async def is_held_by_other(unit: UnitOfWork, instance: ServiceInstance, *, lane: str) -> bool:
    """Whether what the broker has under the instance's id is another instance's."""
    owner = await unit.external_ids.owner(ExternalId(lane, instance.kind, instance.spec.external_id))
    return owner not in (None, instance.metadata.uid)
