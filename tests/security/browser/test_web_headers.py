"""What a browser is told with every answer, and what a page of somebody else gets: nothing."""

from collections.abc import Mapping
from typing import Final

import pytest
from starlette.types import Message, Receive, Scope, Send

from chandlery.settings.settings import Settings
from chandlery_gateway.http.web_headers import WebHeaders
from tests.integration.gateway.api_client import SECRETS, Api, secret
from tests.integration.gateway.conftest import Running

ELSEWHERE: Final = "https://elsewhere.example.com"
FORBIDDEN: Final = {"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"}


def _assert_told(headers: Mapping[str, str]) -> None:
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert set(headers["Content-Security-Policy"].split("; ")) >= FORBIDDEN
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Server" not in headers
    names = [name.lower() for name in headers]
    assert len(names) == len(set(names)), "each is said once"
    assert not [name for name in names if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("token", "request_line", "status", "cache"),
    [
        ("valid", f"GET {SECRETS}", 200, "no-store"),
        # The same for everybody, until the next release.
        ("valid", "GET /api", 200, "no-cache, private"),
        ("valid", "GET /openapi/v2", 200, "no-cache, private"),
        ("valid", f"GET {SECRETS}/nobody", 404, "no-store"),
        ("valid", "GET /nowhere", 404, "no-store"),
        ("valid", "POST /api", 405, "no-store"),
        ("valid", f"POST {SECRETS}", 415, "no-store"),
        ("none", f"GET {SECRETS}", 401, "no-store"),
        ("wrong", f"GET {SECRETS}", 401, "no-store"),
        ("none", "GET /version", 200, "no-cache, private"),
        ("none", "GET /docs", 200, "no-cache"),
        ("none", "GET /docs/openapi.json", 200, "no-cache"),
        ("none", "GET /livez", 200, "no-cache, private"),
        ("none", "HEAD /docs", 405, "no-store"),
    ],
)
@pytest.mark.asyncio(loop_scope="session")
async def test_every_answer_forbids_browsers_to_run_frame_guess_or_keep_it(
    gateway: Running, api: Api, token: str, request_line: str, status: int, cache: str
) -> None:
    sender = {"valid": api, "none": gateway.as_user(None), "wrong": gateway.as_user("a-token-that-nobody-has")}[token]
    answer = await sender.call(*request_line.split())
    assert answer.status == status, answer.payload
    _assert_told(answer.headers)
    assert answer.headers["Cache-Control"] == cache


@pytest.mark.asyncio(loop_scope="session")
async def test_watch_is_told_of_like_every_answer(api: Api) -> None:
    async with api.watch(SECRETS) as watch:
        _assert_told(watch.response.headers)
        assert watch.response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", [SECRETS, f"{SECRETS}/key", "/docs", "/version", "/livez", "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.asyncio(loop_scope="session")
async def test_preflight_of_another_page_is_answered_without_leave(
    gateway: Running, api: Api, path: str, method: str
) -> None:
    asked = {"Origin": ELSEWHERE, "Access-Control-Request-Method": method}
    asked["Access-Control-Request-Headers"] = "authorization"
    for sender in (api, gateway.as_user(None)):
        answer = await sender.call("OPTIONS", path, headers=asked)
        assert answer.status in (401, 404, 405)
        _assert_told(answer.headers)


@pytest.mark.asyncio(loop_scope="session")
async def test_answer_to_another_page_may_not_be_read_by_it(api: Api) -> None:
    answer = await api.call("GET", SECRETS, headers={"Origin": ELSEWHERE})
    assert answer.status == 200
    _assert_told(answer.headers)


@pytest.mark.parametrize(
    "forged",
    [
        {"Host": "elsewhere.example.com"},
        {"Host": "elsewhere.example.com/livez?"},
        {"Host": "elsewhere.example.com/docs#"},
        {"X-Forwarded-Host": "elsewhere.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "host=elsewhere.example.com;proto=https;for=127.0.0.1"},
    ],
    ids=["host", "host with a path", "host with a fragment", "x-forwarded", "forwarded"],
)
@pytest.mark.asyncio(loop_scope="session")
async def test_what_a_client_says_of_its_way_is_not_believed(
    gateway: Running, api: Api, forged: dict[str, str]
) -> None:
    for sender, method, path, status in (
        (api, "GET", "/docs/", 200),
        (api, "GET", "/apis/", 200),
        (api, "GET", f"{SECRETS}//", 200),
        (api, "GET", "/nowhere/", 404),
        (api, "POST", "/api", 405),
        (api, "GET", "/nowhere", 404),
        (gateway.as_user(None), "GET", "/api", 401),
    ):
        answer = await sender.call(method, path, headers=forged)
        assert answer.status == status
        assert "elsewhere" not in str(answer.headers) + answer.payload.decode()
        assert "Location" not in answer.headers
        assert "Strict-Transport-Security" not in answer.headers, "it came by plain HTTP"


@pytest.mark.parametrize("path", ["/api", "/apis", "/openapi/v3"])
@pytest.mark.asyncio(loop_scope="session")
async def test_path_that_is_asked_about_is_not_that_of_the_host_header(api: Api, path: str) -> None:
    forged = {"Host": "gateway/livez?", "Impersonate-User": "system:anonymous"}
    answer = await api.call("GET", path, headers=forged)
    assert answer.status == 403
    assert f'path "{path}"' in answer.message


async def _hsts(scheme: str, seconds: int) -> bytes | None:
    told: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        told.append(message)

    scope = {"type": "http", "scheme": scheme, "headers": [(b"x-forwarded-proto", b"https")]}
    await WebHeaders(app, hsts_seconds=seconds)(scope, receive, send)
    value: bytes | None = dict(told[0]["headers"]).get(b"strict-transport-security")
    return value


async def test_tls_is_promised_over_tls_alone_and_as_long_as_the_operator_says() -> None:
    assert await _hsts("https", 60) == b"max-age=60"
    assert await _hsts("http", 60) is None
    assert await _hsts("https", 0) is None
    assert Settings().hsts_seconds == 365 * 24 * 3600


@pytest.mark.asyncio(loop_scope="session")
async def test_page_in_a_secret_stays_data(api: Api) -> None:
    await api.made(SECRETS, secret("page", html="<script>alert(1)</script>"))
    answer = await api.get(f"{SECRETS}/page")
    assert answer.headers["Content-Type"] == "application/json"
    _assert_told(answer.headers)
