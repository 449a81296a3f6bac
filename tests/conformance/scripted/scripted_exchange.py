"""One exchange with the scripted broker: the request as it was seen, the reply as scripted, and the sending of it."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from tests.conformance.scripted.scripted_templates import match_template


@dataclass
class SeenRequest:
    """One request as it came over the wire; times are in seconds of the monotonic clock."""

    template: str
    """Method and path template, such as `PUT /v2/service_instances/{instance_id}`; else `unknown <method> <target>`."""
    method: str
    raw_path: str
    """The request target as sent, still percent-encoded, with its query."""
    ids: Mapping[str, str]
    """The decoded path segments: `instance_id`, `binding_id`."""
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    """Looked up without regard to case."""
    raw_body: bytes = field(repr=False)
    body: Any = field(repr=False)
    """The decoded JSON, None if there was none."""
    seen_at: float
    answered_at: float | None = None
    """When the reply was on its way or the connection dropped; None as long as the request is held."""


@dataclass(frozen=True)
class Reply:
    """What to answer, and how badly.

    `body` is sent as JSON, bytes as they are, None as nothing. First `gate` is awaited, then `delay_seconds` pass, then
    the connection is dropped (`close`) or the reply goes out: one byte of the body every `trickle_seconds` if that is
    set, and no more than `cut_after_bytes` of the announced body before the connection drops.
    """

    status: int = 200
    body: Any = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    close: bool = False
    gate: asyncio.Event | None = None
    trickle_seconds: float = 0.0
    cut_after_bytes: int | None = None


ScriptedReply = Reply | Callable[[SeenRequest], Reply]
"""A reply, or a function that makes one from the request."""


def peak_in_flight(requests: Iterable[SeenRequest]) -> int:
    """How many of the requests were at the broker at the same time, at most."""
    steps: list[tuple[float, int]] = []
    for request in requests:
        steps.append((request.seen_at, 1))
        if request.answered_at is not None:
            steps.append((request.answered_at, -1))
    peak = current = 0
    for _, change in sorted(steps):
        current += change
        peak = max(peak, current)
    return peak


async def read_request(request: web.BaseRequest, *, path_prefix: str) -> SeenRequest:
    """Read the whole request; what is not JSON or fits no template is recorded all the same."""
    raw_body = await request.content.read()
    template, ids = match_template(request.method, request.raw_path, path_prefix=path_prefix)
    return SeenRequest(
        template=template,
        method=request.method,
        raw_path=request.raw_path,
        ids=ids,
        query=dict(parse_qsl(request.raw_path.partition("?")[2], keep_blank_values=True)),
        headers=request.headers.copy(),
        raw_body=raw_body,
        body=_decoded(raw_body),
        seen_at=time.monotonic(),
    )


async def send(reply: Reply, request: web.BaseRequest) -> web.StreamResponse:
    """Send the reply on the connection of the request, with all its delays and faults."""
    if reply.gate is not None:
        await reply.gate.wait()
    if reply.delay_seconds:
        await asyncio.sleep(reply.delay_seconds)
    if reply.close:
        return _drop(request, web.Response(status=reply.status))
    content = _content(reply.body)
    headers = {"Content-Type": "application/json", **reply.headers}
    if not reply.trickle_seconds and reply.cut_after_bytes is None:
        return web.Response(status=reply.status, body=content, headers=headers)
    return await _send_badly(reply, request, content=content, headers=headers)


async def _send_badly(
    reply: Reply, request: web.BaseRequest, *, content: bytes, headers: Mapping[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = len(content)
    await response.prepare(request)
    step = 1 if reply.trickle_seconds else max(len(content), 1)
    sent = content[: reply.cut_after_bytes]
    for start in range(0, len(sent), step):
        if start:
            await asyncio.sleep(reply.trickle_seconds)
        await response.write(sent[start : start + step])
    if len(sent) < len(content):
        return _drop(request, response)
    await response.write_eof()
    return response


def _content(body: Any) -> bytes:
    if body is None:
        return b""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def _drop(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return response


def _decoded(raw_body: bytes) -> Any:
    try:
        return json.loads(raw_body)
    except ValueError:
        return None
