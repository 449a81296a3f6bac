"""What we show to the cluster, and whom we trust there, is replaced under running processes: nobody is restarted."""

import pytest

from tests.cluster.stage.installation_manifests import NAMESPACE, account
from tests.cluster.stage.installed import InstalledChandlery
from tests.cluster.stage.real_cluster import RealCluster
from tests.e2e.stacks.brokers import DemoBroker
from tests.e2e.stacks.manifests import binding, instance
from tests.e2e.stacks.stacks import SERVICES
from tests.support.waiting import wait_for

# What is refused meanwhile is tried again with back-off.
pytestmark = pytest.mark.timeout(300)

_ACCOUNTS = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"


def _order(chandlery: InstalledChandlery, namespace: str, name: str) -> None:
    """Gateways, provisioner and binder all have to ask the cluster for it."""
    created = wait_for(
        lambda: chandlery.api.create(instance(name), namespace=namespace),
        lambda answer: answer.status != 503,
        what="a gateway that can ask the cluster",
    )
    assert created.status == 201, created
    assert chandlery.api.create(binding(name, name), namespace=namespace).status == 201
    chandlery.api.await_ready("servicebindings", name, namespace=namespace)
    assert chandlery.cluster.secret(namespace, name) is not None


def _status_of(chandlery: InstalledChandlery, service: str) -> int:
    """What the cluster answers to whoever shows the token in the file of the service."""
    status, _ = chandlery.cluster.api(chandlery.kubeconfig_of(service)).read("/apis")
    return status


def test_tokens_that_are_replaced_in_their_files_are_used(
    chandlery: InstalledChandlery, cluster: RealCluster, shop: DemoBroker, namespace: str
) -> None:
    _order(chandlery, namespace, "before")
    for service in SERVICES:
        # With its account a token is worth nothing, and one of the next account of the name is another.
        path = f"{_ACCOUNTS}/{account(service)}"
        assert cluster.api().send("DELETE", path)[0] == 200
        made = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account(service)}}
        cluster.put(_ACCOUNTS, made)
    for service in SERVICES:
        # kube-apiserver remembers for some seconds whose a token was.
        wait_for(
            lambda service=service: _status_of(chandlery, service),  # type: ignore[misc]
            lambda status: status == 401,
            what=f"the old token of {service} to be refused",
        )
    for service in SERVICES:
        cluster.renew_token(chandlery.kubeconfig_of(service), NAMESPACE, account(service))
        assert _status_of(chandlery, service) == 200
    chandlery.await_available()
    _order(chandlery, namespace, "after")


def test_another_authority_of_kube_apiserver_is_followed(
    chandlery: InstalledChandlery, cluster: RealCluster, shop: DemoBroker, namespace: str
) -> None:
    _order(chandlery, namespace, "before")
    cluster.rotate_serving(trust_old=False)
    chandlery.await_available()
    _order(chandlery, namespace, "after")
