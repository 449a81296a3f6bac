"""What a specification asks for, and whose word counts about a plan."""

from typing import Any

import pytest

from chandlery.model.objects.brokers import ClusterServiceBroker
from chandlery.model.objects.instances import ServiceInstanceSpec
from chandlery.model.objects.offerings import (
    ClusterServiceClass,
    ClusterServiceClassSpec,
    ClusterServicePlan,
    ClusterServicePlanSpec,
)
from chandlery.reconcile.offering import Offering, Wanted, class_column, is_cluster_scoped, wanted_class, wanted_plan


def offering(class_fields: dict[str, Any], plan_fields: dict[str, Any]) -> Offering:
    return Offering(
        ClusterServiceClass(spec=ClusterServiceClassSpec(**class_fields)),
        ClusterServicePlan(spec=ClusterServicePlanSpec(**plan_fields)),
        ClusterServiceBroker(),
    )


@pytest.mark.parametrize(
    ("of_class", "of_plan", "expected"),
    [
        (False, None, False),
        (True, None, True),
        (True, False, False),
        (False, True, True),
    ],
)
def test_the_word_of_the_plan_counts_before_that_of_the_class(
    *, of_class: bool, of_plan: bool | None, expected: bool
) -> None:
    assert offering({"bindable": of_class}, {"bindable": of_plan}).is_bindable is expected
    assert offering({"plan_updatable": of_class}, {"plan_updatable": of_plan}).is_plan_updatable is expected


CLASSES: list[Any] = [
    ("cluster_service_class_external_name", "external_name", True),
    ("cluster_service_class_external_id", "external_id", True),
    ("cluster_service_class_name", "name", True),
    ("service_class_external_name", "external_name", False),
    ("service_class_external_id", "external_id", False),
    ("service_class_name", "name", False),
]


@pytest.mark.parametrize(("field", "column", "cluster"), CLASSES)
def test_a_class_is_looked_up_by_what_the_user_typed(field: str, column: str, *, cluster: bool) -> None:
    spec = ServiceInstanceSpec.model_validate({field: "ropes"})

    assert wanted_class(spec) == Wanted(column, "ropes")
    assert is_cluster_scoped(spec) is cluster
    assert class_column(spec) == ("ClusterServiceClass/ropes" if cluster else "ServiceClass/ropes")


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("cluster_service_plan_external_name", "external_name"),
        ("cluster_service_plan_external_id", "external_id"),
        ("cluster_service_plan_name", "name"),
        ("service_plan_external_name", "external_name"),
        ("service_plan_external_id", "external_id"),
        ("service_plan_name", "name"),
    ],
)
def test_a_plan_is_looked_up_by_what_the_user_typed(field: str, column: str) -> None:
    assert wanted_plan(ServiceInstanceSpec.model_validate({field: "small"})) == Wanted(column, "small")


def test_a_plan_may_be_left_open() -> None:
    assert wanted_plan(ServiceInstanceSpec()).value == ""
