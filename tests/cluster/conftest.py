"""Tests in a real cluster (kube-apiserver 1.20, controllers, etcd): `make cluster-servers`, then `make test-cluster`.

How to write one:

- `cluster` (`stage/real_cluster.py`) is one cluster for the whole session, up in ten seconds. `cluster.kubectl()` and
  `cluster.kubectl("debian")` are both kubectls as the administrator; `cluster.api()` is a plain client, cheap enough to
  ask again and again. `cluster.user("jane", "devs")` makes a user with a client certificate and answers a kubeconfig,
  which `kubectl(kubeconfig=…)` and `api(…)` take; `cluster.service_account(namespace, name)` does so for a service
  account with its token in a file; `cluster.grant("view", to="devs", kind="Group", namespace=…)` binds a role.
- `chandlery` (`stage/installed.py`) is Chandlery in that cluster, for a module: two gateways behind an APIService, and
  workers, each process with a service account of its own, on PostgreSQL and RabbitMQ. `chandlery.programs["binder"]`
  can be killed and started, `chandlery.relay.cut()` and `open()` are the network between kube-apiserver and the
  gateways. A module that wants other settings has a fixture of its own with `installed_chandlery(…)`.
  Its rights are generous; `chart_installation(…)` (`stage/chart_installation.py`) gives those of the chart alone.
- `shop` is the demo broker, registered there for the whole cluster and in sync.
- `namespace` is a namespace of the test's own. What has no namespace needs a name of the test's own.
- `cluster.kill_apiserver()`, `start_apiserver()`, `restart_apiserver()`, `restart_controllers()`, `rotate_serving()`,
  `rotate_front_proxy()`, `rotate_clients()`: whoever breaks something mends it before the test ends, for the next test
  has the same cluster.
- Garbage collector and quota learn of new kinds each half minute, and at once by `restart_controllers()`.
- Custom resources can be had: create their definitions with names of your own, and delete them. Server-side apply of
  APIServices cannot: 1.20 panics of it.

A failing test shows the logs of everything that took part.
"""

from collections.abc import Iterator

import pytest

from kubernetes_build.cluster_cache import find_programs
from machine.console import MissingSoftwareFault
from tests.cluster.stage.installed import InstalledChandlery, installed_chandlery
from tests.cluster.stage.real_cluster import RealCluster, real_cluster
from tests.e2e.stacks.brokers import DemoBroker
from tests.e2e.stacks.manifests import cluster_broker
from tests.support.shown_logs import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """One for all tests of the session."""
    try:
        programs = find_programs()
    except MissingSoftwareFault as fault:
        pytest.fail(str(fault))
    with real_cluster(tmp_path_factory.mktemp("cluster"), programs) as started:
        yield started


@pytest.fixture(scope="module")
def chandlery(cluster: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstalledChandlery]:
    """Chandlery in the cluster; its `kubectl()` and `api` are the administrator's and go to kube-apiserver."""
    with installed_chandlery(tmp_path_factory.mktemp("chandlery"), cluster, has_two_gateways=True) as stack:
        yield stack


@pytest.fixture(scope="module")
def shop(chandlery: InstalledChandlery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoBroker]:
    """The demo broker, registered for the whole cluster as `demo-broker` and in sync."""
    with DemoBroker(tmp_path_factory.mktemp("broker")) as broker:
        chandlery.kubectl().create(cluster_broker("demo-broker", broker.url))
        chandlery.api.await_ready("clusterservicebrokers", "demo-broker")
        yield broker


@pytest.fixture
def namespace(cluster: RealCluster) -> str:
    """A namespace of the test's own."""
    return cluster.new_namespace()
