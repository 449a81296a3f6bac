"""More than the gateway can take, and clients that are slow: it says so, cuts them off, and serves the others."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
import pytest_asyncio
from pydantic import SecretStr
from structlog.testing import capture_logs

from chandlery.settings.settings import Settings
from chandlery.store.objects.past_objects import PastPart
from chandlery.store.sealing.sealing import new_key
from chandlery_gateway.http import pipeline
from chandlery_gateway.read.object_reader import ObjectReader
from tests.integration.gateway.api_client import CATALOG, SECRETS, TEAM, Api, instance, namespace, secret
from tests.integration.gateway.conftest import TOKEN, Running, serving
from tests.support.waiting import SOON

INSTANCES: Final = f"{TEAM}/serviceinstances"
LIMIT_BYTES: Final = 1536 * 1024
ANN: Final = "token-of-ann-the-developer"
_SLOW_SECONDS: Final = 1.0

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass
class Line:
    """A connection on which a test says every byte itself."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, text: str) -> None:
        self.writer.write(text.replace("\n", "\r\n").encode())
        await self.writer.drain()

    async def heard(self, part: bytes = b"") -> bytes:
        """What comes until the part, or until the other side hangs up."""
        async with asyncio.timeout(SOON):
            return await (self.reader.readuntil(part) if part else self.reader.read())


@dataclass
class Small:
    """A gateway with few seats and little patience."""

    running: Running

    @property
    def api(self) -> Api:
        return self.running.api

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        url = self.running.session._base_url
        assert url is not None
        line = Line(*await asyncio.open_connection(url.host, url.port, limit=2**24))
        try:
            yield line
        finally:
            line.writer.transport.abort()

    async def half_a_create(self, stack: AsyncExitStack, token: str = TOKEN) -> Line:
        """A creation that has its seat and waits for the rest of its body."""
        line = await stack.enter_async_context(self.line())
        await line.say(
            f"POST {INSTANCES} HTTP/1.1\nHost: x\nAuthorization: Bearer {token}\n"
            "Content-Length: 100\nExpect: 100-continue\n\n"
        )
        # It is told to go on by whoever reads the body, which has a seat.
        await line.heard(b"100 Continue\r\n\r\n")
        return line


@asynccontextmanager
async def _small(tmp_path_factory: pytest.TempPathFactory, **limits: float) -> AsyncIterator[Small]:
    folder = tmp_path_factory.mktemp("small")
    users = folder / "users.csv"
    users.write_text(f"{ANN},ann,ann-1\n")
    settings = Settings.model_validate(
        {
            "database_url": SecretStr(f"sqlite:///{folder / 'chandlery.db'}"),
            "amqp_url": SecretStr("memory:"),
            "encryption_keys": SecretStr(new_key("test")),
            "token": SecretStr(TOKEN),
            "token_file": users,
            "port": 0,
            **limits,
        }
    )
    async with serving(settings) as running:
        await running.give_ann_everything()
        await running.api.made("/api/v1/namespaces", namespace("team"))
        yield Small(running)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def narrow(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Small]:
    """Each user has two seats for changes, one place to wait and two watches; and a client may take its time."""
    limits = {"max_mutating_requests": 4, "max_waiting_requests": 2, "request_wait_seconds": SOON, "max_watches": 4}
    async with _small(tmp_path_factory, **limits, slow_client_seconds=60) as small:
        yield small


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Small]:
    """Limits as they are by default."""
    async with _small(tmp_path_factory) as small:
        yield small


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hasty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Small]:
    """A client may take a second; there are eight connections, half of them for one address, and one watch."""
    limits = {"slow_client_seconds": _SLOW_SECONDS, "max_connections": 8, "max_watches": 1}
    async with _small(tmp_path_factory, **limits) as small:
        yield small


async def test_user_is_told_to_come_back_when_seats_and_queue_are_taken(narrow: Small) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await narrow.half_a_create(stack)
        two = [asyncio.create_task(narrow.api.post(SECRETS, secret(f"more-{number}", a="b"))) for number in range(2)]
        (first,), (waiting,) = await asyncio.wait(two, timeout=SOON, return_when=asyncio.FIRST_COMPLETED)
        refused = first.result()
        assert (refused.status, refused.document["reason"]) == (429, "TooManyRequests")
        assert refused.headers["Retry-After"] == "1"
        assert refused.document["details"]["retryAfterSeconds"] == 1
        # Reading, and another user, have room of their own; and probes need none.
        assert (await narrow.api.get(INSTANCES)).status == 200
        assert (await narrow.api.get("/readyz")).status == 200
        assert (await narrow.running.as_user(ANN).post(SECRETS, secret("of-ann", a="b"))).status == 201
        assert [item["metadata"]["name"] for item in (await narrow.api.get(SECRETS)).document["items"]] == ["of-ann"]
        assert not waiting.done()
    # The connections are gone, so the seats are free.
    assert (await waiting).status == 201


