"""Clients of the gateway as benchmarks need them: many creators at once, and a watch that tells when all are there."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from pydantic_core import from_json, to_json

from tests.benchmarks.fast_broker import SERVICE_ID, plan_id
from tests.benchmarks.four_processes import Stack

ROOT = "/apis/servicecatalog.k8s.io/v1beta1"
SPACE = f"{ROOT}/namespaces/default"
READY_SECONDS = 45.0


@dataclass
class Run:
    """One phase: when each object was asked for and when it was ready."""

    title: str
    started: float = 0.0
    ended: float = 0.0
    asked: dict[str, float] = field(default_factory=dict)
    answered: dict[str, float] = field(default_factory=dict)
    ready: dict[str, float] = field(default_factory=dict)
    waited_for: dict[str, asyncio.Event] = field(default_factory=dict)
    """Set as soon as the object of that name is ready."""

    @property
    def rate(self) -> float:
        """Objects per second, first request to last Ready."""
        return len(self.ready) / (self.ended - self.started)

    def percentiles(self) -> list[float]:
        """p50, p95 and p99 of request to Ready, in milliseconds."""
        times = sorted(self.ready[name] - self.asked[name] for name in self.ready)
        return [1000 * times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.95, 0.99)]


class Client:
    """Talks to the gateway as a platform would."""

    def __init__(self, session: aiohttp.ClientSession, stack: Stack) -> None:
        self._session = session
        self._stack = stack
        self._headers = {"Authorization": f"Bearer {stack.token}"}

    async def create(self, path: str, document: dict[str, Any]) -> None:
        """POST an object."""
        headers = self._headers | {"Content-Type": "application/json"}
        async with self._session.post(self._stack.url + path, data=to_json(document), headers=headers) as answer:
            if answer.status != 201:
                raise SystemExit(f"{path}: {answer.status} {await answer.text()}")
            await answer.read()

    async def delete(self, path: str) -> None:
        """DELETE an object; the answer is that it will go."""
        async with self._session.delete(self._stack.url + path, headers=self._headers) as answer:
            if answer.status not in {200, 202}:
                raise SystemExit(f"{path}: {answer.status} {await answer.text()}")
            await answer.read()

    async def patch(self, path: str, document: dict[str, Any]) -> None:
        """PATCH an object, as RFC 7396 merges."""
        headers = self._headers | {"Content-Type": "application/merge-patch+json"}
        async with self._session.patch(self._stack.url + path, data=to_json(document), headers=headers) as answer:
            if answer.status != 200:
                raise SystemExit(f"{path}: {answer.status} {await answer.text()}")
            await answer.read()

    async def get(self, path: str, *, accept: str = "application/json") -> Any:
        """GET an object or a page of a list."""
        headers = self._headers | {"Accept": accept}
        async with self._session.get(self._stack.url + path, headers=headers) as answer:
            if answer.status != 200:
                raise SystemExit(f"{path}: {answer.status} {await answer.text()}")
            return from_json(await answer.read())

    async def watch_ready(self, plural: str, run: Run, count: int, begun: asyncio.Event) -> None:
        """Note when objects become Ready, until all are. What is there already is not asked for, as by an informer."""
        await self.watch(plural, run, count, begun, lambda event: is_ready(event["object"]))

    async def watch(
        self, plural: str, run: Run, count: int, begun: asyncio.Event, is_it: Callable[[dict[str, Any]], bool]
    ) -> None:
        """Note the first event of each object that is so, until there are as many."""
        scope = ROOT if plural == "clusterservicebrokers" else SPACE
        url = f"{self._stack.url}{scope}/{plural}"
        async with self._session.get(f"{url}?limit=1", headers=self._headers) as answer:
            version = (await answer.json())["metadata"]["resourceVersion"]
        url = f"{url}?watch=true&resourceVersion={version}"
        timeout = aiohttp.ClientTimeout(total=READY_SECONDS + 15)
        async with self._session.get(url, headers=self._headers, timeout=timeout, read_bufsize=2**22) as answer:
            begun.set()
            async for line in answer.content:
                event = from_json(line)
                name = event["object"]["metadata"]["name"]
                if name in run.asked and name not in run.ready and is_it(event):
                    run.ready[name] = time.perf_counter()
                    if waiting := run.waited_for.get(name):
                        waiting.set()
                    if len(run.ready) == count:
                        return


def is_ready(document: dict[str, Any]) -> bool:
    """Whether the object says that it is Ready."""
    conditions = document.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def instance(name: str) -> dict[str, Any]:
    """The manifest of an instance."""
    spec = {"clusterServiceClassExternalName": "fast-service", "clusterServicePlanExternalName": "default"}
    return {"metadata": {"name": name}, "spec": spec}


def binding(name: str) -> dict[str, Any]:
    """The manifest of a binding to the instance of the same number."""
    return {"metadata": {"name": name}, "spec": {"instanceRef": {"name": name.replace("binding", "instance")}}}


async def through_chandlery(
    client: Client, plural: str, make: Callable[[str], dict[str, Any]], *, count: int, creators: int, first: int = 0
) -> Run:
    """Create objects, numbered from `first`, from several tasks at once and wait until all are Ready."""
    run = Run(f"{plural} through Chandlery")
    begun = asyncio.Event()
    watching = asyncio.create_task(client.watch_ready(plural, run, count, begun))
    await begun.wait()
    names = [f"{plural.removeprefix('service').removesuffix('s')}-{number}" for number in range(first, first + count)]

    async def create(name: str) -> None:
        run.asked[name] = time.perf_counter()
        await client.create(f"{SPACE}/{plural}", make(name))
        run.answered[name] = time.perf_counter()

    run.started = time.perf_counter()
    await spread(names, create, creators)
    try:
        await asyncio.wait_for(watching, READY_SECONDS)
    except TimeoutError:
        print(f"only {len(run.ready)} of {count} {plural} were ready after {READY_SECONDS:.0f} s", file=sys.stderr)
    run.ended = time.perf_counter()
    return run


async def one_by_one(client: Client, *, count: int) -> Run:
    """The latency of a single create on an idle system."""
    run, begun = Run("instances one by one, idle system"), asyncio.Event()
    watching = asyncio.create_task(client.watch_ready("serviceinstances", run, count, begun))
    await begun.wait()
    run.started = time.perf_counter()
    for number in range(count):
        name = f"single-{number}"
        run.waited_for[name] = asyncio.Event()
        run.asked[name] = time.perf_counter()
        await client.create(f"{SPACE}/serviceinstances", instance(name))
        try:
            await asyncio.wait_for(run.waited_for[name].wait(), READY_SECONDS)
        except TimeoutError:
            raise SystemExit(f"{name} was not ready after {READY_SECONDS:.0f} s") from None
    await watching
    run.ended = time.perf_counter()
    return run


async def bare(session: aiohttp.ClientSession, broker: str, what: str, *, count: int, creators: int) -> Run:
    """The same OSB calls straight to the broker."""
    run = Run(f"{what} bare to the broker")
    body = {"service_id": SERVICE_ID, "plan_id": plan_id(0), "organization_guid": "o", "space_guid": "s"}

    async def call(name: str) -> None:
        path = f"/v2/service_instances/{name}" + ("/service_bindings/b" if what == "bindings" else "")
        run.asked[name] = time.perf_counter()
        headers = {"X-Broker-API-Version": "2.17", "Content-Type": "application/json"}
        async with session.put(broker + path, data=to_json(body), headers=headers) as answer:
            await answer.read()
        run.ready[name] = time.perf_counter()

    run.started = time.perf_counter()
    await spread([f"bare-{number}" for number in range(count)], call, creators)
    run.ended = time.perf_counter()
    return run


async def spread(names: list[str], work: Callable[[str], Awaitable[None]], creators: int) -> None:
    """Do the work for each name, so many at a time."""
    waiting = iter(names)

    async def creator() -> None:
        for name in waiting:
            await work(name)

    await asyncio.gather(*(creator() for _ in range(creators)))
