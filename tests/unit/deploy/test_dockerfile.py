"""The Dockerfiles: what they copy is there and in the build context, and they end as a process without rights."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FILES = ("Dockerfile", "demo-broker.Dockerfile")


def instructions(path: Path) -> list[tuple[str, str]]:
    """Instruction and argument of each line, continued lines joined, comments left out."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined) if word]


def copied(path: Path) -> list[str]:
    """What COPY takes from the build context."""
    sources: list[str] = []
    for word, argument in instructions(path):
        if word == "COPY" and not argument.startswith("--from="):
            sources += argument.split()[:-1]
    return sources


@pytest.mark.parametrize("name", FILES)
def test_dockerfile_copies_what_is_in_the_build_context(root: Path, name: str) -> None:
    ignore = (root / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    allowed = [line[1:].rstrip("/") for line in ignore if line.startswith("!")]
    sources = copied(root / "deploy" / name)
    assert sources
    for source in sources:
        assert (root / source).exists(), f"{source} does not exist"
        assert any(source.rstrip("/") == entry or source.startswith(f"{entry}/") for entry in allowed), source


def test_build_context_has_everything_that_the_wheel_is_made_of(root: Path, project: dict[str, Any]) -> None:
    sources = {source.rstrip("/") for source in copied(root / "deploy/Dockerfile")}
    licenses = {name for name in project["license-files"] if not name.startswith("services/")}
    assert sources >= {"pyproject.toml", "shared", "services", project["readme"], *licenses}


@pytest.mark.parametrize("name", FILES)
def test_dockerfile_ends_without_root_rights(root: Path, name: str) -> None:
    users = [argument for word, argument in instructions(root / "deploy" / name) if word == "USER"]
    # Kubernetes refuses runAsNonRoot for a user that is given by name.
    assert users == ["65532:65532"]


def test_image_and_chart_agree_on_the_user(root: Path, chart_folder: Path) -> None:
    [user] = [argument for word, argument in instructions(root / "deploy/Dockerfile") if word == "USER"]
    context = yaml.safe_load((chart_folder / "values.yaml").read_text())["podSecurityContext"]
    assert user == f"{context['runAsUser']}:{context['runAsGroup']}"


def test_image_starts_the_console_command(root: Path, project: dict[str, Any]) -> None:
    [entry] = [json.loads(text) for word, text in instructions(root / "deploy/Dockerfile") if word == "ENTRYPOINT"]
    assert entry == list(project["scripts"])


@pytest.mark.parametrize(("name", "count"), [("Dockerfile", 3), ("demo-broker.Dockerfile", 1)])
def test_image_installs_only_what_has_a_locked_hash(root: Path, name: str, count: int) -> None:
    steps = [argument for word, argument in instructions(root / "deploy" / name) if word == "RUN"]
    installs = [part for step in steps for part in step.split("&&") if re.search(r"\bpip\b.* install\b", part)]
    assert len(installs) == count
    for each in installs:
        assert "--require-hashes" in each or "--no-deps --no-index" in each
