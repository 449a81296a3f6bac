"""Fast service brokers as processes of their own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.four_processes import free_port

_PROGRAM = str(Path(__file__).parents[1] / "fast_broker.py")


@contextlib.contextmanager
def fast_broker(*options: str) -> Iterator[str]:
    """The address of one that listens; `options` are those of `fast_broker.py`."""
    port = free_port()
    command = [sys.executable, _PROGRAM, "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        if not process.stdout.readline():
            raise SystemExit("the fast broker did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=10)
