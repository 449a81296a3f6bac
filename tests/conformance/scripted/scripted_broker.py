"""A service broker that answers by script: real HTTP on 127.0.0.1, in the process and on the event loop of the test.

    async with ScriptedBroker() as broker:
        broker.script(PROVISION, Reply(202, {"operation": "op-1"}))
        ...                                       # point the platform at broker.url
        await broker.wait_for(PROVISION, 1)

Replies are taken from a queue per template, then from `always`, then from `scripted_defaults.py`.
"""

import asyncio
import base64
import hmac
import ssl
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.conformance.scripted.scripted_catalog import simple_catalog
from tests.conformance.scripted.scripted_defaults import DefaultBroker
from tests.conformance.scripted.scripted_exchange import Reply, ScriptedReply, SeenRequest, read_request, send
from tests.conformance.scripted.scripted_templates import checked

__all__ = ["Reply", "ScriptedBroker", "ScriptedReply", "SeenRequest", "simple_catalog"]

# An operation of 10,000 characters is legal and grows twelvefold when it is percent-encoded.
_MAX_LINE_BYTES = 256 * 1024


class ScriptedBroker:
    """The broker; `catalog` may be replaced while it runs. At most one of `basic` and `bearer` is asked for."""

    def __init__(
        self,
        catalog: Any = None,
        *,
        credentials: Mapping[str, Any] | None = None,
        basic: tuple[str, str] | None = None,
        bearer: str | None = None,
        path_prefix: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.catalog = simple_catalog() if catalog is None else catalog
        self.seen: list[SeenRequest] = []
        self.url = ""
        self._authorization = _authorization(basic, bearer)
        self._path_prefix = path_prefix.rstrip("/")
        self._tls = tls
        self._defaults = DefaultBroker(credentials)
        self._queues: defaultdict[tuple[str, str | None], deque[ScriptedReply]] = defaultdict(deque)
        self._standing: dict[str, ScriptedReply] = {}
        self._arrived = asyncio.Condition()
        self._answering: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        server = web.Server(
            self._handle, access_log=None, max_line_size=_MAX_LINE_BYTES, max_field_size=_MAX_LINE_BYTES
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self._runner.addresses[0][1]}{self._path_prefix}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._answering:
            task.cancel()
        await self._runner.cleanup()

    def script(self, template: str, *replies: ScriptedReply, only: str | None = None) -> None:
        """Queue replies for the next requests of the template. Raises ValueError if there is no such template.

        `only` is the id of the one instance, or the one binding, that they are for; they go before the others.
        """
        self._queues[checked(template), only].extend(replies)

    def always(self, template: str, reply: ScriptedReply | None) -> None:
        """What to answer whenever nothing is queued; None goes back to the default."""
        self._standing.pop(checked(template), None)
        if reply is not None:
            self._standing[template] = reply

    def unused(self, template: str) -> int:
        """How many queued replies have not been asked for."""
        return sum(len(queue) for (name, _), queue in self._queues.items() if name == checked(template))

    def seen_of(self, template: str) -> list[SeenRequest]:
        """The requests of the template so far, in order of arrival."""
        return [request for request in self.seen if request.template == checked(template)]

    async def wait_for(self, template: str, count: int = 1, timeout_seconds: float = 30.0) -> list[SeenRequest]:
        """Wait until `count` requests of the template have arrived (not: been answered); raises TimeoutError."""
        try:
            async with asyncio.timeout(timeout_seconds), self._arrived:
                await self._arrived.wait_for(lambda: len(self.seen_of(template)) >= count)
        except TimeoutError:
            arrived = [request.template for request in self.seen]
            raise TimeoutError(f"waited for {count} x {template!r}, but saw {arrived}") from None
        return self.seen_of(template)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        seen = await read_request(request, path_prefix=self._path_prefix)
        self.seen.append(seen)
        async with self._arrived:
            self._arrived.notify_all()
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            return await send(self._choose(seen), request)
        finally:
            seen.answered_at = time.monotonic()
            self._answering.discard(task)

    def _choose(self, seen: SeenRequest) -> Reply:
        sent = seen.headers.get("Authorization", "")
        if self._authorization is not None and not hmac.compare_digest(sent.encode(), self._authorization.encode()):
            return Reply(401, {"description": "credentials are missing or wrong"})
        subject = seen.ids.get("binding_id") or seen.ids.get("instance_id")
        queue = self._queues.get((seen.template, subject)) or self._queues[seen.template, None]
        scripted = queue.popleft() if queue else self._standing.get(seen.template)
        if scripted is None:
            scripted = self._defaults.reply(seen, catalog=self.catalog)
        reply = scripted(seen) if callable(scripted) else scripted
        self._defaults.learn(seen, reply)
        return reply


def _authorization(basic: tuple[str, str] | None, bearer: str | None) -> str | None:
    if basic is not None and bearer is not None:
        raise ValueError("basic and bearer exclude each other")
    if basic is not None:
        return "Basic " + base64.b64encode(f"{basic[0]}:{basic[1]}".encode()).decode()
    return f"Bearer {bearer}" if bearer is not None else None
