"""What `make fuzz` finds, and what it takes for noise of the machine: told of what was planted, and of nothing else."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.types import Receive, Scope, Send

from chandlery.model.faults import Unavailable
from tests.integration.gateway.api_client import SECRETS, secret
from tests.integration.gateway.conftest import Running
from tests.security.fuzz import long_run
from tests.security.fuzz.seen_requests import AttentiveWatchdog, SeenRequests
from tests.security.loop_watchdog import MOST_SECONDS, LoopWatchdog, watched_loop

pytestmark = pytest.mark.asyncio(loop_scope="session")


def spend(seconds: float) -> None:
    """Processor time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    """200, or 500 for `/broken`; `/slow` holds the loop each time, `/once` only the first time."""
    await receive()
    slow = {"/slow", *([] if scope["app"] else ["/once"])}
    if scope["raw_path"].decode() in slow:
        spend(3 * MOST_SECONDS)
    status = 500 if scope["raw_path"] == b"/broken" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def ask(seen: SeenRequests, path: str, *, again: bool = False) -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}"}

    async def send(_message: Any) -> None:
        return

    scope = {"type": "http", "method": "POST", "raw_path": path.encode(), "query_string": b"a=b", "headers": []}
    await seen.around(answering)({**scope, "app": again}, receive, send)


async def test_answers_5xx_are_kept_with_what_was_asked() -> None:
    seen = SeenRequests()
    for path in ("/fine", "/broken", "/fine"):
        await ask(seen, path)
    assert dict(seen.statuses) == {200: 2, 500: 1}
    [error] = seen.server_errors
    assert (error.method, error.target, bytes(error.body)) == ("POST", "/broken?a=b", b"{}")


@pytest.mark.parametrize(("path", "comes_again"), [("/slow", True), ("/once", False)])
async def test_hold_counts_if_it_comes_again_with_the_same_request(
    loop_watchdog: LoopWatchdog, monkeypatch: pytest.MonkeyPatch, path: str, comes_again: bool
) -> None:
    # What holds the loop here is wanted.
    loop_watchdog.begin()
    monkeypatch.setattr(loop_watchdog, "beat", lambda: None)
    seen = SeenRequests()

    class Again:
        """Takes the place of the client."""

        def __init__(self, *_given: Any) -> None: ...

        async def call(self, _method: str, target: str, *_given: Any, **_options: Any) -> None:
            await ask(seen, target.partition("?")[0], again=True)

    monkeypatch.setattr(long_run, "Api", Again)
    async with watched_loop(AttentiveWatchdog(seen)) as watchdog:
        assert isinstance(watchdog, AttentiveWatchdog)
        gateway = cast("Running", SimpleNamespace(session=None))
        fuzzing = long_run.Fuzzing(gateway, seen, watchdog, deadline=0.0, examples=1)
        await asyncio.sleep(0.02)
        watchdog.begin()
        await ask(seen, path)
        watchdog.end()
        [hold] = watchdog.holds
        assert any(request.target == f"{path}?a=b" for request in hold.about)
        await fuzzing._judge(hold)
    assert len(fuzzing.findings.holds) == comes_again
    assert len(fuzzing.findings.not_again) == (not comes_again)
    assert bool(fuzzing.findings.bad) is comes_again


async def test_gateway_that_does_not_answer_is_a_crash(gateway: Running) -> None:
    async with watched_loop(AttentiveWatchdog(SeenRequests())) as watchdog:
        assert isinstance(watchdog, AttentiveWatchdog)
        fuzzing = long_run.Fuzzing(gateway, SeenRequests(), watchdog, deadline=0.0, examples=1)
        await fuzzing._note_health()
        assert not fuzzing.findings.bad
        gateway.resources.readiness.add("broken", _is_broken)
        try:
            await fuzzing._note_health()
        finally:
            del gateway.resources.readiness._parts["broken"]
    assert len(fuzzing.findings.bad) == 1
    await gateway.api.made(SECRETS, secret("still"))


async def _is_broken() -> None:
    raise Unavailable("it is broken on purpose")
