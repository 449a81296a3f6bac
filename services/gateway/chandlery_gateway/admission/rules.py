"""The way into admission: the gateway calls these with what was decoded, then stores what comes back.

Create: `default_on_create`, then `problems_on_create` and `warnings_on_create` of its result. Update:
`warnings_on_update` of what the client sent, `default_on_update`, then `problems_on_update` of its result. Names are
generated and namespaces set before. Any problems become one `Invalid`. Uids, versions and times are the store's matter
and are passed through.
"""

from collections.abc import Callable, Iterator

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import ClusterServiceBroker, ServiceBroker
from chandlery.model.objects.core import Event, Namespace, Secret
from chandlery.model.objects.instances import ServiceInstance, UserInfo
from chandlery.model.objects.kinds import AnyObject, kind_of
from chandlery.model.objects.offerings import ClusterServiceClass, ClusterServicePlan, ServiceClass, ServicePlan
from chandlery.model.text.names import FINALIZER
from chandlery_gateway.admission import (
    binding_admission,
    core_admission,
    instance_admission,
    offering_admission,
    status_admission,
)
from chandlery_gateway.admission.brokers import broker_admission
from chandlery_gateway.admission.metadata_admission import metadata_change_problems, metadata_problems
from chandlery_gateway.admission.requested_action_admission import order_problems

_BROKERS = ClusterServiceBroker | ServiceBroker
_OFFERINGS = ClusterServiceClass | ServiceClass | ClusterServicePlan | ServicePlan


def default_on_create(document: AnyObject, user: UserInfo, *, new_id: Callable[[], str]) -> AnyObject:
    """The object as it is to be stored: fresh status, finalizer, defaults; `new_id` makes external ids."""
    fresh = _without_status(document)
    match fresh:
        case ServiceInstance():
            return instance_admission.default_new_instance(fresh, user, new_id=new_id)
        case ServiceBinding():
            return binding_admission.default_new_binding(fresh, user, new_id=new_id)
        case ClusterServiceBroker() | ServiceBroker():
            return broker_admission.default_broker(fresh)
        case Namespace():
            return core_admission.default_namespace(fresh)
        case Secret():
            return core_admission.default_secret(fresh)
        case Event():
            return fresh
        case _:
            return offering_admission.default_offering(fresh)


def _without_status(document: AnyObject) -> AnyObject:
    kind = kind_of(document)
    changes: dict[str, object] = {}
    if kind.has_status:
        changes["status"] = kind.model.model_fields["status"].default
    if kind.has_finalizer:
        changes["metadata"] = document.metadata.model_copy(update={"finalizers": [FINALIZER]})
    return document.model_copy(update=changes) if changes else document


def default_on_update(old: AnyObject, new: AnyObject, *, user: UserInfo) -> AnyObject:
    """The object as it is to be stored: status as it was, and what the server owns or the client left empty restored.

    Raises:
        TypeError: the two are of different kinds.
    """
    if hasattr(old, "status"):
        new = new.model_copy(update={"status": old.status})
    match old, new:
        case ServiceInstance(), ServiceInstance():
            return instance_admission.default_changed_instance(old, new, user=user)
        case ServiceBinding(), ServiceBinding():
            return binding_admission.default_changed_binding(old, new)
        case ((ClusterServiceBroker() | ServiceBroker()), (ClusterServiceBroker() | ServiceBroker())):
            return broker_admission.default_broker(new, relist_requests=old.spec.relist_requests)
        case Namespace(), Namespace():
            return core_admission.default_namespace(new)
        case Secret(), Secret():
            return core_admission.default_secret(new, old=old)
        case Event(), Event():
            return new
    if isinstance(old, _OFFERINGS) and isinstance(new, _OFFERINGS) and old.kind == new.kind:
        return offering_admission.default_offering(new, old=old)
    raise TypeError(f"{old.kind} cannot become {new.kind}")


def warnings_on_create(document: AnyObject) -> tuple[str, ...]:
    """Sentences for `Warning` headers about what is stored and will not be used."""
    return broker_admission.broker_warnings(document) if isinstance(document, _BROKERS) else ()


def warnings_on_update(old: AnyObject, new: AnyObject) -> tuple[str, ...]:
    """Sentences for `Warning` headers about what an update will ignore; `new` is what the client sent."""
    if isinstance(old, ServiceBinding) and isinstance(new, ServiceBinding):
        return binding_admission.changed_binding_warnings(old, new)
    if isinstance(old, _BROKERS) and isinstance(new, _BROKERS):
        return broker_admission.broker_warnings(new, old=old)
    return ()


def problems_on_create(document: AnyObject) -> tuple[FieldProblem, ...]:
    """Everything that keeps the new object, defaults filled in, from being stored."""
    metadata = metadata_problems(document.metadata, is_namespace=isinstance(document, Namespace))
    return (*metadata, *order_problems(document), *_new_problems(document))


def _new_problems(document: AnyObject) -> Iterator[FieldProblem]:
    match document:
        case ServiceInstance():
            return instance_admission.new_instance_problems(document)
        case ServiceBinding():
            return binding_admission.binding_problems(document)
        case ClusterServiceBroker() | ServiceBroker():
            return broker_admission.broker_problems(document)
        case Secret():
            return core_admission.secret_problems(document)
        case Event():
            return core_admission.event_problems(document)
        case Namespace():
            return iter(())
        case _:
            return offering_admission.offering_problems(document)


def problems_on_update(old: AnyObject, new: AnyObject) -> tuple[FieldProblem, ...]:
    """Everything that keeps the changed object, defaults filled in, from being stored."""
    metadata = metadata_problems(new.metadata, is_namespace=isinstance(new, Namespace))
    changes = metadata_change_problems(old.metadata, new.metadata)
    return (*metadata, *changes, *order_problems(new, old=old), *_change_problems(old, new))


def _change_problems(old: AnyObject, new: AnyObject) -> Iterator[FieldProblem]:
    if hasattr(new, "spec") and new.spec == getattr(old, "spec", None):
        # Whatever older rules let in: nobody may be kept from annotating an object, or from letting it go.
        return iter(())
    match old, new:
        case ServiceInstance(), ServiceInstance():
            return instance_admission.changed_instance_problems(old, new)
        case ((ClusterServiceBroker() | ServiceBroker()), (ClusterServiceBroker() | ServiceBroker())):
            return broker_admission.broker_problems(new, relist_requests=old.spec.relist_requests)
        case Secret(), Secret():
            return core_admission.secret_problems(new, old=old)
        case Event(), Event():
            return core_admission.event_problems(new)
    if isinstance(old, _OFFERINGS) and isinstance(new, _OFFERINGS):
        return offering_admission.offering_problems(new, old=old)
    return iter(())


def problems_on_status_update(document: AnyObject, *, old: AnyObject | None = None) -> tuple[FieldProblem, ...]:
    """What contradicts itself in a status that a client wrote; the object's other parts are as stored in `old`."""
    return tuple(status_admission.status_problems(document, old=old))
