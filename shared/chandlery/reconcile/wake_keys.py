"""Who may be waiting for what is written: wake-up keys of an object, from what it was before and what it is now. Pure.

Called by the store with every write, whoever writes: nobody else gives keys for what is written. What waits, waits in
`Wait.waiting_for`, or follows the key with its interests; the keys themselves are made in `reconcile_result`.

A key is news only to those who look at what has changed. What an object tells of our own work (a broker's status, an
instance that is still being made) wakes nobody, or every write would cost a look.
"""

from collections.abc import Iterator, Sequence

from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import AnyBroker, ClusterServiceBroker, ServiceBroker, auth_secrets
from chandlery.model.objects.conditions import ConditionType, is_true
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.offerings import ClusterServiceClass, ClusterServicePlan, ServiceClass, ServicePlan
from chandlery.reconcile.reconcile_result import bindings_key, broker_key, instance_key, offering_key, secret_key


def woken_by(before: AnyObject | None, after: AnyObject | None) -> tuple[str, ...]:
    """What waits for this write. `before` is None for an object that comes, `after` for one that goes."""
    if before is None:
        return _places(after) if after is not None else ()
    if after is None:
        return (*_places(before), *_ends(before))
    if isinstance(before, ServiceInstance) and isinstance(after, ServiceInstance):
        return _ends(after) if _can_be_bound(after) and not _can_be_bound(before) else ()
    if isinstance(before, ServiceBinding) and isinstance(after, ServiceBinding):
        # Another binding of the instance may be waiting for its turn.
        return _ends(after) if before.status.async_op_in_progress and not after.status.async_op_in_progress else ()
    keys = _places(before)
    places = {*keys, *_places(after)} if keys and _is_news(before, after) else set()
    return tuple(sorted({*places, *_logins(before, after)}))


def changed_annotations(before: AnyObject, after: AnyObject) -> frozenset[str]:
    """The annotations that have come, changed or gone."""
    old, new = before.metadata.annotations or {}, after.metadata.annotations or {}
    return frozenset(key for key, _ in old.items() ^ new.items())


def is_told(prefixes: Sequence[str], annotations: frozenset[str]) -> bool:
    """Whether a service broker with these `contextAnnotations` asks to be told one of the annotations."""
    return any(key.startswith(tuple(prefixes)) for key in annotations)


def reprioritized(before: AnyObject, after: AnyObject) -> AnyBroker | None:
    """A broker that has got another priority: whoever asks for one of its classes may mean that now, or no more."""
    if not isinstance(before, AnyBroker) or not isinstance(after, AnyBroker):
        return None
    return after if (before.spec.name_priority or 0) != (after.spec.name_priority or 0) else None


def _places(document: AnyObject | None) -> tuple[str, ...]:
    """What waits for the object to be there, to be gone, or to be another."""
    match document:
        case Secret(metadata=meta):
            return (secret_key(meta.namespace, meta.name),)
        case ClusterServiceBroker(metadata=meta) | ServiceBroker(metadata=meta):
            return (broker_key(meta.namespace, meta.name),)
        case ClusterServiceClass(metadata=meta) | ServiceClass(metadata=meta):
            # By whatever name users may have asked for it.
            names = {meta.name, document.spec.external_name, document.spec.external_id}
            return tuple(sorted(offering_key(meta.namespace, name) for name in names if name))
        case ClusterServicePlan(metadata=meta):
            # Who waits for a plan waits at its class.
            name = document.spec.cluster_service_class_ref.name
            return (offering_key(meta.namespace, name),) if name else ()
        case ServicePlan(metadata=meta):
            name = document.spec.service_class_ref.name
            return (offering_key(meta.namespace, name),) if name else ()
    return ()


def _ends(document: AnyObject) -> tuple[str, ...]:
    """What waits for the object to come to the end of what it is at."""
    meta = document.metadata
    if isinstance(document, ServiceInstance):
        return (instance_key(meta.namespace, meta.name),)
    if isinstance(document, ServiceBinding):
        return (bindings_key(meta.namespace, document.spec.instance_ref.name),)
    return ()


def _logins(before: AnyObject, after: AnyObject) -> Iterator[str]:
    """The Secrets of a broker of a namespace that has begun to go: whoever waits for one may do with the copy now."""
    has_begun = before.metadata.deletion_timestamp is None and after.metadata.deletion_timestamp is not None
    if isinstance(after, ServiceBroker) and has_begun:
        # See lookup/kept_secrets.
        yield from (secret_key(*place) for _, place in auth_secrets(after))


def _can_be_bound(instance: ServiceInstance) -> bool:
    status = instance.status
    return is_true(status.conditions, ConditionType.READY) and not status.async_op_in_progress


def _is_news(before: AnyObject, after: AnyObject) -> bool:
    if isinstance(before, ClusterServiceBroker | ServiceBroker):
        # Its status follows from catalogs, whose classes and plans wake for themselves.
        return before.spec != getattr(after, "spec", None) or before.metadata.annotations != after.metadata.annotations
    return before != after.model_copy(update={"metadata": before.metadata})
