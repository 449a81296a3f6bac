"""Plays the commands of a transcript in a shell and takes out of the answers what no two runs have in common."""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

import yaml

from tests.e2e.clients.transcripts import Answer, Step
from tests.e2e.stacks.kubectl import Kubectl
from tests.e2e.stacks.programs import REPOSITORY

_SECONDS: Final = 60.0
_UID: Final = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_KNOWN_UIDS: Final = frozenset(_UID.findall((REPOSITORY / "examples/demo_broker/demo_catalog.py").read_text()))
_AGE: Final = r"(?:\d+[smh]){1,2}"
_VARYING: Final = (
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}:[0-9a-f]{64}\b"), "<keyed checksum>"),
    (re.compile(r"(resourceVersion(\\?\")?: *\\?\"?)\d+"), r"\1<rv>"),
    (re.compile(r"(Resource Version: +)\d+"), r"\1<rv>"),
    (re.compile(rf"(?<![-\w./=]){_AGE}(?: \(x\d+ over {_AGE}\))?(?:$| {{2,}})", re.MULTILINE), "<age>   "),
    (re.compile(r"\b[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ (\w+\.go):\d+\]"), r"<log> \1]"),
    (re.compile(r"(?<=[a-z])\.[0-9a-f]{16}\b"), ".<event>"),
    (re.compile(r"https?://127\.0\.0\.1:\d+"), "<address>"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)
# `during 'COMMANDS' PATTERN kubectl get -w …`: once the watch has begun to write, the commands are run; the watch ends
# when it has written what the pattern looks for.
_PRELUDE: Final = """
during() {
  local meanwhile=$1 pattern=$2; shift 2
  : >seen  # What the one before has left would pass for the first line of this one.
  "$@" >seen 2>&1 & local watch=$!
  for _ in $(seq 300); do test -s seen && break; sleep 0.05; done
  (eval "$meanwhile") >/dev/null
  for _ in $(seq 300); do grep -q -- "$pattern" seen && break; sleep 0.05; done
  kill $watch 2>/dev/null; wait $watch 2>/dev/null; cat seen
}
"""


class TranscriptPlayer:
    """A shell with one kubectl in it, whose namespace is `namespace`; `$NS` has its name too."""

    def __init__(self, kubectl: Kubectl, *, namespace: str, folder: Path) -> None:
        self.version = f"1.{kubectl.minor_version}"
        self._namespace = namespace
        self._folder = folder
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "kubectl").symlink_to(kubectl.binary)
        config = yaml.safe_load(kubectl.kubeconfig.read_text())
        config["contexts"][0]["context"]["namespace"] = namespace
        (folder / "kubeconfig").write_text(yaml.safe_dump(config))
        (folder / "kubeconfig").chmod(0o600)
        inherited = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        self._environment = {
            **inherited,
            "PATH": f"{folder / 'bin'}:{inherited['PATH']}",
            # Shared with the other transcripts: discovery is cached there.
            "HOME": str(kubectl.home),
            "KUBECONFIG": str(folder / "kubeconfig"),
            "LC_ALL": "C",
            "TZ": "UTC",
            "NS": namespace,
            # Go needs a quarter less of the processor for programs this short.
            "GOGC": "off",
            "GOMAXPROCS": "1",
        }

    def play(self, step: Step, **environment: str) -> Answer:
        """Run the command and answer what it printed, freed of what varies."""
        work = self._folder / "work"
        work.mkdir(exist_ok=True)
        done = subprocess.run(
            ["bash", "-c", _PRELUDE + step.script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**self._environment, **environment},
            cwd=work,
            timeout=_SECONDS,
            check=False,
        )
        return Answer.of(self._steady(done.stdout), self._steady(done.stderr), done.returncode)

    def _steady(self, text: str) -> str:
        text = re.sub(rf"\b{self._namespace}\b", "acme", text)
        text = _UID.sub(lambda found: found[0] if found[0] in _KNOWN_UIDS else "<uid>", text)
        for pattern, stand_in in _VARYING:
            text = pattern.sub(stand_in, text)
        return text
