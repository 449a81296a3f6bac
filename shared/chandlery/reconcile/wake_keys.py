"""Who may be waiting for what is written: wake-up keys of an object that comes, changes or goes. Pure.

The store asks with every write, whoever writes, so that no caller has to remember.
"""

from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import ClusterServiceBroker, ServiceBroker
from chandlery.model.objects.core import Secret
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.offerings import ClusterServiceClass, ClusterServicePlan, ServiceClass, ServicePlan
from chandlery.reconcile.reconcile_result import bindings_key, broker_key, offering_key, secret_key


def woken_by_presence(document: AnyObject) -> tuple[str, ...]:
    """What waits for this object to be there, to be gone, or to be another."""
    meta = document.metadata
    match document:
        case Secret():
            return (secret_key(meta.namespace, meta.name),)
        case ClusterServiceBroker() | ServiceBroker():
            return (broker_key(meta.namespace, meta.name),)
        case ClusterServiceClass() | ServiceClass():
            # By whatever name users may have asked for it.
            names = {meta.name, document.spec.external_name, document.spec.external_id}
            return tuple(sorted(offering_key(meta.namespace, name) for name in names if name))
        case ClusterServicePlan() | ServicePlan():
            # Who waits for a plan waits at its class.
            reference = (
                document.spec.cluster_service_class_ref
                if isinstance(document, ClusterServicePlan)
                else document.spec.service_class_ref
            )
            return (offering_key(meta.namespace, reference.name),) if reference.name else ()
    return ()


def woken_by_change(old: AnyObject, new: AnyObject) -> tuple[str, ...]:
    """What waits for this object to be another than it was; what only tells of our own work is no news."""
    keys = woken_by_presence(old)
    if not keys or not _is_news(old, new):
        return ()
    return tuple(sorted({*keys, *woken_by_presence(new)}))


def woken_by_removal(document: AnyObject) -> tuple[str, ...]:
    """What waits for this object to go."""
    if isinstance(document, ServiceBinding):
        return (bindings_key(document.metadata.namespace, document.spec.instance_ref.name),)
    return woken_by_presence(document)


def _is_news(old: AnyObject, new: AnyObject) -> bool:
    if isinstance(old, ClusterServiceBroker | ServiceBroker):
        # Its status follows from catalogs, whose classes and plans wake for themselves.
        return old.spec != getattr(new, "spec", None) or old.metadata.annotations != new.metadata.annotations
    ours = {"metadata": old.metadata}
    return old != new.model_copy(update=ours)
