"""A private PostgreSQL that is shut down at once and comes back, as after a crash. Run with `scripts/` on the path."""

import asyncio
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from machine.places import remove_data
from machine.processes import end, is_alive
from servers.ledger import ServerRecord
from servers.postgres import PostgresServer

_PATIENCE: Final = 90.0


class RestartablePostgres:
    """Durable as a production server: what was committed survives."""

    def __init__(self, pair: str, folder: Path) -> None:
        self._pair = pair
        self._log = folder / "postgres.txt"
        self._server = PostgresServer()
        self._record: ServerRecord | None = None

    @property
    def url(self) -> str:
        assert self._record is not None
        return self._record.url

    async def start(self) -> None:
        """For the first time, or again."""
        self._record = await asyncio.to_thread(self._server.start, self._pair, self._log, previous=self._record)
        deadline = time.monotonic() + _PATIENCE
        while not await asyncio.to_thread(self._server.answers, self._record):
            if time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL did not come up:\n{self._log.read_text()[-2000:]}")
            await asyncio.sleep(0.1)

    async def shut_down_at_once(self) -> None:
        """An "immediate shutdown": nothing is rolled back or written, connections end in mid-word."""
        assert self._record is not None
        for process in self._record.processes:
            os.kill(process.pid, signal.SIGQUIT)
            while is_alive(process):
                await asyncio.sleep(0.02)
        self._record = replace(self._record, processes=())

    def close(self) -> None:
        if self._record is not None:
            for process in self._record.processes:
                end(process)
        remove_data(self._pair)
