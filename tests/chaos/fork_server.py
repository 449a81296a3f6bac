"""Forks services from a process that has imported everything: a start costs a moment instead of seconds.

    python -m tests.chaos.fork_server

Reads one JSON object a line: `arguments`, `environment`, `log`; answers each with `{"pid": …}`. The service is a
process like any other, with a session of its own. Ends when its input ends, and all that it has started with it.
"""

import ctypes
import importlib
import json
import os
import signal
import sys
from importlib.metadata import entry_points
from typing import Any, Final

from chandlery.process.service import ENTRY_POINTS
from tests.chaos.fault_injected_service import run

_PR_SET_PDEATHSIG: Final = 1
_LATE_IMPORTS: Final = ("uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.off", "asyncpg", "aiosqlite")


def main() -> None:
    for entry in entry_points(group=ENTRY_POINTS):
        entry.load()
    for name in _LATE_IMPORTS:
        importlib.import_module(name)
    # Whoever is dead is gone at once: nobody here asks how it ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print(json.dumps({"pid": os.getpid()}), flush=True)
    for line in sys.stdin:
        print(json.dumps({"pid": _start(json.loads(line))}), flush=True)


def _start(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _redirect(order["log"])
        os.environ.clear()
        os.environ.update(order["environment"])
        run(order["arguments"])
        os._exit(0)
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    except BaseException:  # noqa: BLE001 - it must not go on as a second fork server
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def _redirect(path: str) -> None:
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
