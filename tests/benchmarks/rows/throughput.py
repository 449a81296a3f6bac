"""Instances and bindings: made, ready, gone, and what each costs all processes together."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.benchmarks.stands.clients import (
    READY_SECONDS,
    ROOT,
    SPACE,
    Client,
    Run,
    binding,
    instance,
    one_by_one,
    spread,
    through_chandlery,
)
from tests.benchmarks.stands.platforms import Platform
from tests.benchmarks.stands.processor_time import spent_between

_SETTLE_SECONDS: Final = 0.5
"""What is still to do when all are Ready is part of the cost: messages to acknowledge, rows to let go."""
_WARM_UP: Final = 50
_SECRETS_LOOKED_AT: Final = 20


@dataclass
class Throughput:
    """The figures of one run."""

    figures: dict[str, float] = field(default_factory=dict)
    """By the name of the row."""
    processor_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    """Per object, by what is done and by process."""
    idle_ms: list[float] = field(default_factory=list)
    """POST to Ready, of each."""
    megabytes: dict[str, float] = field(default_factory=dict)
    """By process, when all instances and bindings are there."""


async def measure_throughput(place: Platform, broker: str, *, count: int, creators: int, singles: int) -> Throughput:
    """Register, warm up, one by one, all instances, all bindings, and all of them gone again."""
    found = Throughput()
    async with place.client() as client:
        await register(client, {"fast": broker})
        for plural, make in (("serviceinstances", instance), ("servicebindings", binding)):
            _complete(await through_chandlery(client, plural, make, count=_WARM_UP, creators=creators, first=count))
        alone = await one_by_one(client, count=singles)
        found.idle_ms = [1000 * (alone.ready[name] - alone.asked[name]) for name in alone.ready]
        for what, make in (("instances", instance), ("bindings", binding)):
            plural, before = f"service{what}", place.processor_seconds()
            run = _complete(await through_chandlery(client, plural, make, count=count, creators=creators))
            await asyncio.sleep(_SETTLE_SECONDS)
            found.figures[f"{what}_ready"] = run.rate
            found.figures[f"{what}_accepted"] = count / (max(run.answered.values()) - run.started)
            _note_cost(found, what, spent_between(before, place.processor_seconds()), count)
        await _see_secrets(client, count)
        found.megabytes = place.megabytes()
        for what in ("bindings", "instances"):
            before = place.processor_seconds()
            run = _complete(await _deleted(client, f"service{what}", count=count, creators=creators))
            await asyncio.sleep(_SETTLE_SECONDS)
            found.figures[f"{what}_gone"] = run.rate
            _note_cost(found, f"{what}_gone", spent_between(before, place.processor_seconds()), count)
    return found


async def register(client: Client, brokers: Mapping[str, str]) -> Run:
    """Wait until the catalogs of these service brokers are there."""
    run, begun = Run("brokers", asked=dict.fromkeys(brokers, 0.0)), asyncio.Event()
    watching = asyncio.create_task(client.watch_ready("clusterservicebrokers", run, len(brokers), begun))
    await begun.wait()
    run.started = time.perf_counter()
    for name, url in brokers.items():
        run.asked[name] = time.perf_counter()
        await client.create(f"{ROOT}/clusterservicebrokers", {"metadata": {"name": name}, "spec": {"url": url}})
    try:
        await asyncio.wait_for(watching, READY_SECONDS)
    except TimeoutError:
        found = [await client.get(f"{ROOT}/clusterservicebrokers/{name}") for name in brokers]
        told = "; ".join(f"{each['metadata']['name']}: {each.get('status')}" for each in found)
        raise SystemExit(f"service brokers were not ready after {READY_SECONDS:.0f} s: {told}") from None
    run.ended = time.perf_counter()
    return run


async def _deleted(client: Client, plural: str, *, count: int, creators: int) -> Run:
    run, begun = Run(f"{plural} gone"), asyncio.Event()
    watching = asyncio.create_task(client.watch(plural, run, count, begun, _is_gone))
    await begun.wait()

    async def delete(name: str) -> None:
        run.asked[name] = time.perf_counter()
        await client.delete(f"{SPACE}/{plural}/{name}")

    run.started = time.perf_counter()
    kind = plural.removeprefix("service").removesuffix("s")
    await spread([f"{kind}-{number}" for number in range(count)], delete, creators)
    await asyncio.wait({watching}, timeout=READY_SECONDS)
    watching.cancel()
    run.ended = time.perf_counter()
    return run


def _is_gone(event: dict[str, Any]) -> bool:
    return bool(event["type"] == "DELETED")


def _complete(run: Run) -> Run:
    if len(run.ready) < len(run.asked):
        raise SystemExit(f"{run.title}: only {len(run.ready)} of {len(run.asked)} in {READY_SECONDS:.0f} s")
    return run


async def _see_secrets(client: Client, count: int) -> None:
    """Raises SystemExit if what says that it is Ready has no Secret to read."""
    for number in range(0, count, max(1, count // _SECRETS_LOOKED_AT)):
        secret = await client.get(f"/api/v1/namespaces/default/secrets/binding-{number}")
        if not secret.get("data"):
            raise SystemExit(f"the Secret of binding-{number} is empty")


def _note_cost(found: Throughput, what: str, spent: Mapping[str, float], count: int) -> None:
    each = {name: 1000 * seconds / count for name, seconds in spent.items()}
    found.processor_ms[what] = each
    found.figures[f"{what}_cpu_ms"] = sum(each.values())
