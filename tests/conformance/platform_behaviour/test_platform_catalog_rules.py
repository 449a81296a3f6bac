"""What breaks a rule in a catalog is left out with the place of each fault, and what was there before stays."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.platform import BROKER, INSTANCE, Platform
from tests.conformance.platform import PLAN as PLAN_KIND
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.conformance.scripted.scripted_catalog import parameter_schemas, simple_catalog, simple_plan, simple_service
from tests.conformance.scripted.scripted_templates import GET_CATALOG, PROVISION

pytestmark = pytest.mark.asyncio(loop_scope="session")

Change = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], Any]
"""Breaks a catalog with two offerings of two plans each; gets catalog, first offering and its first plan."""
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def schemas(schema: Any) -> dict[str, Any]:
    """A plan's schemas with this one for new instances."""
    return {"service_instance": {"create": {"parameters": schema}}}


def changed(of: str, key: str, value: Any) -> Change:
    """Give the catalog, the service or the plan another value; `...` takes it away."""

    def change(catalog: dict[str, Any], service: dict[str, Any], plan: dict[str, Any]) -> None:
        target = {"catalog": catalog, "service": service, "plan": plan}[of]
        if value is ...:
            del target[key]
        else:
            target[key] = value

    return change


def copied(of: str, key: str, *, to: tuple[int, int | None]) -> Change:
    """Give another service or plan the value of the first one."""

    def change(catalog: dict[str, Any], service: dict[str, Any], plan: dict[str, Any]) -> None:
        source = service if of == "service" else plan
        target = catalog["services"][to[0]]
        (target if to[1] is None else target["plans"][to[1]])[key] = source[key]

    return change


SERVICE, PLAN = "services[0]", "services[0].plans[0]"
BROKEN: list[tuple[str, Change, str]] = [
    ("CAT-01 no list", changed("catalog", "services", ...), "services"),
    ("CAT-01 object for a list", changed("catalog", "services", {}), "services"),
    ("CAT-01 number in the list", changed("catalog", "services", [1]), "services[0]"),
    ("CAT-02 no id", changed("service", "id", ...), f"{SERVICE}.id"),
    ("CAT-02 empty id", changed("service", "id", ""), f"{SERVICE}.id"),
    ("CAT-02 number for an id", changed("service", "id", 7), f"{SERVICE}.id"),
    ("CAT-02 no name", changed("service", "name", ...), f"{SERVICE}.name"),
    ("CAT-02 empty description", changed("service", "description", ""), f"{SERVICE}.description"),
    ("CAT-03 name of another offering", copied("service", "name", to=(1, None)), "services[1].name"),
    ("CAT-04 id of another offering", copied("service", "id", to=(1, None)), "services[1].id"),
    ("CAT-05 text for bindable", changed("service", "bindable", "true"), f"{SERVICE}.bindable"),
    ("CAT-06 no plans", changed("service", "plans", ...), f"{SERVICE}.plans"),
    ("CAT-06 empty plans", changed("service", "plans", []), f"{SERVICE}.plans"),
    ("CAT-06 text for a plan", changed("service", "plans", ["small"]), f"{SERVICE}.plans[0]"),
    ("CAT-07 no plan id", changed("plan", "id", ...), f"{PLAN}.id"),
    ("CAT-07 id of a plan beside it", copied("plan", "id", to=(0, 1)), "services[0].plans[1].id"),
    ("CAT-07 id of a plan elsewhere", copied("plan", "id", to=(1, 0)), "services[1].plans[0].id"),
    ("CAT-09 name of a plan beside it", copied("plan", "name", to=(0, 1)), "services[0].plans[1].name"),
    ("CAT-09 empty plan name", changed("plan", "name", ""), f"{PLAN}.name"),
    ("CAT-09 no plan description", changed("plan", "description", ...), f"{PLAN}.description"),
    ("CAT-12 text for requires", changed("service", "requires", "syslog_drain"), f"{SERVICE}.requires"),
    ("CAT-13 number for a tag", changed("service", "tags", ["a", 1]), f"{SERVICE}.tags[1]"),
    ("CAT-13 text for a flag", changed("plan", "free", "no"), f"{PLAN}.free"),
    ("CAT-13 number for a flag", changed("service", "plan_updateable", 1), f"{SERVICE}.plan_updateable"),
    ("CAT-13 list for metadata", changed("plan", "metadata", []), f"{PLAN}.metadata"),
    (
        "CAT-15 reference to elsewhere",
        changed("plan", "schemas", schemas({"$schema": DRAFT_7, "$ref": "http://127.0.0.1:9/x.json"})),
        f"{PLAN}.schemas",
    ),
    (
        "CAT-16 schema of 65 KiB",
        changed("plan", "schemas", schemas({"$schema": DRAFT_7, "description": "x" * 65_536})),
        f"{PLAN}.schemas",
    ),
    (
        "CAT-18 number for a version",
        changed("plan", "maintenance_info", {"version": 1}),
        f"{PLAN}.maintenance_info.version",
    ),
]
QUESTIONABLE: list[tuple[str, Change, str]] = [
    ("CAT-05 not bindable and not unbindable", changed("service", "bindable", ...), f"{SERVICE}.bindable"),
    ("CAT-14 schema without a draft", changed("plan", "schemas", schemas({"type": "object"})), f"{PLAN}.schemas"),
    ("CAT-18 no version", changed("plan", "maintenance_info", {}), f"{PLAN}.maintenance_info.version"),
    (
        "CAT-18 no semantic version",
        changed("plan", "maintenance_info", {"version": "v1"}),
        f"{PLAN}.maintenance_info.version",
    ),
]
ODD_BODIES = {
    "CAT-01 list": b"[]",
    "CAT-01 null": b"null",
    "CAT-25 repeated key": b'{"services": [], "services": []}',
    "CAT-25 NaN": b'{"services": [], "x": NaN}',
    "CAT-25 no UTF-8": b'{"services": [], "x": "\xff"}',
    "CAT-25 cut": b'{"services": [',
}