async def test_one_user_leaves_watches_for_the_others(narrow: Small) -> None:
    async with narrow.api.watch(INSTANCES), narrow.api.watch(SECRETS):
        refused = await narrow.api.get(INSTANCES, watch="1")
        assert (refused.status, refused.document["reason"]) == (429, "TooManyRequests")
        assert "watches" in refused.message
        assert (await narrow.api.get(INSTANCES)).status == 200
        async with narrow.running.as_user(ANN).watch(SECRETS, resourceVersion="0") as watch:
            await narrow.api.made(SECRETS, secret("seen", a="b"))
            while (await watch.next())["object"]["metadata"]["name"] != "seen":
                pass
    async with asyncio.timeout(SOON):
        # As soon as the gateway has noticed that they are gone.
        while await _is_watched(narrow):
            pass


async def test_only_a_few_watches_begin_at_a_time(crowded: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each beginning is a list: hundreds at once would have everybody else wait until the last of them is told."""
    beginning, most, go = 0, 0, asyncio.Event()
    plain = ObjectReader.parts

    async def counted(*given: Any) -> AsyncIterator[PastPart]:
        nonlocal beginning, most
        beginning += 1
        most = max(most, beginning)
        await go.wait()
        async for part in plain(*given):
            yield part
        beginning -= 1

    monkeypatch.setattr(ObjectReader, "parts", counted)
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(crowded.line()) for _ in range(40)]
        for line in lines:
            await line.say(f"GET {SECRETS}?watch=1 HTTP/1.1\nHost: x\nAuthorization: Bearer {TOKEN}\n\n")
        # While some begin and the others wait for that, another user reads; then all of them begin.
        assert (await crowded.running.as_user(ANN).get(f"{SECRETS}/none")).status == 404
        go.set()
        for line in lines:
            assert b"200 OK" in await line.heard(b"\r\n\r\n")
        await crowded.api.made(SECRETS, secret("news", a="b"))
        for line in lines:
            await line.heard(b'"name":"news"')
    assert most == 5


async def test_guessed_tokens_are_told_of_by_address_and_slow_down_nobody_else(
    crowded: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    deferred: list[float] = []
    sleep = asyncio.sleep

    def noted(seconds: float, result: object = None) -> Awaitable[object]:
        # Whatever else runs in this process sleeps as it is used to.
        if sys._getframe(1).f_globals is not vars(pipeline):
            return sleep(seconds, result)
        deferred.append(seconds)
        return sleep(0)

    monkeypatch.setattr(pipeline.asyncio, "sleep", noted)  # type: ignore[attr-defined]
    with capture_logs() as logged:
        for number in range(50):
            assert (await crowded.running.as_user(f"guess-{number}").get(SECRETS)).status == 401
            # The same address, with a token that is somebody's, and without any.
            assert (await crowded.running.as_user(ANN).get(SECRETS)).status == 200
            assert (await crowded.running.as_user(None).get("/version")).status == 200
    assert deferred == [1.0] * 40
    [line] = [each for each in logged if each["action"] == "failed_authentication"]
    assert (line["address"], line["count"], line["log_level"]) == ("127.0.0.1", 1, "warning")
    # The other 49 are told of together, when ten seconds are over.
    assert "guess" not in str(logged)


async def test_object_may_have_one_and_a_half_mebibytes(narrow: Small) -> None:
    def sized(name: str, size: int) -> bytes:
        document = instance(name)
        document["metadata"]["annotations"] = {}
        document["spec"]["parameters"] = {"filling": ""}
        lacking = size - len(json.dumps(document, separators=(",", ":")))
        document["spec"]["parameters"]["filling"] = "x" * lacking
        return json.dumps(document, separators=(",", ":")).encode()

    assert (await narrow.api.post(INSTANCES, sized("fits", LIMIT_BYTES))).status == 201
    over = await narrow.api.post(INSTANCES, sized("over", LIMIT_BYTES + 1))
    assert (over.status, over.document["reason"]) == (413, "RequestEntityTooLarge")
    assert str(LIMIT_BYTES) in over.message
    grown = await narrow.api.patch(f"{INSTANCES}/fits", {"spec": {"parameters": {"more": "x" * 100}}})
    assert grown.status == 413
    listed = await narrow.api.get(INSTANCES)
    assert [item["metadata"]["name"] for item in listed.document["items"]] == ["fits"]


async def test_body_that_does_not_come_is_not_waited_for(hasty: Small) -> None:
    async with AsyncExitStack() as stack:
        line = await hasty.half_a_create(stack)
        await line.say('{"kind":')
        answer = await line.heard()
        assert answer.startswith(b"HTTP/1.1 408 ")
        status = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert (status["reason"], status["code"]) == ("Timeout", 408)


async def test_crowd_of_strangers_with_half_a_head_keeps_nobody_out(narrow: Small) -> None:
    """Two thousand, as many as there may be connections, from the address that everybody else comes from too."""
    async with AsyncExitStack() as stack:
        for _ in range(2000):
            line = await stack.enter_async_context(narrow.line())
            await line.say(f"GET {CATALOG} HTTP/1.1\nHost: x\n")
        # Their time of 60 s is longer than a test waits.
        async with narrow.line() as line:
            await line.say("GET /livez HTTP/1.1\nHost: x\n\n")
            assert b"200 OK" in await line.heard(b"\r\n\r\nok")
        assert (await narrow.api.get(INSTANCES)).status == 200


async def test_a_client_that_hangs_up_in_its_body_is_no_failure_of_the_server(hasty: Small) -> None:
    with capture_logs() as logged:
        async with AsyncExitStack() as stack:
            line = await hasty.half_a_create(stack)
            line.writer.transport.abort()
            async with asyncio.timeout(SOON):
                while not any(row.get("method") == "POST" for row in logged):  # noqa: ASYNC110 - the log tells nobody
                    await asyncio.sleep(0)
    assert [row["log_level"] for row in logged if row["log_level"] in ("warning", "error")] == []


async def test_head_that_trickles_in_is_not_waited_for(hasty: Small) -> None:
    async with hasty.line() as line:
        await line.say(f"GET {CATALOG} HTTP/1.1\nHost: x\n")
        answer = await line.heard()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["kind"] == "Status"


async def test_connection_on_which_nothing_is_said_is_closed(hasty: Small) -> None:
    async with hasty.line() as line:
        assert await line.heard() == b""


async def test_head_without_end_is_refused(hasty: Small) -> None:
    async with hasty.line() as line:
        await line.say(f"GET {CATALOG} HTTP/1.1\n")
        try:
            for number in range(100):
                await line.say(f"X-{number}: {'x' * 1000}\n")
            answer = await line.heard()
        except ConnectionError:
            # It was closed while there was more to come: what is said on such a line may get lost.
            return
        assert answer.startswith(b"HTTP/1.1 431 ")


async def test_many_requests_at_once_on_one_connection_are_refused(hasty: Small) -> None:
    async with hasty.line() as line:
        await line.say(f"GET {CATALOG} HTTP/1.1\nHost: x\n\n" * 200)
        assert b"HTTP/1.1 400 " in await line.heard()


async def test_idle_connection_is_closed_for_a_new_one(hasty: Small) -> None:
    async with AsyncExitStack() as stack:
        lines = []
        for _ in range(5):
            line = await stack.enter_async_context(hasty.line())
            await line.say("GET /livez HTTP/1.1\nHost: x\n\n")
            assert b"200 OK" in await line.heard(b"\r\n\r\nok")
            lines.append(line)
        # Its turn: it was idle for longest. The newest one is served.
        assert await lines[0].heard() == b""
        await lines[-1].say("GET /livez HTTP/1.1\nHost: x\n\n")
        assert b"200 OK" in await lines[-1].heard(b"\r\n\r\nok")


async def test_watcher_that_does_not_read_is_cut_off(hasty: Small) -> None:
    await hasty.api.made(INSTANCES, instance("noisy"))
    async with hasty.line() as line:
        await line.say(f"GET {INSTANCES}?watch=1 HTTP/1.1\nHost: x\nAuthorization: Bearer {TOKEN}\n\n")
        await line.heard(b"\r\n\r\n")
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        assert await _is_watched(hasty)
        number = 0
        async with asyncio.timeout(4 * SOON):
            while await _is_watched(hasty):
                number += 1
                # More than the buffers of both ends hold after a few rounds.
                change = {"spec": {"parameters": {"filling": "x" * 1_000_000, "number": number}}}
                assert (await hasty.api.patch(f"{INSTANCES}/noisy", change)).status == 200
        line.writer.transport.resume_reading()  # type: ignore[attr-defined]
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await line.heard(b"\r\n0\r\n\r\n")


async def _is_watched(small: Small) -> bool:
    """Whether others hold all the places there are for watches."""
    async with small.running.session.get(
        INSTANCES, params={"watch": "1"}, headers={"Authorization": f"Bearer {TOKEN}"}
    ) as response:
        return response.status == 429
