"""Rules for classes and plans of both scopes. The syncer writes most of them; `svcat create class` some."""

from collections.abc import Iterable, Iterator

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.instances import UserInfo
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
from chandlery_gateway.admission.kind_rules import KindRules, NewId

AnyOffering = AnyClass | AnyPlan
ClusterOffering = ClusterServiceClass | ClusterServicePlan


class OfferingRules(KindRules[AnyOffering]):
    """The rules of classes and plans."""

    def default_new(self, document: AnyOffering, user: UserInfo, *, new_id: NewId) -> AnyOffering:
        return _labelled(document)

    def default_changed(self, old: AnyOffering, new: AnyOffering, *, user: UserInfo) -> AnyOffering:
        kept = {field: getattr(old.spec, field) for field in _owner_fields(new)}
        return _labelled(new.model_copy(update={"spec": new.spec.model_copy(update=kept)}))

    def new_problems(self, document: AnyOffering) -> Iterable[FieldProblem]:
        return _problems(document)

    def changed_problems(self, old: AnyOffering, new: AnyOffering) -> Iterable[FieldProblem]:
        yield from _problems(new)
        if isinstance(new, AnyPlan) and new.spec.external_id != old.spec.external_id:
            yield forbidden("spec.externalID", "the id of a plan cannot be changed; create another plan")


def _labelled(offering: AnyOffering) -> AnyOffering:
    """With the labels that make it selectable by its values."""
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


def _problems(offering: AnyOffering) -> Iterator[FieldProblem]:
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
        yield required("spec.description", "describe it in a few words")
    yield from _owner_problems(offering)


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
