"""ASGI middleware around everything: what browsers are told with each answer, whoever made it.

The API is for programs, but any browser can be led to it, and shows or runs what it takes an answer for. So each
answer, errors included, forbids all of that; a page says itself what it needs (`routes/pages/docs_routes.py`), and
what an answer says wins. There is no CORS: no answer has `Access-Control-*`, and a preflight is refused like any
unknown method. Neither `Host` nor `X-Forwarded-*` is believed: nothing here, and nothing behind it, is decided by them.

Source: OWASP Secure Headers Project; RFC 6797 for `Strict-Transport-Security`, which browsers heed over TLS only.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Header = tuple[bytes, bytes]

NOTHING_MAY_RUN: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_ALWAYS: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", NOTHING_MAY_RUN.encode()),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    # Secrets among it: no cache of a browser or on the way may keep any of it.
    (b"cache-control", b"no-store"),
)
_NAMES: Final = frozenset(name for name, _ in _ALWAYS)


class WebHeaders:
    """Adds them. All of it is put together once; an answer costs one comparison and one longer list."""

    def __init__(self, app: ASGIApp, *, hsts_seconds: int) -> None:
        """`hsts_seconds` is how long a browser that came by TLS shall come by TLS alone; 0 says nothing about it."""
        self._app = app
        promise = (b"strict-transport-security", b"max-age=%d" % hsts_seconds)
        self._over_tls = (*_ALWAYS, promise) if hsts_seconds else _ALWAYS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The server's own word for this connection, not a header's.
        added = self._over_tls if scope.get("scheme") == "https" else _ALWAYS

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _joined(message.get("headers", ()), added)
            await send(message)

        await self._app(scope, receive, told)


def _joined(given: list[Header], added: tuple[Header, ...]) -> list[Header]:
    names = {name for name, _ in given}
    if names.isdisjoint(_NAMES):
        return [*given, *added]
    return [*given, *(header for header in added if header[0] not in names)]
