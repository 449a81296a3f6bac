"""The version stands in pyproject.toml. What cannot read it there repeats it, and the changelog has its section."""

import re
import tomllib
from importlib.metadata import version as installed_version
from pathlib import Path

import pytest
import yaml

from releasing import release_list
from releasing.version_places import differences
from releasing.versions import chart_version, is_later, is_release

SOURCES = ("shared", "services")
NAMED_IMAGE = re.compile(r"chandlery(?:-[a-z-]+)?:(\d[\w.]*)")


@pytest.fixture(scope="module")
def version(root: Path) -> str:
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def test_processes_say_the_version_of_the_project(version: str) -> None:
    assert installed_version("chandlery") == version


def test_no_source_has_a_version_of_its_own(root: Path, version: str) -> None:
    quoted = re.compile(rf"[\"'][^\"']*\b{re.escape(version)}\b")
    sources = [path for folder in SOURCES for path in (root / folder).rglob("*.py")]
    assert [path.name for path in sources if quoted.search(path.read_text(encoding="utf-8"))] == []
    assert len(sources) > 200


def test_chart_has_the_version_of_the_project(root: Path, version: str) -> None:
    chart = yaml.safe_load((root / "deploy/chart/chandlery/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (chart_version(version), version)


def test_every_file_has_the_version_of_the_project(root: Path) -> None:
    assert differences(root) == []


@pytest.mark.parametrize("file", ["deploy/compose.yaml", "deploy/Dockerfile"])
def test_images_have_the_version_of_the_project(root: Path, version: str, file: str) -> None:
    assert set(NAMED_IMAGE.findall((root / file).read_text())) == {version}


def test_changelog_has_the_latest_release_right_below_what_is_unreleased(root: Path, version: str) -> None:
    titles = re.findall(r"^## (.+)$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert titles[0] == "[Unreleased]"
    found = re.fullmatch(r"\[(.+)\] - (\d{4}-\d\d-\d\d)", titles[1])
    assert found is not None
    latest, day = found.groups()
    assert release_list.date_of((root / "docs/releases.md").read_text(encoding="utf-8"), latest) == day
    assert latest == version if is_release(version) else is_later(version, latest)


def test_changes_of_a_release_stand_under_the_usual_titles(root: Path) -> None:
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    usual = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for release in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        titles = re.findall(r"^### (.+)$", release, re.MULTILINE)
        assert set(titles) <= usual
        assert len(titles) == len(set(titles)), f"a title stands twice in {release.partition(chr(10))[0]}"
