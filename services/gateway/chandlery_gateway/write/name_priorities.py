"""Wakes who waits for a class of a name that several brokers offer, once one of them is preferred by its priority."""

from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import ClusterServiceBroker, ServiceBroker
from chandlery.model.objects.kinds import AnyObject
from chandlery.reconcile.reconcile_result import offering_key
from chandlery.store.database import UnitOfWork


async def wake_by_name(unit: UnitOfWork, old: AnyObject, new: AnyObject) -> None:
    """Of a broker that has got another priority: whoever asks for one of its classes may mean that now, or no more."""
    if not isinstance(old, ClusterServiceBroker | ServiceBroker) or not isinstance(
        new, ClusterServiceBroker | ServiceBroker
    ):
        return
    if (old.spec.name_priority or 0) == (new.spec.name_priority or 0):
        return
    kind = kinds.CLUSTER_SERVICE_CLASS if isinstance(new, ClusterServiceBroker) else kinds.SERVICE_CLASS
    namespace = new.metadata.namespace or ""
    # A catalog may have ten thousand classes: only what they are called is read.
    called = await unit.objects.called_by_broker(kind, new.metadata.name, namespace=namespace)
    unit.wake_at_end(offering_key(namespace, each) for each in called)
