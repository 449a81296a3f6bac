"""Chandlery as Helm itself installs, upgrades and uninstalls it: the real engine, with its hooks and its record.

This cluster is older than those that the chart is for. Two things of it are other ones: `kubeVersion`, and the
APIServices, which this kube-apiserver takes by no server-side apply. They are applied as `chart_installation` does it.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import helm_python

from tests.cluster.stage.chart_installation import RELEASE, ChartInstallation
from tests.cluster.stage.installation_manifests import NAMESPACE, SERVICE, service
from tests.cluster.stage.job_runner import JobRunner, running_jobs
from tests.cluster.stage.real_cluster import RealCluster
from tests.e2e.stacks.servers import ServerShare, server_share
from tests.e2e.stacks.stacks import SERVICES, running
from tests.unit.deploy.conftest import CHART

_SECONDS: Final = 120


class HelmInstallation(ChartInstallation):
    """See the module. `jobs` tells what the hooks have done."""

    def __init__(
        self, folder: Path, share: ServerShare, cluster: RealCluster, *, values: Mapping[str, Any], jobs: JobRunner
    ) -> None:
        self.jobs = jobs
        self.chart = _chart_for_this_cluster(folder)
        self.helm = helm_python.Config(kubeconfig_path=cluster.admin, namespace=NAMESPACE)
        given = {**values, "database": {"url": share.database_url}}
        super().__init__(folder, share, cluster, values=given)

    def migrate(self) -> str:
        """Nothing: a hook has done that."""
        return self.jobs.ran[f"{RELEASE}-migrate"].log

    def upgrade(self, **others: Any) -> None:
        """`helm upgrade` with these values besides. Raises HelmError."""
        with self._charts_own_service():
            self.helm.upgrade(self.chart, RELEASE, {**self.values, **others}, timeout=_SECONDS)

    def roll_back(self) -> None:
        """`helm rollback`. Raises HelmError."""
        with self._charts_own_service():
            self.helm.rollback(RELEASE, timeout=_SECONDS)

    def uninstall(self) -> None:
        """`helm uninstall`. Raises HelmError."""
        self.helm.uninstall(RELEASE, timeout=_SECONDS)

    def _prepare_cluster(self) -> None:
        self.helm.install(self.chart, RELEASE, self.values, create_namespace=True, timeout=_SECONDS)
        self._remove_service()
        for name in SERVICES:
            self.cluster.service_account(NAMESPACE, f"{RELEASE}-{name}")

    @contextmanager
    def _charts_own_service(self) -> Iterator[None]:
        """Let Helm find no other than its own: it would not change what somebody else has changed."""
        self._remove_service()
        try:
            yield
        finally:
            self._remove_service()
            self.cluster.put(*service())
        self.await_available()

    def _remove_service(self) -> None:
        """One that leads to loopback comes in its place."""
        self.cluster.kubectl().ok("delete", "service", SERVICE, "--namespace", NAMESPACE, "--ignore-not-found")


def _chart_for_this_cluster(folder: Path) -> Path:
    chart = folder / "chart"
    shutil.copytree(CHART, chart)
    described = (chart / "Chart.yaml").read_text()
    (chart / "Chart.yaml").write_text(described.replace(">=1.25.0-0", ">=1.20.0-0"))
    (chart / "templates/kubernetes/api-services.yaml").unlink()
    return chart


@contextmanager
def helm_installation(folder: Path, cluster: RealCluster, *, values: Mapping[str, Any]) -> Iterator[HelmInstallation]:
    """Installed until the end of the block, in a cluster where no other has been."""
    with server_share() as share, running_jobs(cluster.api(), NAMESPACE) as jobs:
        stack = HelmInstallation(folder, share, cluster, values=values, jobs=jobs)
        with running(stack, share, behind=stack.reached_by_cluster()):
            yield stack
