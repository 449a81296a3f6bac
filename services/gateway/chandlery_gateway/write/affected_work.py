"""What a change makes due beside the object's own next step. Called by `write_transactions`, in the same transaction.

Annotations that a service broker is told (`contextAnnotations`) are told anew when they change, of an instance and of
its namespace. Others change again and again, by tools: these make nothing due. A broker's priority decides whose class
a name means.
"""

from collections.abc import Iterable

from chandlery.lookup.catalog_choice import find_classes
from chandlery.lookup.offering_lookup import find_broker
from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import AnyBroker, ClusterServiceBroker, ServiceBroker
from chandlery.model.objects.core import Namespace
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject
from chandlery.reconcile.reconcile_result import broker_key, offering_key
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.objects import Listing


async def is_told_to_broker(unit: UnitOfWork, old: AnyObject, new: AnyObject) -> bool:
    """Whether an annotation of the instance has changed that its service broker is told, so that it is due itself."""
    if not isinstance(new, ServiceInstance):
        return False
    changed = _changed_keys(old, new)
    if not changed:
        return False
    classes = await find_classes(unit, new)
    broker = await find_broker(unit, classes[0]) if len(classes) == 1 else None
    return isinstance(broker, AnyBroker) and _is_told(broker, changed)


async def enqueue_affected(unit: UnitOfWork, old: AnyObject, new: AnyObject) -> None:
    """Make other objects due that the change of this one concerns."""
    await _enqueue_instances_in(unit, old, new)
    await _enqueue_by_class_name(unit, old, new)


async def _enqueue_instances_in(unit: UnitOfWork, old: AnyObject, new: AnyObject) -> None:
    """Make those instances of a namespace due whose brokers are told an annotation of it that has changed."""
    if not isinstance(new, Namespace):
        return
    changed = _changed_keys(old, new)
    if not changed:
        return
    name = new.metadata.name
    found = [
        *await unit.objects.list(kinds.CLUSTER_SERVICE_BROKER, Listing()),
        *await unit.objects.list(kinds.SERVICE_BROKER, Listing(namespace=name)),
    ]
    lanes = [
        broker_key(broker.metadata.namespace, broker.metadata.name)
        for broker in found
        if isinstance(broker, ClusterServiceBroker | ServiceBroker) and _is_told(broker, changed)
    ]
    unit.outbox.add(
        *await unit.work_queue.enqueue_changed_in_namespace(kinds.SERVICE_INSTANCE.kind, name, lanes=lanes),
    )


def _changed_keys(old: AnyObject, new: AnyObject) -> set[str]:
    before, after = old.metadata.annotations or {}, new.metadata.annotations or {}
    return {key for key, _ in before.items() ^ after.items()}


def _is_told(broker: AnyBroker, keys: Iterable[str]) -> bool:
    prefixes = broker.spec.context_annotations or ()
    return any(key.startswith(prefixes) for key in keys)


async def _enqueue_by_class_name(unit: UnitOfWork, old: AnyObject, new: AnyObject) -> None:
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
    unit.enqueue_waiting_at_end(offering_key(namespace, each) for each in called)
