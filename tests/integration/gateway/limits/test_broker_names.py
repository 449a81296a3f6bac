"""Names of brokers are looked up before a broker of the cluster is stored, and never for a tenant."""

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from chandlery.osb.transport import name_lookups
from chandlery.settings.settings import Settings
from chandlery.store.sealing.sealing import new_key
from tests.integration.gateway.api_client import Api
from tests.integration.gateway.conftest import TOKEN, serving

BROKERS = "/apis/servicecatalog.k8s.io/v1beta1/clusterservicebrokers"
OF_TEAM = "/apis/servicecatalog.k8s.io/v1beta1/namespaces/team/servicebrokers"
ANSWERS = {"inside.example": ["10.0.0.1"], "here.example": ["127.0.0.1"], "both.example": ["127.0.0.1", "10.0.0.1"]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the name server of the test was asked; `slow.example` is answered when all is over."""
    names: list[str] = []
    over = threading.Event()

    def look_up(name: str, _family: int) -> list[str]:
        names.append(name)
        if name == "slow.example":
            over.wait(5)
        if name not in ANSWERS:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return ANSWERS[name]

    monkeypatch.setattr(name_lookups, "_look_up", look_up)
    yield names
    over.set()


@pytest.fixture
async def api(sqlite_url: str) -> AsyncIterator[Api]:
    settings = Settings(
        database_url=SecretStr(sqlite_url),
        amqp_url=SecretStr("memory:"),
        encryption_keys=SecretStr(new_key("test")),
        token=SecretStr(TOKEN),
        port=0,
        broker_trusted_networks="",
        broker_lookup_seconds=0.2,
    )
    async with serving(settings) as running:
        await running.api.made("/api/v1/namespaces", {"metadata": {"name": "team"}})
        yield running.api


def broker(name: str, host: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"url": f"https://{host}", **spec}}


async def test_name_that_leads_where_no_broker_may_be_is_refused_at_once(api: Api, asked: list[str]) -> None:
    for name in ("inside", "both", "unknown", "slow"):
        await api.made(BROKERS, broker(name, f"{name}.example"))
    refused = await api.post(BROKERS, broker("here", "here.example"))
    assert refused.status == 422
    assert "its name leads to an address that is a loopback address" in refused.causes["spec.url"]
    stored = await api.read(f"{BROKERS}/inside")
    stored["spec"]["url"] = "https://here.example"
    refused = await api.put(f"{BROKERS}/inside", stored)
    assert (refused.status, set(refused.causes)) == (422, {"spec.url"})
    stored["spec"]["url"] = "https://both.example"
    assert (await api.put(f"{BROKERS}/inside", stored)).status == 200
    places = ("both", "both", "here", "here", "inside", "slow", "unknown")
    assert sorted(asked) == [f"{place}.example" for place in places]


async def test_tenants_are_not_told_what_a_name_leads_to(api: Api, asked: list[str]) -> None:
    await api.made(OF_TEAM, broker("here", "here.example"))
    await api.made(OF_TEAM, broker("unknown", "unknown.example"))
    assert asked == []
