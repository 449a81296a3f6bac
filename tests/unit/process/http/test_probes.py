"""What `/livez` and `/readyz` answer: kube-apiserver's words, with the reason of each part that fails."""

import asyncio
from typing import Any

import pytest

from chandlery.engine.readiness import Readiness, unless
from chandlery.model.faults import Unavailable
from chandlery.process.http.probes import ProbeApp


async def _works() -> None:
    """As a part does that has nothing to say."""


async def _is_away() -> None:
    raise Unavailable("RabbitMQ is not connected.")


async def _has_a_bug() -> None:
    raise LookupError("secret-detail")


def readiness(**checks: Any) -> Readiness:
    made = Readiness()
    for name, check in checks.items():
        made.add(name, check)
    return made


async def asked(app: ProbeApp, path: str, query: str = "") -> tuple[int, str]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "path": path, "query_string": query.encode()}, None, send)
    return sent[0]["status"], sent[1]["body"].decode()


ALL_WELL = "[+]ping ok\n[+]database ok\n[+]rabbitmq ok\nreadyz check passed\n"
BUS_AWAY = "[+]ping ok\n[+]database ok\n[-]rabbitmq failed: RabbitMQ is not connected.\nreadyz check failed\n"


@pytest.mark.parametrize(
    ("bus", "path", "query", "answer"),
    [
        (_works, "/readyz", "", (200, "ok")),
        (_works, "/readyz", "verbose", (200, ALL_WELL)),
        (_works, "/readyz", "verbose=true", (200, ALL_WELL)),
        (_is_away, "/readyz", "", (503, BUS_AWAY)),
        (_is_away, "/readyz", "exclude=rabbitmq", (200, "ok")),
        (
            _is_away,
            "/readyz",
            "verbose&exclude=rabbitmq&exclude=nothing%0a",
            (
                200,
                (
                    "[+]ping ok\n[+]database ok\n[+]rabbitmq excluded: ok\nwarn: some checks cannot be "
                    "excluded: no matches for 'nothing\\n'\nreadyz check passed\n"
                ),
            ),
        ),
        (_is_away, "/readyz/rabbitmq", "", (503, "RabbitMQ is not connected.\n")),
        (_is_away, "/readyz/database", "", (200, "ok")),
        (_is_away, "/readyz/ping", "", (200, "ok")),
        (_is_away, "/livez", "", (200, "ok")),
        (_is_away, "/healthz", "verbose", (200, "[+]ping ok\nhealthz check passed\n")),
    ],
)
async def test_probe_answers_by_parts(bus: Any, path: str, query: str, answer: tuple[int, str]) -> None:
    assert await asked(ProbeApp(readiness(database=_works, rabbitmq=bus)), path, query) == answer


@pytest.mark.parametrize("path", ["/", "/readyz/nothing", "/livez/database", "/readyz/database/more"])
async def test_probe_says_what_there_is_when_asked_for_something_else(path: str) -> None:
    code, text = await asked(ProbeApp(readiness(database=_works)), path)
    assert (code, "/readyz" in text) == (404, True)


async def test_part_that_can_be_done_without_is_told_and_not_in_the_way() -> None:
    made = readiness(database=_works)
    made.add("rabbitmq", _is_away, without="what is to be done waits")
    code, text = await asked(ProbeApp(made), "/readyz", "verbose")
    assert (code, text.splitlines()[2]) == (
        200,
        "[-]rabbitmq failed, what is to be done waits: RabbitMQ is not connected.",
    )
    assert (await asked(ProbeApp(made), "/readyz"))[0] == 200
    assert (await asked(ProbeApp(made), "/readyz/rabbitmq"))[0] == 503


async def test_part_with_a_bug_makes_unready_and_shows_no_values() -> None:
    code, text = await asked(ProbeApp(readiness(hub=_has_a_bug)), "/readyz")
    assert (code, "[-]hub failed: it could not be checked (LookupError)" in text) == (503, True)
    assert "secret-detail" not in text


async def test_many_who_ask_at_once_share_one_look() -> None:
    looks, go = 0, asyncio.Event()

    async def slow() -> None:
        nonlocal looks
        looks += 1
        await go.wait()

    app = ProbeApp(readiness(database=slow))
    asking = [asyncio.create_task(asked(app, "/readyz")) for _ in range(100)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.gather(*asking[1:]) == [(200, "ok")] * 99
    assert looks == 1
    assert await asked(app, "/readyz") == (200, "ok")
    assert looks == 2


async def test_check_follows_what_is_so() -> None:
    stopping = False
    app = ProbeApp(readiness(shutdown=unless(lambda: stopping, "it is stopping")))
    assert (await asked(app, "/readyz"))[0] == 200
    stopping = True
    assert "[-]shutdown failed: it is stopping" in (await asked(app, "/readyz"))[1]
