"""What `make cluster-servers` has built: it is what this checkout's recipe makes, or one is told what helps."""

import json
import shutil
from pathlib import Path

import pytest

from kubernetes_build import cluster_cache
from kubernetes_build.cluster_cache import PROGRAMS, VERSION, cache_folder, find_programs, what_is_wrong, write_record
from machine.console import MissingSoftwareFault


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    folder = cache_folder()
    folder.mkdir(parents=True)
    for name in PROGRAMS:
        (folder / name).write_text(name)
    write_record(folder, source="1", compiler="go")
    return folder


def test_what_was_built_is_found(filled: Path) -> None:
    assert find_programs().apiserver == filled / "kube-apiserver"
    assert what_is_wrong(filled) == ""


@pytest.mark.parametrize("name", [*PROGRAMS, "built.json"])
def test_a_file_that_is_gone_is_missed(filled: Path, name: str) -> None:
    (filled / name).unlink()
    with pytest.raises(MissingSoftwareFault, match="make cluster-servers"):
        find_programs()


def test_a_program_that_was_changed_is_seen(filled: Path) -> None:
    (filled / "kube-apiserver").write_text("another")
    assert what_is_wrong(filled) == "kube-apiserver in the cache is not as it was built."


def test_what_an_older_recipe_made_is_seen(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_cache, "RECIPE", cluster_cache.RECIPE + 1)
    assert what_is_wrong(filled) == "The servers of a real cluster were built by another recipe."


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"version": VERSION})])
def test_a_record_that_says_nothing_counts_as_none(filled: Path, text: str) -> None:
    (filled / "built.json").write_text(text)
    assert what_is_wrong(filled) != ""


def test_a_relative_folder_of_the_user_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert (
        cache_folder() == Path.home() / ".cache" / "chandlery" / "cluster-servers" / f"{VERSION}-{cluster_cache.RECIPE}"
    )


def test_etcd_that_is_missing_is_told(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingSoftwareFault, match="etcd"):
        find_programs()
