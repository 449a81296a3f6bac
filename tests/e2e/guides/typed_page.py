"""The consoles of a page, typed word for word: each command has to succeed, and to print what the page says."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.stacks.programs import CHANDLERY, REPOSITORY, clean_environment

_CONSOLE: Final = re.compile(r"^ *```console\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_COMMAND: Final = re.compile(r"^\$ (.*\n(?:> .*\n)*)((?:(?!\$ ).*\n)*)", re.MULTILINE)
_GOES_ON: Final = re.compile(r"^> ", re.MULTILINE)
# What differs from run to run and from release to release: ages, addresses of loopback, ids, revisions, counts.
_CHANGING: Final = (
    (re.compile(r"\b\d+(ms|s|m|h)\b"), "AGE"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b\d{4}_\d\d_\d\d_\w+"), "REVISION"),
    (re.compile(r"\b\d[\d.,]*(?= |$)", re.MULTILINE), "NUMBER"),
    (re.compile(r" {2,}"), "  "),
    (re.compile(r" +$", re.MULTILINE), ""),
)
_REFUSALS: Final = ("The ", "Error from server", "error: ", "the database is empty")
"""How kubectl and chandlery begin when something is refused or amiss."""
_SECONDS: Final = 90.0


@dataclass(frozen=True)
class Line:
    """A command, and what the page says that it prints."""

    command: str
    expected: str


def lines_of(page: str, heading: str) -> list[Line]:
    """The commands of the consoles under a heading `## …` of a page in `docs/`, in their order."""
    text = (REPOSITORY / "docs" / page).read_text()
    assert f"\n## {heading}\n" in text, f"{page} has no heading {heading!r}"
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = [each for block in _CONSOLE.findall(section) for each in _COMMAND.findall(block)]
    return [Line(_GOES_ON.sub("", command), expected) for command, expected in found]


def without_what_changes(text: str) -> str:
    """A text in which ages, ids and addresses are words."""
    for pattern, word in _CHANGING:
        text = pattern.sub(word, text)
    return text


class Shell:
    """Types lines where the examples are; kubectl has a home and a kubeconfig of its own."""

    def __init__(self, folder: Path, kubectl: Path, **environment: str) -> None:
        programs = folder / "programs"
        programs.mkdir()
        (programs / "kubectl").symlink_to(kubectl)
        (programs / "chandlery").symlink_to(CHANDLERY)
        self._folder = folder
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self._environment: Mapping[str, str] = clean_environment(**environment, PATH=path, HOME=str(folder), LC_ALL="C")

    def type(self, *lines: Line) -> None:
        """All lines in one shell each; fails at the first that does not do what the page says."""
        for line in lines:
            printed = self.run(line.command, fails=line.expected.startswith(_REFUSALS))
            as_said = without_what_changes(printed) == without_what_changes(line.expected)
            assert as_said, f"{line.command}\n{printed}instead of\n{line.expected}"

    def run(self, command: str, *, fails: bool = False) -> str:
        """What it prints; it has to succeed, or to fail where that is what the page shows."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert (done.returncode != 0) == fails, f"{command}\n{done.stdout}(exit code {done.returncode})"
        return done.stdout