def two_offerings(platform: Platform) -> dict[str, Any]:
    """A good catalog that shares no id with that of any other test."""
    names = [f"{platform.offering_name}-{number}" for number in range(2)]
    return copy.deepcopy(simple_catalog(*(simple_service(name, plans=["small", "large"]) for name in names)))


@pytest.mark.parametrize("rule", sorted({name[:6] for name, _, _ in BROKEN}))
async def test_what_is_broken_in_a_catalog_is_left_out_and_what_was_there_stays(platform: Platform, rule: str) -> None:
    for change, place in [(change, place) for name, change, place in BROKEN if name.startswith(rule)]:
        platform.broker.catalog = two_offerings(platform)
        await (platform.relists() if platform.registered else platform.registers())
        assert (len(await platform.classes()), len(await _all_plans(platform))) == (2, 4)
        platform.broker.catalog = _broken(platform, change)
        if rule == "CAT-01":
            await platform.relists_in_vain(says=place)
        else:
            await platform.relists()
            await platform.until_condition(BROKER, platform.broker_name, "Ready", "True", says=place)
        kept = [*await platform.classes(), *await _all_plans(platform)]
        assert len(kept) == 6
        assert not any(each["status"].get("removedFromBrokerCatalog") for each in kept)


@pytest.mark.parametrize("rule", ["CAT-05", "CAT-14", "CAT-18"])
async def test_what_many_brokers_get_wrong_is_taken_and_told(platform: Platform, rule: str) -> None:
    for change, place in [(change, place) for name, change, place in QUESTIONABLE if name.startswith(rule)]:
        platform.broker.catalog = _broken(platform, change)
        await (platform.relists() if platform.registered else platform.registers())
        assert (len(await platform.classes()), len(await _all_plans(platform))) == (2, 4)
        about = f"involvedObject.name={platform.broker_name},reason=QuestionableCatalog"
        events = (await platform.api.get("/api/v1/events", fieldSelector=about)).document["items"]
        assert any(place in event["message"] for event in events)


@pytest.mark.parametrize("rule", ["CAT-01", "CAT-25"])
async def test_body_that_is_no_catalog_is_refused(platform: Platform, rule: str) -> None:
    await platform.registers()
    for body in (body for name, body in ODD_BODIES.items() if name.startswith(rule)):
        platform.broker.always(GET_CATALOG, Reply(200, body))
        await platform.relists_in_vain()
        assert set(await platform.plans()) == {"default"}
        platform.broker.always(GET_CATALOG, None)
        await platform.relists()


