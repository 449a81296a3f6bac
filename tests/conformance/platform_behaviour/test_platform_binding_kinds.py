"""What bindings bring: credentials of any shape, drains, routes, volumes, endpoints; and their fetches."""

import asyncio
import json
from typing import Any

import pytest

from tests.conformance.platform import SECRET, Platform, sequence
from tests.conformance.scripted.scripted_broker import Reply, ScriptedReply
from tests.conformance.scripted.scripted_templates import BIND, FETCH_BINDING
from tests.integration.gateway.api_client import Document

pytestmark = pytest.mark.asyncio(loop_scope="session")

CREDENTIALS = {"uri": "http://a.test"}
DRAIN, ROUTE = "syslog-tls://logs.test:6514", "https://proxy.test"
MOUNT: Document = {
    "driver": "nfs",
    "container_dir": "/data",
    "mode": "rw",
    "device_type": "shared",
    "device": {"volume_id": "v-1", "mount_config": {"share": "nfs://files.test/1"}},
}

ODD_MOUNTS: dict[str, Any] = {
    "text": "everything",
    "object": {},
    "texts": ["/data"],
    "mode": [{**MOUNT, "mode": "x"}],
    "no-device": [{**MOUNT, "device": None}],
    "no-volume": [{**MOUNT, "device": {"volume_id": ""}}],
    "no-driver": [{key: value for key, value in MOUNT.items() if key != "driver"}],
    "second": [MOUNT, {}],
}
ODD_FETCHES: dict[str, ScriptedReply] = {
    "missing": Reply(404),
    "busy": Reply(422, {"error": "ConcurrencyError"}),
    "broken": Reply(500),
    "malformed": Reply(200, b"{"),
    "gone": Reply(410),
    "empty": Reply(204, None),
}


async def bound(platform: Platform, body: Document, *, requires: list[str] | None = None) -> Document:
    """A binding that its broker answers like this."""
    platform.offers(**({} if requires is None else {"requires": requires}))
    await platform.provisions()
    platform.broker.script(BIND, Reply(201, body))
    return await platform.binds()


async def test_osb_122_metadata_is_not_taken_for_credentials(platform: Platform) -> None:
    await bound(platform, {"credentials": CREDENTIALS, "metadata": {"expires_at": "2999-01-01T00:00:00.0Z", "x": "y"}})
    assert await platform.credentials() == {"uri": b"http://a.test"}


async def test_osb_123_credentials_of_any_shape_are_delivered_unchanged(platform: Platform) -> None:
    texts = {"uri": "http://ü.test/?a=b&c=%20", "empty": "", "lines": "a\nb\r\n\t", "key-with.odd_chars": "✓ 😀"}
    others: dict[str, Any] = {
        "port": 5432,
        "large": 2**53 + 1,
        "real": 1.5,
        "yes": True,
        "null": None,
        "list": ["a", 1, {"b": None}],
        "nested": {"ca": {"pem": "-----BEGIN\n"}, "ü": []},
    }
    await bound(platform, {"credentials": {**texts, **others}})
    delivered = await platform.credentials()
    assert {key: delivered.pop(key).decode() for key in texts} == texts
    assert {key: json.loads(value) for key, value in delivered.items()} == others


@pytest.mark.parametrize(
    ("key", "value", "permission"),
    [
        pytest.param("syslog_drain_url", DRAIN, "syslog_drain", id="OSB-124"),
        pytest.param("route_service_url", ROUTE, "route_forwarding", id="OSB-125"),
        pytest.param("volume_mounts", [MOUNT], "volume_mount", id="OSB-126"),
    ],
)
async def test_other_kinds_are_taken_only_from_offerings_that_ask_for_them(
    platform: Platform, key: str, value: Any, permission: str
) -> None:
    body = {"credentials": CREDENTIALS, key: value}
    await bound(platform, body)
    assert await platform.credentials() == {"uri": b"http://a.test"}
    assert any(event.startswith("IgnoredBindResult") and key in event for event in await platform.events("db-binding"))
    await platform.unbinds()
    platform.offers(requires=[permission])
    await platform.relists()
    platform.broker.script(BIND, Reply(201, body))
    await platform.binds()
    delivered = await platform.credentials()
    text = delivered[key].decode()
    assert (text if isinstance(value, str) else json.loads(text)) == value


