"""What to tell of a name that leads to nothing, or to several: what may have been meant, and how to find out."""

from collections.abc import Iterable, Sequence

from chandlery.lookup.catalog_choice import broker_place, class_scope
from chandlery.model.objects import kinds
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.offerings import AnyClass
from chandlery.model.text.names import did_you_mean
from chandlery.reconcile.offering import is_cluster_scoped, wanted_class
from chandlery.store.database import UnitOfWork

_MOST_COMPARED = 1_000
_MOST_NAMED = 5


async def why_no_class(unit: UnitOfWork, instance: ServiceInstance, found: Sequence[AnyClass]) -> str:
    """The end of a sentence about the class that an instance asks for, where that is not exactly one."""
    if found:
        return _ambiguous(instance, found)
    kind, namespace = class_scope(instance)
    wanted = wanted_class(instance.spec)
    known = await unit.objects.offered(kind, wanted.column, namespace=namespace, limit=_MOST_COMPARED)
    return _missing(wanted.value, known, way_out=f"to list what is offered: {listed_by(kind, namespace)}")


async def why_no_instance(unit: UnitOfWork, namespace: str, name: str) -> str:
    """The same about the instance of a binding."""
    known = await unit.objects.names(kinds.SERVICE_INSTANCE, namespace=namespace, limit=_MOST_COMPARED)
    return _missing(name, known, way_out=f"to list those that exist: {listed_by(kinds.SERVICE_INSTANCE, namespace)}")


def listed_by(kind: Kind, namespace: str) -> str:
    """The command that lists the objects of a kind."""
    return f"kubectl get {kind.plural} -n {namespace}" if namespace else f"kubectl get {kind.plural}"


def _missing(name: str, known: Iterable[str], *, way_out: str) -> str:
    hint = did_you_mean(name, known)
    return f"does not exist{hint} {way_out[:1].upper()}{way_out[1:]}" if hint else f"does not exist; {way_out}"


def _ambiguous(instance: ServiceInstance, found: Sequence[AnyClass]) -> str:
    shown = [f'"{each.metadata.name}" of the broker "{broker_place(each)[2]}"' for each in found[:_MOST_NAMED]]
    more = f" and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    field = "clusterServiceClassName" if is_cluster_scoped(instance.spec) else "serviceClassName"
    told = f"is ambiguous: {len(found)} classes are offered under that name: {', '.join(shown)}{more}; "
    way_out = f"use {field} instead (and name the plan by its object name, too)"
    if len({broker_place(each) for each in found}) > 1:
        way_out += ", or whoever runs the brokers sets spec.namePriority to decide whose class is meant"
    return told + way_out
