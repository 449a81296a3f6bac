"""The rules for catalogs: which break them, which only look as if they did, and what a broken one changes."""

from typing import Any

import pytest

from tests.conformance.platform import BROKER, PLAN, Platform
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_catalog import parameter_schemas, simple_catalog, simple_plan, simple_service
from tests.conformance.scripted.scripted_templates import GET_CATALOG

pytestmark = pytest.mark.asyncio(loop_scope="session")

DRAFT = {"$schema": "http://json-schema.org/draft-07/schema#"}
SERVICE, PLAN_PATH = "services[0]", "services[0].plans[0]"
SCHEMA_PATH = f"{PLAN_PATH}.schemas.service_instance.create.parameters"


def service(**changes: Any) -> Any:
    """A catalog of one offering with these changes; None takes a field away."""
    fields = {**simple_service("rules", plans=[simple_plan(plan_id="rules-plan")]), **changes}
    return simple_catalog({name: value for name, value in fields.items() if value is not None})


def plan(**changes: Any) -> Any:
    """The same for its only plan."""
    fields = {**simple_plan(plan_id="rules-plan"), **changes}
    return service(plans=[{name: value for name, value in fields.items() if value is not None}])


def schema(**more: Any) -> Any:
    """The same for the schema of its parameters."""
    return plan(schemas=parameter_schemas(create={**DRAFT, **more}))


def two(second: Any, **changes: Any) -> Any:
    """Two offerings, of which the second has something of the first."""
    first = simple_service("rules", plans=[simple_plan(plan_id="rules-plan")])
    return simple_catalog(first, {**simple_service("other"), **second, **changes})


