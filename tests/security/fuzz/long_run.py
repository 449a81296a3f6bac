"""`make fuzz`: requests made up from what the gateway says of itself, by several users, until the time is over.

The gateway is that of production, on PostgreSQL, in this process; two of schemathesis run beside it. Each round takes
every document of `/openapi/v3` for some minutes, with a seed of its own and as another user each time. Told of, with
exit code 1: an answer 5xx, a gateway that ends or does not answer, and a step that holds the event loop for more than
50 ms of processor time.

On a busy machine a step may take longer once. So whatever was being served when the loop was held is sent again,
several times: a hold counts if it comes again, and is told as one that did not come again if not.
"""

import argparse
import asyncio
import itertools
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from starlette.types import ASGIApp

from chandlery.process.http.http_server import serve_http
from chandlery.process.logs.logs import configure_logs
from chandlery_gateway import main as gateway_main
from tests.integration.gateway.api_client import Api
from tests.integration.gateway.conftest import TOKEN, Running, serving
from tests.integration.postgres_databases import PostgresDatabases
from tests.security.fuzz.fuzzed_gateway import USERS, fuzz_settings, plant_seeds
from tests.security.fuzz.seen_requests import AttentiveWatchdog, SeenRequest, SeenRequests
from tests.security.loop_watchdog import Deferral, watched_loop

_SCHEMATHESIS: Final = Path(sys.executable).with_name("schemathesis")
_HOOKS: Final = "tests.integration.gateway.limits.schemathesis_hooks"
_ROOT: Final = Path(__file__).parents[3]
_AT_A_TIME: Final = 2
_SECONDS_EACH: Final = 180.0
_REPEATS: Final = 5
_GRACE_SECONDS: Final = 120.0
_MOST_TOLD: Final = 20


@dataclass
class Findings:
    """What has been found so far."""

    server_errors: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)
    not_again: list[str] = field(default_factory=list)
    """Holds that did not come again; no reason to fail, but to look."""

    @property
    def bad(self) -> list[str]:
        return [*self.server_errors, *self.crashes, *self.holds]


