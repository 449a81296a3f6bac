"""What docs/operations.md says of backups, done: a copy while it is at work, a loss, and the copy put back."""

import base64
import subprocess
from pathlib import Path

from tests.e2e.stacks.programs import CHANDLERY, clean_environment
from tests.e2e.stacks.stacks import EmbeddedStack
from tests.support.waiting import SOON


def test_what_was_backed_up_is_there_after_a_restore(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path)
    copy, database = tmp_path / "copy.db", stack.data_dir / "chandlery.db"
    try:
        stack.start()
        assert stack.api.create(_secret("before")).status == 201
        _run(CHANDLERY, "backup", "--data-dir", str(stack.data_dir), str(copy))
        assert stack.api.create(_secret("after")).status == 201
        stack.stop()

        _run("rm", "-f", f"{database}-wal", f"{database}-shm")
        _run("install", "-m", "600", str(copy), str(database))
        stack.start()

        assert stack.api.names("secrets") == ["before"]
        found = stack.api.find("secrets", "before")
        assert found is not None
        assert base64.b64decode(found["data"]["password"]) == b"of before"
        assert stack.api.create(_secret("later")).status == 201
    finally:
        stack.stop()


def _secret(name: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"password": f"of {name}"},
    }


def _run(*command: str) -> None:
    subprocess.run(command, check=True, env=clean_environment(), timeout=SOON)
