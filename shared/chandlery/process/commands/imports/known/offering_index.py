"""Which class, plan and service broker an old object means, among those that are taken over. Pure."""

from dataclasses import dataclass
from typing import Final

from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.offerings import (
    AnyClass,
    AnyPlan,
    ClusterServiceClass,
    ClusterServicePlan,
    ServicePlan,
)
from chandlery.process.commands.imports.import_entries import Place
from chandlery.reconcile.offering import Wanted, is_cluster_scoped, wanted_class, wanted_plan
from chandlery.reconcile.reconcile_result import broker_key

_BY: Final = ("name", "external_name", "external_id")


@dataclass(frozen=True)
class KnownOffering:
    """A class, or a plan of one."""

    name: str
    external_name: str
    external_id: str
    broker: str
    class_name: str = ""


@dataclass(frozen=True, kw_only=True)
class Meant:
    """What an instance refers to, as far as it is known."""

    service_class: KnownOffering | None
    plan: KnownOffering | None
    lane: str


class OfferingIndex:
    """Classes and plans by all that they can be called; those of no namespace under the empty one."""

    def __init__(self) -> None:
        self._classes: dict[tuple[str, str, str], list[KnownOffering]] = {}
        self._plans: dict[tuple[str, str, str], list[KnownOffering]] = {}

    def add(self, document: AnyObject) -> None:
        """Remember a class or a plan."""
        namespace = document.metadata.namespace or ""
        if isinstance(document, AnyClass | AnyPlan):
            known = KnownOffering(
                document.metadata.name,
                document.spec.external_name,
                document.spec.external_id,
                broker_name(document),
                class_name(document),
            )
            index = self._classes if isinstance(document, AnyClass) else self._plans
            for column in _BY:
                index.setdefault((namespace, column, getattr(known, column)), []).append(known)

    def class_called(self, namespace: str, name: str) -> KnownOffering | None:
        """The class of that object name."""
        return next(iter(self._classes.get((namespace, "name", name), ())), None)

    def meant_by(self, instance: ServiceInstance) -> Meant:
        """By its references, and where these are missing by what the user has called them, if that is no riddle."""
        spec = instance.spec
        namespace = "" if is_cluster_scoped(spec) else instance.metadata.namespace or ""
        class_ref = spec.service_class_ref if namespace else spec.cluster_service_class_ref
        plan_ref = spec.service_plan_ref if namespace else spec.cluster_service_plan_ref
        found = _only(self._classes, namespace, Wanted("name", class_ref.name) if class_ref else wanted_class(spec))
        wanted = Wanted("name", plan_ref.name) if plan_ref else wanted_plan(spec)
        plan = _only(self._plans, namespace, wanted, of_class=found.name if found else "")
        return Meant(service_class=found, plan=plan, lane=broker_key(namespace, found.broker) if found else "")


def _only(
    index: dict[tuple[str, str, str], list[KnownOffering]], namespace: str, wanted: Wanted, *, of_class: str = ""
) -> KnownOffering | None:
    found = [
        each
        for each in index.get((namespace, wanted.column, wanted.value), ())
        if not of_class or each.class_name == of_class
    ]
    return found[0] if len(found) == 1 else None


def broker_name(offering: AnyClass | AnyPlan) -> str:
    """The service broker that offers it."""
    if isinstance(offering, ClusterServiceClass | ClusterServicePlan):
        return offering.spec.cluster_service_broker_name
    return offering.spec.service_broker_name


def class_name(offering: AnyClass | AnyPlan) -> str:
    """The class that a plan belongs to; empty for classes."""
    if isinstance(offering, ClusterServicePlan):
        return offering.spec.cluster_service_class_ref.name
    return offering.spec.service_class_ref.name if isinstance(offering, ServicePlan) else ""


def broker_place(offering: AnyClass | AnyPlan) -> Place:
    """Where its broker is."""
    return (offering.metadata.namespace or "", broker_name(offering))


def class_place(plan: AnyPlan) -> Place:
    """Where its class is."""
    return (plan.metadata.namespace or "", class_name(plan))
