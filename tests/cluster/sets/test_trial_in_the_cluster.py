"""A trial as Helm itself installs, upgrades and removes it: what the chart makes up stays what it is."""

import shutil
from pathlib import Path
from typing import Any, Final

import helm_python
import pytest
import yaml

from tests.cluster.stage.real_cluster import RealCluster
from tests.unit.deploy.conftest import CHART

RELEASE: Final = "demo"
# Nobody runs pods here, so hooks would wait for ever.
_WITHOUT_HOOKS: Final = {"migration": {"enabled": False}, "uninstall": {"force": True}}
_MADE_UP: Final = ("generated-key", "token", "postgres", "bus")
_KEPT: Final = ("generated-key", "postgres", "bus")
_SECONDS: Final = 60


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart, for a cluster that is older than those that it is for: it has no `policy/v1`."""
    folder = tmp_path_factory.mktemp("chart") / "chandlery"
    shutil.copytree(CHART, folder)
    described = (folder / "Chart.yaml").read_text()
    (folder / "Chart.yaml").write_text(described.replace(">=1.25.0-0", ">=1.20.0-0"))
    for path in folder.rglob("templates/**/*.yaml"):
        path.write_text(path.read_text().replace("apiVersion: policy/v1\n", "apiVersion: policy/v1beta1\n"))
    return folder


@pytest.fixture
def helm(cluster: RealCluster, namespace: str) -> helm_python.Config:
    return helm_python.Config(kubeconfig_path=cluster.admin, namespace=namespace)


def made_up(cluster: RealCluster, namespace: str) -> dict[str, dict[str, str] | None]:
    """What is in each of the Secrets that the chart has made up."""
    return {name: cluster.secret(namespace, f"{RELEASE}-chandlery-{name}") for name in _MADE_UP}


def values(**others: Any) -> dict[str, Any]:
    """Nothing but what this cluster needs."""
    return {**_WITHOUT_HOOKS, **others}


def test_what_is_made_up_stays_through_upgrades_and_a_second_installation(
    cluster: RealCluster, helm: helm_python.Config, namespace: str, chart: Path
) -> None:
    helm.install(chart, RELEASE, values(), timeout=_SECONDS)
    first = made_up(cluster, namespace)
    assert all(first.values())
    helm.upgrade(chart, RELEASE, values(settings={"logLevel": "debug"}), timeout=_SECONDS)
    assert made_up(cluster, namespace) == first

    helm.uninstall(RELEASE, timeout=_SECONDS)
    left = made_up(cluster, namespace)
    assert {name for name, data in left.items() if data} == set(_KEPT)
    # The volumes are there with these passwords, and what is in them is encrypted with this key.
    helm.install(chart, RELEASE, values(), timeout=_SECONDS)
    again = made_up(cluster, namespace)
    assert {name: again[name] for name in _KEPT} == {name: first[name] for name in _KEPT}
    helm.uninstall(RELEASE, timeout=_SECONDS)


def test_what_is_made_up_anew_without_the_cluster_is_refused(
    cluster: RealCluster, helm: helm_python.Config, namespace: str, chart: Path
) -> None:
    """As a tool does it that applies what `helm template` prints."""
    helm.install(chart, RELEASE, values(), timeout=_SECONDS)
    before = made_up(cluster, namespace)
    with helm_python.Chart.load(chart) as loaded:
        files = loaded.render(values(), name=RELEASE, namespace=namespace)
    [text] = [text for path, text in files.items() if path.endswith("generated-secrets.yaml")]
    for body in filter(None, yaml.safe_load_all(text)):
        name = body["metadata"]["name"].removeprefix(f"{RELEASE}-chandlery-")
        done = cluster.kubectl().run("apply", "--namespace", namespace, "-f", "-", stdin=yaml.safe_dump(body))
        if name in _KEPT:
            assert done.code == 1, name
            assert "field is immutable when `immutable` is set" in done.err
    after = made_up(cluster, namespace)
    assert {name: after[name] for name in _KEPT} == {name: before[name] for name in _KEPT}
    helm.uninstall(RELEASE, timeout=_SECONDS)


def test_keys_of_one_s_own_are_refused_without_the_one_that_was_made_up(
    cluster: RealCluster, helm: helm_python.Config, namespace: str, chart: Path
) -> None:
    own = {"database": {"source": "builtIn"}, "amqp": {"source": "builtIn"}, "auth": {"generate": True}}
    helm.install(chart, RELEASE, values(**own, encryption={"generate": True}), timeout=_SECONDS)
    mine = f"mine:{'A' * 43}="
    with pytest.raises(helm_python.HelmError, match=r'encryption\.keys lacks the key "generated" of Secret'):
        helm.upgrade(chart, RELEASE, values(**own, encryption={"keys": [mine]}), timeout=_SECONDS)
    made = cluster.secret(namespace, f"{RELEASE}-chandlery-generated-key")
    assert made is not None
    both = {"keys": [mine, made["encryption-keys"]]}
    helm.upgrade(chart, RELEASE, values(**own, encryption=both), timeout=_SECONDS)
    # It is not the release's any more, and stays all the same.
    assert cluster.secret(namespace, f"{RELEASE}-chandlery-generated-key") == made
    stored = cluster.secret(namespace, f"{RELEASE}-chandlery-encryption")
    assert stored == {"encryption-keys": ",".join(both["keys"])}
    helm.uninstall(RELEASE, timeout=_SECONDS)
    assert cluster.secret(namespace, f"{RELEASE}-chandlery-encryption") == stored
