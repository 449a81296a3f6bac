"""The catalog: when it is fetched, what its entries are known by, what becomes of what has changed or gone."""

import asyncio
import itertools
from typing import Any

import pytest

from tests.conformance.platform import BROKER, CLASS, INSTANCE, PLAN, Platform, sequence
from tests.conformance.scripted.scripted_broker import Reply, ScriptedReply
from tests.conformance.scripted.scripted_catalog import parameter_schemas, simple_catalog, simple_plan, simple_service
from tests.conformance.scripted.scripted_templates import DEPROVISION, GET_CATALOG, PROVISION, UPDATE

pytestmark = pytest.mark.asyncio(loop_scope="session")

DRAFTS = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
]
FLAGS = (None, True, False)
BAD_FETCHES: list[ScriptedReply] = [
    Reply(500, {"description": "out of order"}),
    Reply(204, None),
    Reply(201, {"services": []}),
    Reply(200, b"{"),
    Reply(200, b""),
    Reply(200, {"services": None}),
    Reply(200, {"services": [{"id": "only"}]}),
    Reply(200, delay_seconds=60),
    Reply(close=True),
    Reply(404),
]


async def test_osb_035_registration_fetches_the_catalog_first(platform: Platform) -> None:
    await platform.provisions()
    assert sequence(platform.broker.seen) == ["GET catalog", "PUT instance"]


async def test_osb_035_empty_catalog_is_fine(platform: Platform) -> None:
    platform.broker.catalog = {"services": []}
    await platform.registers()
    assert await platform.classes() == []


async def test_osb_036_catalog_is_fetched_again_from_time_to_time_and_on_demand(platform: Platform) -> None:
    await platform.registers(relistDuration="50ms")
    await platform.broker.wait_for(GET_CATALOG, 4)
    await platform.changes(BROKER, platform.broker_name, {"spec": {"relistBehavior": "Manual"}})
    await platform.comes_to_rest()
    before = len(platform.broker.seen_of(GET_CATALOG))
    await platform.relists()
    assert len(platform.broker.seen_of(GET_CATALOG)) == before + 1


async def test_osb_036_catalog_is_fetched_again_after_a_maintenance_conflict(platform: Platform) -> None:
    conflict = Reply(422, {"error": "MaintenanceInfoConflict", "description": "2.0.0 is the version now"})
    platform.offers(simple_plan(maintenance_version="1.0.0"))
    platform.broker.script(PROVISION, conflict)
    await platform.registers()
    platform.offers(simple_plan(maintenance_version="2.0.0"))
    await platform.creates_instance()
    await platform.broker.wait_for(GET_CATALOG, 2)


async def test_osb_037_everything_but_the_id_may_change(platform: Platform) -> None:
    platform.offers(simple_plan("small", plan_id=f"plan-{platform.number}"), metadata={"displayName": "Old"})
    await platform.provisions(plan="small")
    before = await platform.plans()
    renamed = simple_plan("tiny", plan_id=f"plan-{platform.number}", free=False)
    service = platform.offers(renamed, metadata={"displayName": "New"})
    service["name"] = f"renamed-{platform.number}"
    await platform.relists()
    after = await platform.plans()
    assert (list(before), list(after)) == (["small"], ["tiny"])
    assert before["small"]["metadata"]["uid"] == after["tiny"]["metadata"]["uid"]
    [offering] = await platform.classes()
    assert offering["spec"]["externalName"] == f"renamed-{platform.number}"
    await platform.until_ready(INSTANCE, "db")
    await platform.deprovisions()


async def test_osb_038_another_id_is_another_plan(platform: Platform) -> None:
    platform.offers(simple_plan("small", plan_id=f"one-{platform.number}"))
    await platform.registers()
    first = (await platform.plans())["small"]
    platform.offers(simple_plan("small", plan_id=f"two-{platform.number}"))
    await platform.relists()
    second = (await platform.plans())["small"]
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert second["spec"]["externalID"] == f"two-{platform.number}"


async def test_osb_039_plan_that_has_gone_serves_its_instances_and_takes_no_new_ones(platform: Platform) -> None:
    platform.offers("small", "large", plan_updateable=True)
    await platform.provisions(plan="small")
    await platform.provisions("other", plan="small")
    platform.offers("large", plan_updateable=True)
    await platform.relists()
    assert (await platform.plans())["small"]["status"]["removedFromBrokerCatalog"] is True
    new = await platform.api.post(platform.path(INSTANCE), _instance(platform, "late"))
    if new.status == 201:
        await platform.until_condition(INSTANCE, "late", "Ready", "False", reason="ReferencesDeletedServicePlan")
        await platform.deprovisions("late")
    await platform.binds()
    await platform.unbinds()
    await platform.deprovisions()
    assert len(platform.broker.seen_of(PROVISION)) == 2
    [delete] = platform.broker.seen_of(DEPROVISION)
    assert delete.query["plan_id"] == f"{platform.offering_name}-small-id"