async def test_osb_125_route_that_the_user_names_is_sent(platform: Platform) -> None:
    platform.offers(requires=["route_forwarding"])
    await platform.provisions()
    await platform.binds(bindResource={"route": "app.example.test/path"})
    [bind] = platform.broker.seen_of(BIND)
    assert bind.body["bind_resource"]["route"] == "app.example.test/path"


async def test_osb_126_malformed_volume_makes_the_answer_malformed(platform: Platform) -> None:
    platform.offers(requires=["volume_mount"])
    await platform.provisions()

    async def is_malformed(name: str, odd: Any) -> None:
        platform.broker.script(BIND, Reply(201, {"credentials": CREDENTIALS, "volume_mounts": odd}), only=name)
        await platform.binds_or_fails(name, externalID=name)
        steps = sequence([request for request in platform.broker.seen if request.ids.get("binding_id") == name])
        assert steps[:2] == ["PUT binding", "DELETE binding"], name
        assert any("volume_mounts" in event for event in await platform.events(name))

    await asyncio.gather(*(is_malformed(name, odd) for name, odd in ODD_MOUNTS.items()))


async def test_osb_127_what_cannot_be_used_is_no_part_of_the_credentials(platform: Platform) -> None:
    await platform.provisions()

    async def is_left_out(key: str, value: Any) -> None:
        name = key.replace("_", "-")
        platform.broker.script(BIND, Reply(201, {key: value}), only=name)
        await platform.binds(name, externalID=name)
        assert await platform.credentials(name) == {}
        [warning] = [event for event in await platform.events(name) if event.startswith("IgnoredBindResult")]
        assert key in warning

    others = {"syslog_drain_url": DRAIN, "route_service_url": ROUTE, "volume_mounts": [MOUNT]}
    await asyncio.gather(*(is_left_out(key, value) for key, value in others.items()))


async def test_osb_128_endpoints_are_shown_in_every_form(platform: Platform) -> None:
    told = [
        {"host": "db.internal", "ports": ["5432", "9000-9010"]},
        {"host": "10.0.0.1", "ports": [53], "protocol": "udp"},
        {"host": "all.internal", "ports": ["1-65535"], "protocol": "all"},
    ]
    found = await bound(platform, {"credentials": CREDENTIALS, "endpoints": told})
    assert found["status"]["endpoints"] == [
        {"host": "db.internal", "ports": ["5432", "9000-9010"], "protocol": "tcp"},
        {"host": "10.0.0.1", "ports": ["53"], "protocol": "udp"},
        {"host": "all.internal", "ports": ["1-65535"], "protocol": "all"},
    ]


@pytest.mark.parametrize("flag", [None, False], ids=["absent", "false"])
async def test_osb_129_binding_is_fetched_only_where_its_offering_allows_it(
    platform: Platform, flag: bool | None
) -> None:
    platform.offers(bindings_retrievable=flag)
    await platform.provisions()
    await platform.binds()
    await platform.deletes(SECRET, "db-binding")
    await platform.comes_to_rest()
    await platform.unbinds()
    assert platform.broker.seen_of(FETCH_BINDING) == []


async def test_osb_130_fetch_that_fails_is_repeated(platform: Platform) -> None:
    platform.offers(bindings_retrievable=True)
    await platform.provisions()

    async def is_repeated(name: str, odd: ScriptedReply) -> None:
        platform.broker.script(BIND, Reply(202, {"operation": "x"}), only=name)
        platform.broker.script(FETCH_BINDING, odd, odd, only=name)
        await platform.binds(name, externalID=name)
        steps = sequence([request for request in platform.broker.seen if request.ids.get("binding_id") == name])
        assert steps == ["PUT binding", "GET binding operation", *["GET binding"] * 3], name

    await asyncio.gather(*(is_repeated(name, odd) for name, odd in ODD_FETCHES.items()))


async def test_osb_131_fetch_may_leave_out_the_parameters(platform: Platform) -> None:
    platform.offers(bindings_retrievable=True)
    await platform.provisions()
    platform.broker.script(BIND, Reply(202, {"operation": "x"}))
    platform.broker.script(FETCH_BINDING, Reply(200, {"credentials": CREDENTIALS}))
    found = await platform.binds(parameters={"role": "reader"})
    assert await platform.credentials() == {"uri": b"http://a.test"}
    assert found["status"]["externalProperties"]["parameters"] == {"role": "reader"}
