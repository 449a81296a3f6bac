"""Starts `chandlery up` on a fresh folder, and ends it again."""

import base64
import contextlib
import os
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import yaml

from tests.benchmarks.four_processes import COMMAND, Stack, await_ready, end_all, free_port


@contextlib.contextmanager
def embedded(*, command: str = COMMAND, settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[Stack]:
    """The all-in-one, ready. Address, token and certificate are read from the kubeconfig that it writes."""
    with tempfile.TemporaryDirectory(prefix="chandlery-bench-") as folder:
        data, logs, port = Path(folder) / "data", Path(folder), free_port()
        kept = {key: value for key, value in os.environ.items() if not key.startswith("CHANDLERY_")}
        environment = kept | {"CHANDLERY_LOG_LEVEL": "warning"} | dict(settings)
        started = time.perf_counter()
        with (logs / "up.log").open("wb") as log:
            process = subprocess.Popen(
                [command, "up", "--data-dir", str(data), "--port", str(port)], env=environment, stdout=log, stderr=log
            )
        processes = {"up": process}
        try:
            stack = _reached(data / "kubeconfig", processes, logs)
            await_ready(stack, "up", f"{stack.url}/readyz")
            yield replace(stack, start_seconds=time.perf_counter() - started)
        finally:
            end_all(processes, logs, are_logs_read=False)


def _reached(kubeconfig: Path, processes: dict[str, "subprocess.Popen[bytes]"], logs: Path) -> Stack:
    deadline = time.monotonic() + 30
    while not kubeconfig.exists():
        if processes["up"].poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"`chandlery up` did not start:\n{(logs / 'up.log').read_text()[-2000:]}")
        time.sleep(0.005)
    document = yaml.safe_load(kubeconfig.read_text())
    cluster = document["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return Stack(
        urls=(cluster["server"],),
        token=document["users"][0]["user"]["token"],
        processes=processes,
        logs=logs,
        are_logs_read=False,
        trust=ssl.create_default_context(cadata=authority),
    )
