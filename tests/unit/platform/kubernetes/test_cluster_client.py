"""The client of a cluster: what it sends, what it makes of answers, and what it does when the server is away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chandlery.model.faults import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Expired,
    Fault,
    Forbidden,
    Invalid,
    NotFound,
    Unavailable,
)
from chandlery.platform.kubernetes.access.cluster_access import ClusterAccess
from chandlery.platform.kubernetes.access.cluster_identity import Content, KnownIdentity
from chandlery.platform.kubernetes.cluster_client import METADATA, ClusterClient
from chandlery.platform.kubernetes.faults import TooManyRequests, Unauthorized, fault_of, is_terminating
from tests.support.waiting import SOON

SECRETS = "/api/v1/namespaces/ship/secrets"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Stand:
    """A server that answers what the test says, and a client for it."""

    def __init__(self) -> None:
        self.answer: Handler | None = None
        self.seen: list[tuple[str, str, dict[str, str], dict[str, str], bytes]] = []
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        self.server = TestServer(application)

    def client(self, **options: Any) -> ClusterClient:
        identity = options.pop("identity", KnownIdentity(token=Content(b"sesame\n")))
        url = str(self.server.make_url("")).rstrip("/")
        return ClusterClient(ClusterAccess(url, namespace="port", identity=identity), **options)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((request.method, request.path, dict(request.query), dict(request.headers), body))
        assert self.answer is not None
        return await self.answer(request)


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    made = Stand()
    await made.server.start_server()
    yield made
    await made.server.close()


@pytest.fixture
async def client(stand: Stand) -> AsyncIterator[ClusterClient]:
    made = stand.client()
    yield made
    await made.close()


def answering(status: int, document: Any, **headers: str) -> Handler:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response(document, status=status, headers=headers)

    return answer


def status_of(code: int, reason: str, message: str, *causes: dict[str, str]) -> dict[str, Any]:
    details = {"name": "rope", "kind": "secrets", **({"causes": list(causes)} if causes else {})}
    return {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}


async def test_each_call_is_sent_as_kube_apiserver_wants_it(stand: Stand, client: ClusterClient) -> None:
    stand.answer = answering(200, {"kind": "Secret"})
    await client.get(f"{SECRETS}/rope", accept=METADATA)
    await client.create(SECRETS, {"kind": "Secret"}, dryRun="All")
    await client.apply(f"{SECRETS}/rope", {"a": 1}, field_manager="chandlery", force=True)
    await client.patch(f"{SECRETS}/rope", [{"op": "test"}], content_type="application/json-patch+json")
    await client.replace(f"{SECRETS}/rope", {"a": 2})
    await client.delete(f"{SECRETS}/rope", {"preconditions": {"uid": "u"}})
    assert [(method, query, body) for method, _, query, _, body in stand.seen] == [
        ("GET", {}, b""),
        ("POST", {"dryRun": "All"}, b'{"kind":"Secret"}'),
        ("PATCH", {"fieldManager": "chandlery", "force": "true"}, b'{"a":1}'),
        ("PATCH", {}, b'[{"op":"test"}]'),
        ("PUT", {}, b'{"a":2}'),
        ("DELETE", {}, b'{"preconditions":{"uid":"u"}}'),
    ]
    headers = [headers for *_, headers, _ in stand.seen]
    assert {each["Authorization"] for each in headers} == {"Bearer sesame"}
    assert headers[0]["Accept"] == METADATA
    assert [each.get("Content-Type") for each in headers[1:4]] == [
        "application/json",
        "application/apply-patch+yaml",
        "application/json-patch+json",
    ]


@pytest.mark.parametrize(
    ("answer", "fault", "words"),
    [
        (status_of(404, "NotFound", 'secrets "rope" not found'), NotFound, 'secrets "rope" not found'),
        (status_of(409, "AlreadyExists", 'secrets "rope" already exists'), AlreadyExists, "already exists"),
        (status_of(409, "Conflict", "the object has been modified"), Conflict, "has been modified"),
        (status_of(403, "Forbidden", "no right"), Forbidden, "no right"),
        (status_of(401, "Unauthorized", "Unauthorized"), Unauthorized, "does not accept our credentials"),
        (status_of(410, "Expired", "too old resource version"), Expired, "too old"),
        (status_of(400, "BadRequest", "bad"), BadRequest, "bad"),
        (status_of(503, "ServiceUnavailable", "etcd is away"), Unavailable, "etcd is away"),
    ],
    ids=lambda value: value.get("reason") if isinstance(value, dict) else None,
)
async def test_refusal_becomes_a_fault_with_the_clusters_words(
    stand: Stand, client: ClusterClient, answer: dict[str, Any], fault: type[Fault], words: str
) -> None:
    stand.answer = answering(answer["code"], answer)
    with pytest.raises(fault, match=words):
        await client.get(SECRETS)


async def test_fields_and_causes_of_a_refusal_are_kept(stand: Stand, client: ClusterClient) -> None:
    cause = {"reason": "FieldValueInvalid", "message": "too long", "field": "metadata.name"}
    stand.answer = answering(422, status_of(422, "Invalid", "it is invalid", cause))
    with pytest.raises(Invalid) as invalid:
        await client.create(SECRETS, {})
    assert [problem.field for problem in invalid.value.problems] == ["metadata.name"]
    gone = {"reason": "NamespaceTerminating", "message": "namespace ship is being terminated", "field": "x"}
    stand.answer = answering(403, status_of(403, "Forbidden", "forbidden", gone))
    with pytest.raises(Forbidden) as forbidden:
        await client.create(SECRETS, {})
    assert is_terminating(forbidden.value)


async def test_when_to_come_back_is_told(stand: Stand, client: ClusterClient) -> None:
    stand.answer = answering(429, status_of(429, "TooManyRequests", "later"), **{"Retry-After": "7"})
    with pytest.raises(TooManyRequests) as fault:
        await client.get(SECRETS)
    assert fault.value.retry_after_seconds == 7


async def test_cluster_with_too_much_to_do_is_asked_again_when_it_wants_to_be(
    stand: Stand, client: ClusterClient
) -> None:
    busy = answering(429, status_of(429, "TooManyRequests", "later"), **{"Retry-After": "0"})

    async def busy_twice(request: web.Request) -> web.StreamResponse:
        return await (busy if len(stand.seen) < 3 else answering(201, {"kind": "Secret"}))(request)

    stand.answer = busy_twice
    assert await client.create(SECRETS, {"kind": "Secret"}) == {"kind": "Secret"}
    assert [body for *_, body in stand.seen] == [b'{"kind":"Secret"}'] * 3
    stand.seen.clear()
    stand.answer = busy
    with pytest.raises(TooManyRequests):
        await client.get(SECRETS)
    assert len(stand.seen) == 4


def test_cluster_is_not_left_alone_for_longer_than_minutes() -> None:
    fault = fault_of(429, b"", retry_after="9" * 400)
    assert isinstance(fault, TooManyRequests)
    assert fault.retry_after_seconds == 300


async def test_piece_of_the_body_in_a_refusal_is_not_repeated(stand: Stand, client: ClusterClient) -> None:
    words = 'ReadString: expects ", error found in #10 byte of ...|{"data":"hunter2|..., bigger context ...|hunter2'
    stand.answer = answering(400, status_of(400, "BadRequest", words))
    with pytest.raises(BadRequest) as fault:
        await client.create(SECRETS, {"data": "hunter2"})
    assert "hunter2" not in fault.value.message


async def test_answer_that_is_no_json_is_not_taken_for_a_clusters(stand: Stand, client: ClusterClient) -> None:
    async def page(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>")

    stand.answer = page
    with pytest.raises(Unavailable, match="no kube-apiserver"):
        await client.get(SECRETS)


async def test_redirect_is_not_followed(stand: Stand, client: ClusterClient) -> None:
    stand.answer = answering(302, {}, Location="http://127.0.0.1:1/")
    with pytest.raises(BadRequest, match="302"):
        await client.get(SECRETS)
    assert len(stand.seen) == 1


async def test_token_that_was_replaced_in_its_file_is_used_after_a_refusal(stand: Stand, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] == "Bearer new":
            return web.json_response({})
        file.write_text("new\n")
        return web.json_response(status_of(401, "Unauthorized", "Unauthorized"), status=401)

    stand.answer = answer
    client = stand.client(identity=KnownIdentity(token=Content(path=file)))
    assert await client.get(SECRETS) == {}
    assert len(stand.seen) == 2
    await client.close()


async def test_cluster_that_is_away_is_unavailable(stand: Stand, client: ClusterClient) -> None:
    await stand.server.close()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await client.get(SECRETS)


async def test_cluster_that_does_not_answer_is_unavailable_in_time(stand: Stand) -> None:
    never = asyncio.Event()

    async def answer(_request: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.json_response({})

    stand.answer = answer
    client = stand.client(timeout_seconds=0.05)
    async with asyncio.timeout(SOON):
        with pytest.raises(Unavailable, match="has not answered within"):
            await client.get(SECRETS)
    await client.close()
    never.set()


async def test_client_that_is_closed_asks_nothing_more(client: ClusterClient) -> None:
    await client.close()
    with pytest.raises(Unavailable, match="about to end"):
        await client.get(SECRETS)


def streaming(*pieces: bytes, then: asyncio.Event | None = None) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if then is not None:
            await then.wait()
        return response

    return answer


async def seen_of(client: ClusterClient) -> list[tuple[str, str]]:
    async with asyncio.timeout(SOON):
        found = client.watch(SECRETS, resourceVersion="7")
        return [(type_, document["metadata"]["resourceVersion"]) async for type_, document in found]


ONE = b'{"type":"ADDED","object":{"metadata":{"resourceVersion":"8"}}}\n'
TWO = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}\n'


async def test_events_of_a_watch_come_whole_however_they_are_cut(stand: Stand, client: ClusterClient) -> None:
    stand.answer = streaming(ONE[:20], ONE[20:] + TWO[:5], TWO[5:])
    assert await seen_of(client) == [("ADDED", "8"), ("BOOKMARK", "9")]
    _, _, query, _, _ = stand.seen[0]
    assert query["watch"] == query["allowWatchBookmarks"] == "true"
    assert query["resourceVersion"] == "7"
    assert 240 <= int(query["timeoutSeconds"]) <= 480


async def test_watch_that_has_expired_says_so(stand: Stand, client: ClusterClient) -> None:
    gone = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'
    stand.answer = streaming(ONE, gone)
    with pytest.raises(Expired, match="too old"):
        await seen_of(client)


async def test_watch_that_falls_silent_ends(stand: Stand) -> None:
    over = asyncio.Event()
    stand.answer = streaming(ONE, then=over)
    client = stand.client(idle_seconds=0.05)
    assert await seen_of(client) == [("ADDED", "8")]
    await client.close()
    over.set()


async def test_nonsense_in_a_watch_is_refused(stand: Stand, client: ClusterClient) -> None:
    stand.answer = streaming(b"<html>\n")
    with pytest.raises(Unavailable, match="no event"):
        await seen_of(client)
