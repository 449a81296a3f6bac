"""Whether a change of an instance's annotations makes it due. Called by `write_transactions`, in the same transaction.

Annotations that a service broker is told (`contextAnnotations`) are told anew when they change. Others change again and
again, by tools: these make nothing due. What a change makes due beside the object itself, such as the instances of a
namespace whose annotations are told, the store finds out from what is written.
"""

from chandlery.lookup.catalog_choice import find_classes
from chandlery.lookup.offering_lookup import find_broker
from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject
from chandlery.reconcile.wake_keys import changed_annotations, is_told
from chandlery.store.database import UnitOfWork


async def is_told_to_broker(unit: UnitOfWork, old: AnyObject, new: AnyObject) -> bool:
    """Whether an annotation of the instance has changed that its service broker is told, so that it is due itself."""
    if not isinstance(new, ServiceInstance):
        return False
    changed = changed_annotations(old, new)
    if not changed:
        return False
    classes = await find_classes(unit, new)
    broker = await find_broker(unit, classes[0]) if len(classes) == 1 else None
    return isinstance(broker, AnyBroker) and is_told(broker.spec.context_annotations or (), changed)
