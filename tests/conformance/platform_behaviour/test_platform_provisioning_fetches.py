"""Fetches of instances: only where they are allowed, and what is made of the answer."""

import asyncio
from typing import Any

import pytest

from tests.conformance.platform import INSTANCE, Platform, is_ready, sequence
from tests.conformance.scripted.scripted_broker import Reply, ScriptedReply
from tests.conformance.scripted.scripted_catalog import simple_plan
from tests.conformance.scripted.scripted_templates import FETCH_INSTANCE, POLL_INSTANCE, PROVISION
from tests.integration.gateway.api_client import Document

pytestmark = pytest.mark.asyncio(loop_scope="session")


FAILURES: dict[str, ScriptedReply] = {
    "missing": Reply(404, {"description": "still being made"}),
    "busy": Reply(422, {"error": "ConcurrencyError"}),
    "broken": Reply(500),
    "empty": Reply(204, None),
    "malformed": Reply(200, b"<html>"),
    "gone": Reply(410, {}),
    "dropped": Reply(close=True),
}


@pytest.mark.parametrize("flag", [None, False, True], ids=["absent", "false", "true"])
async def test_osb_085_instance_is_fetched_only_where_its_offering_allows_it(
    platform: Platform, flag: bool | None
) -> None:
    platform.offers(instances_retrievable=flag)
    platform.broker.script(PROVISION, Reply(202, {"operation": "x"}))
    await platform.provisions()
    await platform.updates(parameters={"size": 2})
    if flag:
        await platform.broker.wait_for(FETCH_INSTANCE)
    await platform.comes_to_rest()
    await platform.deprovisions()
    fetches = sequence(platform.broker.seen_of(FETCH_INSTANCE))
    assert bool(fetches) == bool(flag)
    if flag:
        [first, *_] = platform.broker.seen_of(FETCH_INSTANCE)
        [last_poll] = platform.broker.seen_of(POLL_INSTANCE)
        assert first.seen_at > last_poll.seen_at


async def test_osb_086_what_a_fetch_tells_is_taken_over(platform: Platform) -> None:
    plans = [simple_plan("small", maintenance_version="1.0.0"), simple_plan("large", maintenance_version="1.0.0")]
    platform.offers(*plans, instances_retrievable=True)
    told: dict[str, Any] = {
        "dashboard_url": "http://dashboard.test/moved",
        "plan_id": f"{platform.offering_name}-large-id",
        "maintenance_info": {"version": "0.9.0", "description": "ignored"},
        "metadata": {"labels": {"tier": "gold"}, "attributes": {"cpu": 4}},
        "parameters": {"size": 1},
    }
    platform.broker.always(FETCH_INSTANCE, Reply(200, told))
    await platform.provisions(plan="small", parameters={"size": 1})
    await platform.broker.wait_for(FETCH_INSTANCE)
    await platform.comes_to_rest()
    status = (await platform.reads(INSTANCE, "db"))["status"]
    assert status["dashboardURL"] == "http://dashboard.test/moved"
    assert status["brokerMetadata"]["labels"] == {"tier": "gold"}
    assert status["externalProperties"]["clusterServicePlanExternalName"] == "large"
    assert status["externalProperties"]["maintenanceVersion"] == "0.9.0"
    [fetch, *_] = platform.broker.seen_of(FETCH_INSTANCE)
    assert fetch.query == {
        "service_id": f"{platform.offering_name}-id",
        "plan_id": f"{platform.offering_name}-small-id",
    }


async def test_osb_087_fetch_that_fails_changes_nothing(platform: Platform) -> None:
    platform.offers(instances_retrievable=True)
    platform.broker.always(PROVISION, Reply(201, {"dashboard_url": "http://dashboard.test"}))
    await platform.registers()

    async def is_provisioned(name: str, answer: ScriptedReply) -> None:
        platform.broker.script(FETCH_INSTANCE, *[answer] * 5, only=name)
        await platform.provisions(name, parameters={"size": 1}, externalID=name)

    await asyncio.gather(*(is_provisioned(name, answer) for name, answer in FAILURES.items()))
    await platform.broker.wait_for(FETCH_INSTANCE, len(FAILURES))
    await platform.comes_to_rest()
    assert {request.ids["instance_id"] for request in platform.broker.seen_of(FETCH_INSTANCE)} == set(FAILURES)
    for name in FAILURES:
        found = await platform.reads(INSTANCE, name)
        assert is_ready(found)
        assert found["status"]["dashboardURL"] == "http://dashboard.test"
    assert {request.method for request in platform.broker.seen} == {"GET", "PUT"}


async def test_osb_088_parameters_that_a_fetch_leaves_out_are_not_taken_for_deleted(platform: Platform) -> None:
    platform.offers(instances_retrievable=True)
    await platform.registers()
    told: list[Document] = [{}, {"parameters": None}, {"parameters": {}}, {"parameters": {"other": 1}}]
    names = [f"db-{number}" for number in range(len(told))]
    for name, body in zip(names, told, strict=True):
        platform.broker.script(FETCH_INSTANCE, Reply(200, body), only=name)
    await asyncio.gather(*(platform.provisions(name, parameters={"size": 1}, externalID=name) for name in names))
    await platform.broker.wait_for(FETCH_INSTANCE, len(told))
    await platform.comes_to_rest()
    for name in names:
        found = await platform.reads(INSTANCE, name)
        assert is_ready(found)
        assert found["status"]["externalProperties"]["parameters"]["size"] == 1
    assert "PATCH" not in {request.method for request in platform.broker.seen}