async def test_cat_02_all_faults_of_a_catalog_are_told_at_once(platform: Platform) -> None:
    catalog = two_offerings(platform)
    catalog["services"][0]["name"] = ""
    for plan in catalog["services"][1]["plans"]:
        del plan["description"]
    platform.broker.catalog = catalog
    name = await platform.registers_in_vain()
    found = await platform.until_condition(BROKER, name, "Ready", "False", says="services[0].name")
    assert "services[1].plans[1].description" in json.dumps(found["status"])


def _broken(platform: Platform, change: Change) -> dict[str, Any]:
    catalog = two_offerings(platform)
    change(catalog, catalog["services"][0], catalog["services"][0]["plans"][0])
    return catalog


@pytest.mark.parametrize("what", ["service", "plan"])
async def test_cat_04_id_of_another_broker_is_not_taken_over(platform: Platform, what: str) -> None:
    await platform.registers()
    before = await platform.plans()
    async with ScriptedBroker() as other:
        if what == "service":
            other.catalog = copy.deepcopy(platform.broker.catalog)
            other.catalog["services"][0]["plans"][0]["id"] = f"own-{platform.number}"
        else:
            plan = simple_plan(plan_id=before["default"]["spec"]["externalID"])
            other.catalog = simple_catalog(simple_service(f"own-{platform.number}", plans=[plan]))
        name = await platform.registers_in_vain("second", url=other.url)
        await platform.until_condition(BROKER, name, "Ready", "False", says=platform.broker_name)
    assert (await platform.plans())["default"]["metadata"]["uid"] == before["default"]["metadata"]["uid"]
    await platform.provisions()
    assert len(platform.broker.seen_of(PROVISION)) == 1


async def test_cat_07_offering_and_plan_may_share_an_id(platform: Platform) -> None:
    shared = f"shared-{platform.number}"
    platform.offers(simple_plan(plan_id=shared), service_id=shared)
    await platform.registers()
    await platform.provisions()


async def test_cat_08_plan_does_not_move_to_another_offering(platform: Platform) -> None:
    catalog = two_offerings(platform)
    platform.broker.catalog = catalog
    await platform.registers()
    moved = copy.deepcopy(catalog)
    plan = moved["services"][0]["plans"].pop(0)
    moved["services"][1]["plans"].append({**plan, "name": "moved"})
    platform.broker.catalog = moved
    await platform.relists_in_vain(says=plan["id"])
    kept = [each for each in await _all_plans(platform) if each["spec"]["externalID"] == plan["id"]]
    assert [each["spec"]["externalName"] for each in kept] == ["small"]
    assert not kept[0]["status"].get("removedFromBrokerCatalog")


async def test_cat_09_plans_of_two_offerings_may_share_a_name(platform: Platform) -> None:
    platform.broker.catalog = two_offerings(platform)
    await platform.registers()
    assert sorted(each["spec"]["externalName"] for each in await _all_plans(platform)) == ["large"] * 2 + ["small"] * 2


@pytest.mark.parametrize("name", ["With Spaces", "-", "übergröße", "a/b", "x" * 300])
async def test_cat_10_11_names_that_are_hard_to_type_are_taken(platform: Platform, name: str) -> None:
    platform.offers({**simple_plan(name, plan_id=f"plan-{platform.number}"), "description": "d" * 300})
    await platform.registers()
    assert set(await platform.plans()) == {name}


async def test_cat_12_words_of_requires_are_shown_and_unknown_ones_harm_nothing(platform: Platform) -> None:
    words = ["syslog_drain", "route_forwarding", "volume_mount"]
    platform.offers(requires=[*words, "word-of-tomorrow"])
    await platform.registers()
    [offering] = await platform.classes()
    assert offering["spec"]["requires"][:3] == words


