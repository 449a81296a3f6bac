"""ASGI middleware for fuzzing: counts requests and answers, and knows what was served when the loop was held."""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.security.loop_watchdog import LoopWatchdog

MOST_BYTES = 4 * 1024 * 1024
"""Of a body that is kept; none that is taken is larger."""
_OF_LATE = 3
_SERVER_ERROR = 500


@dataclass
class SeenRequest:
    """One request, with all that it takes to send it again."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)
    status: int = 0

    def __str__(self) -> str:
        user = next((value for name, value in self.headers if name == "authorization"), "nobody")
        told = f"answered {self.status}" if self.status else "not answered yet"
        return f"{self.method} {self.target[:200]} with {len(self.body)} bytes, {told}, sent with {user}"


class SeenRequests:
    """Everything that one gateway is asked. Put around it by `around`."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.server_errors: list[SeenRequest] = []
        self._now: list[SeenRequest] = []
        self._of_late: deque[SeenRequest] = deque(maxlen=_OF_LATE)

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application, looked at."""

        async def looked_at(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            with self._noted(_seen(scope)) as seen:
                await app(scope, *_listening(seen, receive, send))

        return looked_at

    def about_now(self) -> list[SeenRequest]:
        """What is being served, and what was a moment ago."""
        return [*self._now, *self._of_late]

    @contextmanager
    def _noted(self, seen: SeenRequest) -> Iterator[SeenRequest]:
        self._now.append(seen)
        try:
            yield seen
        finally:
            self._now.remove(seen)
            self._of_late.append(seen)
            self.statuses[seen.status] += 1
            if seen.status >= _SERVER_ERROR:
                self.server_errors.append(seen)


class AttentiveWatchdog(LoopWatchdog):
    """Notes with each hold which requests were about."""

    def __init__(self, seen: SeenRequests) -> None:
        super().__init__()
        self._seen = seen

    def now_served(self) -> list[SeenRequest]:
        """See LoopWatchdog."""
        return self._seen.about_now()


def _seen(scope: Scope) -> SeenRequest:
    query = scope["query_string"].decode("latin-1")
    target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    return SeenRequest(scope["method"], target, headers)


def _listening(seen: SeenRequest, receive: Receive, send: Send) -> tuple[Receive, Send]:
    async def heard() -> Message:
        message = await receive()
        if len(seen.body) < MOST_BYTES:
            seen.body += message.get("body", b"")
        return message

    async def told(message: Any) -> None:
        if message["type"] == "http.response.start":
            seen.status = message["status"]
        await send(message)

    return heard, told
