"""`make release`: what it builds, that it is the same wherever it is built, and that every artefact is signed."""

import hashlib
import json
import os
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import helm_python
import pytest

from releasing.changelog import latest_release
from tests.e2e.stacks.programs import REPOSITORY
from tests.release.made_once import made_once
from tests.release.packages import run_hatchling
from tests.release.scratch_checkout import ScratchCheckout, about_to_release, coming_release
from tests.unit.deploy.test_dockerfile import copied

_VERSION: Final = coming_release()
_DAY: Final = "2027-02-28"
_NAMES: Final = {
    f"chandlery-{_VERSION}-image-context.tar.gz",
    f"chandlery-{_VERSION}-notes.md",
    f"chandlery-{_VERSION}-py3-none-any.whl",
    f"chandlery-{_VERSION}-requirements.txt",
    f"chandlery-{_VERSION}.cdx.json",
    f"chandlery-{_VERSION}.tar.gz",
    f"chandlery-{_VERSION}.tgz",
}
_SIGNER: Final = """\
#!/bin/sh
# Stands for gpg: signs with the sum of what it is given, and keeps a list.
sha256sum <"$2" >"$1"
basename "$2" >>"$SIGNED"
"""


@dataclass(frozen=True)
class Release:
    """One release, built and signed."""

    checkout: ScratchCheckout
    commit: str
    signed: list[str]

    @property
    def folder(self) -> Path:
        return self.checkout.folder / "dist" / _VERSION

    def artefact(self, ending: str) -> Path:
        [found] = (path for path in self.folder.iterdir() if path.name.endswith(ending))
        return found


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """Version, commit, `make release`, as docs/releases.md has them."""

    def make(folder: Path) -> None:
        checkout = about_to_release(folder / "here", _VERSION, _DAY)
        signer = folder / "signer"
        signer.write_text(_SIGNER)
        signer.chmod(0o755)
        command = f"{signer} {{signature}} {{file}}"
        done = checkout.run("release.py", "--sign", command, SIGNED=str(folder / "signed"))
        assert done.returncode == 0, done.stderr
        assert "nothing is signed" not in done.stderr
        printed = {Path(line).name for line in done.stdout.splitlines()}
        assert printed == {path.name for path in (checkout.folder / "dist" / _VERSION).iterdir()}

    folder = made_once(tmp_path_factory, "release", make)
    checkout = ScratchCheckout(folder / "here")
    return Release(checkout, checkout.git("rev-parse", "HEAD"), (folder / "signed").read_text().splitlines())


def test_release_has_everything_that_is_handed_out_and_a_signature_of_each(release: Release) -> None:
    every = _NAMES | {"SHA256SUMS"}
    assert {path.name for path in release.folder.iterdir()} == every | {f"{name}.sig" for name in every}
    assert sorted(release.signed) == sorted(every)
    for name in every:
        told = (release.folder / f"{name}.sig").read_text().split()[0]
        assert told == hashlib.sha256((release.folder / name).read_bytes()).hexdigest()


def test_sums_are_those_of_all_artefacts_and_can_be_checked(release: Release) -> None:
    lines = (release.folder / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1] for line in lines} == _NAMES
    subprocess.run(["sha256sum", "--strict", "--quiet", "--check", "SHA256SUMS"], cwd=release.folder, check=True)


