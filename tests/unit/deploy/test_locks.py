"""The locks: which versions each way of setting up gets, and that they are the same versions."""

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[3] / "requirements"
TOOLS_OF_DEVELOPERS = {"pytest", "mypy", "ruff", "schemathesis", "hypothesis", "kopf"}


def _versions(lock: str) -> dict[str, str]:
    lines = (REQUIREMENTS / lock).read_text().splitlines()
    pins = (line.split(" ")[0].partition("==") for line in lines if "==" in line and line[0] not in " #")
    return {name: version for name, _, version in pins}


def test_demo_needs_no_tool_of_developers() -> None:
    demo = _versions("demo.txt")
    assert demo.keys() >= _versions("runtime.txt").keys() | {"openbrokerapi", "hatchling"}
    assert demo.keys().isdisjoint(TOOLS_OF_DEVELOPERS)
    assert _versions("dev.txt").keys() >= TOOLS_OF_DEVELOPERS


@pytest.mark.parametrize("lock", ["runtime.txt", "image.txt", "demo.txt", "wheel.txt", "demo-broker.txt"])
def test_smaller_locks_have_the_versions_that_the_tests_run_with(lock: str) -> None:
    assert _versions(lock).items() <= _versions("dev.txt").items()


@pytest.mark.parametrize("lock", sorted(path.name for path in REQUIREMENTS.glob("*.txt")))
def test_locks_name_no_index_and_hash_every_package(lock: str) -> None:
    text = (REQUIREMENTS / lock).read_text()
    assert "--index-url" not in text
    assert "--find-links" not in text
    assert "://" not in text
    assert text.count("==") <= text.count("--hash=sha256:")


def test_whatever_is_installed_here_is_checked_by_its_hash_or_comes_from_here() -> None:
    root = REQUIREMENTS.parent
    sources = [*(root / "scripts").rglob("*.py"), *(root / "tests/release").rglob("*.py")]
    places = [root / "Makefile", *(root / ".ci").iterdir(), *sources]
    lines = [(path.name, line.strip()) for path in places for line in path.read_text().splitlines()]
    installs = [
        (name, line)
        for name, line in lines
        # Tests quote what users are told to type.
        if re.search(r"\binstall_into\(|_pip\(|\(\"install\", \"--only|\bpip install [^'\s]*\s*-", line)
        and not line.startswith("def ")
    ]
    # `installing.py` is given its words by the others.
    unchecked = [(name, line) for name, line in installs if "--require-hashes" not in line and "--no-deps" not in line]
    assert unchecked == [("installing.py", '_pip(python, "install", *words)')]
    assert {name for name, _ in installs} >= {"setup_environment.py", "uv.py", "packages.py"}
