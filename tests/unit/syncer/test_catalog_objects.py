"""From a catalog to classes and plans: names, labels, owners, fields, restrictions."""

from typing import Any

import pytest

from chandlery.model.objects.instances import MaintenanceInfo
from chandlery.model.objects.offerings import (
    ClusterServiceClass,
    ClusterServicePlan,
    ServiceClass,
    ServicePlan,
)
from chandlery.model.text.names import label_value
from chandlery_syncer.catalog.catalog_objects import desired_offerings
from tests.conformance.scripted.scripted_catalog import parameter_schemas, simple_plan, simple_service
from tests.unit.syncer.builders import catalog, make_broker

SCHEMA = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "object", "default": None}


def test_cluster_wide_objects_carry_names_labels_and_owner_of_the_reference() -> None:
    desired = desired_offerings(make_broker(), catalog(simple_service("DB", service_id="Id-1", plans=["small"])))
    (service_class,), (plan,) = desired.classes, desired.plans

    assert isinstance(service_class, ClusterServiceClass)
    assert isinstance(plan, ClusterServicePlan)
    assert service_class.metadata.name == "z49zd-1"
    assert service_class.metadata.labels == {
        "servicecatalog.k8s.io/spec.externalID": label_value("Id-1"),
        "servicecatalog.k8s.io/spec.externalName": label_value("DB"),
        "servicecatalog.k8s.io/spec.clusterServiceBrokerName": label_value("harbour"),
    }
    assert plan.metadata.labels == {
        "servicecatalog.k8s.io/spec.externalID": label_value(plan.spec.external_id),
        "servicecatalog.k8s.io/spec.externalName": label_value("small"),
        "servicecatalog.k8s.io/spec.clusterServiceBrokerName": label_value("harbour"),
        "servicecatalog.k8s.io/spec.clusterServiceClassRef.name": label_value("z49zd-1"),
    }
    for each in (service_class, plan):
        assert [owner.to_wire() for owner in each.metadata.owner_references or []] == [
            {
                "apiVersion": "servicecatalog.k8s.io/v1beta1",
                "kind": "ClusterServiceBroker",
                "name": "harbour",
                "uid": "broker-uid",
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ]
    assert plan.spec.cluster_service_class_ref.name == "z49zd-1"
    assert plan.spec.cluster_service_broker_name == "harbour"


def test_namespaced_objects_live_with_their_broker_and_have_no_owner() -> None:
    desired = desired_offerings(make_broker(namespace="team"), catalog(simple_service("db")))
    (service_class,), (plan,) = desired.classes, desired.plans
    assert isinstance(service_class, ServiceClass)
    assert isinstance(plan, ServicePlan)
    assert {service_class.metadata.namespace, plan.metadata.namespace} == {"team"}
    assert service_class.metadata.owner_references is None is plan.metadata.owner_references
    assert "servicecatalog.k8s.io/spec.serviceBrokerName" in (service_class.metadata.labels or {})
    assert "servicecatalog.k8s.io/spec.serviceClassRef.name" in (plan.metadata.labels or {})
    assert (plan.spec.service_broker_name, plan.spec.service_class_ref.name) == ("harbour", "db-id")


def test_every_field_of_a_class_is_taken_over() -> None:
    metadata = {"displayName": "Gr\u00f6\u00dfe", "costs": [{"amount": {"eur": 1.50}}], "nothing": None}
    service = simple_service(
        "db",
        bindable=False,
        plan_updateable=True,
        instances_retrievable=True,
        bindings_retrievable=True,
        allow_context_updates=True,
        metadata=metadata,
        tags=["sql", "backup"],
        requires=["syslog_drain"],
    )
    (service_class,) = desired_offerings(make_broker(), catalog(service)).classes
    assert service_class.spec.to_wire() == {
        "externalName": "db",
        "externalID": "db-id",
        "description": "offering db",
        "bindable": False,
        "bindingRetrievable": True,
        "instancesRetrievable": True,
        "planUpdatable": True,
        "allowContextUpdates": True,
        "externalMetadata": metadata,
        "tags": ["sql", "backup"],
        "requires": ["syslog_drain"],
        "clusterServiceBrokerName": "harbour",
    }


def test_every_field_of_a_plan_is_taken_over() -> None:
    plan = simple_plan(
        "large",
        free=False,
        bindable=True,
        plan_updateable=False,
        binding_rotatable=True,
        maximum_polling_duration=90,
        maintenance_version="1.2.3+build",
        schemas=parameter_schemas(create=SCHEMA, update=SCHEMA, bind=SCHEMA),
        metadata={"bullets": ["fast"]},
    )
    (stored,) = desired_offerings(make_broker(), catalog(simple_service("db", plans=[plan]))).plans
    spec = stored.spec
    assert (spec.external_name, spec.external_id, spec.description) == ("large", "db-large-id", "plan large")
    assert (spec.free, spec.bindable, spec.plan_updatable, spec.binding_rotatable) == (False, True, False, True)
    assert (spec.maximum_polling_duration, spec.maintenance_info) == (90, MaintenanceInfo(version="1.2.3+build"))
    assert spec.instance_create_parameter_schema == spec.instance_update_parameter_schema == SCHEMA
    assert spec.service_binding_create_parameter_schema == SCHEMA
    assert spec.external_metadata == {"bullets": ["fast"]}


def test_plan_that_does_not_say_is_free_and_leaves_the_rest_to_its_class() -> None:
    (plan,) = desired_offerings(make_broker(), catalog(simple_service("db"))).plans
    assert (plan.spec.free, plan.spec.bindable, plan.spec.plan_updatable) == (True, None, None)


SERVICES = catalog(
    simple_service("db", plans=["small", simple_plan("large", free=False)]),
    simple_service("mail", plans=[simple_plan("gold", free=False)]),
)


@pytest.mark.parametrize(
    ("restrictions", "classes", "plans"),
    [
        pytest.param({}, {"db", "mail"}, {"small", "large", "gold"}, id="none"),
        pytest.param({"serviceClass": ["spec.externalName=db"]}, {"db"}, {"small", "large"}, id="class by name"),
        pytest.param({"serviceClass": ["spec.externalName notin (db)"]}, {"mail"}, {"gold"}, id="class by exclusion"),
        pytest.param({"servicePlan": ["spec.free=true"]}, {"db"}, {"small"}, id="a class without plans is dropped"),
        pytest.param(
            {"servicePlan": ["spec.clusterServiceClass.name=db-id", "spec.free=false"]},
            {"db"},
            {"large"},
            id="all items must hold",
        ),
        pytest.param({"serviceClass": ["name=nothing"]}, set(), set(), id="everything is filtered out"),
    ],
)
def test_restrictions_decide_what_is_offered(restrictions: Any, classes: set[str], plans: set[str]) -> None:
    desired = desired_offerings(make_broker(catalogRestrictions=restrictions), SERVICES)
    assert {each.spec.external_name for each in desired.classes} == classes
    assert {each.spec.external_name for each in desired.plans} == plans
