"""Catalogs: what is read, what is overlooked, and that every violation is told with its path at once."""

import json
import time
from typing import Any

import pytest

from chandlery.model.objects.instances import MaintenanceInfo
from chandlery.osb.catalog.catalog_reading import read_catalog
from chandlery.osb.catalog.catalog_values import CatalogPlan
from chandlery.osb.faults import InvalidCatalog
from tests.conformance.scripted.scripted_catalog import simple_catalog, simple_plan, simple_service

SCHEMA = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "object"}
ABSENT = object()


def problems_of(body: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidCatalog) as caught:
        read_catalog(body)
    return [(problem.field, problem.message) for problem in caught.value.problems]


def service_with(**changes: Any) -> dict[str, Any]:
    service = {**simple_service("db"), **changes}
    return simple_catalog({key: value for key, value in service.items() if value is not ABSENT})


def plan_with(**changes: Any) -> dict[str, Any]:
    plan = {**simple_plan("small", plan_id="small-id"), **changes}
    plan = {key: value for key, value in plan.items() if value is not ABSENT}
    return simple_catalog({**simple_service("db"), "plans": [plan]})


def schemas(parameters: Any, owner: str = "service_instance", action: str = "create") -> dict[str, Any]:
    return {owner: {action: {"parameters": parameters}}}


def read_plan(**changes: Any) -> CatalogPlan:
    return read_catalog(plan_with(**changes)).services[0].plans[0]


def test_empty_catalog_is_valid() -> None:
    assert read_catalog({"services": []}).services == ()


def test_full_offering_is_read_field_by_field() -> None:
    plan = simple_plan(
        "large",
        plan_id="large-id",
        free=False,
        bindable=False,
        plan_updateable=True,
        binding_rotatable=True,
        maximum_polling_duration=3600,
        schemas={
            "service_instance": {"create": {"parameters": SCHEMA}, "update": {"parameters": {**SCHEMA, "title": "u"}}},
            "service_binding": {"create": {"parameters": SCHEMA}},
        },
        maintenance_info={"version": "1.2.3-rc.1+build.5", "description": "news"},
        metadata={"costs": [{}], "bullets": ["é"]},
    )
    body = simple_service(
        "db",
        plans=[plan],
        plan_updateable=True,
        instances_retrievable=True,
        bindings_retrievable=True,
        allow_context_updates=True,
        tags=["sql"],
        requires=["volume_mount", "moon_phase"],
        metadata={"displayName": "DB"},
        dashboard_client={"id": "x", "secret": "s3cret"},
        novelty={"ignored": True},
    )
    (service,) = read_catalog(simple_catalog(body)).services
    assert (service.id, service.name, service.description) == ("db-id", "db", "offering db")
    assert service.bindable
    assert service.plan_updateable
    assert service.instances_retrievable
    assert service.bindings_retrievable
    assert service.allow_context_updates
    assert (service.tags, service.unknown_requirements) == (("sql",), ("moon_phase",))
    assert service.metadata == {"displayName": "DB"}
    assert service.plans == (
        CatalogPlan(
            id="large-id",
            name="large",
            description="plan large",
            free=False,
            bindable=False,
            plan_updateable=True,
            binding_rotatable=True,
            maximum_polling_duration=3600,
            maintenance_info=MaintenanceInfo(version="1.2.3-rc.1+build.5", description="news"),
            metadata={"costs": [{}], "bullets": ["é"]},
            instance_create_schema=SCHEMA,
            instance_update_schema={**SCHEMA, "title": "u"},
            binding_create_schema=None,
        ),
    )
    assert "s3cret" not in repr(service)


def test_absent_and_null_fields_have_the_defaults_of_the_specification() -> None:
    optional = ("free", "bindable", "plan_updateable", "binding_rotatable", "maximum_polling_duration", "metadata")
    for plan in (read_plan(), read_plan(**dict.fromkeys((*optional, "schemas", "maintenance_info")))):
        assert plan.free
        assert (plan.bindable, plan.plan_updateable, plan.maximum_polling_duration) == (None, None, None)
        assert not plan.binding_rotatable
        assert (plan.metadata, plan.maintenance_info, plan.instance_create_schema) == (None, None, None)
    (service,) = read_catalog(service_with(tags=None, requires=None, metadata=None, plan_updateable=None)).services
    assert (service.tags, service.requires, service.metadata, service.plan_updateable) == ((), (), None, False)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "is required: an array"),
        ({"services": None}, "is required: an array"),
        ({"services": {}}, "must be an array"),
    ],
)
def test_services_have_to_be_an_array(body: Any, message: str) -> None:
    assert problems_of(body) == [("services", message)]


