"""Which requests are logged, and what a line tells: never a query, never a header."""

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.http.request_log import RequestLog, Wanted
from chandlery_gateway.identity.authentication import FORWARDED, IDENTITY, Identity

PATH = "/api/v1/namespaces/team/secrets"
ANN = UserInfo(username="ann")


async def serve(
    wanted: Wanted,
    method: str,
    path: str = PATH,
    *,
    token: bytes = b"Bearer good",
    status: int = 201,
    forwarded: tuple[str, ...] = (),
) -> Any:
    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        sender = ANN if token == b"Bearer good" else None
        scope[IDENTITY] = Identity(sender, UserInfo(username="somebody-else"))
        if forwarded:
            scope[FORWARDED] = forwarded
        if not status:
            raise ConnectionResetError
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"hunter2"})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_: Message) -> None:
        return

    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"fieldSelector=hunter2",
        "headers": [(b"authorization", token), (b"x-forwarded-for", b"192.0.2.1")],
        "client": ("127.0.0.1", 7),
    }
    log = RequestLog(app, wanted=wanted)
    with capture_logs() as lines:
        try:
            await log(scope, receive, send)
        except ConnectionResetError:
            assert not status
    return lines


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_request_that_changes_something_is_one_line(method: str) -> None:
    (line,) = await serve("writes", method)
    assert line["event"].startswith(f"{method} {PATH}: 201 in ")
    expected = {"method": method, "path": PATH, "status": 201, "user": "ann", "ip": "127.0.0.1"}
    assert {key: line[key] for key in expected} == expected
    assert line["log_level"] == "info"
    assert "hunter2" not in str(line) and "good" not in str(line)


async def test_address_is_the_one_that_a_front_proxy_has_seen() -> None:
    (line,) = await serve("writes", "POST", forwarded=("10.0.0.1", "203.0.113.7"))
    assert line["ip"] == "203.0.113.7"


@pytest.mark.parametrize(
    ("wanted", "method", "path", "count"),
    [
        ("writes", "GET", PATH, 0),
        ("all", "GET", PATH, 1),
        ("all", "GET", "/livez", 0),
        ("all", "GET", "/readyz/database", 0),
        ("none", "POST", PATH, 0),
    ],
)
async def test_settings_say_what_is_told_of(wanted: Wanted, method: str, path: str, count: int) -> None:
    assert len(await serve(wanted, method, path)) == count


async def test_request_of_nobody_and_one_without_an_answer_are_told_too() -> None:
    (refused,) = await serve("writes", "POST", token=b"Bearer bad", status=401)
    assert (refused["user"], refused["status"]) == ("", 401)
    (abandoned,) = await serve("writes", "POST", status=0)
    assert abandoned["status"] == 499
