"""Catalog restrictions: which classes and plans of a broker are offered.

The gateway refuses a broker with a `restriction_problem`; the syncer keeps the offerings whose properties match the
`restrictions_selector`. Rule: the reference's catalog restrictions; all items must hold.
"""

from collections.abc import Iterable
from typing import Final

from chandlery.model.objects.offerings import AnyClass, AnyPlan, ClusterServicePlan, ServicePlan
from chandlery.reconcile.policies.label_selectors import Selector, parse_selector

CLASS_PROPERTIES: Final = ("name", "spec.externalName", "spec.externalID")
CLUSTER_PLAN_PROPERTIES: Final = (*CLASS_PROPERTIES, "spec.free", "spec.clusterServiceClass.name")
PLAN_PROPERTIES: Final = (*CLASS_PROPERTIES, "spec.free", "spec.serviceClass.name")
MOST_REQUIREMENTS: Final = 256
"""Of one list, as of the selector of a request: each is looked at for each class or plan of a catalog."""


def restrictions_selector(restrictions: Iterable[str] | None) -> Selector:
    """One selector out of the items of a restriction list, all of which must hold.

    Raises:
        ValueError: an item does not parse; brokers that were admitted have none such.
    """
    return Selector(tuple(term for text in restrictions or () for term in parse_selector(text).requirements))


def restrictable_properties(offering: AnyClass | AnyPlan) -> dict[str, str]:
    """The properties of a class or plan, by the names that restrictions use; `spec.free` is "true" or "false"."""
    properties = {
        "name": offering.metadata.name,
        "spec.externalName": offering.spec.external_name,
        "spec.externalID": offering.spec.external_id,
    }
    if isinstance(offering, ClusterServicePlan):
        properties["spec.clusterServiceClass.name"] = offering.spec.cluster_service_class_ref.name
    if isinstance(offering, ServicePlan):
        properties["spec.serviceClass.name"] = offering.spec.service_class_ref.name
    if isinstance(offering, ClusterServicePlan | ServicePlan):
        properties["spec.free"] = str(offering.spec.free).lower()
    return properties


def restriction_problem(text: str, properties: tuple[str, ...]) -> str | None:
    """Why this item of a restriction list cannot be used, given the properties it may speak of; None if it can."""
    try:
        selector = parse_selector(text)
    except ValueError as error:
        return str(error)
    unknown = [key for key in selector.keys if key not in properties]
    if not unknown:
        return None
    return f"invalid property: {', '.join(unknown)}; use one of {', '.join(properties)}"
