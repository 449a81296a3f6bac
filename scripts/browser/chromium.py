"""Starts Chromium: that of the machine, else Debian's. It keeps its profile in a folder that is thrown away."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import aiohttp

from browser.tab import Tab
from machine.console import MachineFault
from machine.debian import install

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_START_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.05
_SWITCHES: Final = (
    "--headless=new",
    "--no-first-run",
    "--no-default-browser-check",
    # It looks for updates, and for other machines that it might show things on.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    # Containers have little of it.
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


def chromium() -> str:
    """The program.

    Raises:
        MissingSoftwareFault: there is none, and it cannot be installed here; the text names Debian's package.
    """
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    install(["chromium"], why="Chromium is missing, which looks at the site of the documentation.")
    return _NAMES[0]


@asynccontextmanager
async def browsing(*, width: int = 1280, height: int = 900) -> AsyncIterator[Tab]:
    """A tab of a browser of its own, which ends with the block.

    Raises:
        MachineFault: it does not say within half a minute where it listens.
    """
    with tempfile.TemporaryDirectory(prefix="chandlery-browser-", ignore_cleanup_errors=True) as profile:
        # Chromium has no sandbox for root.
        sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
        window = f"--window-size={width},{height}"
        process = await asyncio.create_subprocess_exec(
            *(chromium(), *_SWITCHES, *sandbox, window, f"--user-data-dir={profile}", "about:blank"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
        )
        try:
            port = await _port(Path(profile) / "DevToolsActivePort", process)
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    [page] = [each for each in await answer.json() if each["type"] == "page"]
                async with (
                    session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket,
                    Tab(socket) as tab,
                ):
                    yield tab
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _port(file: Path, process: asyncio.subprocess.Process) -> int:
    """It writes the port that it has got into a file of its profile."""
    deadline = asyncio.get_running_loop().time() + _START_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        if process.returncode is not None:
            raise MachineFault(f"Chromium ended with status {process.returncode} instead of listening")
        if written := await asyncio.to_thread(_lines, file):
            return int(written[0])
        await asyncio.sleep(_PAUSE_SECONDS)
    raise MachineFault(f"Chromium did not listen within {_START_SECONDS:.0f} seconds")


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []
