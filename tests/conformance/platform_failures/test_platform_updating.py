"""Changes of instances: what is sent, and what is not."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.conformance.platform import INSTANCE, Platform, condition_of, sequence
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_catalog import simple_catalog, simple_plan, simple_service
from tests.conformance.scripted.scripted_templates import (
    BIND,
    DEPROVISION,
    GET_CATALOG,
    POLL_INSTANCE,
    PROVISION,
    UNBIND,
    UPDATE,
)
from tests.integration.gateway.api_client import Document

pytestmark = pytest.mark.asyncio(loop_scope="session")

LARGE = {"clusterServicePlanExternalName": "large"}


def plan_id(platform: Platform, plan: str) -> str:
    return f"{platform.offering_name}-{plan}-id"


def body_of_change(platform: Platform) -> Document:
    [patch] = platform.broker.seen_of(UPDATE)
    body: Document = patch.body
    return body


async def test_osb_089_change_is_a_patch_under_the_id_with_service_and_plan_of_the_catalog(platform: Platform) -> None:
    platform.offers("small", "large", plan_updateable=True)
    await platform.provisions(plan="small")
    found = await platform.updates(**LARGE)
    [patch] = platform.broker.seen_of(UPDATE)
    assert patch.raw_path.partition("?")[0] == f"/v2/service_instances/{found['spec']['externalID']}"
    assert patch.body["service_id"] == f"{platform.offering_name}-id"
    assert patch.body["plan_id"] == plan_id(platform, "large")


async def test_osb_089_plan_of_another_service_is_not_sent(platform: Platform) -> None:
    other = simple_service(f"other-{platform.number}", plans=["foreign"], plan_updateable=True)
    platform.broker.catalog = simple_catalog(platform.offers("small", plan_updateable=True), other)
    await platform.provisions(plan="small")
    answer = await platform.api.patch(
        platform.path(INSTANCE, "db"), {"spec": {"clusterServicePlanExternalName": "foreign"}}
    )
    assert (answer.status, list(answer.causes)) == (422, ["spec.clusterServicePlanExternalName"])
    await platform.comes_to_rest()
    assert platform.broker.seen_of(UPDATE) == []


def offers_with_flags(platform: Platform, flags: Sequence[tuple[bool | None, bool | None]]) -> list[str]:
    """An offering for each pair of flags, of the offering and of the plan that instances begin with; their names."""
    offerings = [
        simple_service(
            f"{platform.offering_name}-{number}",
            plans=[simple_plan("small", plan_updateable=of_plan), simple_plan("large", plan_updateable=not of_plan)],
            plan_updateable=of_service,
        )
        for number, (of_service, of_plan) in enumerate(flags)
    ]
    platform.broker.catalog = simple_catalog(*offerings)
    return [offering["name"] for offering in offerings]


async def test_osb_090_plan_stays_where_it_cannot_be_changed_and_parameters_do_not(platform: Platform) -> None:
    names = offers_with_flags(platform, [(None, None), (False, None), (True, False), (None, False)])
    await platform.registers()

    async def keeps_its_plan(name: str) -> None:
        wanted = {"clusterServiceClassExternalName": name, "parameters": {"size": 1}, "externalID": name}
        await platform.provisions(name, plan="small", **wanted)
        answer = await platform.api.patch(platform.path(INSTANCE, name), {"spec": LARGE})
        assert (answer.status, "spec.clusterServicePlanExternalName" in answer.causes) == (422, True), name

    await asyncio.gather(*map(keeps_its_plan, names))
    await platform.comes_to_rest()
    assert platform.broker.seen_of(UPDATE) == []
    for name in names:
        await platform.updates(name, clusterServicePlanExternalName="small", parameters={"size": 2})
    for name, patch in zip(names, platform.broker.seen_of(UPDATE), strict=True):
        assert patch.body["parameters"] == {"size": 2}
        assert patch.body.get("plan_id") in (None, f"{name}-small-id")


async def test_osb_090_plan_is_changed_where_the_current_one_allows_it(platform: Platform) -> None:
    names = offers_with_flags(platform, [(True, None), (False, True), (None, True)])
    await platform.registers()

    async def changes_its_plan(name: str) -> None:
        await platform.provisions(name, plan="small", clusterServiceClassExternalName=name)
        await platform.updates(name, **LARGE)

    await asyncio.gather(*map(changes_its_plan, names))
    told = {patch.body["plan_id"] for patch in platform.broker.seen_of(UPDATE)}
    assert told == {f"{name}-large-id" for name in names}


async def test_osb_091_what_is_unchanged_is_left_out(platform: Platform) -> None:
    platform.offers("small", "large", plan_updateable=True)
    await platform.registers(sendUnchangedPlan=False)
    await platform.provisions(plan="small", parameters={"size": 1})
    await platform.updates(**LARGE)
    await platform.updates(parameters={"size": 2})
    of_plan, of_parameters = (patch.body for patch in platform.broker.seen_of(UPDATE))
    assert "parameters" not in of_plan
    assert "plan_id" not in of_parameters
    assert not {"maintenance_info"} & {*of_plan, *of_parameters}


async def test_osb_091_plan_of_the_instance_is_named_with_other_parameters(platform: Platform) -> None:
    platform.offers("small", "large", plan_updateable=False)
    await platform.provisions(plan="small", parameters={"size": 1})
    await platform.updates(parameters={"size": 2})
    body = body_of_change(platform)
    assert body["plan_id"] == body["previous_values"]["plan_id"] == plan_id(platform, "small")


async def test_osb_092_parameters_that_the_user_no_longer_states_are_not_sent(platform: Platform) -> None:
    await platform.provisions(parameters={"a": 1, "b": 2})
    await platform.updates(parameters={"a": None, "b": 2**70})
    assert body_of_change(platform)["parameters"] == {"b": 2**70}


async def test_osb_093_previous_plan_and_version_are_told(platform: Platform) -> None:
    plans = [simple_plan("small", maintenance_version="1.0.0"), simple_plan("large", maintenance_version="2.0.0")]
    platform.offers(*plans, plan_updateable=True)
    await platform.provisions(plan="small")
    await platform.updates(**LARGE)
    body = body_of_change(platform)
    previous = body["previous_values"]
    assert previous["plan_id"] == plan_id(platform, "small")
    assert previous["maintenance_info"] == {"version": "1.0.0"}
    [put] = platform.broker.seen_of(PROVISION)
    true_values = {
        "service_id": put.body["service_id"],
        "organization_id": put.body["organization_guid"],
        "space_id": put.body["space_guid"],
    }
    deprecated = {key: previous[key] for key in previous.keys() & true_values.keys()}
    assert deprecated == {key: true_values[key] for key in deprecated}
    await platform.updates(parameters={"size": 2})
    assert platform.broker.seen_of(UPDATE)[1].body["previous_values"]["plan_id"] == plan_id(platform, "large")


async def test_osb_094_change_carries_the_context_of_the_creation(platform: Platform) -> None:
    await platform.provisions()
    await platform.updates(parameters={"size": 2})
    [put] = platform.broker.seen_of(PROVISION)
    assert body_of_change(platform)["context"] == put.body["context"]


@pytest.mark.parametrize("flag", [None, False, True], ids=["absent", "false", "true"])
async def test_osb_095_change_of_the_context_alone_is_sent_only_where_it_is_allowed(
    platform: Platform, flag: bool | None
) -> None:
    platform.offers(**({} if flag is None else {"allow_context_updates": flag}))
    await platform.registers(contextAnnotations=["acme.test/"])
    await platform.provisions(parameters={"size": 1})
    await platform.changes(INSTANCE, "db", {"metadata": {"annotations": {"acme.test/team": "blue"}}})
    if flag:
        await platform.broker.wait_for(UPDATE)
    await platform.comes_to_rest()
    if not flag:
        assert platform.broker.seen_of(UPDATE) == []
        return
    body = body_of_change(platform)
    assert body["context"]["instance_annotations"] == {"acme.test/team": "blue"}
    assert not {"plan_id", "parameters", "maintenance_info"} & set(body)
    await platform.until_ready(INSTANCE, "db")


async def offers_upgrade(platform: Platform) -> None:
    """An instance of version 1, of a plan that has come to version 2."""
    platform.offers(simple_plan(maintenance_version="1.0.0"))
    await platform.provisions(parameters={"size": 1})
    platform.offers(simple_plan(maintenance_info={"version": "2.0.0", "description": "faster"}))
    await platform.relists()
    found = await platform.until(
        INSTANCE, "db", lambda found: found["status"].get("upgradeAvailable"), "offer an upgrade"
    )
    assert found["status"]["upgradeAvailable"] == {"version": "2.0.0", "description": "faster"}
    await platform.comes_to_rest()
    assert platform.broker.seen_of(UPDATE) == []


async def test_osb_096_version_is_upgraded_by_naming_it_alone(platform: Platform) -> None:
    await offers_upgrade(platform)
    found = await platform.updates(maintenanceVersion="2.0.0")
    body = body_of_change(platform)
    assert body["maintenance_info"] == {"version": "2.0.0"}
    assert not {"plan_id", "parameters"} & set(body)
    assert body["previous_values"]["maintenance_info"] == {"version": "1.0.0"}
    assert found["status"]["externalProperties"]["maintenanceVersion"] == "2.0.0"
    assert "upgradeAvailable" not in found["status"]


async def test_osb_096_conflict_of_versions_has_the_catalog_fetched_again(platform: Platform) -> None:
    await offers_upgrade(platform)
    fetches = len(platform.broker.seen_of(GET_CATALOG))
    conflict = Reply(422, {"error": "MaintenanceInfoConflict", "description": "we are at 3.0.0"})
    platform.broker.script(UPDATE, conflict)
    platform.offers(simple_plan(maintenance_version="3.0.0"))
    await platform.changes(INSTANCE, "db", {"spec": {"maintenanceVersion": "2.0.0"}})
    await platform.broker.wait_for(GET_CATALOG, fetches + 1)
    await platform.until(
        INSTANCE,
        "db",
        lambda found: found["status"].get("upgradeAvailable", {}).get("version") == "3.0.0",
        "offer the newer version",
    )
    await platform.updates(maintenanceVersion="3.0.0")
    assert platform.broker.seen_of(UPDATE)[-1].body["maintenance_info"] == {"version": "3.0.0"}


@pytest.mark.parametrize("body", [{}, {"dashboard_url": "http://dashboard.test/2"}], ids=["empty", "dashboard"])
async def test_osb_097_ok_means_done_and_accepted_is_polled(platform: Platform, body: Document) -> None:
    await platform.provisions()
    platform.broker.script(UPDATE, Reply(200, body), Reply(202, {"operation": "x", **body}))
    await platform.updates(parameters={"size": 2})
    assert platform.broker.seen_of(POLL_INSTANCE) == []
    await platform.updates(parameters={"size": 3})
    assert sequence(platform.broker.seen)[2:] == ["PATCH instance", "PATCH instance", "GET instance operation"]


async def test_osb_099_dashboard_stays_unless_there_is_another(platform: Platform) -> None:
    first, second = "http://dashboard.test/1", "http://dashboard.test/2"
    platform.broker.always(PROVISION, Reply(201, {"dashboard_url": first}))
    await platform.registers()

    async def is_shown(name: str, answer: Reply, dashboard: str) -> None:
        await platform.provisions(name, externalID=name)
        platform.broker.script(UPDATE, answer, only=name)
        found = await platform.updates(name, parameters={"size": 2})
        assert found["status"]["dashboardURL"] == dashboard, name

    cases = [
        (f"{name}-{status}", Reply(status, body), dashboard)
        for status in (200, 202)
        for name, body, dashboard in (
            ("absent", {}, first),
            ("null", {"dashboard_url": None}, first),
            ("another", {"dashboard_url": second}, second),
        )
    ]
    await asyncio.gather(*(is_shown(*case) for case in cases))


async def test_osb_098_failed_change_of_plan_leaves_the_old_one_in_all_later_requests(platform: Platform) -> None:
    platform.offers("small", "large", plan_updateable=True)
    await platform.provisions(plan="small", parameters={"size": 1})
    platform.broker.script(UPDATE, Reply(400, {"description": "not today"}))
    await platform.changes(INSTANCE, "db", {"spec": {**LARGE, "parameters": {"size": 2}}})
    found = await platform.until_failed(INSTANCE, "db", says="not today")
    assert condition_of(found, "Ready")["status"] == "True"
    failed = condition_of(found, "Failed")
    assert failed["reason"] == "UpdateInstanceCallFailed"
    assert "small" in failed["message"]
    properties = found["status"]["externalProperties"]
    assert (properties["clusterServicePlanExternalName"], properties["parameters"]) == ("small", {"size": 1})
    await platform.binds()
    await platform.unbinds()
    await platform.deprovisions()
    [bind], [unbind] = platform.broker.seen_of(BIND), platform.broker.seen_of(UNBIND)
    [delete] = platform.broker.seen_of(DEPROVISION)
    told = [bind.body["plan_id"], unbind.query["plan_id"], delete.query["plan_id"]]
    assert told == [plan_id(platform, "small")] * 3


async def test_osb_098_change_that_fails_later_leaves_the_old_plan_too(platform: Platform) -> None:
    platform.offers("small", "large", plan_updateable=True)
    await platform.provisions(plan="small")
    platform.broker.script(UPDATE, Reply(202, {"operation": "x"}))
    platform.broker.script(POLL_INSTANCE, Reply(200, {"state": "failed", "description": "no room"}))
    await platform.changes(INSTANCE, "db", {"spec": LARGE})
    await platform.until_failed(INSTANCE, "db", says="no room")
    await platform.updates(clusterServicePlanExternalName="small", parameters={"size": 2})
    first, second = platform.broker.seen_of(UPDATE)
    assert first.body["plan_id"] == plan_id(platform, "large")
    assert second.body["previous_values"]["plan_id"] == second.body["plan_id"] == plan_id(platform, "small")
