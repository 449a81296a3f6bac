"""What the rules of a kind look up, in the transaction that stores the object, and which lane its work gets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.lookup.catalog_choice import find_plans
from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.offerings import AnyClass, AnyPlan
from chandlery.model.objects.rbac import ClusterRole
from chandlery.reconcile.offering import Wanted, wanted_plan
from chandlery.reconcile.reconcile_result import broker_key
from chandlery.store.database import UnitOfWork

ObjectT = TypeVar("ObjectT", bound=AnyObject)


@dataclass(frozen=True)
class Routed(Generic[ObjectT]):
    """An object with all that only the catalog knows, and the lane of its work."""

    document: ObjectT
    lane: str = UNRESOLVED_LANE


class CatalogRules(Generic[ObjectT]):
    """Of a kind that looks nothing up."""

    async def prefetch(self, unit: UnitOfWork, documents: Sequence[ObjectT]) -> None:
        """Read in a few statements what `admit_new` is about to look up for each of these."""

    async def admit_new(self, unit: UnitOfWork, document: ObjectT) -> Routed[ObjectT]:
        """The new object, completed. Raises Invalid."""
        return Routed(document)

    async def complete_changed(self, unit: UnitOfWork, document: ObjectT) -> ObjectT:
        """The changed object, with what the client left to the catalog. Raises Invalid."""
        return document

    async def check_changed(self, unit: UnitOfWork, old: ObjectT, new: ObjectT) -> None:
        """Raises Invalid if the catalog does not allow the change."""


class BrokerCatalogRules(CatalogRules[AnyBroker]):
    """A broker is at the head of a lane of its own."""

    async def admit_new(self, unit: UnitOfWork, document: AnyBroker) -> Routed[AnyBroker]:
        return Routed(document, broker_key(document.metadata.namespace, document.metadata.name))


class ClusterRoleCatalogRules(CatalogRules[ClusterRole]):
    """A cluster role with an `aggregationRule` has the rules of others, whatever its writer says."""

    async def admit_new(self, unit: UnitOfWork, document: ClusterRole) -> Routed[ClusterRole]:
        return Routed(await unit.aggregated_roles.completed(unit.objects, document))

    async def complete_changed(self, unit: UnitOfWork, document: ClusterRole) -> ClusterRole:
        return await unit.aggregated_roles.completed(unit.objects, document)


async def find_current_plan(unit: UnitOfWork, service_class: AnyClass, old: ServiceInstance) -> AnyPlan | None:
    """The plan that the broker delivers, which is not the one of the specification if a change has failed."""
    delivered = old.status.external_properties
    if delivered is not None:
        external_id = delivered.cluster_service_plan_external_id or delivered.service_plan_external_id
        if external_id:
            plans = await find_plans(unit, service_class, Wanted("external_id", external_id))
            return plans[0] if len(plans) == 1 else None
    plans = await find_plans(unit, service_class, wanted_plan(old.spec))
    return plans[0] if len(plans) == 1 else None
