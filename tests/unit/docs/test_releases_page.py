"""What docs/releases.md promises is what the code, the chart and the tests go by."""

import re
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from chandlery.process.commands.doctor.verdicts.database_verdicts import OLDEST_POSTGRESQL, OLDEST_SQLITE
from chandlery.process.commands.doctor.verdicts.rabbitmq_verdicts import OLDEST as OLDEST_RABBITMQ
from chandlery.reconcile.operation.version_matrix import NEWEST, OLDEST
from tests.unit.deploy.sets import release_changes

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def page() -> str:
    return (ROOT / "docs/releases.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def test_versions_that_it_runs_with_are_those_that_are_looked_for(page: str, project: dict[str, object]) -> None:
    chart = yaml.safe_load((ROOT / "deploy/chart/chandlery/Chart.yaml").read_text())
    kubernetes = str(chart["kubeVersion"]).removeprefix(">=").removesuffix(".0-0")
    newest = ".".join(str(kubernetes_validate.latest_version()).split(".")[:2])
    told = {
        "Python": str(project["requires-python"]).removeprefix(">="),
        "PostgreSQL": _shown(OLDEST_POSTGRESQL),
        "SQLite": _shown(OLDEST_SQLITE),
        "RabbitMQ": _shown(OLDEST_RABBITMQ),
        "Kubernetes, for the chart": kubernetes,
    }
    for name, oldest in told.items():
        assert f"| {name} | {oldest} or newer" in page
    assert f"| Open Service Broker API | {OLDEST} to {NEWEST} " in page
    assert f"the schemas of 1.29 to {newest}," in page


def test_every_version_of_kubernetes_that_it_runs_with_has_an_end_and_none_was_over_before_it(page: str) -> None:
    row = next(line for line in page.splitlines() if line.startswith("| Kubernetes, for the chart |"))
    found = re.search(r"1\.(\d+) to 1\.(\d+): (\d{4}-\d\d-\d\d)", row)
    assert found is not None
    single = {int(minor): day for minor, day in re.findall(r" 1\.(\d+): (\d{4}-\d\d-\d\d)", row.split("Newer ones")[1])}
    newest = int(str(kubernetes_validate.latest_version()).split(".")[1])
    assert [*range(int(found[1]), int(found[2]) + 1), *single] == list(range(25, newest + 1))
    # A newer version is not given up before an older one.
    assert [found[3], *single.values()] == sorted({found[3], *single.values()})


def test_what_has_to_be_kept_at_a_release_is_one_of_its_steps(page: str) -> None:
    steps = page.partition("## How a release is made")[2]
    assert f"python -m {release_changes.__name__} 0.2.0 deploy/chart/chandlery" in steps


def test_every_extra_is_told(page: str, project: dict[str, object]) -> None:
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    table = page.partition("| extra | for |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z0-9]+)`", table)) == set(extras)


def test_first_release_is_the_commit_that_made_it(page: str) -> None:
    assert "| 0.1.0 | 2026-11-30 | `e4f8c337a4c2dc3c9ceb7fdee70b0c61b9d0ac6c` | 2027-05-30 |" in page


def _shown(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
