"""Every command of svcat 0.3 against both forms, for brokers of the cluster and of a namespace; and how 0.2 differs.

`svcat.py` has the requests of each command. Here is what svcat reads from the answers.
"""

import re
from collections.abc import Iterator
from functools import partial

import pytest

from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_templates import DEPROVISION
from tests.e2e.clients.svcat import CATALOG, FINALIZER, Refused, Scope, Svcat, reason
from tests.e2e.stacks.api_client import ApiClient, condition, is_ready, secret_values
from tests.e2e.stacks.brokers import DemoBroker, ScriptedPeer

_CLASS, _PLAN = "demo-service", "default"


@pytest.fixture
def svcat(api: ApiClient, namespace: str) -> Svcat:
    return Svcat(api, namespace)


@pytest.fixture(params=["cluster", "namespace"])
def scope(request: pytest.FixtureRequest, svcat: Svcat) -> Scope:
    return svcat.cluster if request.param == "cluster" else svcat.local


@pytest.fixture
def broker(svcat: Svcat, scope: Scope, demo_broker: DemoBroker) -> Iterator[str]:
    """A broker that svcat has registered and waited for. svcat 0.3 itself dies of waiting for one of a namespace."""
    name = f"svcat-{svcat.namespace}"
    made = svcat.register(scope, name, demo_broker.url)
    assert made["spec"]["relistBehavior"] == "Duration"
    assert made["metadata"]["finalizers"] == [FINALIZER]
    svcat.wait(lambda: svcat.broker(name)[0][1])
    yield name
    svcat.deregister(scope, name)
    svcat.wait_until_gone(lambda: _one_broker(svcat, name))


def test_version_is_that_of_a_server(svcat: Svcat) -> None:
    assert re.fullmatch(r"v1\.\d+\.\d+\S*", svcat.version())


def test_broker_is_listed_described_and_synced(
    svcat: Svcat, scope: Scope, broker: str, demo_broker: DemoBroker
) -> None:
    listed = [item for item in svcat.brokers() if item["metadata"]["name"] == broker]
    assert [(item["spec"]["url"], reason(item)) for item in listed] == [(demo_broker.url, "Ready")]
    ((found_in, described),) = svcat.broker(broker)
    assert found_in == scope
    assert described["metadata"].get("namespace", "") == ("" if scope.is_cluster else svcat.namespace)
    before = described["status"]["lastCatalogRetrievalTime"]
    assert svcat.sync(scope, broker)["spec"]["relistRequests"] == 1
    synced = svcat.wait(lambda: _if_observed(_one_broker(svcat, broker)))
    assert synced["status"]["lastCatalogRetrievalTime"] >= before
    assert synced["status"]["reconciledGeneration"] == synced["metadata"]["generation"]


def test_marketplace_and_lookups_by_hashed_labels_find_what_the_broker_offers(
    svcat: Svcat, scope: Scope, broker: str
) -> None:
    assert (_CLASS, [_PLAN]) in svcat.marketplace()
    (found,) = svcat.classes(_CLASS)
    assert found["spec"][scope.field("serviceBrokerName")] == broker
    described, plans = svcat.describe_class(_CLASS)
    assert described["status"].get("removedFromBrokerCatalog", False) is False
    assert _PLAN in [plan["spec"]["externalName"] for plan in plans if _is_of(plan, svcat, scope)]
    (plan,) = svcat.plans(scope, _PLAN, of=found["metadata"]["name"])
    assert plan["spec"]["externalName"] == _PLAN
    assert svcat.describe_plan(scope, _PLAN, of=found["metadata"]["name"])[0]["spec"]["free"] is True
    copy = svcat.create_class(scope, f"copy-{svcat.namespace}", copied_from=_CLASS)
    assert (copy["spec"]["externalID"], copy["metadata"].get("ownerReferences")) == (found["spec"]["externalID"], None)
    assert [item["metadata"]["name"] for item in svcat.classes(copy["spec"]["externalName"])] == [
        f"copy-{svcat.namespace}"
    ]
    svcat._delete(scope.path("classes", copy["metadata"]["name"]))


