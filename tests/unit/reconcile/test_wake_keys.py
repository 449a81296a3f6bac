"""Who is woken by what is written."""

from typing import Any

import pytest

from chandlery.model.objects.bindings import ServiceBinding, ServiceBindingSpec
from chandlery.model.objects.brokers import (
    BrokerStatus,
    ClusterServiceBroker,
    ClusterServiceBrokerSpec,
    LocalObjectReference,
)
from chandlery.model.objects.core import Namespace, Secret
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.offerings import (
    ClusterServicePlan,
    ClusterServicePlanSpec,
    OfferingStatus,
    ServiceClass,
    ServiceClassSpec,
)
from chandlery.reconcile.wake_keys import woken_by_change, woken_by_presence, woken_by_removal

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
    assert woken_by_presence(document) == keys


def test_what_goes_wakes_who_waits_for_its_end() -> None:
    assert woken_by_removal(BINDING) == ("bindings-of:ns/db",)
    assert woken_by_removal(SECRET) == ("secret:ns/one",)


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
    assert bool(woken_by_change(document, document.model_copy(update=change))) == is_news


def test_a_class_that_is_called_otherwise_wakes_who_waits_for_either_name() -> None:
    other = CLASS.model_copy(update={"spec": CLASS.spec.model_copy(update={"external_name": "sql"})})
    assert {"offering:ns/db", "offering:ns/sql"} <= set(woken_by_change(CLASS, other))