async def test_osb_039_offering_that_has_gone_serves_its_instances(platform: Platform) -> None:
    await platform.provisions()
    platform.broker.catalog = {"services": []}
    await platform.relists()
    [offering] = await platform.classes()
    assert offering["status"]["removedFromBrokerCatalog"] is True
    await platform.binds()
    await platform.unbinds()
    await platform.deprovisions()
    await platform.relists()
    assert await platform.classes() == []


async def test_osb_040_fetch_that_fails_keeps_the_last_good_catalog(platform: Platform) -> None:
    await platform.registers(requestTimeout="300ms")
    before = await platform.plans()
    for bad in BAD_FETCHES:
        platform.broker.always(GET_CATALOG, bad)
        await platform.relists_in_vain()
        assert await platform.plans() == before
        platform.broker.always(GET_CATALOG, None)
        await platform.relists()
    platform.broker.always(GET_CATALOG, BAD_FETCHES[0])
    await platform.relists_in_vain()
    await platform.provisions()


async def test_osb_041_names_differ_by_case_and_may_hold_anything(platform: Platform) -> None:
    plans = ["Small", "small", "größer & schöner/1", "x" * 300]
    services = [
        simple_service(f"{name}-{platform.number}", service_id=f"{key}-{platform.number}", plans=_own(plans, key))
        for key, name in (("one", "Foo"), ("two", "foo"), ("three", "übel, Name!"))
    ]
    platform.broker.catalog = simple_catalog(*services)
    await platform.registers()
    assert len(await platform.classes()) == 3
    assert set(await platform.plans()) == set(plans)
    for number, plan in enumerate(plans[:3]):
        name = f"db-{number}"
        await platform.provisions(name, plan=plan, clusterServiceClassExternalName=f"foo-{platform.number}")
    told = [request.body["plan_id"] for request in platform.broker.seen_of(PROVISION)]
    assert told == [plan["id"] for plan in _own(plans[:3], "two")]


async def test_osb_042_plan_decides_on_bindings_before_its_offering(platform: Platform) -> None:
    services = {flag: f"{platform.offering_name}-{_word(flag)}" for flag in (True, False)}
    plans = [simple_plan(_word(flag), bindable=flag) for flag in FLAGS]
    offerings = (simple_service(name, bindable=flag, plans=plans) for flag, name in services.items())
    platform.broker.catalog = simple_catalog(*offerings)
    await platform.registers()
    for of_service, of_plan in itertools.product(services, FLAGS):
        name = f"db-{_word(of_service)}-{_word(of_plan)}"
        await platform.provisions(name, plan=_word(of_plan), clusterServiceClassExternalName=services[of_service])
        if of_service if of_plan is None else of_plan:
            await platform.binds(name, to=name)
        else:
            assert list((await platform.is_refused_a_binding(name, to=name)).causes) == ["spec.instanceRef.name"]


async def test_osb_043_plan_decides_on_its_change_before_its_offering(platform: Platform) -> None:
    services = {flag: f"{platform.offering_name}-{_word(flag)}" for flag in FLAGS}
    plans = [*(simple_plan(_word(flag), plan_updateable=flag) for flag in FLAGS), simple_plan("another")]
    offerings = (simple_service(name, plan_updateable=flag, plans=plans) for flag, name in services.items())
    platform.broker.catalog = simple_catalog(*offerings)
    await platform.registers()
    for of_service, of_plan in itertools.product(FLAGS, FLAGS):
        name = f"db-{_word(of_service)}-{_word(of_plan)}"
        offering = services[of_service]
        await platform.provisions(name, plan=_word(of_plan), clusterServiceClassExternalName=offering)
        before = len(platform.broker.seen_of(UPDATE))
        desired = {"spec": {"clusterServicePlanExternalName": "another"}}
        answer = await platform.api.patch(platform.path(INSTANCE, name), desired)
        if of_service if of_plan is None else of_plan:
            assert answer.status == 200
            await platform.broker.wait_for(UPDATE, before + 1)
        else:
            assert answer.status in (403, 422)
            assert len(platform.broker.seen_of(UPDATE)) == before


async def test_osb_044_045_flags_of_a_plan_have_their_defaults(platform: Platform) -> None:
    said = simple_plan("said", free=False, binding_rotatable=True)
    platform.offers(simple_plan("silent"), simple_plan("free", free=True), said)
    await platform.registers()
    plans = await platform.plans()
    assert {name: plan["spec"]["free"] for name, plan in plans.items()} == {"silent": True, "free": True, "said": False}
    rotatable = {name: bool(plan["spec"].get("bindingRotatable")) for name, plan in plans.items()}
    assert rotatable == {"silent": False, "free": False, "said": True}


async def test_osb_046_metadata_is_shown_as_it_came(platform: Platform) -> None:
    blob = {
        "nested": {"list": [1, 2.5, None, True, "ü", {}]},
        "big": 2**53 + 1,
        "huge": 10**40,
        "": "empty key",
        "zero": 0.0,
    }
    costs = {"bullets": ["40 connections"], "costs": [{"amount": {"usd": 99.5}, "unit": "MONTHLY"}]}
    platform.offers(simple_plan(metadata=costs), metadata=blob)
    await platform.registers()
    [offering] = await platform.classes()
    assert offering["spec"]["externalMetadata"] == blob
    assert (await platform.plans())["default"]["spec"]["externalMetadata"] == costs