def test_whole_life_of_an_instance_and_its_bindings(svcat: Svcat, scope: Scope, broker: str) -> None:
    _make_secret(svcat)
    sources = [{"secretKeyRef": {"name": "given", "key": "parameters"}}]
    made = svcat.provision(
        scope, "db", _CLASS, _PLAN, parameters={"size": "10", "zones": ["a", "b"]}, parametersFrom=sources
    )
    assert made["spec"]["externalID"]
    ready = svcat.wait(lambda: svcat.instance("db"))
    assert reason(ready) == "Ready"
    assert ready["spec"]["parameters"] == {"size": "10", "zones": ["a", "b"]}
    assert ready["status"]["externalProperties"]["parameters"]["password"] == "<redacted>"
    assert ready["spec"][scope.field("servicePlanRef")]["name"] == ready["spec"][scope.field("servicePlanName")]
    assert [item["metadata"]["name"] for item in svcat.instances()] == ["db"]

    svcat.bind("db")
    svcat.bind("db", "second", secret_name="keys", parameters={"role": "reader"})
    svcat.wait(lambda: svcat.binding("db"))
    svcat.wait(lambda: svcat.binding("second"))
    assert sorted(item["metadata"]["name"] for item in svcat.describe_instance("db")[1]) == ["db", "second"]
    second, secret = svcat.describe_binding("second")
    assert (reason(second), secret["metadata"]["name"]) == ("Ready", "keys")
    assert secret_values(secret)

    assert svcat.touch("db")["spec"]["updateRequests"] == 1
    touched = svcat.wait(lambda: _if_observed(svcat.instance("db")))
    assert condition(touched, "Ready")["reason"] == "InstanceUpdatedSuccessfully"

    assert sorted(svcat.unbind("db")) == ["db", "second"]
    for name in ("db", "second"):
        svcat.wait_until_gone(partial(svcat.binding, name))
    svcat.deprovision("db")
    svcat.wait_until_gone(lambda: svcat.instance("db"))


def test_abandoned_instance_goes_without_its_broker(svcat: Svcat, scripted: ScriptedPeer) -> None:
    scope = svcat.local
    svcat.register(scope, "stubborn", scripted.url)
    svcat.wait(lambda: _one_broker(svcat, "stubborn"))
    scripted.always(DEPROVISION, Reply(500, {"description": "not today"}))
    svcat.provision(scope, "kept", "test-service", "default")
    svcat.wait(lambda: svcat.instance("kept"))
    svcat.deprovision("kept", abandon=True)
    svcat.wait_until_gone(lambda: svcat.instance("kept"))
    assert scripted.seen_of(DEPROVISION) == []


def test_abandoned_binding_goes_with_unbind(svcat: Svcat, scope: Scope, broker: str) -> None:
    svcat.provision(scope, "db", _CLASS, _PLAN)
    svcat.wait(lambda: svcat.instance("db"))
    svcat.bind("db")
    svcat.wait(lambda: svcat.binding("db"))
    assert svcat.unbind("db", abandon=True) == ["db"]
    svcat.wait_until_gone(lambda: svcat.binding("db"))
    svcat.deprovision("db")
    svcat.wait_until_gone(lambda: svcat.instance("db"))


def test_refusals_carry_the_code_that_svcat_looks_at(svcat: Svcat) -> None:
    with pytest.raises(Refused) as missing:
        svcat.instance("nobody")
    assert (missing.value.status, str(missing.value)) == (
        404,
        '404 serviceinstances.servicecatalog.k8s.io "nobody" not found',
    )
    assert svcat.broker("nobody") == []


def test_svcat_02_finds_classes_plans_and_instances_by_fields(svcat: Svcat, scope: Scope, broker: str) -> None:
    def listed(path: str, **fields: str) -> list[str]:
        selector = "%2C".join(f"{name}%3D{value}" for name, value in fields.items())
        items = svcat._call("GET", f"{path}?fieldSelector={selector}")["items"]
        return [item["metadata"]["name"] for item in items]

    (service,) = listed(scope.path("classes"), **{"spec.externalName": _CLASS})
    broker_field = f"spec.{scope.field('serviceBrokerName')}"
    assert service in listed(scope.path("classes"), **{broker_field: broker})
    class_field = f"spec.{scope.field('serviceClassRef')}.name"
    (plan,) = listed(scope.path("plans"), **{"spec.externalName": _PLAN, class_field: service})
    svcat.provision(scope, "db", _CLASS, _PLAN)
    svcat.wait(lambda: svcat.instance("db"))
    plan_field = f"spec.{scope.field('servicePlanRef')}.name"
    assert listed(f"{svcat.root}/serviceinstances", **{plan_field: plan}) == ["db"]
    assert listed(f"{CATALOG}/serviceinstances", **{class_field: service, "spec.externalID": "none"}) == []
    svcat.deprovision("db")
    svcat.wait_until_gone(lambda: svcat.instance("db"))


def _one_broker(svcat: Svcat, name: str) -> dict[str, object]:
    found = svcat.broker(name)
    if not found:
        raise Refused(404, {"message": "in neither scope"})
    return found[0][1]


def _if_observed(document: dict[str, object]) -> dict[str, object]:
    """The object, without what its status says of an earlier generation."""
    status, metadata = document["status"], document["metadata"]
    assert isinstance(status, dict) and isinstance(metadata, dict)
    observed = status.get("observedGeneration") or status.get("reconciledGeneration")
    return document if observed == metadata["generation"] and is_ready(document) else {**document, "status": {}}


def _is_of(plan: dict[str, object], svcat: Svcat, scope: Scope) -> bool:
    metadata = plan["metadata"]
    assert isinstance(metadata, dict)
    return scope.is_cluster or metadata.get("namespace") == svcat.namespace


def _make_secret(svcat: Svcat) -> None:
    document = {"metadata": {"name": "given"}, "stringData": {"parameters": '{"password": "secret"}'}}
    svcat._call("POST", f"/api/v1/namespaces/{svcat.namespace}/secrets", document)
