"""Catalogs and other answers of service brokers that are made to do harm: no step of theirs holds the event loop."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chandlery.osb.client import OsbClient
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.transport.egress import TRUSTING_LOOPBACK
from chandlery.reconcile.answers import Verdict
from tests.conformance.platform import BROKER, Platform
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.conformance.scripted.scripted_templates import GET_CATALOG

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIB = 1 << 20


def services(text: bytes, *, times: int) -> bytes:
    return b'{"services":[' + (text + b",") * times + b"0]}"


HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty arrays": lambda: services(b"[]", times=5_000_000),
    "empty arrays and objects": lambda: services(b'[[],[],[],{},"}"]', times=750_000),
    "as many values as may be": lambda: services(b"[" + b"[]," * 1_000 + b"{}]", times=250),
    "small objects": lambda: services(b'{"a":[[],[],[]]}', times=45_000),
    "texts": lambda: services(b'"' + b"x" * (MIB - 10) + b'"', times=15),
    "escapes": lambda: services(b'"' + b"\\n" * (MIB // 2 - 10) + b'"', times=15),
    "long integers": lambda: services(b'{"a":' + b"1" * 4000 + b"}", times=4_000),
    "brackets": lambda: b'{"services":' + b"[" * (15 * MIB),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_catalog_that_is_made_to_do_harm_holds_nobody_up(name: str) -> None:
    body = await asyncio.to_thread(HOSTILE[name])
    client = OsbClient(TRUSTING_LOOPBACK)
    async with ScriptedBroker() as scripted:
        scripted.always(GET_CATALOG, Reply(200, body))
        answer = await client.get_catalog(BrokerEndpoint(url=scripted.url), known=None)
    await client.close()
    assert answer.verdict in (Verdict.MALFORMED, Verdict.SUCCEEDED)


@pytest.mark.parametrize("name", ["empty arrays and objects", "small objects", "escapes"])
async def test_broker_of_such_a_catalog_is_told_and_nobody_is_held_up(platform: Platform, name: str) -> None:
    body = await asyncio.to_thread(HOSTILE[name])
    platform.broker.always(GET_CATALOG, Reply(200, body))
    registered = await platform.registers_in_vain()

    def is_told(found: dict[str, Any]) -> bool:
        conditions = found["status"].get("conditions", [])
        return any(each["type"] == "Ready" and each["status"] == "False" for each in conditions)

    await platform.until(BROKER, registered, is_told, "be told that its catalog cannot be used")
