"""ASGI middleware around everything: one log line for each request that is answered, as far as the settings want it.

Never the query and never a header but the status: selectors and tokens are the user's own.
"""

import time
from http import HTTPStatus
from typing import Final, Literal

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chandlery.process.http.probes import PROBE_PATHS
from chandlery_gateway.identity.authentication import forwarded_for, sender_of

Wanted = Literal["none", "writes", "all"]

log = structlog.get_logger(__name__)

_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_NOBODY: Final = ""
_ABANDONED: Final = 499
"""As other servers note a client that did not wait for its answer."""


class RequestLog:
    """Tells of requests. What is not wanted costs a comparison."""

    def __init__(self, app: ASGIApp, *, wanted: Wanted) -> None:
        """`wanted` is what is told of: nothing, what changes something, or everything but probes."""
        self._app = app
        self._wanted = wanted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, and tell of it at its end: of a watch, when that is over."""
        if not self._is_wanted(scope):
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), _ABANDONED

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._say(scope, status=status, seconds=time.monotonic() - began)

    def _is_wanted(self, scope: Scope) -> bool:
        if scope["type"] != "http" or self._wanted == "none":
            return False
        is_write = scope["method"] in _WRITES
        return is_write or (self._wanted == "all" and not scope["path"].startswith(PROBE_PATHS))

    def _say(self, scope: Scope, *, status: int, seconds: float) -> None:
        sender, ms = sender_of(scope), round(seconds * 1000, 3)
        method, path = scope["method"], scope["path"]
        log.info(
            f"{method} {path}: {status} in {ms:.0f} ms",
            action="serve_request",
            method=method,
            path=path,
            status=status,
            ms=ms,
            user=sender.username if sender else _NOBODY,
            ip=_address(scope),
            outcome=_outcome(status),
        )


def _address(scope: Scope) -> str:
    """Of the client; behind a front proxy what that has seen."""
    forwarded = forwarded_for(scope)
    return forwarded[-1] if forwarded else (scope.get("client") or ("",))[0]


def _outcome(status: int) -> str:
    if status == _ABANDONED:
        return "unknown"
    return "failure" if status >= HTTPStatus.BAD_REQUEST else "success"
