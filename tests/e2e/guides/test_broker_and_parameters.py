"""Guides to writing a service broker and to parameters: each command is typed, with the example of both."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Launcher
from tests.e2e.guides.typed_page import Shell, lines_of
from tests.e2e.stacks.kubectl import kubectl_path
from tests.e2e.stacks.programs import REPOSITORY
from tests.e2e.stacks.stacks import EmbeddedStack

EXAMPLE = REPOSITORY / "examples" / "sqlite_broker"


@pytest.fixture
def shell(embedded: EmbeddedStack, tmp_path: Path, launch: Launcher) -> Shell:
    shutil.copytree(EXAMPLE, tmp_path / "examples" / "sqlite_broker")
    command = [sys.executable, str(EXAMPLE / "sqlite_broker.py"), "--folder", str(tmp_path / "databases")]
    broker = launch([*command, "--port", "0", "--password", "correct-horse"], name="sqlite-broker")
    found = re.search(r"listens on (http://\S+)", broker.await_log("sqlite broker listens on"))
    assert found is not None
    manifest = tmp_path / "examples" / "sqlite_broker" / "broker.yaml"
    manifest.write_text(manifest.read_text().replace("http://127.0.0.1:5001", found[1]))
    return Shell(tmp_path, kubectl_path("any"), KUBECONFIG=str(embedded.kubeconfig))


def test_every_command_of_both_guides_prints_what_they_say(shell: Shell, tmp_path: Path) -> None:
    shell.type(*lines_of("write-a-broker.md", "Run it"))
    for heading in ("Parameters of an instance", "Credentials of a binding", "New credentials", "Away with it"):
        shell.type(*lines_of("parameters.md", heading))
    shell.type(*lines_of("write-a-broker.md", "Use it"))
    assert list((tmp_path / "databases").iterdir()) == []
