"""Helm's whole life of a release in a real cluster: installed, upgraded, refused to go, and gone but for its keys."""

from collections.abc import Iterator

import helm_python
import pytest

from kubernetes_build.cluster_cache import find_programs
from tests.cluster.stage.chart_installation import RELEASE, chart_values
from tests.cluster.stage.helm_installation import HelmInstallation, helm_installation
from tests.cluster.stage.installation_manifests import NAMESPACE
from tests.cluster.stage.real_cluster import RealCluster, real_cluster
from tests.e2e.stacks.brokers import DemoBroker
from tests.e2e.stacks.manifests import cluster_broker, instance

# A cluster of its own is made for it, too.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """One of its own: other installations have left rights in the others'."""
    with real_cluster(tmp_path_factory.mktemp("cluster"), find_programs()) as started:
        yield started


@pytest.fixture(scope="module")
def chandlery(cluster: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HelmInstallation]:
    values = chart_values(kubernetes={"secrets": {"namespaces": ["default"]}})
    with helm_installation(tmp_path_factory.mktemp("chandlery"), cluster, values=values) as stack:
        yield stack


def state(chandlery: HelmInstallation) -> str:
    """What Helm says of the release."""
    found: str = chandlery.helm.status(RELEASE)["status"]
    return found


def test_release_is_installed_upgraded_and_goes_only_after_its_last_instance(
    cluster: RealCluster, chandlery: HelmInstallation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    migrated = chandlery.jobs.ran[f"{RELEASE}-migrate"]
    assert (migrated.arguments, migrated.code) == (["migrate"], 0)
    assert state(chandlery) == "deployed"

    before = cluster.secret(NAMESPACE, "chandlery-serving")
    chandlery.upgrade(settings={"logLevel": "debug"})
    # Helm applies at the server: what gateways keep is theirs.
    assert before is not None
    assert cluster.secret(NAMESPACE, "chandlery-serving") == before
    level = ("get", "configmap", RELEASE, "--namespace", NAMESPACE, "--output", "jsonpath={.data.CHANDLERY_LOG_LEVEL}")
    assert cluster.kubectl().ok(*level) == "debug"

    with DemoBroker(tmp_path_factory.mktemp("broker")) as broker:
        api = chandlery.api
        assert api.create(cluster_broker("demo", broker.url)).status == 201
        api.await_ready("clusterservicebrokers", "demo")
        assert api.create(instance("kept")).status == 201
        api.await_ready("serviceinstances", "kept")

        with pytest.raises(helm_python.HelmError, match="chandlery-uninstall-check not ready"):
            chandlery.uninstall()
        refused = chandlery.jobs.ran[f"{RELEASE}-uninstall-check"]
        assert refused.code == 1
        assert "1 service instance still exists" in refused.log
        # All of it is still there and at work, and stays if that is wanted after all.
        assert api.read("/apis/servicecatalog.k8s.io/v1beta1/namespaces/default/serviceinstances/kept")[0] == 200
        assert cluster.kubectl().run("get", "deployment", "chandlery-gateway", "--namespace", NAMESPACE).code == 0
        assert state(chandlery) == "uninstalling"
        chandlery.roll_back()
        assert state(chandlery) == "deployed"

        cluster.kubectl().ok("delete", "servicebindings,serviceinstances", "--all", "--all-namespaces")
        cluster.kubectl().ok("delete", "clusterservicebrokers", "--all")
        assert broker.requests()[-1][0] == "DELETE"
    chandlery.unregister()
    chandlery.uninstall()
    assert chandlery.jobs.ran[f"{RELEASE}-uninstall-check"].code == 0
    ours = ("--selector", f"app.kubernetes.io/instance={RELEASE}", "--all-namespaces", "--output", "name")
    kinds = "deployments,services,secrets,configmaps,serviceaccounts,roles,rolebindings,jobs"
    # Without its keys nobody could read what is in the database.
    assert cluster.kubectl().ok("get", kinds, *ours).split() == ["secret/chandlery-encryption"]
    assert cluster.kubectl().ok("get", "clusterroles,clusterrolebindings,apiservices", *ours[:2], *ours[3:]) == ""
