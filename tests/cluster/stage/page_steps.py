"""The commands of a page of the documentation, word for word, as somebody types them who follows it."""

import os
import re
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.e2e.stacks.programs import CHANDLERY, REPOSITORY, clean_environment

_BLOCK: Final = re.compile(r"(?:^ {7}.*\n|^\n)+", re.MULTILINE)
_IN_A_SENTENCE: Final = re.compile(r"`(.+?)`")
_HELM: Final = """\
#!/bin/sh
echo "helm $*" >> helm.log
for last in "$@"; do :; done
case "$1" in template) cat "rendered/${last##*/}";; esac
"""
_SECONDS: Final = 120.0


def page_text(page: str) -> str:
    """All of it."""
    return (REPOSITORY / "docs" / page).read_text()


def step_of(page: str, heading: str, number: int) -> str:
    """What is to be typed in a step of a list under a heading `## …`: its blocks, or the command in its sentence."""
    section = page_text(page).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    steps = dict(re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |^\*\*|\Z)", section, re.MULTILINE | re.DOTALL))
    blocks = [textwrap.dedent(found).strip("\n") for found in _BLOCK.findall(steps[str(number)]) if found.strip()]
    return "\n".join(blocks or _IN_A_SENTENCE.findall(steps[str(number)])[:1])


class Typing:
    """A shell with the page's programs: kubectl and chandlery themselves, and a helm that only notes what is asked.

    Its `template` prints a file of the folder `rendered` by the name that `--show-only` gives last.
    """

    def __init__(self, folder: Path, kubeconfig: Path, kubectl: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        programs = folder / "programs"
        for made in (programs, folder / "rendered", folder / ".kube"):
            made.mkdir(parents=True)
        (programs / "kubectl").symlink_to(kubectl)
        (programs / "chandlery").symlink_to(CHANDLERY)
        (programs / "helm").write_text(_HELM)
        (programs / "helm").chmod(0o755)
        (folder / ".kube" / "config").symlink_to(kubeconfig)
        path = f"{programs}:{os.environ['PATH']}"
        self.environment = clean_environment(**{**environment, "PATH": path, "HOME": str(folder), "LC_ALL": "C"})
        self.environment.pop("KUBECONFIG", None)

    def type(self, text: str, **environment: str) -> str:
        """Each line has to succeed; answers what is printed."""
        assert text, "there is nothing to type"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            env={**self.environment, **environment},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}(exit code {done.returncode})"
        return done.stdout

    def helm_was_asked(self) -> list[str]:
        """The command lines of Helm so far."""
        log = self.folder / "helm.log"
        return log.read_text().splitlines() if log.exists() else []
