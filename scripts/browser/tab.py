"""One tab, told what to do by the Chrome DevTools Protocol (https://chromedevtools.github.io/devtools-protocol/)."""

import asyncio
import base64
import json
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from machine.console import MachineFault

_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.05
_DOMAINS: Final = ("Page", "Runtime", "Network", "Log")


class Tab:
    """Opens pages, runs scripts in them, takes pictures; remembers what was asked of any server and what went wrong."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading: asyncio.Task[None] | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []

    async def __aenter__(self) -> Self:
        self._reading = asyncio.create_task(self._read())
        for domain in _DOMAINS:
            await self.command(f"{domain}.enable")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its answer. Raises MachineFault if it is refused, or takes half a minute."""
        self._number += 1
        waiting = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        async with asyncio.timeout(_SECONDS):
            answer = await waiting
        if "error" in answer:
            raise MachineFault(f"Chromium refuses {method}: {answer['error'].get('message', answer['error'])}")
        result: dict[str, Any] = answer["result"]
        return result

    async def open(self, address: str) -> None:
        """Go there, and wait until all is loaded that the page itself loads."""
        await self.command("Page.navigate", url=address)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def evaluate(self, script: str) -> Any:
        """What an expression comes to in the page, as JSON has it. Raises MachineFault if it fails there."""
        result = await self.command("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise MachineFault(f"a script fails in the page: {result['exceptionDetails']['text']}: {script}")
        return result["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression is true in the page, and answer it. Raises MachineFault after half a minute."""
        deadline = asyncio.get_running_loop().time() + _SECONDS
        while not (seen := await self.evaluate(script)):
            if asyncio.get_running_loop().time() > deadline:
                raise MachineFault(f"this did not become true in the page within {_SECONDS:.0f} seconds: {script}")
            await asyncio.sleep(_PAUSE_SECONDS)
        return seen

    async def prefer(self, scheme: str) -> None:
        """Say what the system prefers: `light` or `dark`."""
        await self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def type(self, text: str) -> None:
        """Into the field that has the focus."""
        await self.command("Input.insertText", text=text)

    async def picture(self) -> bytes:
        """Of what is in the window, as PNG."""
        shot = await self.command("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
                continue
            self._note(said["method"], said["params"])

    def _note(self, event: str, facts: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(facts["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(facts["exceptionDetails"]["text"])
        elif event == "Log.entryAdded" and facts["entry"]["level"] == "error":
            self.complaints.append(f"{facts['entry']['text']} {facts['entry'].get('url', '')}")
