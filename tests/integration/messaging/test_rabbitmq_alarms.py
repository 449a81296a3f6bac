"""A RabbitMQ that takes no messages, for want of memory, does not keep a process from ending. With TLS and without."""

import asyncio
import multiprocessing
import os
from pathlib import Path

import pytest

from chandlery.messaging.rabbitmq.connecting.rabbitmq_urls import TlsFiles
from chandlery.messaging.rabbitmq.rabbitmq_bus import RabbitBus
from chandlery.messaging.rabbitmq.rabbitmq_errors import BLOCKED
from chandlery.model.faults import Unavailable
from chandlery.process.event_loop import run
from tests.integration.messaging.conftest import Recorder, command
from tests.integration.messaging.private_rabbitmq import PrivateRabbitmq
from tests.support.waiting import SOON, eventually

pytestmark = pytest.mark.servers

BATCH = 500
_LINGERS_SECONDS = 10.0
"""Less than the 30 s for which a line with TLS waits for an answer to its end."""


def _sockets() -> set[str]:
    links = (os.path.realpath(each) for each in Path("/proc/self/fd").iterdir())
    return {link for link in links if "socket:" in link}


async def _live(url: str, files: TlsFiles) -> None:
    before = _sockets()
    bus = RabbitBus(url, connection_name="test", prefix="alarm-", patience_seconds=1.0, tls=files)
    await bus.start()
    await bus.consume(["ServiceInstance"], "lane", Recorder(), concurrency=1)
    # What is on its way when the server stops to read, and what finds out before.
    for _ in range(2):
        with pytest.raises(Unavailable, match=BLOCKED):
            await bus.publish([command(number) for number in range(BATCH)])
    waiting = [asyncio.ensure_future(bus.publish([command(number)])) for number in range(10)]
    await asyncio.sleep(0)
    await bus.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert asyncio.all_tasks() == {asyncio.current_task()}
    async with asyncio.timeout(_LINGERS_SECONDS):
        await eventually(lambda: _sockets() - before, lambda left: not left, what="the lines to be closed")


def _lives(url: str, files: TlsFiles) -> None:
    # With the loop of every service, as it is that which waits when it is closed.
    run(_live(url, files))


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
def test_a_process_ends_while_rabbitmq_has_an_alarm(alarmed: PrivateRabbitmq, *, is_tls: bool) -> None:
    url, files = alarmed.plain_url, TlsFiles()
    if is_tls:
        certificate, key = alarmed.authority.issue("chandlery")
        url = alarmed.url_without_user
        files = TlsFiles(ca=alarmed.authority.certificate, certificate=certificate, key=key)
    process = multiprocessing.get_context("spawn").Process(target=_lives, args=(url, files))
    process.start()
    try:
        process.join(timeout=SOON)
        assert process.exitcode == 0, "it does not end" if process.is_alive() else "it has failed"
    finally:
        process.kill()
        process.join()
        process.close()
