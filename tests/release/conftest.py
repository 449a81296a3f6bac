"""Tests of what is handed out: built, installed away from the checkout, upgraded, restored. `make test-release`.

How to write one:

- `packages` are wheel and sdist of this checkout, built once for all processes of the run.
- `installed` is an environment that has the wheel and the packages of `requirements/image.txt`, and nothing else: made
  once, so nobody installs anything into it. `installed.run("migrate", CHANDLERY_DATABASE_URL=…)` runs a command there;
  `Program(…, [installed.chandlery, "up", …], environment=environment_without_checkout(…))` runs one beside the test.
- `make_environment(folder, *packages, lock=…)` makes another one, in a few seconds.
- `made_once(tmp_path_factory, name, make)` shares among the processes of a run what is costly to make.
- `server_share()` of `tests/e2e/stacks/servers.py` is an empty database on PostgreSQL and a prefix on RabbitMQ.

Modules are run side by side, one process each: a module has one matter, and takes less than a minute by itself. What
takes longest is begun first (`_LONGEST`), so that nobody waits for it alone at the end.
A room for a matter with more than two modules is a folder of its own (`tests/release/upgrade/`).
"""

from pathlib import Path
from typing import Final

import pytest

from tests.e2e.stacks.programs import REPOSITORY
from tests.release.made_once import made_once
from tests.release.packages import Environment, Packages, build_packages, make_environment
from tests.support.shown_logs import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]

_HERE: Final = Path(__file__).parent
_LONGEST: Final = (
    "image/test_image_tree.py",
    "upgrade/test_rollback.py",
    "upgrade/test_rollout.py",
    "recovery/test_drill.py",
    "machine/test_units_run.py",
    "test_release_build.py",
    "test_release_refused.py",
)
"""By their time; xdist by itself begins with the modules that have the most tests, and these have few."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest. Takes effect with `--no-loadscope-reorder`, as `make test-release` has it."""
    places = {_HERE / name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Wheel and sdist of this checkout."""

    def build(folder: Path) -> None:
        build_packages(REPOSITORY, folder)

    folder = made_once(tmp_path_factory, "packages", build)
    [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Packages(wheel, sdist)


@pytest.fixture(scope="session")
def installed(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel and what its image installs. Nobody changes it."""

    def install(folder: Path) -> None:
        make_environment(folder / "environment", packages.wheel)

    return Environment(made_once(tmp_path_factory, "installed", install) / "environment")
