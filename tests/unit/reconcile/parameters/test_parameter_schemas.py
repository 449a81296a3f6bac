"""Parameters against JSON schemas: all drafts, paths and expectations, no values, and no schema that hangs us."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from referencing import Registry

from chandlery.reconcile.parameters import bounded_validators, parameter_schemas
from chandlery.reconcile.parameters.parameter_schemas import (
    MOST_VIOLATIONS,
    schema_problem,
    unapplied_pattern,
    violations,
)
from chandlery.reconcile.parameters.violation_words import LONGEST

DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_6 = "http://json-schema.org/draft-06/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2019 = "https://json-schema.org/draft/2019-09/schema"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"
DRAFTS = [DRAFT_4, DRAFT_6, DRAFT_7, DRAFT_2019, DRAFT_2020]
SECRET = "s3cret"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def of(draft: str = DRAFT_7, **keywords: Any) -> dict[str, Any]:
    return {"$schema": draft, **keywords}


def properties(**schemas: Any) -> dict[str, Any]:
    return of(type="object", properties=schemas)


@pytest.mark.parametrize("draft", [*DRAFTS, DRAFT_4.rstrip("#"), DRAFT_7.replace("http:", "https:")])
def test_every_known_draft_is_validated(draft: str) -> None:
    schema = of(draft, type="object", properties={"size": {"type": "integer"}}, required=["name"])

    assert schema_problem(schema) is None
    assert violations(schema, {"name": "n", "size": 3, "more": 1}) == ()
    assert set(violations(schema, {"size": SECRET})) == {
        "parameters.size: must be an integer",
        "parameters.name: is required",
    }


@pytest.mark.parametrize("draft", ["http://json-schema.org/draft-03/schema#", "urn:acme:2031", "", 7, None])
def test_an_unknown_draft_is_accepted_and_not_validated(draft: Any) -> None:
    schema = {"$schema": draft, "type": "nonsense", "required": 3}

    assert schema_problem(schema) is None
    assert violations(schema, {"a": 1}) == ()


def test_a_schema_without_a_draft_is_not_validated() -> None:
    assert violations({"required": ["a"]}, {}) == ()


@pytest.mark.parametrize(
    ("draft", "rule", "value", "violation"),
    [
        (DRAFT_7, {"type": ["string", "null"]}, 1, "must be a string or null"),
        (DRAFT_7, {"enum": ["a", 2, None]}, SECRET, 'must be one of "a", 2, null'),
        (DRAFT_7, {"const": "a"}, SECRET, 'must be "a"'),
        (DRAFT_7, {"minimum": 3}, 2, "must be at least 3"),
        (DRAFT_7, {"maximum": 3}, 4, "must be at most 3"),
        (DRAFT_7, {"exclusiveMinimum": 3}, 3, "must be more than 3"),
        (DRAFT_7, {"exclusiveMaximum": 3}, 3, "must be less than 3"),
        (DRAFT_4, {"minimum": 3, "exclusiveMinimum": True}, 3, "must be more than 3"),
        (DRAFT_4, {"maximum": 3, "exclusiveMaximum": True}, 3, "must be less than 3"),
        (DRAFT_4, {"minimum": 3, "exclusiveMinimum": False}, 2, "must be at least 3"),
        (DRAFT_7, {"multipleOf": 5}, 7, "must be a multiple of 5"),
        (DRAFT_7, {"minLength": 9}, SECRET, "must have at least 9 characters"),
        (DRAFT_7, {"maxLength": 2}, SECRET, "must have at most 2 characters"),
        (DRAFT_7, {"pattern": "^[A-Z]+$"}, SECRET, 'must match the pattern "^[A-Z]+$"'),
        (DRAFT_7, {"minItems": 2}, [SECRET], "must have at least 2 items"),
        (DRAFT_7, {"maxItems": 0}, [SECRET], "must have at most 0 items"),
        (DRAFT_7, {"uniqueItems": True}, [SECRET, SECRET], "must not have the same item twice"),
        (DRAFT_7, {"minProperties": 2}, {"a": SECRET}, "must have at least 2 properties"),
        (DRAFT_7, {"maxProperties": 0}, {"a": SECRET}, "must have at most 0 properties"),
        (DRAFT_7, {"contains": {"type": "null"}}, [SECRET], "does not contain a required item"),
        (DRAFT_7, {"not": {"type": "string"}}, SECRET, "has a form that the schema excludes"),
        (DRAFT_7, {"anyOf": [{"type": "null"}, {"type": "array"}]}, SECRET, "one of the 2 forms"),
        (DRAFT_7, {"oneOf": [{}, {}, {"type": "array"}]}, SECRET, "one of the 3 forms"),
        (DRAFT_7, {"propertyNames": {"maxLength": 1}}, {"long": SECRET}, "the name of a property must have at most"),
        (DRAFT_7, False, SECRET, "is not allowed"),
        (DRAFT_7, {"if": {"type": "string"}, "then": {"maxLength": 2}}, SECRET, "must have at most 2 characters"),
        (DRAFT_7, {"dependencies": {"a": ["b"]}}, {"a": SECRET}, "does not satisfy the schema's rule `dependencies`"),
        (DRAFT_2020, {"dependentRequired": {"a": ["b"]}}, {"a": SECRET}, "the schema's rule `dependentRequired`"),
        (DRAFT_2020, {"prefixItems": [{}], "items": False}, [1, SECRET], "has to"),
    ],
)
def test_a_violation_says_what_is_expected_and_not_what_was_found(
    draft: str, rule: Any, value: Any, violation: str
) -> None:
    found = violations(of(draft, properties={"value": rule}), {"value": value})

    assert len(found) == 1
    assert found[0].startswith("parameters.value")
    if violation != "has to":
        assert violation in found[0]
    assert SECRET not in found[0]


@pytest.mark.parametrize(
    ("schema", "parameters", "path"),
    [
        (properties(size={"type": "null"}), {"size": 1}, "parameters.size"),
        (
            properties(nodes={"items": {"properties": {"zone": {"type": "null"}}}}),
            {"nodes": [{}, {}, {"zone": 1}]},
            "parameters.nodes[2].zone",
        ),
        (of(additionalProperties={"type": "null"}), {"odd key": 1}, 'parameters["odd key"]'),
        (of(additionalProperties={"type": "null"}), {"a.b": 1}, 'parameters["a.b"]'),
        (of(additionalProperties={"type": "null"}), {"\u202e\x1b": 1}, 'parameters["\\u202e\\u001b"]'),
        (of(additionalProperties={"type": "null"}), {"k" * 500: 1}, 'parameters["' + "k" * 59 + '\\u2026"]'),
        (of(patternProperties={"^x-": {"type": "null"}}), {"x-a": 1, "y": 1}, "parameters.x-a"),
        (of(additionalProperties=False, properties={"a": {}}), {"a": 1, "b": 1}, "parameters.b"),
        (of(properties={"a": {"required": ["b"]}}), {"a": {}}, "parameters.a.b"),
        (of(minProperties=1), {}, "parameters"),
        (of(**{"$ref": "#/definitions/d"}, definitions={"d": {"required": ["b"]}}), {}, "parameters.b"),
    ],
)
def test_a_violation_names_the_path(schema: dict[str, Any], parameters: dict[str, Any], path: str) -> None:
    assert [violation.partition(": ")[0] for violation in violations(schema, parameters)] == [path]


@pytest.mark.parametrize(
    ("schema", "parameters"),
    [
        pytest.param(of(uniqueItems=True), {}, id="no array"),
        pytest.param(properties(a={"uniqueItems": True}), {"a": [1, True, "1", [1], {"1": 1}, None]}, id="unlike"),
        pytest.param(properties(a={"uniqueItems": False}), {"a": [1, 1]}, id="need not be"),
        pytest.param(of(additionalProperties=False, patternProperties={"^x": {}}), {"x1": 1}, id="known by pattern"),
        pytest.param(of(additionalProperties=True), {"a": 1}, id="anything"),
        pytest.param(properties(a={"format": "ipv4"}), {"a": "no address"}, id="format is only a remark"),
        pytest.param(properties(a={"pattern": r"^\p{Lu}\d(?<n>x)$"}), {"a": "Ä1x"}, id="pattern that Python has not"),
        pytest.param(properties(a={"$schema": "urn:other", "type": "string"}), {"a": ""}, id="draft named inside"),
        pytest.param(of(DRAFT_2020, unevaluatedProperties=False), {"a": 1}, id="unevaluated is left to the broker"),
    ],
)
def test_what_fits_has_no_violations(schema: dict[str, Any], parameters: dict[str, Any]) -> None:
    assert schema_problem(schema) is None
    assert violations(schema, parameters) == ()


def test_equal_numbers_are_the_same_item() -> None:
    assert violations(properties(a={"uniqueItems": True}), {"a": [{"n": 1}, {"n": 1.0}]})


def test_keywords_are_bounded_below_a_part_that_names_its_draft() -> None:
    schema = properties(a={"$schema": DRAFT_7, "pattern": "(a|aa)+$"})

    started = time.thread_time()
    assert violations(schema, {"a": "a" * 60 + "!"}) == ()
    assert time.thread_time() - started < 4 * bounded_validators.SECONDS


def test_violations_are_bounded_in_number_and_length() -> None:
    many = violations(of(additionalProperties={"type": "null"}), {f"k{n}": 1 for n in range(1000)})
    missing = violations(of(required=[f"k{n}" for n in range(1000)]), {})
    long = violations(properties(a={"enum": ["x" * 1000] * 1000}), {"a": 1})

    assert len(many) == len(missing) == MOST_VIOLATIONS
    assert len(long) == 1
    assert all(len(violation) <= LONGEST for violation in (*many, *missing, *long))


def test_each_missing_property_is_named_once() -> None:
    assert violations(of(required=["a", "b"]), {}) == ("parameters.a: is required", "parameters.b: is required")


@pytest.mark.parametrize("reference", ["http://127.0.0.1:9/x", "https://example.com/s.json#/a", "other.json", "#/nope"])
@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_a_reference_out_of_the_schema_is_a_problem_and_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, reference: str, keyword: str
) -> None:
    monkeypatch.setattr("socket.socket", None)
    schema = of(DRAFT_2020, properties={"a": {keyword: reference}})

    assert schema_problem(schema) == f"it refers to {reference!r}, which is not in it"
    assert violations(schema, {"a": 1}) == ()


def test_a_reference_inside_the_schema_is_followed_and_one_in_data_is_none() -> None:
    schema = of(
        **{"$id": "http://acme.com/s"},
        definitions={"d": {"type": "null"}},
        properties={"a": {"$ref": "http://acme.com/s#/definitions/d"}, "b": {"enum": [{"$ref": "http://x/y"}]}},
    )

    assert schema_problem(schema) is None
    assert violations(schema, {"a": 1, "b": {"$ref": "http://x/y"}}) == ("parameters.a: must be null",)


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        (None, "it is not a JSON object"),
        ([], "it is not a JSON object"),
        (of(type="nonsense"), "it is not valid: schema.type: must have one of the 2 forms that the schema allows"),
        (of(properties=5), "it is not valid: schema.properties: must be an object"),
        (of(required={}), "it is not valid: schema.required: must be an array"),
        (of(**{"$ref": "#"}), "it is nested too deeply, or refers to itself without an end"),
    ],
)
def test_a_schema_that_cannot_be_used_is_a_problem_and_refuses_nothing(
    schema: Any, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine the end of the stack may come later than that of the usual time.
    monkeypatch.setattr(bounded_validators, "SECONDS", 60.0)
    assert schema_problem(schema) == problem
    assert violations(schema, {"a": 1}) == ()


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "null"}
    for _ in range(depth):
        inner = {"properties": {"a": inner}}
    return of(**inner)


def doubling(depth: int) -> dict[str, Any]:
    parts = {f"d{n}": {"allOf": [{"$ref": f"#/definitions/d{n + 1}"}] * 2} for n in range(depth)}
    return of(definitions={**parts, f"d{depth}": {}}, properties={"a": {"$ref": "#/definitions/d0"}})


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param(properties(a={"pattern": "(a|aa)+$"}), "a" * 60 + "!", id="pattern"),
        pytest.param(properties(a={"pattern": "(x*)*(y*)*z" * 3}), "xy" * 5000, id="pattern on a long text"),
        pytest.param(properties(a={"patternProperties": {"(a|aa)+$": {}}}), {"a" * 60 + "!": 1}, id="name"),
        pytest.param(
            properties(a={"patternProperties": {"(a|aa)+$": {}}, "additionalProperties": False}),
            {"a" * 60 + "!": 1},
            id="additional name",
        ),
        pytest.param(properties(a={"pattern": "((a{1000}){1000}){1000}"}), "a", id="pattern that unrolls"),
        pytest.param(properties(a={"pattern": "(" * 20_000}), "a", id="broken pattern"),
        pytest.param(doubling(60), 1, id="doubling references"),
        pytest.param(nested(2_000), {}, id="deep schema"),
        pytest.param(nested(100_000), {}, id="deeper schema"),
        pytest.param(properties(a={"$ref": "#/properties/a"}), 1, id="loop"),
        pytest.param(
            properties(a={"anyOf": [{"type": "null"}] * 5_000}), {"b": ["x" * 100] * 10_000}, id="many forms of much"
        ),
        pytest.param(
            of(DRAFT_2020, unevaluatedProperties=False, patternProperties={"(a|aa)+$": {}}), 1, id="unevaluated"
        ),
    ],
)
def test_a_hostile_schema_ends_in_time_and_refuses_nothing(schema: dict[str, Any], value: Any) -> None:
    started = time.thread_time()
    found = violations(schema, {"a": value})
    problem = schema_problem(schema)
    assert time.thread_time() - started < 8 * bounded_validators.SECONDS
    assert found == () or problem is None


def test_many_unlike_items_are_compared_in_time() -> None:
    schema = properties(a={"uniqueItems": True})
    assert violations(schema, {"a": [{"n": n} for n in range(10_000)]}) == ()
    assert violations(schema, {"a": [{"n": n} for n in range(1_000)] + [{"n": 0}]}) != ()


@pytest.mark.parametrize("draft", DRAFTS)
@given(parameters=st.dictionaries(st.text(), JSON, max_size=5))
def test_nothing_that_parameters_hold_breaks_a_validation(draft: str, parameters: dict[str, Any]) -> None:
    schema = of(
        draft,
        type="object",
        properties={"a": {"type": "integer"}},
        patternProperties={"^b": {"uniqueItems": True, "maxLength": 1}},
        additionalProperties={"type": ["string", "array"], "items": {"enum": [1, "x"]}},
    )
    assert len(violations(schema, parameters)) <= MOST_VIOLATIONS


def test_equal_schemas_are_read_once() -> None:
    first = of(properties={"once": {"type": "null"}})
    assert violations(first, {"once": 1}) == violations(dict(reversed(first.items())), {"once": 1})
    started = time.thread_time()
    for _ in range(100):
        violations(dict(first), {"once": 1})
    assert time.thread_time() - started < 1


def test_references_to_names_look_the_schema_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    crawl = Registry.crawl

    def counted(self: Registry[Any]) -> Registry[Any]:
        looks.append(1)
        return crawl(self)

    monkeypatch.setattr(Registry, "crawl", counted)
    named = {"text": {"$id": "#text", "type": "string"}}
    schema = of(definitions=named, properties={f"p{number}": {"$ref": "#text"} for number in range(200)})

    assert schema_problem(schema) is None
    assert len(violations(schema, {f"p{number}": number for number in range(200)})) == MOST_VIOLATIONS
    assert len(looks) < 10


def test_what_has_been_found_is_known_for_the_next_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = properties(size={"type": "integer", "title": "known for the next"})
    first = violations(schema, {"size": SECRET})
    monkeypatch.setattr(parameter_schemas, "first_errors", None)

    assert violations(schema, {"size": SECRET}) == first


def test_pattern_that_is_not_applied_is_told_and_the_rest_of_the_schema_is() -> None:
    schema = properties(name={"type": "string", "pattern": "(x?){99000}"}, size={"type": "integer"})

    assert schema_problem(schema) is None
    assert unapplied_pattern(schema) == "(x?){99000}"
    assert violations(schema, {"name": "y", "size": "large"}) == ("parameters.size: must be an integer",)
    assert unapplied_pattern(of(patternProperties={"(x?){99000}": {"allOf": []}})) == "(x?){99000}"
    assert unapplied_pattern(properties(name={"pattern": "^x+$"})) is None


@pytest.mark.parametrize(
    "rule",
    [
        {"not": {"$ref": "#/definitions/a"}},
        {"allOf": [{"$ref": "#/definitions/a"}]},
        {"if": {"$ref": "#/definitions/a"}},
        {"anyOf": [{"not": {"not": {"$ref": "#/definitions/a"}}}]},
        {"oneOf": [{"$ref": "#/definitions/b"}]},
    ],
    ids=lambda rule: next(iter(rule)),
)
@pytest.mark.parametrize("frames", range(12))
def test_a_schema_that_refers_to_itself_without_an_end_is_a_problem(rule: dict[str, Any], frames: int) -> None:
    """Wherever in its turns the stack ends."""
    definitions = {"a": rule, "b": {"allOf": [{"$ref": "#/definitions/a"}]}}
    schema = {**of(definitions=definitions), "$ref": "#/definitions/a", "$comment": str(frames)}

    def found(deeper: int) -> str | None:
        return found(deeper - 1) if deeper else schema_problem(schema)

    assert found(frames) == "it is nested too deeply, or refers to itself without an end"


def test_a_pause_that_befalls_an_evaluation_changes_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection of garbage, such as that of a large catalog, can take longer than an evaluation may."""
    honest, looks = time.thread_time, iter(range(1_000))
    monkeypatch.setattr(time, "thread_time", lambda: honest() + (10 if next(looks) == 1 else 0))
    assert violations(properties(paused={"pattern": "^a"}), {"paused": "x"}) == (
        'parameters.paused: must match the pattern "^a"',
    )
