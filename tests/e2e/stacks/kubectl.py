"""Stock kubectl as a user runs it: a command line, an exit code, what it prints."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from tests.e2e.stacks.programs import REPOSITORY

KubectlChoice = Literal["any", "debian"]

_TIMEOUT_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Printed:
    """What one command left behind."""

    command: str
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"$ {self.command}\n{self.out}{self.err}(exit code {self.code})"


class Kubectl:
    """One kubectl against one gateway, with a home folder of its own: discovery is cached there, by host and port."""

    def __init__(self, binary: Path, kubeconfig: Path, *, home: Path) -> None:
        self.binary = binary
        self.kubeconfig = kubeconfig
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self._environment = {**os.environ, "HOME": str(home), "KUBECONFIG": str(kubeconfig), "LC_ALL": "C"}

    @property
    def minor_version(self) -> int:
        """`20` of 1.20."""
        text = _version(self.binary)
        return int("".join(digit for digit in text if digit.isdigit()))

    def run(self, *words: str, stdin: str | None = None, folder: Path | None = None, **environment: str) -> Printed:
        """Run it to its end, with these environment variables beside its own."""
        done = subprocess.run(
            [str(self.binary), *words],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            env={**self._environment, **environment},
            cwd=folder or self.home,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        return Printed(" ".join(("kubectl", *words)), done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str, stdin: str | None = None, folder: Path | None = None) -> str:
        """What it prints, when it has to succeed."""
        printed = self.run(*words, stdin=stdin, folder=folder)
        assert printed.code == 0, str(printed)
        return printed.out

    def json(self, *words: str) -> Any:
        """The object that `get …` finds."""
        return json.loads(self.ok("get", *words, "-o", "json"))

    def apply(self, *documents: dict[str, Any]) -> str:
        """Apply the objects."""
        return self.ok("apply", "-f", "-", stdin=manifest(*documents))

    def create(self, *documents: dict[str, Any]) -> str:
        """Create the objects."""
        return self.ok("create", "-f", "-", stdin=manifest(*documents))

    def begin(self, *words: str, output: Path) -> "subprocess.Popen[bytes]":
        """Start it and go on; whoever calls ends it."""
        with output.open("wb") as file:
            return subprocess.Popen(
                [str(self.binary), *words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )


def manifest(*documents: dict[str, Any]) -> str:
    """YAML documents, as people write them into one file."""
    return yaml.safe_dump_all(documents, sort_keys=False)


@cache
def kubectl_path(choice: KubectlChoice) -> Path:
    """`any` is the one on PATH where there is one, `debian` that of Debian 12, out of a cache folder."""
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / "kubectl_cache.py"), choice],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@cache
def _version(binary: Path) -> str:
    done = subprocess.run(
        [str(binary), "version", "--client", "-o", "json"], capture_output=True, text=True, timeout=30, check=True
    )
    version: str = json.loads(done.stdout)["clientVersion"]["minor"]
    return version