@dataclass
class Fuzzing:
    """One gateway under fire."""

    gateway: Running
    seen: SeenRequests
    watchdog: AttentiveWatchdog
    deadline: float
    examples: int
    findings: Findings = field(default_factory=Findings)
    began: float = field(default_factory=time.monotonic)

    async def run(self) -> None:
        """Rounds until the time is over, or nothing answers any more."""
        documents = list((await self.gateway.api.read("/openapi/v3"))["paths"])
        names = list(USERS)
        for number in itertools.count():
            targets = [(each, names[(number + place) % len(names)]) for place, each in enumerate(documents)]
            for start in range(0, len(targets), _AT_A_TIME):
                await self._fire(targets[start : start + _AT_A_TIME], seed=number + 1)
                if self.findings.crashes or time.monotonic() >= self.deadline:
                    return

    async def _fire(self, targets: list[tuple[str, str]], *, seed: int) -> None:
        """All operations of these documents, each as its user."""
        before, errors = sum(self.seen.statuses.values()), len(self.seen.server_errors)
        seconds = round(min(_SECONDS_EACH, max(1.0, self.deadline - time.monotonic())))
        self.watchdog.longest, self.watchdog.holds = 0.0, []
        self.watchdog.begin()
        said = await asyncio.gather(*(self._schemathesis(*each, seed=seed, seconds=seconds) for each in targets))
        self.watchdog.end()
        longest, holds = self.watchdog.longest, self.watchdog.holds
        self._note_errors(self.seen.server_errors[errors:])
        count = sum(self.seen.statuses.values()) - before
        if count <= len(targets):
            self.findings.crashes.append(f"hardly a request has come: {said[0][-2000:]}")
        await self._note_health()
        for hold in holds:
            await self._judge(hold)
        what = ", ".join(f"{document} as {user}" for document, user in targets)
        say(
            f"{time.monotonic() - self.began:6.0f} s  {what}: {count} requests, longest step {longest * 1000:.0f} ms; "
            f"by now {sum(self.seen.statuses.values())} requests, {len(self.findings.server_errors)} answers 5xx, "
            f"{len(self.findings.holds)} holds"
        )

    async def _schemathesis(self, document: str, user: str, *, seed: int, seconds: int) -> str:
        base = self.gateway.session._base_url
        running = await asyncio.create_subprocess_exec(
            str(_SCHEMATHESIS),
            "run",
            f"{base}/openapi/v3/{document}",
            *("--url", str(base), "--header", f"Authorization: Bearer {USERS[user]}"),
            *("--checks", "not_a_server_error", "--request-timeout", "30", "--continue-on-failure"),
            *("--warnings", "off", "--no-color", "--suppress-health-check", "all"),
            *("--phases", "coverage,fuzzing,stateful", "--max-examples", str(self.examples)),
            *("--seed", str(seed), "--generation-deterministic", "--max-time", str(seconds)),
            env={**os.environ, "SCHEMATHESIS_HOOKS": _HOOKS, "PYTHONPATH": str(_ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(seconds + _GRACE_SECONDS):
                printed, _ = await running.communicate()
        except TimeoutError:
            return "it took too long and was ended"
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()
        return printed.decode(errors="replace")

    def _note_errors(self, errors: list[SeenRequest]) -> None:
        for each in errors:
            self.findings.server_errors.append(f"{each}: {bytes(each.body[:400])!r}")
            say(self.findings.server_errors[-1])

    async def _note_health(self) -> None:
        if self.gateway.serving.done():
            self.findings.crashes.append(f"the gateway has ended: {self.gateway.serving!r}")
            return
        for path in ("/livez", "/readyz"):
            try:
                answer = await self.gateway.api.get(path)
            except (aiohttp.ClientError, TimeoutError) as error:
                self.findings.crashes.append(f"{path} is not answered: {error!r}")
                return
            if answer.status != 200:
                self.findings.crashes.append(f"{path} is answered {answer.status}: {answer.payload!r}")

    async def _judge(self, hold: Deferral) -> None:
        """Send again what was being served, to see whether that was the reason."""
        for request in hold.about:
            again = [seconds for seconds in [await self._again(request) for _ in range(_REPEATS)] if seconds]
            if len(again) > 1:
                times = ", ".join(f"{seconds * 1000:.0f} ms" for seconds in again)
                self.findings.holds.append(f"{hold}came again {len(again)} times ({times}) with {request}")
                say(self.findings.holds[-1])
                return
        about = "; ".join(map(str, hold.about))
        self.findings.not_again.append(f"{hold}did not come again in {_REPEATS} times with: {about or 'no request'}")

    async def _again(self, request: SeenRequest) -> float:
        """How long the loop was held by it now; 0 if not for too long."""
        self.watchdog.holds = []
        self.watchdog.begin()
        headers = {name: value for name, value in request.headers if name not in ("host", "content-length")}
        api = Api(self.gateway.session, None)
        await api.call(request.method, request.target, bytes(request.body) or None, headers=headers)
        self.watchdog.end()
        return max((hold.seconds for hold in self.watchdog.holds), default=0.0)


async def fuzz(url: str, folder: Path, *, minutes: float, examples: int) -> Fuzzing:
    """Fuzz a gateway over that database for so long."""
    seen = SeenRequests()
    with _looked_at(seen):
        async with _served(url, folder) as gateway, watched_loop(AttentiveWatchdog(seen)) as watchdog:
            assert isinstance(watchdog, AttentiveWatchdog)
            await plant_seeds(gateway.api)
            deadline = time.monotonic() + 60 * minutes
            fuzzing = Fuzzing(gateway, seen, watchdog, deadline, examples)
            await fuzzing.run()
            return fuzzing


@asynccontextmanager
async def _served(url: str, folder: Path) -> AsyncIterator[Running]:
    async with serving(fuzz_settings(url, folder, administrator=TOKEN)) as running:
        yield running


@contextmanager
def _looked_at(seen: SeenRequests) -> Iterator[None]:
    """Whatever the gateway serves is looked at from outside of all its layers."""

    async def serve_looked_at(app: ASGIApp, *given: Any, **options: Any) -> None:
        await serve_http(seen.around(app), *given, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gateway_main, "serve_http", serve_looked_at)
        yield


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz a gateway for so many minutes.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--examples", type=int, default=50, help="for each operation in each round, if there is time")
    given = parser.parse_args()
    configure_logs(level="error", form="console", service="fuzz")
    server = os.environ["CHANDLERY_TEST_DATABASE_URL"]
    with PostgresDatabases(server) as databases, tempfile.TemporaryDirectory() as folder:
        url = databases.migrated()
        try:
            done = asyncio.run(fuzz(url, Path(folder), minutes=given.minutes, examples=given.examples))
        finally:
            databases.drop(url)
    return _report(done)


def _report(done: Fuzzing) -> int:
    found = done.findings
    counts = ", ".join(f"{status}: {count}" for status, count in sorted(done.seen.statuses.items()))
    say(f"{sum(done.seen.statuses.values())} requests in {time.monotonic() - done.began:.0f} s ({counts})")
    for each in [*found.not_again, *found.bad][:_MOST_TOLD]:
        say(each)
    say(
        f"{len(found.server_errors)} answers 5xx, {len(found.crashes)} crashes, {len(found.holds)} holds of the event "
        f"loop above 50 ms, {len(found.not_again)} that did not come again"
    )
    return 1 if found.bad else 0


if __name__ == "__main__":
    sys.exit(main())
