"""What it costs a request to pass the overload guard, in CPU time; run by `python tests/benchmarks/guard_cost.py`."""

import asyncio
import time
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from chandlery.settings.settings import Settings
from chandlery_gateway.http.overload_guard import OverloadGuard
from chandlery_gateway.identity.authentication import ADMINISTRATOR, Authenticator

_TOKEN: Final = "token-of-the-administrator"
_ROUNDS, _REQUESTS = 5, 10_000
_LIST: Final = "/apis/servicecatalog.k8s.io/v1beta1/namespaces/team/serviceinstances"
_HEADERS: Final = [
    (b"host", b"chandlery.example.com"),
    (b"user-agent", b"kubectl/v1.30.0"),
    (b"accept", b"application/json"),
    (b"authorization", f"Bearer {_TOKEN}".encode()),
    (b"content-type", b"application/json"),
    (b"content-length", b"800"),
]
_REQUESTED: Final = [
    ("get", "GET", f"{_LIST}/db", b""),
    ("list", "GET", _LIST, b"limit=500"),
    ("watch", "GET", _LIST, b"watch=1&resourceVersion=55"),
    ("create", "POST", _LIST, b""),
]
_AUTHENTICATOR: Final = Authenticator({_TOKEN: ADMINISTRATOR})


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """The least that an application does: who asks, what is in the body, two kilobytes in return."""
    _AUTHENTICATOR.sender(scope)
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * 2000})


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"{}", "more_body": False}


async def _send(_message: Any) -> None:
    return


async def _microseconds(app: ASGIApp, method: str, path: str, query: bytes) -> float:
    best = float("inf")
    for _ in range(_ROUNDS):
        begun = time.process_time()
        for _ in range(_REQUESTS):
            scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": _HEADERS}
            await app(scope, _receive, _send)
        best = min(best, (time.process_time() - begun) / _REQUESTS)
    return best * 1e6


async def _main() -> None:
    guarded = OverloadGuard(answer, authenticator=_AUTHENTICATOR, settings=Settings(), is_ending=lambda: False)
    for name, method, path, query in _REQUESTED:
        without = await _microseconds(answer, method, path, query)
        with_it = await _microseconds(guarded, method, path, query)
        print(f"{name:7} {without:5.1f} µs without, {with_it:5.1f} µs with the guard: {with_it - without:+.1f} µs")


if __name__ == "__main__":
    asyncio.run(_main())
