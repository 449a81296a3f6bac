"""The walk with a broker that takes its time: provision, change the plan, bind, delete; and a plan that fails."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.stacks.api_client import ApiClient, condition, is_failed, is_in_progress, secret_values
from tests.e2e.stacks.brokers import DemoBroker
from tests.e2e.stacks.kubectl import Kubectl
from tests.e2e.stacks.manifests import binding, cluster_broker, instance
from tests.e2e.stacks.stacks import Stack

SERVICE: Final = "demo-service-async"
_DELAY_SECONDS: Final = "0.5"


@pytest.fixture(scope="module")
def demo_broker(folder: Path) -> Iterator[DemoBroker]:
    with DemoBroker(folder, "--async", "--delay", _DELAY_SECONDS) as broker:
        yield broker


@pytest.fixture(scope="module")
def kubectl(stack: Stack, demo_broker: DemoBroker) -> Kubectl:
    found = stack.kubectl()
    found.apply(cluster_broker("demo-broker", demo_broker.url))
    found.ok("wait", "--for=condition=Ready", "clusterservicebroker/demo-broker", "--timeout=30s")
    return found


@pytest.fixture
def api(kubectl: Kubectl) -> ApiClient:
    return ApiClient(kubectl.kubeconfig)


def test_walk_with_asynchronous_operations(kubectl: Kubectl, api: ApiClient, demo_broker: DemoBroker) -> None:
    with api.watch("serviceinstances") as versions:
        kubectl.create(instance("slow", SERVICE, "small"), binding("slow", "slow", secretName="slow-credentials"))
        ready = api.await_ready("serviceinstances", "slow")
    seen = next(version for version in versions if is_in_progress(version))
    assert condition(seen, "Ready")["reason"] == "Provisioning"
    assert seen["status"]["currentOperation"] == "Provision"
    assert seen["status"]["lastOperation"].startswith("create-")
    assert condition(ready, "Ready")["reason"] == "ProvisionedSuccessfully"
    assert not is_in_progress(ready)

    bound = api.await_ready("servicebindings", "slow")
    assert condition(bound, "Ready")["reason"] == "InjectedBindResult"
    secret = api.find("secrets", "slow-credentials")
    assert secret is not None
    assert secret_values(secret) == {
        "uri": f"http://demo.local/{bound['spec']['externalID']}",
        "username": "abc",
        "password": "123456",
    }

    change = '{"spec": {"clusterServicePlanExternalName": "large"}}'
    with api.watch("serviceinstances") as versions:
        kubectl.ok("patch", "serviceinstance", "slow", "--type=merge", "-p", change)
        large = api.await_ready("serviceinstances", "slow", generation=2)
    updating = next(version for version in versions if is_in_progress(version))
    assert updating["status"]["currentOperation"] == "Update"
    assert condition(large, "Ready")["reason"] == "InstanceUpdatedSuccessfully"
    assert large["status"]["externalProperties"]["clusterServicePlanExternalName"] == "large"

    kubectl.ok("delete", "servicebinding/slow", "serviceinstance/slow", "--timeout=30s")
    assert api.names("secrets") == []
    path = f"/v2/service_instances/{ready['spec']['externalID']}"
    assert demo_broker.status_of(path) == 404
    mutations = [(method, status) for method, at, status in demo_broker.requests() if at == path and method != "GET"]
    assert mutations == [("PUT", 202), ("PATCH", 202), ("DELETE", 202)]


def test_delete_before_the_provision_ends_leaves_nothing(
    kubectl: Kubectl, api: ApiClient, demo_broker: DemoBroker
) -> None:
    kubectl.create(instance("hasty", SERVICE, "small"))
    seen = api.await_object("serviceinstances", "hasty", lambda seen: "currentOperation" in seen["status"])
    kubectl.ok("delete", "serviceinstance", "hasty", "--timeout=30s")
    assert demo_broker.status_of(f"/v2/service_instances/{seen['spec']['externalID']}") == 404


def test_failing_plan_ends_in_failed_and_can_be_deleted(
    kubectl: Kubectl, api: ApiClient, demo_broker: DemoBroker
) -> None:
    kubectl.create(instance("doomed", SERVICE, "failing"))
    failed = api.await_object(
        "serviceinstances", "doomed", lambda seen: is_failed(seen) and not seen["status"]["orphanMitigationInProgress"]
    )
    assert condition(failed, "Failed")["reason"] == "ProvisionCallFailed"
    assert "this plan is made to fail" in condition(failed, "Failed")["message"]
    assert condition(failed, "Ready")["status"] == "False"
    rows = kubectl.ok("get", "serviceinstances", "doomed", "--no-headers").split()
    assert rows[:3] == ["doomed", f"ClusterServiceClass/{SERVICE}", "failing"]
    kubectl.ok("delete", "serviceinstance", "doomed", "--timeout=30s")
    assert demo_broker.status_of(f"/v2/service_instances/{failed['spec']['externalID']}") == 404


def test_binding_waits_for_its_instance_and_is_woken_by_it(kubectl: Kubectl, api: ApiClient) -> None:
    kubectl.create(binding("early", "late"))
    waiting = api.await_object("servicebindings", "early", lambda seen: bool(condition(seen, "Ready")))
    assert condition(waiting, "Ready")["reason"] == "ReferencesNonexistentInstance"
    kubectl.create(instance("late"))
    api.await_ready("servicebindings", "early")
    kubectl.ok("delete", "servicebinding/early", "serviceinstance/late", "--timeout=30s")


def test_instance_stays_until_its_binding_is_gone(kubectl: Kubectl, api: ApiClient) -> None:
    kubectl.create(instance("held"), binding("holder", "held"))
    api.await_ready("servicebindings", "holder")
    kubectl.ok("delete", "serviceinstance", "held", "--wait=false")
    blocked = api.await_reason("serviceinstances", "held", "DeprovisionBlockedByExistingCredentials")
    assert "1 left" in blocked["message"]
    kubectl.ok("delete", "servicebinding", "holder", "--timeout=30s")
    api.await_gone("serviceinstances", "held")
