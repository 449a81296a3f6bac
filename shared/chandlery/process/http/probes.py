"""Liveness and readiness over HTTP, in the words of kube-apiserver: `/livez`, `/readyz`, `?verbose`, `?exclude=`.

A worker, and a gateway that has a probe port, serve this as it is; the gateway's application hands its probe paths
here too. What is looked at comes from `readiness`.

Source: Kubernetes, "Kubernetes API health endpoints". Other than there a failure says why: the reasons hold no secret.
"""

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from chandlery.engine.readiness import Finding, Readiness

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PROBE_PATHS: Final = ("/livez", "/healthz", "/readyz")
_PING: Final = "ping"
_MOST_NAMES: Final = 20
"""So many names of parts that nobody knows are repeated to whoever asked for them, and so much of each."""
_LONGEST_NAME: Final = 40
_UNKNOWN = (404, "the probes are /livez, /readyz and /readyz/PART; /readyz?verbose lists the parts")


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question about several parts."""

    what: str
    is_verbose: bool
    excluded: Collection[str]


class ProbeApp:
    """The probe paths as plain ASGI: a worker needs no web framework."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    async def __call__(self, scope: Scope, _receive: Any, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        status, text = await self._answer(scope["path"], scope.get("query_string", b"").decode("latin-1"))
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"cache-control", b"no-cache, private"),
            (b"x-content-type-options", b"nosniff"),
            (b"content-length", b"%d" % len(text.encode())),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})

    async def _answer(self, path: str, query: str) -> tuple[int, str]:
        root, _, part = path.removeprefix("/").partition("/")
        if f"/{root}" not in PROBE_PATHS:
            return _UNKNOWN
        names = [_PING, *self._readiness.names] if root == "readyz" else [_PING]
        if part:
            return await self._answer_one(part, names)
        words = parse_qs(query, keep_blank_values=True)
        asked = _Asked(what=root, is_verbose="verbose" in words, excluded=words.get("exclude", []))
        found = await self._readiness.look([name for name in names if name not in asked.excluded])
        return _answer_all(asked, names, found)

    async def _answer_one(self, part: str, names: Collection[str]) -> tuple[int, str]:
        if part not in names:
            return _UNKNOWN
        found = await self._readiness.look([part])
        failure = "".join(each.failure for each in found)
        return (503, f"{failure}\n") if failure else (200, "ok")


def _answer_all(asked: _Asked, names: Collection[str], found: Collection[Finding]) -> tuple[int, str]:
    is_failed = any(each.is_in_the_way for each in found)
    if not is_failed and not asked.is_verbose:
        return 200, "ok"
    by_name = {each.part.name: each for each in found}
    lines = [_line(name, by_name.get(name), asked.excluded) for name in names]
    unknown = [name[:_LONGEST_NAME] for name in asked.excluded if name not in names][:_MOST_NAMES]
    if unknown:
        quoted = ", ".join(ascii(name) for name in unknown)
        lines.append(f"warn: some checks cannot be excluded: no matches for {quoted}")
    lines.append(f"{asked.what} check {'failed' if is_failed else 'passed'}")
    return 503 if is_failed else 200, "\n".join(lines) + "\n"


def _line(name: str, finding: Finding | None, excluded: Collection[str]) -> str:
    if name in excluded:
        return f"[+]{name} excluded: ok"
    if finding is None or not finding.failure:
        return f"[+]{name} ok"
    without = finding.part.without
    return f"[-]{name} failed{f', {without}' if without else ''}: {finding.failure}"
