"""The wheel, installed where this checkout is not: it carries all that Chandlery needs when it runs."""

import json
import subprocess
import tomllib
import zipfile
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from chandlery.store.revisions import NEWEST_REVISION, REVISIONS
from tests.e2e.stacks.article_walk import BINDINGS, INSTANCES, Walk, without_ages
from tests.e2e.stacks.brokers import DemoBroker
from tests.e2e.stacks.manifests import copy_examples
from tests.e2e.stacks.programs import REPOSITORY
from tests.e2e.stacks.servers import server_share
from tests.e2e.stacks.stacks import EmbeddedStack, SplitStack, Stack, running
from tests.release.packages import Environment, Packages, environment_without_checkout

_IMPORT_ROOTS = {
    "shared/chandlery": "chandlery",
    **{
        f"services/{name}/chandlery_{name}": f"chandlery_{name}"
        for name in ("gateway", "provisioner", "binder", "syncer")
    },
}


def test_installed_wheel_says_its_version(installed: Environment) -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    said = installed.run("--version")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == f"chandlery, version {version}\n"


def test_wheel_carries_every_file_of_the_services(packages: Packages) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *_IMPORT_ROOTS],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    expected = set()
    for path in filter(lambda each: (REPOSITORY / each).exists(), tracked):
        root = next(each for each in _IMPORT_ROOTS if path.startswith(f"{each}/"))
        expected.add(_IMPORT_ROOTS[root] + path.removeprefix(root))
    with zipfile.ZipFile(packages.wheel) as wheel:
        carried = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert carried - {"chandlery/build_stamp.json"} == expected
    assert {"chandlery_gateway/docs_page/swagger-ui-bundle.js", "chandlery/store/migrations/env.py"} < carried


def test_nothing_of_the_checkout_is_found_from_the_installed_wheel(installed: Environment) -> None:
    look = (
        "import sys, chandlery, chandlery_gateway, chandlery_provisioner, chandlery_binder, chandlery_syncer\n"
        "print('\\n'.join([*sys.path, *(each.__file__ for name, each in sys.modules.items() if 'chandlery' in name)]))"
    )
    told = subprocess.run(
        [str(installed.python), "-c", look],
        cwd=installed.folder,
        env=environment_without_checkout(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(REPOSITORY) not in told
    assert str(installed.folder) in told


def test_installed_wheel_tells_commit_schema_and_versions_to_programs(installed: Environment) -> None:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    told = json.loads(installed.run("version", "--output", "json").stdout)
    assert told["gitCommit"] == commit.stdout.strip()
    assert told["gitTreeState"] in {"clean", "dirty"}
    assert told["databaseSchema"] == {"revision": NEWEST_REVISION, "known": list(REVISIONS)}
    assert {"v1", "servicecatalog.k8s.io/v1beta1", "audit.chandlery.io/v1"} <= set(told["apiVersions"])
    assert told["osbVersions"] == {"newest": "2.17", "oldest": "2.11"}
    # What requirements/image.txt has.
    assert told["extras"] == ["otlp", "postgresql", "rabbitmq"]
    assert yaml.safe_load(installed.run("version", "-o", "yaml").stdout) == told
    assert f"Commit:          {told['gitCommit']} (" in installed.run("version").stdout


def test_what_the_wheel_asks_for_is_what_the_lock_has(installed: Environment) -> None:
    [packages] = (installed.folder / "lib").glob("python3.*/site-packages")
    present = {canonicalize_name(each.name): each.version for each in distributions(path=[str(packages)])}
    asked = [Requirement(text) for each in distributions(path=[str(packages)]) for text in _asked_by(each)]
    assert {"asyncpg", "aio-pika", "fastapi", "opentelemetry-sdk"} <= {each.name for each in asked}
    unmet = [str(each) for each in asked if not each.specifier.contains(present.get(canonicalize_name(each.name), "0"))]
    assert unmet == []


def _asked_by(distribution: Distribution) -> list[str]:
    """By the distribution itself; of ours, by the extras of the image, too."""
    extras = ["", "otlp", "postgresql", "rabbitmq"] if distribution.name == "chandlery" else [""]
    found = [(text, Requirement(text).marker) for text in distribution.requires or ()]
    return [
        text for text, marker in found if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)
    ]


@pytest.mark.parametrize("form", ["embedded", "split"])
def test_instance_is_provisioned_and_bound_by_the_installed_wheel(
    installed: Environment, tmp_path: Path, form: str
) -> None:
    with DemoBroker(tmp_path) as broker:
        if form == "embedded":
            stack = EmbeddedStack(tmp_path, chandlery=installed.chandlery)
            try:
                stack.start()
                _walk(stack, broker, tmp_path)
            finally:
                stack.stop()
            return
        with server_share() as share:
            split = SplitStack(tmp_path, share, has_roles=True, chandlery=installed.chandlery)
            with running(split, share):
                _walk(split, broker, tmp_path)
                checked = installed.run("migrate", "--check", CHANDLERY_DATABASE_URL=share.database_url)
                assert (checked.returncode, checked.stderr) == (0, "")


def _walk(stack: Stack, broker: DemoBroker, folder: Path) -> None:
    copy_examples(folder, broker_url=broker.url)
    walk = Walk(broker, stack, stack.kubectl())
    walk.make(folder)
    assert without_ages(walk.printed["instances"]) == without_ages(INSTANCES)
    assert without_ages(walk.printed["bindings"]) == without_ages(BINDINGS)
    data = yaml.safe_load(walk.printed["secret"])["data"]
    assert (data["username"], data["password"]) == ("YWJj", "MTIzNDU2")
    assert walk.instance_status_at_broker == 200
    page, text = stack.api.read("/docs")
    assert page == 200, text
    said, version = stack.api.read("/version")
    assert said == 200
    assert len(version["gitCommit"]) == 40
