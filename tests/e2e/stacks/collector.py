"""Where processes under test send traces: straight to the receiver or, for `make collector`, through a real one."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from machine.collector import collector
from tests.e2e.stacks.programs import LOOPBACK, Program, free_port
from tests.e2e.stacks.trace_receiver import TraceReceiver, trace_receiver
from tests.support.waiting import wait_for

IS_REAL: Final = os.environ.get("CHANDLERY_TEST_COLLECTOR") == "1"
"""Whether there is a real collector in between, which sends headers of its own."""


@contextmanager
def collecting(folder: Path) -> Iterator[TraceReceiver]:
    """Take what comes until the end of the block. `url` is where exporters are to send it."""
    with trace_receiver() as receiver:
        if not IS_REAL:
            yield receiver
            return
        port = free_port()
        program = Program("collector", _command(port, receiver.url), environment={}, log=folder / "collector.log")
        program.start()
        try:
            wait_for(lambda: _is_open(port), bool, what="the collector")
            receiver.url = f"http://{LOOPBACK}:{port}"
            yield receiver
        finally:
            program.stop()


def _command(port: int, behind: str) -> list[str]:
    # Sent on as it comes: tests wait for every span.
    return [
        str(collector()),
        "start",
        f"--otlp-http-endpoint={LOOPBACK}:{port}",
        f"--otlp-grpc-endpoint={LOOPBACK}:{free_port()}",
        "--exporter=otlp",
        f"--otlp-exporter-endpoint={behind}",
        "--otlp-exporter-protocol=http",
        "--disable-batching",
    ]


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((LOOPBACK, port)) == 0