@pytest.mark.parametrize("name", ["id", "name", "description"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (ABSENT, "is required and must not be empty"),
        (None, "is required and must not be empty"),
        ("", "is required and must not be empty"),
        (7, "must be a string"),
    ],
)
def test_ids_names_and_descriptions_are_required_strings(name: str, value: Any, message: str) -> None:
    assert problems_of(service_with(**{name: value})) == [(f"services[0].{name}", message)]
    assert problems_of(plan_with(**{name: value})) == [(f"services[0].plans[0].{name}", message)]


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"bindable": "yes"}, "bindable", "must be a boolean"),
        ({"plans": ABSENT}, "plans", "must hold at least one plan"),
        ({"plans": []}, "plans", "must hold at least one plan"),
        ({"plans": {}}, "plans", "must be an array"),
        ({"plans": ["small"]}, "plans[0]", "must be an object"),
        ({"plan_updateable": 1}, "plan_updateable", "must be a boolean"),
        ({"bindings_retrievable": "true"}, "bindings_retrievable", "must be a boolean"),
        ({"tags": "sql"}, "tags", "must be an array"),
        ({"tags": ["a", 1]}, "tags[1]", "must be a string"),
        ({"requires": [None]}, "requires[0]", "must be a string"),
        ({"metadata": []}, "metadata", "must be an object"),
    ],
)
def test_service_fields_have_their_types(changes: dict[str, Any], path: str, message: str) -> None:
    assert problems_of(service_with(**changes)) == [(f"services[0].{path}", message)]


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"free": 0}, "free", "must be a boolean"),
        ({"bindable": "no"}, "bindable", "must be a boolean"),
        ({"binding_rotatable": []}, "binding_rotatable", "must be a boolean"),
        ({"metadata": "m"}, "metadata", "must be an object"),
        ({"schemas": []}, "schemas", "must be an object"),
        ({"schemas": {"service_instance": 1}}, "schemas.service_instance", "must be an object"),
        ({"schemas": schemas([])}, "schemas.service_instance.create.parameters", "must be an object"),
        ({"maintenance_info": "1.0.0"}, "maintenance_info", "must be an object"),
        ({"maintenance_info": {"version": 1}}, "maintenance_info.version", "must be a string"),
        ({"maintenance_info": {"version": "1.0.0\n"}}, "maintenance_info.version", r'"1.0.0\n" is not a version'),
        ({"maintenance_info": {"version": "9" * 257}}, "maintenance_info.version", f'"{"9" * 60}…" is not a version'),
        ({"metadata": {"a": "x" * 262_144}}, "metadata", "has 262,152 bytes and may have 262,144"),
    ],
)
def test_plan_fields_have_their_types(changes: dict[str, Any], path: str, message: str) -> None:
    assert problems_of(plan_with(**changes)) == [(f"services[0].plans[0].{path}", message)]


@pytest.mark.parametrize("value", [0, -1, "60", 1.5, True, {}])
def test_senseless_polling_duration_is_overlooked(value: Any) -> None:
    assert read_plan(maximum_polling_duration=value).maximum_polling_duration is None


def test_names_may_be_long_odd_and_differ_in_case_only() -> None:
    body = simple_catalog(simple_service("Foo Bar!" * 40), simple_service("foo bar!" * 40))
    assert len(read_catalog(body).services) == 2


@pytest.mark.parametrize(
    ("service", "path"),
    [
        (simple_service("x" * 2001, service_id="x", plans=[simple_plan("p", plan_id="p")]), "services[0].name"),
        (simple_service("db", service_id="a\0b"), "services[0].id"),
        (simple_service("db", plans=[simple_plan("p", plan_id="\u00fc" * 1001)]), "services[0].plans[0].id"),
        (simple_service("db", plans=[simple_plan("a\0b", plan_id="p")]), "services[0].plans[0].name"),
    ],
)
def test_names_and_ids_that_no_database_can_look_up_are_refused(service: dict[str, Any], path: str) -> None:
    assert problems_of(simple_catalog(service)) == [
        (path, "must not hold a null character or have more than 2000 bytes")
    ]


def test_plan_names_may_repeat_across_services_and_ids_across_kinds() -> None:
    one = simple_service("one", plans=[simple_plan("small", plan_id="one-id")])
    assert len(read_catalog(simple_catalog(one, simple_service("two", plans=["small"]))).services) == 2


