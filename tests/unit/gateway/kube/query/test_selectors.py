import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from chandlery.model.faults import BadRequest
from chandlery.model.objects.kinds import (
    CLUSTER_SERVICE_PLAN,
    EVENT,
    KINDS,
    SECRET,
    SERVICE_BINDING,
    SERVICE_CLASS,
    SERVICE_INSTANCE,
    Kind,
)
from chandlery.model.objects.offerings import ClusterServiceClass, ClusterServicePlan, ServicePlan
from chandlery.reconcile.policies.label_selectors import Selector
from chandlery.reconcile.policies.restrictions import (
    CLASS_PROPERTIES,
    CLUSTER_PLAN_PROPERTIES,
    restrictable_properties,
    restriction_problem,
    restrictions_selector,
)
from chandlery_gateway.kube.query.selectors import (
    field_values,
    label_key_problem,
    label_value_problem,
    parse_field_selector,
    parse_label_selector,
    selectable_fields,
)


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a = b , c = d", {"a": "b", "c": "d"}, True),
        ("a=b,c=d", {"a": "b"}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a in (b,c)", {"a": "c"}, True),
        ("a in (b, c)", {}, False),
        ("a  in(b)", {"a": "b"}, True),
        ("a notin (b)", {}, True),
        ("a notin (b)", {"a": "b"}, False),
        ("a", {"a": ""}, True),
        ("a", {}, False),
        ("!a", {}, True),
        ("! a", {"a": "x"}, False),
        ("a=", {"a": ""}, True),
        ("a in (,b)", {"a": ""}, True),
        ("example.com/a=b", {"example.com/a": "b"}, True),
        ("a>5", {"a": "6"}, True),
        ("a>5", {"a": "5"}, False),
        ("a<5", {"a": "x"}, False),
        ("a<5", {"a": "-4"}, True),
        ("in in (in)", {"in": "in"}, True),
    ],
)
def test_label_selector_matches_as_kubernetes_does(text: str, labels: dict[str, str], matches: bool) -> None:
    assert parse_label_selector(text).matches(labels) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=b,", "found the end of the text, expected a key"),
        (",a", "found ',' at position 1"),
        ("a in b", r"found 'b' at position 6, expected '\('"),
        ("a in (b", r"expected ',' or '\)'"),
        ("a in ()", "at least one value"),
        ("a b", "found 'b' at position 3"),
        ("a=b=c", "found '=' at position 4"),
        ("a>x", "a whole number"),
        ("=b", "expected a key"),
        ("!", "expected a key"),
        ("-a=b", "invalid label key '-a'"),
        ("/a=b", "prefix part"),
        (f"a={'b' * 64}", "invalid label value"),
        ("a=b/c", "invalid label value 'b/c'"),
        ("a" * 20_000, "longer than"),
    ],
)
def test_label_selector_says_what_does_not_parse(text: str, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        parse_label_selector(text)


def test_selector_gives_equalities_for_the_database() -> None:
    selector = parse_label_selector("a=b,c in (d),e in (f,g),h!=i,j")
    assert selector.required_equalities() == {"a": "b", "c": "d"}
    assert selector.keys == ("a", "c", "e", "h", "j")
    assert Selector().required_equalities() == {}


@pytest.mark.parametrize(
    ("kind", "text", "values", "matches"),
    [
        (SERVICE_INSTANCE, "metadata.name=a", {"metadata.name": "a"}, True),
        (
            SERVICE_INSTANCE,
            "metadata.name==a,metadata.namespace!=b",
            {"metadata.name": "a", "metadata.namespace": "b"},
            False,
        ),
        (SERVICE_INSTANCE, " metadata.name = a ,", {"metadata.name": " a"}, True),
        (SECRET, r"type=a\,b\=c", {"type": "a,b=c"}, True),
        (SECRET, "type!=", {"type": "Opaque"}, True),
        (SERVICE_CLASS, "", {}, True),
    ],
)
def test_field_selector_matches_values(kind: Kind, text: str, values: dict[str, str], matches: bool) -> None:
    assert parse_field_selector(kind, text).matches(values) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spec.nope=x", "field label not supported: spec.nope"),
        ("metadata.name", "field=value"),
        ("a in (b)", "field=value"),
        ("=x", "field=value"),
        ("a!b=c", "field=value"),
    ],
)
def test_field_selector_refuses_what_is_not_selectable(text: str, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        parse_field_selector(SERVICE_INSTANCE, text)


@pytest.mark.parametrize(
    ("parse", "term"),
    [(parse_label_selector, "!a{0}"), (partial(parse_field_selector, SERVICE_INSTANCE), "metadata.name!=a{0}")],
)
def test_selector_has_a_bounded_number_of_requirements(parse: Callable[[str], Selector], term: str) -> None:
    terms = [term.format(number) for number in range(257)]
    assert len(parse(",".join(terms[:256])).requirements) == 256
    with pytest.raises(BadRequest, match="has 257 requirements; at most 256 are allowed"):
        parse(",".join(terms))


@pytest.mark.parametrize("parse", [parse_label_selector, partial(parse_field_selector, SERVICE_INSTANCE)])
@pytest.mark.parametrize("piece", [" ", "a", "!", "\\", "(", "a ", " !", "=", ", "])
def test_selector_of_the_greatest_length_is_read_within_milliseconds(
    parse: Callable[[str], Selector], piece: str
) -> None:
    text = "a" + (piece * 16_000)[:16_000] + "b"
    began = time.process_time()
    with suppress(BadRequest):
        parse(text)
    assert time.process_time() - began < 0.05


@pytest.mark.parametrize("parse", [parse_label_selector, partial(parse_field_selector, SERVICE_INSTANCE)])
@pytest.mark.parametrize("text", ["a" + "b" * 16_000 + " !", "\x1b[31m" + "=" * 400, "a=" * 8_000])
def test_refused_selector_is_repeated_in_short_and_without_controls(
    parse: Callable[[str], Selector], text: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(text)
    assert len(refused.value.message) < 1_000
    assert "\x1b" not in refused.value.message


def test_field_values_are_read_from_the_wire_form() -> None:
    instance = {"metadata": {"name": "a", "namespace": "n"}, "spec": {"clusterServiceClassRef": {"name": "c"}}}
    assert field_values(SERVICE_INSTANCE, instance, ["metadata.name", "spec.clusterServiceClassRef.name"]) == {
        "metadata.name": "a",
        "spec.clusterServiceClassRef.name": "c",
    }
    assert field_values(SERVICE_BINDING, {"spec": None})["spec.instanceRef.name"] == ""
    assert set(field_values(EVENT, {})) == set(selectable_fields(EVENT))


def test_every_kind_can_be_selected_by_name_and_scope() -> None:
    for kind in KINDS.values():
        assert "metadata.name" in selectable_fields(kind)
        assert ("metadata.namespace" in selectable_fields(kind)) is kind.namespaced
    assert "spec.clusterServiceClassRef.name" in selectable_fields(CLUSTER_SERVICE_PLAN)


@pytest.mark.parametrize("key", ["a", "A.b_c-1", "example.com/a", "a" * 63])
def test_label_key_is_accepted(key: str) -> None:
    assert label_key_problem(key) is None


@pytest.mark.parametrize("key", ["", "a/", "/a", "Ex.com/a", "a b", "-a", "a" * 64, "a\n", "a.com/b/c"])
def test_label_key_is_refused(key: str) -> None:
    assert label_key_problem(key)
    assert label_value_problem("a\n")


def offering(kind: type, **spec: object) -> ClusterServicePlan:
    plan: ClusterServicePlan = kind.model_validate({"metadata": {"name": "k"}, "spec": spec})  # type: ignore[attr-defined]
    return plan


def test_restrictions_keep_what_matches_all_items() -> None:
    selector = restrictions_selector(["spec.externalName in (a, b)", "spec.free=true"])
    plan = {"externalName": "a", "externalID": "1", "clusterServiceClassRef": {"name": "c"}}
    free = offering(ClusterServicePlan, **plan)
    paid = offering(ClusterServicePlan, **plan, free=False)
    assert [selector.matches(restrictable_properties(each)) for each in (free, paid)] == [True, False]
    assert restrictions_selector(None).matches({})


@pytest.mark.parametrize(
    ("kind", "spec", "properties"),
    [
        (ClusterServiceClass, {"externalName": "a"}, set(CLASS_PROPERTIES)),
        (ClusterServicePlan, {}, set(CLUSTER_PLAN_PROPERTIES)),
        (ServicePlan, {}, {*CLASS_PROPERTIES, "spec.free", "spec.serviceClass.name"}),
    ],
)
def test_restrictable_properties_are_those_that_admission_allows(
    kind: type, spec: dict[str, object], properties: set[str]
) -> None:
    assert set(restrictable_properties(offering(kind, **spec))) == properties


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name  in (a)", None),
        ("name=a,spec.externalID=b", None),
        ("spec.free=true", "invalid property: spec.free"),
        ("name=a,spec.description=x", "invalid property: spec.description"),
        ("name in", "unable to parse"),
    ],
)
def test_restriction_is_checked_term_by_term(text: str, problem: str | None) -> None:
    found = restriction_problem(text, CLASS_PROPERTIES)
    assert found is None if problem is None else problem in (found or "")
