"""Rules for classes and plans of both scopes. The syncer writes most of them; `svcat create class` some."""

from collections.abc import Iterator

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.offerings import (
    AnyClass,
    AnyPlan,
    ClusterServiceClass,
    ClusterServicePlan,
    ServiceClass,
    ServicePlan,
)
from chandlery.model.text.value_labels import with_value_labels
from chandlery_gateway.admission.field_checks import (
    LONGEST_NAME,
    forbidden,
    length_problems,
    name_problems,
    required,
)

AnyOffering = AnyClass | AnyPlan
ClusterOffering = ClusterServiceClass | ClusterServicePlan


def default_offering(offering: AnyOffering, *, old: AnyOffering | None = None) -> AnyOffering:
    """Maintains the labels; an update keeps the broker and, of a plan, the class."""
    if old is not None:
        kept = {field: getattr(old.spec, field) for field in _owner_fields(offering)}
        offering = offering.model_copy(update={"spec": offering.spec.model_copy(update=kept)})
    return offering.model_copy(update={"metadata": with_value_labels(offering.metadata, selectable_values(offering))})


def selectable_values(offering: AnyOffering) -> dict[str, str]:
    """The raw values that a class or plan is labelled with, by field path."""
    values = {"spec.externalID": offering.spec.external_id, "spec.externalName": offering.spec.external_name}
    if isinstance(offering, ClusterOffering):
        values["spec.clusterServiceBrokerName"] = offering.spec.cluster_service_broker_name
    else:
        values["spec.serviceBrokerName"] = offering.spec.service_broker_name
    if isinstance(offering, ClusterServicePlan):
        values["spec.clusterServiceClassRef.name"] = offering.spec.cluster_service_class_ref.name
    if isinstance(offering, ServicePlan):
        values["spec.serviceClassRef.name"] = offering.spec.service_class_ref.name
    return values


def _owner_fields(offering: AnyOffering) -> tuple[str, ...]:
    match offering:
        case ClusterServiceClass():
            return ("cluster_service_broker_name",)
        case ServiceClass():
            return ("service_broker_name",)
        case ClusterServicePlan():
            return ("cluster_service_broker_name", "cluster_service_class_ref")
        case ServicePlan():
            return ("service_broker_name", "service_class_ref")


def offering_problems(offering: AnyOffering, *, old: AnyOffering | None = None) -> Iterator[FieldProblem]:
    """Everything that keeps the class or plan from being stored; give what it was on an update."""
    spec = offering.spec
    yield from length_problems("metadata.name", offering.metadata.name)
    for field, value, what in (
        ("spec.externalName", spec.external_name, "name"),
        ("spec.externalID", spec.external_id, "id"),
    ):
        if not value:
            yield required(field, f"give the {what} at the service broker (at most {LONGEST_NAME} characters)")
        yield from length_problems(field, value)
    if not spec.description:
        yield required("spec.description", "say in a few words what it is")
    yield from _owner_problems(offering)
    if old is not None and isinstance(offering, AnyPlan) and spec.external_id != old.spec.external_id:
        yield forbidden("spec.externalID", "the id of a plan cannot be changed; make a new plan")


def _owner_problems(offering: AnyOffering) -> Iterator[FieldProblem]:
    broker = "the service broker that offers it"
    if isinstance(offering, ClusterOffering):
        name = offering.spec.cluster_service_broker_name
        yield from name_problems("spec.clusterServiceBrokerName", name, what=broker)
    else:
        yield from name_problems("spec.serviceBrokerName", offering.spec.service_broker_name, what=broker)
    owner = "the class that the plan belongs to"
    if isinstance(offering, ClusterServicePlan):
        name = offering.spec.cluster_service_class_ref.name
        yield from name_problems("spec.clusterServiceClassRef.name", name, what=owner)
    if isinstance(offering, ServicePlan):
        yield from name_problems("spec.serviceClassRef.name", offering.spec.service_class_ref.name, what=owner)