REFUSED = [
    pytest.param({}, "services: is required", id="CAT-01 no services"),
    pytest.param({"services": {}}, "services: must be an array", id="CAT-01 services of another type"),
    pytest.param(service(id=None), f"{SERVICE}.id: is required", id="CAT-02 no id"),
    pytest.param(service(name=""), f"{SERVICE}.name: is required", id="CAT-02 empty name"),
    pytest.param(
        service(description=7), f"{SERVICE}.description: must be a string", id="CAT-02 description of a number"
    ),
    pytest.param(service(bindable="yes"), f"{SERVICE}.bindable: must be a boolean", id="CAT-05 wrong word on bindings"),
    pytest.param(service(plans=None), f"{SERVICE}.plans: must hold at least one plan", id="CAT-06 no plans"),
    pytest.param(service(plans=[]), f"{SERVICE}.plans: must hold at least one plan", id="CAT-06 empty plans"),
    pytest.param(plan(id=""), f"{PLAN_PATH}.id: is required", id="CAT-07 empty id"),
    pytest.param(plan(name=None), f"{PLAN_PATH}.name: is required", id="CAT-09 no name"),
    pytest.param(plan(description=None), f"{PLAN_PATH}.description: is required", id="CAT-09 no description"),
    pytest.param(service(tags=["a", 1]), f"{SERVICE}.tags[1]: must be a string", id="CAT-13 tag"),
    pytest.param(service(plan_updateable=1), f"{SERVICE}.plan_updateable: must be a boolean", id="CAT-13 flag"),
    pytest.param(plan(free="no"), f"{PLAN_PATH}.free: must be a boolean", id="CAT-13 flag of a plan"),
    pytest.param(plan(metadata=[]), f"{PLAN_PATH}.metadata: must be an object", id="CAT-13 metadata"),
    pytest.param(schema(properties={"a": {"$ref": "http://127.0.0.1:9/x"}}), SCHEMA_PATH, id="CAT-15 reference"),
    pytest.param(schema(description="x" * 65_536), SCHEMA_PATH, id="CAT-16 too large"),
    pytest.param(
        plan(maintenance_info={"version": 1}), f"{PLAN_PATH}.maintenance_info.version: ", id="CAT-18 number for one"
    ),
]
LEFT_OUT = [
    pytest.param(two({"name": "rules"}), "services[1].name: ", id="CAT-03 two of one name"),
    pytest.param(two({"id": "rules-id"}), "services[1].id: ", id="CAT-04 two of one id"),
    pytest.param(two({}, plans=[]), "services[1].plans: must hold at least one plan", id="CAT-06 no plans"),
    pytest.param(two({"plans": [simple_plan(plan_id="rules-plan")]}), "services[1].plans[0].id: ", id="CAT-07 one id"),
    pytest.param(
        service(plans=[simple_plan(plan_id="one"), simple_plan(plan_id="two")]),
        "services[0].plans[1].name: ",
        id="CAT-09 two of one name",
    ),
]
ACCEPTED = [
    pytest.param({"services": []}, id="CAT-01 nothing offered"),
    pytest.param(two({"name": "Rules"}), id="CAT-03 names that differ by case"),
    pytest.param(two({"plans": [simple_plan(plan_id="rules-id")]}), id="CAT-07 plan with the id of an offering"),
    pytest.param(two({}), id="CAT-09 plans of one name in two offerings"),
    pytest.param(service(name="hard to type_"), id="CAT-10 odd name"),
    pytest.param(service(description="x" * 10_000), id="CAT-11 long text"),
    pytest.param(service(requires=["syslog_drain", "route_forwarding", "volume_mount"]), id="CAT-12 known words"),
    pytest.param(schema(properties={"a": {"$ref": "#/definitions/b"}}, definitions={"b": {}}), id="CAT-15 inside"),
    pytest.param(schema(), id="CAT-16 small"),
    pytest.param(
        plan(schemas=parameter_schemas(create={"$schema": "http://127.0.0.1:9/d"})), id="CAT-17 unknown draft"
    ),
    pytest.param(plan(maintenance_info={"version": "1.0.0-rc.1+build.5"}), id="CAT-18 full version"),
    pytest.param(plan(maximum_polling_duration="soon"), id="CAT-19 text"),
    pytest.param(plan(maximum_polling_duration=-1), id="CAT-19 negative"),
    pytest.param(service(dashboard_client={"id": "", "secret": None}), id="CAT-20 empty client"),
    pytest.param(plan(metadata={"costs": [{"amount": "much"}]}), id="CAT-21 odd costs"),
    pytest.param(
        plan(bindable=False, schemas=parameter_schemas(bind={"type": "no draft"})), id="CAT-22 schema for no bindings"
    ),
    pytest.param(
        {**plan(x_acme={"a": 1}), "x_acme": [1], "services": plan(x_acme=1)["services"]}, id="CAT-23 unknown fields"
    ),
]


@pytest.mark.parametrize(("catalog", "says"), REFUSED)
async def test_catalog_that_breaks_a_rule_is_refused_with_its_path(platform: Platform, catalog: Any, says: str) -> None:
    platform.broker.catalog = catalog
    name = await platform.registers_in_vain()
    await platform.until_condition(BROKER, name, "Ready", "False", says=says)
    assert await platform.classes() == []


@pytest.mark.parametrize(("catalog", "says"), LEFT_OUT)
async def test_what_breaks_a_rule_is_left_out_and_the_rest_is_taken(
    platform: Platform, catalog: Any, says: str
) -> None:
    platform.broker.catalog = catalog
    await platform.registers()
    await platform.until_condition(BROKER, platform.broker_name, "Ready", "True", says=says)
    assert [each["spec"]["externalName"] for each in await platform.classes()] == ["rules"]
    assert len(await platform.plans()) == 1


