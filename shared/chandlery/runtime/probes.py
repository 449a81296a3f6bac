"""Liveness and readiness: what is asked, and the little HTTP server that a worker answers it on."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from chandlery.model.faults import Fault
from chandlery.runtime.resources import Resources

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
PROBE_SECONDS = 3.0


async def unready(resources: Resources, *, needs_bus: bool = True) -> str | None:
    """Why the process cannot work now, or None. The gateway needs no bus: wishes wait in the outbox meanwhile."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await resources.database.ping()
            if needs_bus:
                await resources.bus.ping()
    except Fault as fault:
        return fault.message
    except TimeoutError:
        return f"database or message bus did not answer within {PROBE_SECONDS:.0f} s"
    return None


class ProbeApp:
    """`/livez` and `/readyz`, as plain ASGI: a worker needs no web framework."""

    def __init__(self, resources: Resources, is_ready: Callable[[], bool]) -> None:
        self._resources = resources
        self._is_ready = is_ready

    async def __call__(self, scope: Scope, _receive: Any, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        status, text = await self._answer(scope["path"])
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": f"{text}\n".encode()})

    async def _answer(self, path: str) -> tuple[int, str]:
        if path == "/livez":
            return 200, "ok"
        if path != "/readyz":
            return 404, "there is /livez and /readyz"
        if not self._is_ready():
            return 503, "starting or stopping"
        why = await unready(self._resources)
        return (200, "ok") if why is None else (503, why)
