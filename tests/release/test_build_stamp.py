"""The note of a build: of which commit it is, and when nothing is noted."""

import json
import subprocess
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tests.e2e.stacks.programs import REPOSITORY
from tests.release.scratch_checkout import ScratchCheckout

StampOf = Callable[[Path], str | None]


@pytest.fixture(scope="module")
def stamp_of() -> StampOf:
    """The build hook is no module of a package: hatchling finds it by its path, and so do we."""
    spec = spec_from_file_location("hatch_build", REPOSITORY / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    found: StampOf = module.stamp_of
    return found


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScratchCheckout:
    """One commit of one file, made at a known time."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    folder = tmp_path / "checkout"
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    (folder / "file").write_text("a")
    made = ScratchCheckout(folder)
    made.commit("one")
    return made


def test_note_is_of_the_commit_and_tells_whether_files_have_changed_since(
    stamp_of: StampOf, checkout: ScratchCheckout
) -> None:
    note = json.loads(stamp_of(checkout.folder) or "")
    seconds = int(checkout.git("log", "-1", "--format=%ct"))
    assert note["gitCommit"] == checkout.git("rev-parse", "HEAD")
    assert note["gitTreeState"] == "clean"
    shown = subprocess.run(
        ["date", "--utc", f"--date=@{seconds}", "+%FT%TZ"], capture_output=True, text=True, check=True
    )
    assert note["buildDate"] == shown.stdout.strip()
    (checkout.folder / "file").write_text("b")
    assert json.loads(stamp_of(checkout.folder) or "")["gitTreeState"] == "dirty"


def test_note_has_the_time_that_the_builder_gives(
    stamp_of: StampOf, checkout: ScratchCheckout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1764547200")
    assert json.loads(stamp_of(checkout.folder) or "")["buildDate"] == "2025-12-01T00:00:00Z"


def test_nothing_is_noted_for_source_in_the_checkout_of_something_else(
    stamp_of: StampOf, checkout: ScratchCheckout
) -> None:
    inner = checkout.folder / "vendored"
    inner.mkdir()
    assert stamp_of(inner) is None


def test_nothing_is_noted_without_git(stamp_of: StampOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stamp_of(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert stamp_of(tmp_path) is None


def test_nothing_is_noted_before_the_first_commit(stamp_of: StampOf, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    assert stamp_of(tmp_path) is None
