"""Wakes who waits for a class of a name that several brokers offer, once one of them is preferred by its priority."""

from chandlery.model import kinds
from chandlery.model.brokers import ClusterServiceBroker, ServiceBroker
from chandlery.model.kinds import AnyObject
from chandlery.reconcile.wake_keys import woken_by_presence
from chandlery.store.database import UnitOfWork
from chandlery.store.objects import Listing


async def wake_by_name(unit: UnitOfWork, old: AnyObject, new: AnyObject) -> None:
    """Of a broker that has got another priority: whoever asks for one of its classes may mean that now, or no more."""
    if not isinstance(old, ClusterServiceBroker | ServiceBroker) or not isinstance(
        new, ClusterServiceBroker | ServiceBroker
    ):
        return
    if (old.spec.name_priority or 0) == (new.spec.name_priority or 0):
        return
    kind = kinds.CLUSTER_SERVICE_CLASS if isinstance(new, ClusterServiceBroker) else kinds.SERVICE_CLASS
    listing = Listing(namespace=new.metadata.namespace or "", where=(("broker_name", new.metadata.name),))
    for each in await unit.objects.list(kind, listing):
        unit.wake_at_end(woken_by_presence(each))