@pytest.mark.parametrize("catalog", ACCEPTED)
async def test_catalog_that_only_looks_odd_is_taken(platform: Platform, catalog: Any) -> None:
    platform.broker.catalog = catalog
    await platform.registers()
    assert len(await platform.classes()) == len(catalog["services"])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"services": [], "services": []}', id="CAT-25 repeated key"),
        pytest.param(b'{"services": [], "x": NaN}', id="CAT-25 NaN"),
        pytest.param(b'\xef\xbb\xbf{"services": []}', id="CAT-25 byte order mark"),
        pytest.param(b'{"services": [], "x": "\xe9"}', id="CAT-25 not UTF-8"),
        pytest.param(b'{"services": [], "x": ' + b"[" * 500 + b"]" * 500 + b"}", id="CAT-25 bottomless"),
    ],
)
async def test_malformed_catalog_is_refused(platform: Platform, body: bytes) -> None:
    platform.broker.always(GET_CATALOG, Reply(200, body))
    name = await platform.registers_in_vain()
    await platform.until_condition(BROKER, name, "Ready", "False", says="the body")


async def test_cat_04_id_of_another_broker_is_refused_and_the_first_keeps_it(platform: Platform) -> None:
    first = await platform.registers()
    second = f"{platform.broker_name}-again"
    await platform.registers_in_vain(second)
    await platform.until_condition(BROKER, second, "Ready", "False", says=platform.broker_name)
    owners = {each["spec"]["clusterServiceBrokerName"] for each in await platform.classes()}
    assert owners == {first["metadata"]["name"]}


async def test_cat_08_plan_that_moves_to_another_offering_is_refused(platform: Platform) -> None:
    platform.broker.catalog = two({"plans": [simple_plan(plan_id="own")]})
    await platform.registers()
    before = await platform.plans()
    platform.broker.catalog = simple_catalog(
        simple_service("rules", plans=[simple_plan(plan_id="new")]),
        simple_service("other", plans=[simple_plan(plan_id="own"), simple_plan("moved", plan_id="rules-plan")]),
    )
    await platform.relists_in_vain(says="has moved")
    assert await platform.plans() == before


@pytest.mark.parametrize(
    ("catalog", "path"),
    [
        pytest.param(service(name="hard to type"), f"{SERVICE}.name", id="CAT-10 name"),
        pytest.param(service(bindable=None), f"{SERVICE}.bindable: is required", id="CAT-05 no word on bindings"),
        pytest.param(service(requires=["moon_phase"]), f"{SERVICE}.requires[0]", id="CAT-12 unknown word"),
        pytest.param(
            plan(schemas=parameter_schemas(create={"type": "object"})), f"{SCHEMA_PATH}.$schema: ", id="CAT-14 no draft"
        ),
        pytest.param(plan(maintenance_info={}), f"{PLAN_PATH}.maintenance_info.version: ", id="CAT-18 no version"),
        pytest.param(
            plan(maintenance_info={"version": "v1"}),
            f"{PLAN_PATH}.maintenance_info.version: ",
            id="CAT-18 other version",
        ),
        pytest.param(schema(type="nonsense"), SCHEMA_PATH, id="CAT-17 schema that its draft refuses"),
        pytest.param(
            service(metadata={"documentationUrl": "javascript:alert(1)"}),
            f"{SERVICE}.metadata.documentationUrl: is not an http or https URL",
            id="an address that could do harm",
        ),
    ],
)
async def test_oddity_is_told_in_an_event(platform: Platform, catalog: Any, path: str) -> None:
    platform.broker.catalog = catalog
    await platform.registers()
    # Events about what is in no namespace are in `default`.
    about = f"involvedObject.name={platform.broker_name},reason=QuestionableCatalog"
    (event,) = (await platform.api.get("/api/v1/events", fieldSelector=about)).document["items"]
    assert event["type"] == "Warning"
    assert path in event["message"]


async def test_cat_24_new_id_is_a_new_plan(platform: Platform) -> None:
    platform.broker.catalog = plan()
    await platform.registers()
    (before,) = await platform.lists(PLAN)
    platform.broker.catalog = plan(id="another")
    await platform.relists()
    (after,) = await platform.lists(PLAN)
    assert before["metadata"]["uid"] != after["metadata"]["uid"]
    assert after["spec"]["externalID"] == "another"
