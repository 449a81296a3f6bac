"""A service broker that costs next to nothing, as a process of its own: what a benchmark measures is then the platform.

    python tests/benchmarks/fast_broker.py --port 0 --plans 100 --delay-ms 5 --service slow-service --poll-seconds 10

Every answer is made once, at the start; only method and path of a request decide which one it gets. It remembers
nothing: provision and bind are always 201, update, unbind and deprovision 200, and every operation has succeeded.
The catalog is never delayed. With --poll-seconds provisioning never ends, and each poll is answered by Retry-After;
`GET /polls` then tells how many operations have been polled, and how many seconds too late each poll came since it was
asked the last time. With --etag the catalog is 304 to whoever knows it, and `GET /not-modified` tells how often it was.
Prints `fast broker listens on http://127.0.0.1:<port>` when it does, and stops on SIGTERM or SIGINT.
"""

import argparse
import asyncio
import json
import signal
import time
import uuid
from collections import deque
from http import HTTPStatus
from typing import Any, cast

import httptools
import uvloop

SERVICE = "fast-service"


def service_id(service: str) -> str:
    """The id of the offering of that name; the same in every process."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, service))


SERVICE_ID = service_id(SERVICE)


def plan_id(number: int, service: str = SERVICE) -> str:
    """The id of plan `default` (0) or `plan-<number>`; the same in every process."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{service}/{number}"))


def catalog(plan_count: int, service: str = SERVICE) -> dict[str, Any]:
    """One offering of that name with so many plans."""
    names = ["default", *(f"plan-{number}" for number in range(1, plan_count))]
    plans = [
        {"id": plan_id(number, service), "name": name, "description": f"fast plan {name}", "free": True}
        for number, name in enumerate(names)
    ]
    offering = {"id": service_id(service), "name": service, "description": "answers at once", "bindable": True}
    return {"services": [{**offering, "plan_updateable": True, "plans": plans}]}


def encoded(status: int, body: object, *, further: str = "") -> bytes:
    """A whole HTTP/1.1 response; `further` are whole lines of its head."""
    content = json.dumps(body, separators=(",", ":")).encode()
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n{further}"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


class Answers:
    """The finished responses."""

    def __init__(
        self, plan_count: int, service: str = SERVICE, *, poll_seconds: int = 0, has_etag: bool = False
    ) -> None:
        self.has_etag = has_etag
        self.not_modified_count = 0
        self._poll_seconds = poll_seconds
        self._polled_at: dict[bytes, float] = {}
        self._too_late: list[float] = []
        retry_after = f"Retry-After: {poll_seconds}\r\n"
        self.accepted = encoded(202, {"operation": "provisioning"})
        self.in_progress = encoded(200, {"state": "in progress"}, further=retry_after)
        etag = f'ETag: "{plan_count}"\r\n' if has_etag else ""
        self.catalog = encoded(200, catalog(plan_count, service), further=etag)
        self.not_modified = f"HTTP/1.1 304 Not Modified\r\n{etag}\r\n".encode()
        self.empty = encoded(200, {})
        self.created = encoded(201, {})
        self.bound = encoded(201, {"credentials": {"username": "u", "password": "p"}})
        self.succeeded = encoded(200, {"state": "succeeded"})
        self.malformed = encoded(400, {"description": "malformed request"})
        self.unknown = encoded(404, {"description": "no such endpoint"})

    def choose(self, method: bytes, target: bytes) -> bytes:
        path = target.partition(b"?")[0]
        if path == b"/v2/catalog" and method == b"GET":
            return self.catalog
        if self._poll_seconds:
            return self._choose_pending(method, path)
        if path == b"/not-modified":
            return encoded(200, self.not_modified_count)
        if not path.startswith(b"/v2/service_instances/"):
            return self.unknown
        match method:
            case b"PUT":
                return self.bound if b"/service_bindings/" in path else self.created
            case b"DELETE" | b"PATCH":
                return self.empty
            case b"GET" if path.endswith(b"/last_operation"):
                return self.succeeded
        return self.unknown

    def _choose_pending(self, method: bytes, path: bytes) -> bytes:
        if path == b"/polls":
            told, self._too_late = self._too_late, []
            return encoded(200, {"operations": len(self._polled_at), "too_late": told})
        if not path.endswith(b"/last_operation"):
            return self.accepted if method == b"PUT" else self.unknown
        now = time.monotonic()
        if before := self._polled_at.get(path):
            self._too_late.append(now - before - self._poll_seconds)
        self._polled_at[path] = now
        return self.in_progress


class FastBrokerProtocol(asyncio.Protocol):
    """One connection: answers leave in the order of their requests, those of one read in one write."""

    def __init__(self, answers: Answers, delay_seconds: float) -> None:
        self._answers = answers
        self._delay_seconds = delay_seconds
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._is_last = False
        self._ready: list[bytes] = []
        self._delayed: deque[tuple[bytes, bool]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A transport of uvloop is no subclass of asyncio's, so this can not be an isinstance check.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._is_last:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._ready.append(self._answers.malformed)
            self._is_last = True
        if not self._ready:
            return
        is_catalog = self._ready == [self._answers.catalog] and not self._delayed
        answer, self._ready = b"".join(self._ready), []
        if is_catalog or not self._delay_seconds:
            self._send(answer, self._is_last)
            return
        self._delayed.append((answer, self._is_last))
        # Whichever timer fires first takes the oldest answer, so equal delays can not swap two answers.
        asyncio.get_running_loop().call_later(self._delay_seconds, lambda: self._send(*self._delayed.popleft()))

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def on_message_begin(self) -> None:
        self._target = b""

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_message_complete(self) -> None:
        self._is_last = not self._parser.should_keep_alive()
        self._ready.append(self._answers.choose(self._parser.get_method(), self._target))

    def _send(self, answer: bytes, is_last: bool) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(answer)
        if is_last:
            self._transport.close()


class ConditionalProtocol(FastBrokerProtocol):
    """Looks at the headers, too, for the one that makes a catalog 304."""

    _is_conditional = False

    def on_header(self, name: bytes, _value: bytes) -> None:
        self._is_conditional = self._is_conditional or name.lower() == b"if-none-match"

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._is_conditional:
            self._ready[-1] = self._answers.not_modified
            self._answers.not_modified_count += 1
        self._is_conditional = False


async def serve(port: int, answers: Answers, *, delay_seconds: float) -> None:
    """Listen on 127.0.0.1 until a signal asks to stop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    protocol = ConditionalProtocol if answers.has_etag else FastBrokerProtocol
    server = await loop.create_server(lambda: protocol(answers, delay_seconds), "127.0.0.1", port, backlog=1024)
    print(f"fast broker listens on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="The fastest service broker that is still a correct one.")
    parser.add_argument("--port", type=int, default=5001, help="0 picks a free port (default: %(default)s)")
    parser.add_argument("--plans", type=int, default=1, help="number of plans of the one offering")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="milliseconds before each answer")
    parser.add_argument("--service", default=SERVICE, help="name of the offering, which its ids are made of")
    parser.add_argument("--poll-seconds", type=int, default=0, help="provisioning never ends; pause between polls")
    parser.add_argument("--etag", action="store_true", help="the catalog has one, and is 304 to whoever knows it")
    options = parser.parse_args()
    answers = Answers(max(options.plans, 1), options.service, poll_seconds=options.poll_seconds, has_etag=options.etag)
    uvloop.run(serve(options.port, answers, delay_seconds=options.delay_ms / 1000))


if __name__ == "__main__":
    main()
