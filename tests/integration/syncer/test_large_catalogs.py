"""Catalogs that are too large, or made to be: their broker is told, the last good one stays, and nobody else waits."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from chandlery.model.objects.conditions import ConditionType, find_condition
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.conformance.scripted.scripted_templates import GET_CATALOG
from tests.integration.syncer.conftest import Bench
from tests.integration.syncer.syncer_actions import PLANS, let_time_pass, ready, two_plans


@cache
def _empty_arrays() -> bytes:
    return b'{"services":[' + b"[]," * 7_999_999 + b"[]]}"


@cache
def _smaller_and_as_bad() -> bytes:
    return b'{"services":[' + b'"}",{},[[],[]],' * 999_999 + b'"}",{},[[],[]]]}'


@pytest.mark.parametrize("make", [_empty_arrays, _smaller_and_as_bad], ids=["too long", "too many values"])
async def test_broker_whose_catalog_is_too_large_is_told_so_and_keeps_the_last_good_one(
    bench: Bench, make: Callable[[], bytes]
) -> None:
    body = make()
    async with ScriptedBroker() as server:
        server.script(GET_CATALOG, Reply(200, two_plans()), Reply(200, body))
        broker = await bench.cluster_broker(server.url, relist_duration="1s")
        await bench.round(broker)
        let_time_pass(bench, timedelta(seconds=3))
        await bench.round(broker)

    stored = await bench.get(broker)
    assert ready(stored) == ("False", "ErrorFetchingCatalog")
    message = told(stored)
    assert f"{len(body):,} bytes" in message
    assert "16,777,216 bytes" in message or "524,288 values" in message
    assert "CHANDLERY_CATALOG_MEBIBYTES" in message
    assert len(await bench.all(PLANS)) == 2


async def test_catalog_that_is_too_large_is_fetched_ever_more_rarely(bench: Bench) -> None:
    async with ScriptedBroker() as server:
        server.always(GET_CATALOG, Reply(200, _smaller_and_as_bad()))
        broker = await bench.cluster_broker(server.url)
        pauses = []
        for _ in range(4):
            await bench.round(broker)
            stored = await bench.get(broker)
            pauses.append(stored.status.next_attempt_time - bench.resources.database._clock())
            await bench.make_due(broker)
    minutes = [pause / timedelta(minutes=1) for pause in pauses]
    assert minutes == pytest.approx([1, 2, 4, 8], rel=0.2)


async def test_other_brokers_do_not_wait_while_a_large_catalog_is_read(bench: Bench) -> None:
    async with ScriptedBroker() as hostile, ScriptedBroker(two_plans()) as good:
        hostile.always(GET_CATALOG, Reply(200, _smaller_and_as_bad()))
        large = [await bench.cluster_broker(hostile.url, name=f"large-{number}") for number in range(4)]
        small = await bench.cluster_broker(good.url, name="small")
        reading = [asyncio.create_task(bench.round(each)) for each in large]
        await hostile.wait_for(GET_CATALOG, len(large))
        await bench.round(small)
        assert ready(await bench.get(small)) == ("True", "FetchedCatalog")
        await asyncio.gather(*reading)
    for each in large:
        assert ready(await bench.get(each)) == ("False", "ErrorFetchingCatalog")


def told(broker: Any) -> str:
    condition = find_condition(broker.status.conditions, ConditionType.READY)
    assert condition is not None
    return condition.message