async def test_osb_046_048_numbers_of_any_size_in_a_catalog_stop_no_watch(platform: Platform) -> None:
    schema = {"$schema": DRAFTS[0], "properties": {"size": {"type": "integer", "maximum": 2**64}}}
    plan = simple_plan(maximum_polling_duration=10**30, schemas=parameter_schemas(create=schema))
    platform.offers(plan, metadata={"n": 18446744073709551616})
    async with platform.api.watch(platform.path(CLASS)) as classes, platform.api.watch(platform.path(PLAN)) as plans:
        await platform.registers()
        [offering], offered = await platform.classes(), (await platform.plans())["default"]
        await classes.until(offering["metadata"]["name"])
        await plans.until(offered["metadata"]["name"])
        assert offering["spec"]["externalMetadata"] == {"n": 18446744073709551616}
        assert offered["spec"]["instanceCreateParameterSchema"] == schema
        assert offered["spec"]["maximumPollingDuration"] == 10**30
        assert classes.seen[-1]["object"]["spec"] == offering["spec"]
        assert plans.seen[-1]["object"]["spec"] == offered["spec"]
        # Of an operation that goes on, the longest duration is that of the settings.
        platform.broker.script(PROVISION, Reply(202, {"operation": "x"}))
        await platform.provisions(parameters={"size": 2**64})
        refused = _instance(platform, "bad", plan="default", parameters={"size": 2**64 + 1})
        assert (await platform.api.post(platform.path(INSTANCE), refused)).status == 422


async def test_osb_047_secret_of_a_dashboard_client_is_shown_to_nobody(platform: Platform) -> None:
    client = {"id": "client", "secret": "s3cret-of-the-client", "redirect_uri": "http://x.test"}
    platform.offers(dashboard_client=client, metadata={"displayName": "A database"})
    await platform.registers()
    await platform.provisions()
    for path in (platform.path(CLASS), platform.path(INSTANCE), platform.path(BROKER), "/api/v1/events"):
        assert b"s3cret-of-the-client" not in (await platform.api.get(path)).payload
    [offering] = await platform.classes()
    assert offering["spec"]["externalMetadata"]["displayName"] == "A database"


@pytest.mark.parametrize("draft", DRAFTS)
async def test_osb_048_parameters_are_checked_by_schemas_of_any_draft(platform: Platform, draft: str) -> None:
    schema = {"$schema": draft, "type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]}
    platform.offers(simple_plan(schemas=parameter_schemas(create=schema)))
    await platform.registers()
    await platform.provisions(parameters={"size": 3})
    answer = await platform.api.post(
        platform.path(INSTANCE), _instance(platform, "bad", plan="default", parameters={"size": "big"})
    )
    if answer.status == 201:
        await platform.until_condition(INSTANCE, "bad", "Ready", "False", says="size")
    else:
        assert (answer.status, "size" in answer.message) == (422, True)
    assert len(platform.broker.seen_of(PROVISION)) == 1


async def test_osb_049_long_texts_are_taken(platform: Platform) -> None:
    text = "é" * 10_000
    platform.offers({**simple_plan(), "description": text}, metadata={"longDescription": text})
    platform.broker.catalog["services"][0]["description"] = text
    await platform.registers()
    [offering] = await platform.classes()
    assert offering["spec"]["description"] == text


async def test_osb_050_instance_says_when_its_plan_offers_another_version(platform: Platform) -> None:
    platform.offers(simple_plan(maintenance_version="1.0.0"))
    await platform.provisions()
    platform.offers({**simple_plan(), "maintenance_info": {"version": "1.1.0", "description": "TLS 1.3"}})
    await platform.relists()
    found = await platform.until(
        INSTANCE, "db", lambda found: found["status"].get("upgradeAvailable"), "know of the upgrade"
    )
    assert found["status"]["upgradeAvailable"] == {"version": "1.1.0", "description": "TLS 1.3"}
    await asyncio.wait_for(platform.deprovisions(), 10)


def _word(flag: bool | None) -> str:
    return {None: "silent", True: "yes", False: "no"}[flag]


def _instance(platform: Platform, name: str, plan: str = "small", **spec: Any) -> dict[str, Any]:
    wanted = {"clusterServiceClassExternalName": platform.offering_name, "clusterServicePlanExternalName": plan}
    document = {"apiVersion": INSTANCE.api_version, "kind": INSTANCE.kind, "metadata": {"name": name}}
    return {**document, "spec": {**wanted, **spec}}


def _own(plans: list[str], key: str) -> list[dict[str, Any]]:
    return [simple_plan(name, plan_id=f"{key}-{position}-{len(plans[0])}") for position, name in enumerate(plans)]
