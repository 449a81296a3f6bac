"""Who is woken by what is written."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chandlery.model.objects.bindings import ServiceBinding, ServiceBindingSpec, ServiceBindingStatus
from chandlery.model.objects.brokers import (
    BrokerAuth,
    BrokerStatus,
    ClusterServiceBroker,
    ClusterServiceBrokerSpec,
    LocalObjectReference,
    LocalSecretAuth,
    ServiceBroker,
    ServiceBrokerSpec,
)
from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType
from chandlery.model.objects.core import Namespace, Secret
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceStatus
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.offerings import (
    ClusterServicePlan,
    ClusterServicePlanSpec,
    OfferingStatus,
    ServiceClass,
    ServiceClassSpec,
)
from chandlery.reconcile.wake_keys import changed_annotations, is_told, reprioritized, woken_by

DAY = datetime(2026, 12, 1, tzinfo=UTC)
META = ObjectMeta(name="one", namespace="ns")
LABELLED = ObjectMeta(name="one", namespace="ns", labels={"a": "b"})
SECRET = Secret(metadata=META, data={"a": "YQ=="})
BROKER = ClusterServiceBroker(metadata=ObjectMeta(name="one"), spec=ClusterServiceBrokerSpec(url="https://a"))
CLASS = ServiceClass(metadata=META, spec=ServiceClassSpec(external_name="db", external_id="id"))
PLAN = ClusterServicePlan(
    metadata=ObjectMeta(name="one"),
    spec=ClusterServicePlanSpec(cluster_service_class_ref=LocalObjectReference(name="of")),
)
BINDING = ServiceBinding(metadata=META, spec=ServiceBindingSpec(instance_ref=LocalObjectReference(name="db")))


@pytest.mark.parametrize(
    ("document", "keys"),
    [
        pytest.param(SECRET, ("secret:ns/one",), id="Secret"),
        pytest.param(BROKER, ("broker:/one",), id="broker"),
        pytest.param(CLASS, ("offering:ns/db", "offering:ns/id", "offering:ns/one"), id="class, by all its names"),
        pytest.param(PLAN, ("offering:/of",), id="plan, at its class"),
        pytest.param(BINDING, (), id="binding"),
        pytest.param(Namespace(metadata=ObjectMeta(name="ns")), (), id="namespace"),
    ],
)
def test_what_comes_wakes_who_may_wait_for_it(document: AnyObject, keys: tuple[str, ...]) -> None:
    assert woken_by(None, document) == keys


def _instance(ready: ConditionStatus, *, works: bool = False) -> ServiceInstance:
    condition = Condition(type=ConditionType.READY, status=ready, reason="", message="")
    status = ServiceInstanceStatus(conditions=(condition,), async_op_in_progress=works)
    return ServiceInstance(metadata=META, status=status)


READY, UNREADY = _instance(ConditionStatus.TRUE), _instance(ConditionStatus.FALSE)
UPDATING = _instance(ConditionStatus.TRUE, works=True)


@pytest.mark.parametrize(
    ("before", "after", "is_news"),
    [
        pytest.param(UNREADY, READY, True, id="ready"),
        pytest.param(UPDATING, READY, True, id="its update is over"),
        pytest.param(UNREADY, UPDATING, False, id="ready, but at work"),
        pytest.param(READY, UPDATING, False, id="an update begins"),
        pytest.param(READY, UNREADY, False, id="no longer ready"),
        pytest.param(READY, READY.model_copy(update={"metadata": LABELLED}), False, id="label"),
    ],
)
def test_an_instance_that_can_be_bound_wakes_its_bindings(
    before: ServiceInstance, after: ServiceInstance, is_news: bool
) -> None:
    assert woken_by(before, after) == (("instance:ns/one",) if is_news else ())


def test_an_instance_that_comes_wakes_nobody_and_one_that_goes_wakes_its_bindings() -> None:
    assert woken_by(None, READY) == ()
    assert woken_by(READY, None) == ("instance:ns/one",)


def test_a_binding_that_comes_to_an_end_of_its_operation_lets_the_next_one_go_on() -> None:
    at_work = BINDING.model_copy(update={"status": ServiceBindingStatus(async_op_in_progress=True)})
    assert woken_by(at_work, BINDING) == ("bindings-of:ns/db",)
    assert woken_by(BINDING, at_work) == ()


def test_annotations_of_namespaces_may_be_of_interest_to_brokers() -> None:
    bare = Namespace(metadata=ObjectMeta(name="ns", annotations={"kept": "yes", "gone": "soon"}))
    told = Namespace(metadata=ObjectMeta(name="ns", annotations={"kept": "yes", "cost": "1"}))
    assert changed_annotations(bare, told) == {"gone", "cost"}
    assert changed_annotations(bare, bare) == frozenset()
    assert is_told(["x", "co"], frozenset({"gone", "cost"}))
    assert not is_told(["co"], frozenset({"gone"}))
    assert not is_told([], frozenset({"cost"}))


def test_another_priority_of_a_broker_is_news_to_those_who_ask_by_name() -> None:
    first = BROKER.model_copy(update={"spec": ClusterServiceBrokerSpec(url="https://a", name_priority=1)})
    none = BROKER.model_copy(update={"spec": ClusterServiceBrokerSpec(url="https://a", name_priority=0)})
    assert reprioritized(BROKER, first) == first
    assert reprioritized(BROKER, none) is None
    assert reprioritized(SECRET, SECRET) is None


def test_what_goes_wakes_who_waits_for_its_end() -> None:
    assert woken_by(BINDING, None) == ("bindings-of:ns/db",)
    assert woken_by(SECRET, None) == ("secret:ns/one",)


def test_a_broker_of_a_namespace_that_begins_to_go_wakes_who_waits_for_its_secret() -> None:
    auth = BrokerAuth(basic=LocalSecretAuth(secret_ref=LocalObjectReference(name="login")))
    staying = ServiceBroker(metadata=META, spec=ServiceBrokerSpec(url="https://a", auth_info=auth))
    going = staying.model_copy(update={"metadata": ObjectMeta(name="one", namespace="ns", deletion_timestamp=DAY)})
    assert woken_by(staying, going) == ("secret:ns/login",)
    assert woken_by(going, going) == ()
    cluster_wide = BROKER.model_copy(update={"metadata": ObjectMeta(name="one", deletion_timestamp=DAY)})
    assert woken_by(BROKER, cluster_wide) == ()


@pytest.mark.parametrize(
    ("document", "change", "is_news"),
    [
        pytest.param(SECRET, {"data": {}}, True, id="data"),
        pytest.param(SECRET, {"metadata": LABELLED}, False, id="label"),
        pytest.param(BROKER, {"spec": ClusterServiceBrokerSpec(url="https://b")}, True, id="address of a broker"),
        pytest.param(BROKER, {"status": BrokerStatus(observed_generation=1)}, False, id="its status"),
        pytest.param(CLASS, {"status": OfferingStatus(removed_from_broker_catalog=True)}, True, id="class withdrawn"),
    ],
)
def test_a_change_wakes_if_it_is_news_to_others(document: AnyObject, change: dict[str, Any], is_news: bool) -> None:
    assert bool(woken_by(document, document.model_copy(update=change))) == is_news


def test_a_class_that_is_called_otherwise_wakes_who_waits_for_either_name() -> None:
    other = CLASS.model_copy(update={"spec": CLASS.spec.model_copy(update={"external_name": "sql"})})
    assert {"offering:ns/db", "offering:ns/sql"} <= set(woken_by(CLASS, other))
