"""Images that ours build on: what a digest does not hold is refused, and the registry's digests are written."""

import stat
from pathlib import Path

import pytest

import base_images
from machine.console import MachineFault
from supply_chain.images import of_compose, of_dockerfile

DIGEST = f"sha256:{'a' * 64}"
PINNED = f"python:3.11@{DIGEST}"
DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.mark.parametrize(
    ("text", "loose"),
    [
        (f"FROM {PINNED}\n", []),
        ("FROM python:3.11\n", ["python:3.11"]),
        ("FROM python\n", ["python"]),
        ("FROM python@sha256:abc\n", ["python@sha256:abc"]),
        (f"ARG BASE={PINNED}\nFROM ${{BASE}} AS one\nFROM one\n", []),
        ("ARG BASE=python:3.11\nFROM $BASE AS one\nFROM one\n", ["python:3.11"]),
        ("ARG BASE\nFROM ${BASE}\n", [""]),
        (f"FROM --platform=linux/amd64 {PINNED} AS one\nFROM debian AS two\n", ["debian"]),
        ("FROM scratch\n", []),
        (f"FROM {PINNED}\nCOPY --from=busybox:1 /bin/sh /bin/sh\n", ["busybox:1"]),
        (f"FROM {PINNED} AS one\nFROM {PINNED}\nCOPY --chown=1 --from=one a b\nCOPY --from=0 a b\n", []),
        (f"# FROM python\nFROM \\\n  {PINNED}\n", []),
    ],
)
def test_image_without_a_digest_is_found(text: str, loose: list[str]) -> None:
    assert [image.reference for image in of_dockerfile(text) if not image.is_pinned] == loose


def test_images_of_compose_that_are_not_built_here_are_found() -> None:
    text = f"services:\n  a: {{image: postgres:15}}\n  b: {{image: ours, build: .}}\n  c: {{image: 'x@{DIGEST}'}}\n"
    assert [image.is_pinned for image in of_compose(text)] == [False, True]


def test_every_image_of_ours_is_looked_at_and_can_be_given_by_whoever_builds() -> None:
    found = list(base_images.base_images(DEPLOY))
    assert {path.name for path, _ in found} == {
        "Dockerfile",
        "demo-broker.Dockerfile",
        "compose.yaml",
        "compose.cluster.yaml",
    }
    assert {image.name.partition(":")[0] for _, image in found} == {"python", "postgres", "rabbitmq"}
    for path in DEPLOY.glob("*Dockerfile"):
        named = [line for line in path.read_text().splitlines() if line.startswith("FROM ")]
        assert all("${PYTHON_IMAGE}" in line or line.split()[1] == "base" for line in named)


def registry(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A `docker` that answers for the registry, and no other tool."""
    tool = folder / "bin" / "docker"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")


def test_digests_are_written_as_the_registry_gives_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry(tmp_path, monkeypatch, f"test $# -eq 6 && echo {DIGEST}")
    dockerfile, compose = tmp_path / "Dockerfile", tmp_path / "compose.yaml"
    dockerfile.write_text("ARG BASE=python:3.11\nFROM ${BASE} AS one\nFROM ${BASE}\n")
    compose.write_text("services:\n  db:\n    image: postgres:15\n")
    assert base_images.main(["--folder", str(tmp_path)]) == 1
    for _ in range(2):
        assert base_images.main(["--folder", str(tmp_path), "--pin"]) == 0
        assert dockerfile.read_text() == f"ARG BASE=python:3.11@{DIGEST}\nFROM ${{BASE}} AS one\nFROM ${{BASE}}\n"
        assert compose.read_text() == f"services:\n  db:\n    image: postgres:15@{DIGEST}\n"
    assert base_images.main(["--folder", str(tmp_path)]) == 0


def test_registry_that_says_nothing_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry(tmp_path, monkeypatch, "echo 'no such host' >&2; exit 1")
    (tmp_path / "Dockerfile").write_text("FROM python:3.11\n")
    with pytest.raises(MachineFault, match=r"could not tell the digest of python:3.11: no such host"):
        base_images.main(["--folder", str(tmp_path), "--pin"])
    assert (tmp_path / "Dockerfile").read_text() == "FROM python:3.11\n"


def test_folder_without_images_is_not_taken_for_a_pinned_one(tmp_path: Path) -> None:
    with pytest.raises(MachineFault):
        base_images.main(["--folder", str(tmp_path)])