def test_what_must_be_unique_belongs_to_its_first_owner_and_the_others_are_left_out() -> None:
    plans = [simple_plan("small", plan_id="p"), simple_plan("small", plan_id="q")]
    one = simple_service("db", service_id="same", plans=plans)
    two = simple_service("db", service_id="same", plans=[simple_plan("other", plan_id="r")])
    three = simple_service("web", plans=[simple_plan("other", plan_id="p"), simple_plan("more", plan_id="s")])
    read = read_catalog(simple_catalog(one, two, three))
    assert [(service.name, [plan.id for plan in service.plans]) for service in read.services] == [
        ("db", ["p"]),
        ("web", ["s"]),
    ]
    assert [(problem.field, problem.message) for problem in read.problems] == [
        ("services[0].plans[1].name", '"small" belongs to services[0].plans[0] already'),
        ("services[1].id", '"same" belongs to services[0] already'),
        ("services[1].name", '"db" belongs to services[0] already'),
        ("services[2].plans[0].id", '"p" belongs to services[0].plans[0] already'),
    ]


def test_plan_that_breaks_a_rule_is_left_out_and_the_rest_is_taken() -> None:
    broken = {**simple_plan("broken", plan_id="b"), "free": "yes"}
    read = read_catalog(simple_catalog(simple_service("db", plans=[broken, simple_plan("small", plan_id="s")])))
    assert [(plan.name, plan.path) for plan in read.services[0].plans] == [("small", "services[0].plans[1]")]
    assert [problem.field for problem in read.problems] == ["services[0].plans[0].free"]


def test_value_of_a_plan_that_is_left_out_is_free_for_another() -> None:
    broken = {**simple_plan("small", plan_id="p"), "description": ""}
    read = read_catalog(simple_catalog(simple_service("db", plans=[broken, simple_plan("small", plan_id="p")])))
    assert [plan.path for plan in read.services[0].plans] == ["services[0].plans[1]"]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({**simple_service("bad", service_id="bad"), "description": 7}, id="broken itself"),
        pytest.param(simple_service("bad", service_id="bad", plans=[{"id": "p", "name": "p"}]), id="no sound plan"),
        pytest.param({**simple_service("bad", service_id="bad"), "plans": []}, id="no plan"),
    ],
)
def test_offering_that_cannot_be_used_is_left_out_and_the_rest_is_taken(bad: dict[str, Any]) -> None:
    read = read_catalog(simple_catalog(bad, simple_service("db")))
    assert [service.name for service in read.services] == ["db"]
    assert read.problems


def test_catalog_of_more_offerings_than_can_be_shown_is_refused() -> None:
    plans = [simple_plan(f"p{number}", plan_id=f"p{number}") for number in range(10_000)]
    assert problems_of(simple_catalog(simple_service("db", plans=plans))) == [
        ("services", "have 10,001 entries and plans and may have 10,000")
    ]


@pytest.mark.parametrize(
    ("body", "remark"),
    [
        pytest.param(
            service_with(bindable=ABSENT),
            "services[0].bindable: is required; as it is missing, only plans with bindable: true can be bound",
            id="no word on bindings",
        ),
        pytest.param(
            plan_with(schemas=schemas({"type": "object"})),
            "services[0].plans[0].schemas.service_instance.create.parameters.$schema: is required: it "
            "names the JSON Schema draft; parameters are not checked",
            id="schema without a draft",
        ),
        pytest.param(
            plan_with(maintenance_info={"version": "v1"}),
            'services[0].plans[0].maintenance_info.version: "v1" is not a semantic version; it is compared as a text',
            id="version that is not semantic",
        ),
        pytest.param(
            plan_with(maintenance_info={"description": "news"}),
            "services[0].plans[0].maintenance_info.version: is required; as it is missing, the plan counts as one "
            "without maintenance info",
            id="no version",
        ),
    ],
)
def test_what_many_brokers_get_wrong_is_taken_with_a_remark(body: dict[str, Any], remark: str) -> None:
    read = read_catalog(body)
    assert len(read.services[0].plans) == 1
    assert (read.problems, read.remarks) == ((), (remark,))


def test_missing_word_on_bindings_is_taken_for_no_and_plans_may_say_yes() -> None:
    (service,) = read_catalog(service_with(bindable=None)).services
    assert not service.bindable
    plan = simple_plan("small", plan_id="p", bindable=True)
    (service,) = read_catalog(service_with(bindable=ABSENT, plans=[plan])).services
    assert service.plans[0].bindable


def test_texts_lose_what_steers_a_terminal_and_ids_that_hold_it_are_refused() -> None:
    esc = "\x1b[31m"
    metadata = {"displayName": f" D{esc}B\u202e", f"k{esc}ey": [{"bullet": f"a\n{esc}b"}, 1]}
    plan = {
        **simple_plan(f"sm{esc}all\u202e", plan_id="p"),
        "description": f"one\n{esc}two\x07",
        "metadata": metadata,
    }
    body = {
        **simple_service("d\x08b", service_id="db", tags=[f"s{esc}ql"], plans=[plan]),
        "description": "\u2066x" * 40_000,
        "metadata": metadata,
    }
    (service,) = read_catalog(simple_catalog(body)).services
    assert (service.name, service.tags, len(service.description)) == ("db", ("sql",), 32_768)
    assert (service.plans[0].name, service.plans[0].description) == ("small", "one\ntwo")
    clean = {"displayName": "DB", "key": [{"bullet": "a\nb"}, 1]}
    assert (service.metadata, service.plans[0].metadata) == (clean, clean)
    for hidden in ("a\x1b[2J", "\u202ea", "a\u200bb"):
        assert problems_of(plan_with(id=hidden)) == [
            ("services[0].plans[0].id", "must not hold characters that cannot be seen")
        ]
    assert problems_of(plan_with(name="\x1b[2J"))[0][0] == "services[0].plans[0].name"