@pytest.mark.parametrize("reference", ["#/definitions/size", "#"])
async def test_cat_15_reference_within_a_schema_is_fine(platform: Platform, reference: str) -> None:
    schema = {"$schema": DRAFT_7, "definitions": {"size": {}}, "properties": {"size": {"$ref": reference}}}
    platform.offers(simple_plan(schemas=parameter_schemas(create=schema)))
    await platform.registers()


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "http://example.test/draft-99#", "type": "object", "required": ["size"]},
        {"$schema": DRAFT_7, "type": "nonsense", "required": ["size"]},
    ],
    ids=["unknown draft", "no schema"],
)
async def test_cat_17_schema_that_cannot_be_applied_is_taken(platform: Platform, schema: dict[str, Any]) -> None:
    platform.offers(simple_plan(schemas=parameter_schemas(create=schema)))
    await platform.registers()
    await platform.provisions(parameters={})


@pytest.mark.parametrize("version", ["1.2.3", "0.0.1-rc.1", "2.1.1+abcdef"])
async def test_cat_18_semantic_versions_are_taken(platform: Platform, version: str) -> None:
    platform.offers(simple_plan(maintenance_version=version))
    await platform.registers()
    assert (await platform.plans())["default"]["spec"]["maintenanceInfo"] == {"version": version}


@pytest.mark.parametrize("seconds", [0, -1, 1.5, "60", True])
async def test_cat_19_nonsense_for_a_polling_duration_is_refused_or_ignored(platform: Platform, seconds: Any) -> None:
    platform.offers(simple_plan(maximum_polling_duration=seconds))
    name = await platform.registers_in_vain()

    def is_told(found: dict[str, Any]) -> bool:
        conditions = json.dumps(found["status"]["conditions"])
        return "FetchedCatalog" in conditions or f"{PLAN}.maximum_polling_duration" in conditions

    await platform.until(BROKER, name, is_told, "have its catalog, or say what is wrong with it")
    plans = await platform.plans()
    assert not any("maximumPollingDuration" in plan["spec"] for plan in plans.values())


@pytest.mark.parametrize("client", [{}, {"id": ""}, {"id": "x", "secret": ""}, "text", 7])
async def test_cat_20_dashboard_client_is_ignored(platform: Platform, client: Any) -> None:
    platform.offers(dashboard_client=client)
    await platform.registers()


@pytest.mark.parametrize("costs", [[{"amount": {"usd": 1}}], [{"unit": "MONTHLY"}], "free of charge", 0])
async def test_cat_21_costs_are_passed_on_as_they_are(platform: Platform, costs: Any) -> None:
    platform.offers(simple_plan(metadata={"costs": costs}))
    await platform.registers()
    assert (await platform.plans())["default"]["spec"]["externalMetadata"] == {"costs": costs}


async def test_cat_22_schema_for_bindings_of_an_unbindable_plan_is_ignored(platform: Platform) -> None:
    broken = {"type": "no schema", "$ref": "http://127.0.0.1:9/x.json"}
    platform.offers(simple_plan(bindable=False, schemas=parameter_schemas(bind=broken)))
    await platform.registers()
    assert "serviceBindingCreateParameterSchema" not in (await platform.plans())["default"]["spec"]


async def test_cat_23_unknown_fields_are_ignored(platform: Platform) -> None:
    platform.offers(simple_plan(x_future={"a": [1]}, schemas={"x": 1}), x_future=[None])
    platform.broker.catalog["x_future"] = "text"
    await platform.registers()
    await platform.provisions()


async def test_cat_24_what_comes_with_new_ids_is_new(platform: Platform) -> None:
    platform.offers(simple_plan(plan_id=f"plan-a-{platform.number}"), service_id=f"service-a-{platform.number}")
    await platform.provisions()
    platform.offers(simple_plan(plan_id=f"plan-b-{platform.number}"), service_id=f"service-b-{platform.number}")
    await platform.relists()
    offerings = {each["spec"]["externalID"]: each for each in await platform.classes()}
    assert offerings[f"service-a-{platform.number}"]["status"]["removedFromBrokerCatalog"] is True
    assert not offerings[f"service-b-{platform.number}"]["status"].get("removedFromBrokerCatalog")
    await platform.until_ready(INSTANCE, "db")
    await platform.deprovisions()


async def _all_plans(platform: Platform) -> list[dict[str, Any]]:
    found = await platform.lists(PLAN_KIND)
    return [each for each in found if each["spec"]["clusterServiceBrokerName"] in platform.registered]
