import pytest

from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import (
    CLUSTER_SERVICE_CLASS,
    CLUSTER_SERVICE_PLAN,
    SERVICE_CLASS,
    SERVICE_PLAN,
    AnyObject,
    Kind,
)
from chandlery.model.text.names import LABEL_PREFIX, label_value
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission

ADMISSION = ObjectAdmission()

USER = UserInfo()
COMMON: dict[str, object] = {"externalName": "e", "externalID": "1", "description": "d"}
SPECS: dict[str, dict[str, object]] = {
    "ClusterServiceClass": {**COMMON, "clusterServiceBrokerName": "b"},
    "ServiceClass": {**COMMON, "serviceBrokerName": "b"},
    "ClusterServicePlan": {**COMMON, "clusterServiceBrokerName": "b", "clusterServiceClassRef": {"name": "c"}},
    "ServicePlan": {**COMMON, "serviceBrokerName": "b", "serviceClassRef": {"name": "c"}},
}
KINDS = (CLUSTER_SERVICE_CLASS, SERVICE_CLASS, CLUSTER_SERVICE_PLAN, SERVICE_PLAN)


def offering(kind: Kind, *, name: str = "o", **spec: object) -> AnyObject:
    made: AnyObject = kind.model.model_validate({"metadata": {"name": name}, "spec": {**SPECS[kind.kind], **spec}})
    return made


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_offering_is_labelled_with_what_clients_look_for(kind: Kind) -> None:
    stored = ADMISSION.default_on_create(offering(kind), USER, new_id=lambda: "id")
    broker = "clusterServiceBrokerName" if kind.kind.startswith("Cluster") else "serviceBrokerName"
    values = {"externalID": "1", "externalName": "e", broker: "b"}
    if kind.kind.endswith("Plan"):
        values["clusterServiceClassRef.name" if kind.kind.startswith("Cluster") else "serviceClassRef.name"] = "c"
    assert stored.metadata.labels == {f"{LABEL_PREFIX}spec.{key}": label_value(value) for key, value in values.items()}
    assert stored.metadata.finalizers is None
    assert ADMISSION.problems_on_create(stored) == ()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_offering_needs_its_names_owner_and_description(kind: Kind) -> None:
    empty: AnyObject = kind.model.model_validate({"metadata": {"name": "o"}})
    found = {problem.field for problem in ADMISSION.problems_on_create(empty)}
    cluster, plan = kind.kind.startswith("Cluster"), kind.kind.endswith("Plan")
    owner = {"spec.clusterServiceBrokerName" if cluster else "spec.serviceBrokerName"}
    owner |= {"spec.clusterServiceClassRef.name" if cluster else "spec.serviceClassRef.name"} if plan else set()
    assert found == {"spec.externalName", "spec.externalID", "spec.description", *owner}


def test_offering_has_names_of_63_characters_at_most() -> None:
    long = offering(CLUSTER_SERVICE_CLASS, name="n" * 64, externalName="e" * 64, externalID="1" * 64)
    found = [(problem.field, problem.reason) for problem in ADMISSION.problems_on_create(long)]
    assert found == [(f, "FieldValueTooLong") for f in ("metadata.name", "spec.externalName", "spec.externalID")]


def test_update_restores_broker_and_class_and_renews_labels() -> None:
    old = ADMISSION.default_on_create(offering(SERVICE_PLAN), USER, new_id=lambda: "id")
    sent = offering(SERVICE_PLAN, externalName="new", serviceBrokerName="x", serviceClassRef={"name": "y"})
    new = ADMISSION.default_on_update(old, sent, user=USER)
    assert new.to_wire()["spec"] == {**old.to_wire()["spec"], "externalName": "new"}
    assert (new.metadata.labels or {})[f"{LABEL_PREFIX}spec.externalName"] == label_value("new")
    assert ADMISSION.problems_on_update(old, new) == ()


@pytest.mark.parametrize(("kind", "found"), [(CLUSTER_SERVICE_PLAN, ["spec.externalID"]), (CLUSTER_SERVICE_CLASS, [])])
def test_external_id_of_a_plan_is_fixed(kind: Kind, found: list[str]) -> None:
    problems = ADMISSION.problems_on_update(offering(kind), offering(kind, externalID="2"))
    assert [problem.field for problem in problems] == found


def test_update_never_turns_one_kind_into_another() -> None:
    with pytest.raises(TypeError, match="cannot become"):
        ADMISSION.default_on_update(offering(CLUSTER_SERVICE_PLAN), offering(SERVICE_PLAN), user=USER)