def test_schema_has_to_be_small() -> None:
    path = "services[0].plans[0].schemas.service_instance.create.parameters"
    padding = 65_536 - len(json.dumps({**SCHEMA, "d": ""}, separators=(",", ":")))
    assert read_plan(schemas=schemas({**SCHEMA, "d": "x" * padding})).instance_create_schema
    assert problems_of(plan_with(schemas=schemas({**SCHEMA, "d": "x" * (padding + 1)}))) == [
        (path, "has 65537 bytes and may have 65536")
    ]
    assert read_plan(schemas=schemas({})).instance_create_schema is None


@pytest.mark.parametrize("draft", ["draft-04", "draft-06", "draft-07", "draft/2020-12"])
def test_every_draft_of_json_schema_is_taken(draft: str) -> None:
    schema = {"$schema": f"http://json-schema.org/{draft}/schema#"}
    assert read_plan(schemas=schemas(schema)).instance_create_schema == schema


@pytest.mark.parametrize("reference", ["http://evil/x", "other.json", "file:///etc/passwd", ""])
def test_schema_must_not_refer_to_the_outside(reference: str) -> None:
    schema = {**SCHEMA, "properties": {"a": {"items": [{"$ref": reference}]}}}
    ((path, message),) = problems_of(plan_with(schemas=schemas(schema, action="update")))
    assert path == "services[0].plans[0].schemas.service_instance.update.parameters"
    assert message == f'refers to "{reference}" outside the schema'


def test_references_inside_and_data_that_looks_like_one_are_fine() -> None:
    schema = {
        **SCHEMA,
        "definitions": {"a": {}},
        "properties": {"a": {"$ref": "#/definitions/a"}, "$ref": {"type": "string"}},
        "default": {"$ref": "http://data"},
        "enum": [{"$ref": "http://data"}],
    }
    assert read_plan(schemas=schemas(schema)).instance_create_schema == schema


def test_binding_schema_is_overlooked_when_the_plan_cannot_be_bound() -> None:
    bad = schemas({"$ref": "http://elsewhere"}, "service_binding")
    assert read_plan(bindable=False, schemas=bad).binding_create_schema is None
    assert problems_of(plan_with(schemas=bad))


def test_every_problem_is_collected_and_the_message_shows_ten() -> None:
    body = simple_catalog(*({"bindable": True, "plans": [{}]} for _ in range(3)))
    with pytest.raises(InvalidCatalog) as caught:
        read_catalog(body)
    assert len(caught.value.problems) == 18
    assert caught.value.message.startswith("the catalog is not valid: services[0].id: is required")
    assert caught.value.message.endswith("; and 8 more problems")
    assert caught.value.message.count("is required") == 10


def test_message_shows_long_or_odd_values_cut_and_escaped() -> None:
    one = simple_service("x\u00e9" + "y" * 500, service_id="one")
    read = read_catalog(simple_catalog(one, {**one, "id": "other", "plans": [simple_plan(plan_id="z")]}))
    (problem,) = read.problems
    assert "\\xe9" in problem.message
    assert len(problem.message) < 120


def test_catalog_of_a_thousand_plans_is_read_in_fifty_milliseconds() -> None:
    """Processor time, best of three: other processes do not count."""
    plans = [
        simple_plan(
            f"plan-{number}",
            plan_id=f"plan-id-{number}",
            free=False,
            metadata={"bullets": ["a", "b"], "costs": [{"amount": {"usd": 1.5}, "unit": "MONTHLY"}]},
            maintenance_version="1.2.3",
            schemas=schemas({**SCHEMA, "properties": {str(n): {"type": "string"} for n in range(20)}}),
        )
        for number in range(1000)
    ]
    body = simple_catalog(*(simple_service(f"s-{n}", plans=plans[n * 20 : n * 20 + 20]) for n in range(50)))
    times = []
    for _ in range(3):
        started = time.process_time()
        services = read_catalog(body).services
        times.append(time.process_time() - started)
    assert sum(len(service.plans) for service in services) == 1000
    assert min(times) < 0.05