def test_release_is_the_same_byte_for_byte_when_it_is_built_elsewhere(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ScratchCheckout(tmp_path / "a longer name of a folder")
    release.checkout.git("clone", "--quiet", str(release.checkout.folder), str(other.folder))
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    before = os.umask(0o077)
    try:
        done = other.run("release.py")
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    assert "nothing is signed: SIGN= names no command" in done.stderr
    built = other.folder / "dist" / _VERSION
    assert {path.name for path in built.iterdir()} == _NAMES | {"SHA256SUMS"}
    assert (built / "SHA256SUMS").read_text() == (release.folder / "SHA256SUMS").read_text()


def test_wheel_of_a_release_has_its_version_and_its_commit(release: Release) -> None:
    with zipfile.ZipFile(release.artefact(".whl")) as wheel:
        stamp = json.loads(wheel.read("chandlery/build_stamp.json"))
        metadata = wheel.read(f"chandlery-{_VERSION}.dist-info/METADATA").decode()
    assert (stamp["gitCommit"], stamp["gitTreeState"]) == (release.commit, "clean")
    assert f"\nVersion: {_VERSION}\n" in metadata
    for extra in ("all", "aws", "otlp", "pkcs11", "postgresql", "rabbitmq"):
        assert f"\nProvides-Extra: {extra}\n" in metadata


def test_image_context_has_what_the_image_is_built_from_and_gives_the_same_wheel(
    release: Release, tmp_path: Path
) -> None:
    with tarfile.open(release.artefact("-image-context.tar.gz")) as archive:
        archive.extractall(tmp_path / "context", filter="data")
    context = tmp_path / "context"
    for dockerfile in ("Dockerfile", "demo-broker.Dockerfile"):
        assert (context / "deploy" / dockerfile).exists()
        assert [name for name in copied(context / "deploy" / dockerfile) if not (context / name).exists()] == []
    assert not (context / ".git").exists()
    assert not (context / "tests").exists()
    moment = release.checkout.git("log", "-1", "--format=%ct")
    run_hatchling(context, tmp_path / "built", "--target", "wheel", SOURCE_DATE_EPOCH=moment)
    [wheel] = (tmp_path / "built").iterdir()
    assert wheel.read_bytes() == release.artefact(".whl").read_bytes()


def test_chart_of_a_release_is_the_chart_of_its_commit(release: Release) -> None:
    folder = release.checkout.folder / "deploy/chart/chandlery"
    packed, loose = _rendered(release.artefact(f"{_VERSION}.tgz")), _rendered(folder)
    assert packed == loose
    assert packed["metadata"]["version"] == packed["metadata"]["appVersion"] == _VERSION
    with tarfile.open(release.artefact(f"{_VERSION}.tgz")) as archive:
        names = archive.getnames()
    # Both are links to other folders in the source.
    assert "chandlery/files/alerts/chandlery.rules.yaml" in names
    assert "chandlery/files/dashboards/chandlery-overview.json" in names
    assert "chandlery/values.schema.json" in names


def test_notes_are_the_section_of_the_changelog_that_the_version_was_given(release: Release) -> None:
    notes = release.artefact("-notes.md").read_text()
    changelog = (release.checkout.folder / "CHANGELOG.md").read_text()
    assert f"## [Unreleased]\n\n## [{_VERSION}] - {_DAY}\n" in changelog
    section = changelog.partition(f"## [{_VERSION}] - {_DAY}\n")[2].partition("\n## [")[0]
    assert notes == f"# Chandlery {_VERSION}\n\n{section.strip()}\n"
    listed = (release.checkout.folder / "docs/releases.md").read_text()
    before = latest_release((REPOSITORY / "CHANGELOG.md").read_text())
    assert f"| {_VERSION} | {_DAY} | `v{_VERSION}` | 2027-08-28 |\n| {before} |" in listed


def test_bill_of_materials_is_that_of_the_release(release: Release) -> None:
    bill = json.loads(release.artefact(".cdx.json").read_text())
    assert bill["metadata"]["component"]["purl"] == f"pkg:pypi/chandlery@{_VERSION}"
    names = {component["name"] for component in bill["components"]}
    assert {"asyncpg", "aio-pika", "fastapi", "swagger-ui-dist"} <= names
    requirements = release.artefact("-requirements.txt").read_text()
    assert "asyncpg==" in requirements and "--hash=sha256:" in requirements


def _rendered(chart: Path) -> dict[str, Any]:
    with helm_python.Chart.load(chart) as opened:
        values = {"dashboards": {"enabled": True}, "alerts": {"enabled": True}}
        files = opened.render(values, name="demo", namespace="prod")
        # Passwords of a trial, which the engine makes up each time.
        kept = {name: text for name, text in files.items() if not name.endswith("/generated-secrets.yaml")}
        assert len(kept) > 10
        return {"metadata": opened.metadata, "files": kept}
