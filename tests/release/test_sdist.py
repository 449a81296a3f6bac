"""The sdist: whoever builds from it gets the very wheel that is handed out."""

import hashlib
import tarfile
from pathlib import Path

from tests.release.packages import Packages, run_hatchling
from tests.release.scratch_checkout import scratch_checkout


def test_wheel_built_from_the_sdist_is_the_same_byte_for_byte(packages: Packages, tmp_path: Path) -> None:
    with tarfile.open(packages.sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    [source] = (tmp_path / "unpacked").iterdir()
    run_hatchling(source, tmp_path / "built", "--target", "wheel")
    [wheel] = (tmp_path / "built").iterdir()
    assert wheel.name == packages.wheel.name
    assert _digest(wheel) == _digest(packages.wheel)


def test_sdist_has_source_and_changelog_and_nothing_of_the_machine(packages: Packages) -> None:
    with tarfile.open(packages.sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive}
        owners = {(member.uid, member.gid, member.uname, member.gname) for member in archive}
    assert {"pyproject.toml", "hatch_build.py", "PKG-INFO", "README.md", "LICENSE", "CHANGELOG.md"} <= names
    assert {name.partition("/")[0] for name in names if "/" in name} == {
        *("services", "shared"),
        # Who installs without containers types from docs/production.md.
        *("deploy", "docs", "examples", "requirements"),
    }
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []
    assert owners == {(0, 0, "", "")}


def test_sdist_has_no_passwords_of_whoever_builds_it(tmp_path: Path) -> None:
    checkout = scratch_checkout(tmp_path / "here")
    lines = (checkout.folder / "deploy/.gitignore").read_text().splitlines()
    private = [f"{line}password" if line.endswith("/") else line for line in lines if not line.startswith("#")]
    for name in private:
        path = checkout.folder / "deploy" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("POSTGRES_PASSWORD=sesame")
    assert checkout.git("status", "--porcelain") == ""
    run_hatchling(checkout.folder, tmp_path / "built", "--target", "sdist")
    [sdist] = (tmp_path / "built").iterdir()
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    assert {".env", "secrets/password"} <= set(private)
    assert [name for name in names if name.partition("/deploy/")[2] in private] == []
    assert any(name.endswith("deploy/compose.env.example") for name in names)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
