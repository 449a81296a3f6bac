"""The service brokers of these tests: the example in its own process, the scripted one on a thread of its own."""

import asyncio
import http.client
import re
import sys
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, ScriptedReply, SeenRequest
from tests.e2e.stacks.programs import REPOSITORY, Program, clean_environment

ResultT = TypeVar("ResultT")

_REQUEST: Final = re.compile(r"^\d\d:\d\d:\d\d (?P<method>[A-Z]+) (?P<path>\S+) (?P<status>\d+)$", re.MULTILINE)
_CALL_SECONDS: Final = 20.0


class DemoBroker:
    """`examples/demo_broker` as a user starts it, on a free port."""

    def __init__(self, folder: Path, *options: str) -> None:
        script = REPOSITORY / "examples" / "demo_broker" / "broker.py"
        self.program = Program(
            "demo broker",
            [sys.executable, str(script), "--port", "0", *options],
            environment=clean_environment(),
            log=folder / "demo-broker.log",
        )
        self.url = ""

    def __enter__(self) -> Self:
        self.program.start()
        text = self.program.await_log("demo broker listens on")
        found = re.search(r"listens on (http://\S+)", text)
        assert found is not None, text
        self.url = found[1]
        return self

    def __exit__(self, *_: object) -> None:
        self.program.stop()

    def requests(self) -> list[tuple[str, str, int]]:
        """Method, path and answered status of each request so far; catalog requests are left out."""
        matches = _REQUEST.finditer(self.program.log_text())
        seen = [(match["method"], match["path"], int(match["status"])) for match in matches]
        return [request for request in seen if request[1] != "/v2/catalog"]

    def status_of(self, path: str) -> int:
        """What the broker answers to a GET of ours: 200 for an instance or binding it has, 404 otherwise."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        try:
            connection.request("GET", path, headers={"X-Broker-API-Version": "2.17"})
            return connection.getresponse().status
        finally:
            connection.close()

    def log_tails(self) -> dict[str, str]:
        return {"demo broker": self.program.log_tail()}


class Gate:
    """Holds replies back until it is opened."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.event = asyncio.Event()
        self._loop = loop

    def open(self) -> None:
        self._loop.call_soon_threadsafe(self.event.set)


class ScriptedPeer:
    """A scripted broker on a thread of its own, for tests that block; see `tests/conformance/scripted/`."""

    def __init__(self, broker: ScriptedBroker, loop: asyncio.AbstractEventLoop) -> None:
        self._broker = broker
        self._loop = loop
        self.url = broker.url

    def script(self, template: str, *replies: ScriptedReply) -> None:
        self._call(self._on_loop(lambda: self._broker.script(template, *replies)))

    def always(self, template: str, reply: ScriptedReply | None) -> None:
        self._call(self._on_loop(lambda: self._broker.always(template, reply)))

    def hold(self, template: str, reply: Reply | None = None) -> Gate:
        """Hold the next answer to the template back until the gate is opened."""
        gate = Gate(self._loop)
        held = reply or Reply(201)
        self.script(template, Reply(held.status, held.body, gate=gate.event))
        return gate

    def wait_for(self, template: str, count: int = 1) -> list[SeenRequest]:
        """Wait until so many requests have arrived."""
        return self._call(self._broker.wait_for(template, count, _CALL_SECONDS))

    def seen_of(self, template: str) -> Sequence[SeenRequest]:
        return self._broker.seen_of(template)

    def seen(self) -> Sequence[SeenRequest]:
        return list(self._broker.seen)

    def log_tails(self) -> dict[str, str]:
        lines = [f"{one.method} {one.raw_path} answered={one.answered_at is not None}" for one in self._broker.seen]
        return {"scripted broker": "\n".join(lines[-40:])}

    @staticmethod
    async def _on_loop(work: Any) -> None:
        work()

    def _call(self, work: "Coroutine[Any, Any, ResultT]") -> ResultT:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_SECONDS + 5)


@contextmanager
def scripted_peer(catalog: Any = None, **options: Any) -> Iterator[ScriptedPeer]:
    """Run a scripted broker until the end of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="scripted-broker", daemon=True)
    thread.start()

    def call(work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(work, loop).result(_CALL_SECONDS)

    async def build() -> ScriptedBroker:
        return ScriptedBroker(catalog, **options)

    broker = call(build())
    call(broker.__aenter__())
    try:
        yield ScriptedPeer(broker, loop)
    finally:
        call(broker.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CALL_SECONDS)
        loop.close()
