"""Many watchers of one namespace in which much changes: how long until the last of them has seen a change."""

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, cast
from urllib.parse import urlsplit

import uvloop

from tests.benchmarks.four_processes import Stack
from tests.benchmarks.report.readings import Report
from tests.benchmarks.report.sizes import Sizes
from tests.benchmarks.rows.throughput import register
from tests.benchmarks.stands.clients import SPACE, Client, instance, through_chandlery
from tests.benchmarks.stands.platforms import Platform, platform
from tests.benchmarks.stands.processor_time import spent_between

_OBJECTS: Final = 20
_MOST_UNDER_WAY: Final = 50
"""A gateway refuses one user's requests when half of its queue is theirs."""
_MARK: Final = re.compile(rb'"seq":"(\d{6})"')
_LONGEST_MARK: Final = 32
_PATIENCE_SECONDS: Final = 20.0


def measure_fan_out(report: Report, broker: str, sizes: Sizes) -> None:
    """Note the 99th percentile from the request to the last watcher, and how many changes a second there were."""
    with platform("servers") as place:
        uvloop.run(_measure(report, place, broker, sizes))


class _Watcher(asyncio.Protocol):
    """Reads no JSON: 40,000 changes a second would keep the benchmark busier than the gateway."""

    def __init__(self, request: bytes, seen: Callable[[int], None]) -> None:
        self._request = request
        self._seen = seen
        self._rest = b""
        self.begun = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self.begun.set()
        text, last = self._rest + data, 0
        for found in _MARK.finditer(text):
            self._seen(int(found[1]))
            last = found.end()
        self._rest = text[max(last, len(text) - _LONGEST_MARK) :]


async def _measure(report: Report, place: Platform, broker: str, sizes: Sizes) -> None:
    async with place.client() as client:
        await register(client, {"fast": broker})
        await through_chandlery(client, "serviceinstances", instance, count=_OBJECTS, creators=sizes.creators)
        page = await client.get(f"{SPACE}/serviceinstances")
        sent: dict[int, float] = {}
        last: dict[int, float] = {}
        counts: Counter[int] = Counter()
        total, done = int(sizes.changes_a_second * sizes.change_seconds), asyncio.Event()

        def seen(number: int) -> None:
            counts[number] += 1
            if counts[number] == sizes.watchers:
                last[number] = time.perf_counter()
                if len(last) == total:
                    done.set()

        await _watch(place.stack, page["metadata"]["resourceVersion"], sizes.watchers, seen)
        before, started, own = place.processor_seconds(), time.perf_counter(), time.process_time()
        await _change(client, total, sizes.changes_a_second, sent)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), _PATIENCE_SECONDS)
        ended, client_busy = time.perf_counter(), time.process_time() - own
        spent = spent_between(before, place.processor_seconds())
    if len(last) < len(sent):
        raise SystemExit(
            f"only {len(last)} of {len(sent)} changes had reached all watchers after {ended - started:.0f} s"
        )
    times = sorted(1000 * (last[number] - sent[number]) for number in sent)
    rate, busy = len(sent) / (max(last.values()) - started), spent["gateway"] / (ended - started)
    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
    cores = f"gateway {busy:.2f} cores, watchers {client_busy / (ended - started):.2f}"
    report.note("servers/fan_out_p99_ms", p99, note=f"p50 {p50:.0f} ms, {rate:.0f} changes/s, {cores}")


async def _watch(stack: Stack, version: str, count: int, seen: Callable[[int], None]) -> None:
    """So many watches, once the heads of all answers have come."""
    url = urlsplit(stack.url)
    path = f"{SPACE}/serviceinstances?watch=true&resourceVersion={version}"
    head = f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {stack.token}\r\n\r\n"
    loop, watchers = asyncio.get_running_loop(), []
    for _ in range(count):
        _, watcher = await loop.create_connection(
            lambda: _Watcher(head.encode(), seen), str(url.hostname), url.port or 80
        )
        watchers.append(watcher)
    await asyncio.gather(*(watcher.begun.wait() for watcher in watchers))


async def _change(client: Client, total: int, rate: int, sent: dict[int, float]) -> None:
    """Each at its time, whether those before it have been answered or not; one that has to wait is late already."""
    started, tasks, seats = time.perf_counter(), [], asyncio.Semaphore(_MOST_UNDER_WAY)

    async def change(number: int) -> None:
        async with seats:
            document = {"metadata": {"annotations": {"seq": f"{number:06}"}}}
            await client.patch(f"{SPACE}/serviceinstances/instance-{number % _OBJECTS}", document)

    for number in range(total):
        sent[number] = started + number / rate
        await asyncio.sleep(max(0.0, sent[number] - time.perf_counter()))
        tasks.append(asyncio.create_task(change(number)))
    await asyncio.gather(*tasks)
