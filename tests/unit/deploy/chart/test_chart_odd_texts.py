"""Texts that YAML would take for something else, in every value that is a text: they arrive, or are refused.

Such a text goes into all places of a set of values at once that take it by the schema, and an ordinary word into the
same places. What is rendered has to be the same but for the one and the other. Numbers and truth values, given where a
text has to be, are refused.
"""

import base64
import copy
import functools
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import jsonschema_rs
import pytest
import yaml

from tests.unit.deploy.conftest import CHART
from tests.unit.deploy.sets.value_sets import render_values, values_of

Place = tuple[str | int, ...]

ODD: Final = ("true", "null", "123", "1e3", "0x1f", "a: b", "#x", "~", "{{ .Values }}", '"')
ORDINARY: Final = "zzordinaryzz"
SETS: Final = (
    "everything-about-pods",
    "shut-but-for-what-is-needed",
    "scaled-by-prometheus",
    "kms-oidc-audit-and-traces",
    "cluster-with-the-company-s-issuer",
    "operators-with-all-they-take",
    "texts-that-others-leave-alone",
    "built-in-by-tag",
    "built-in-pinned",
    "scaled-by-postgresql",
    "gateway-certificate-by-cert-manager",
    "cluster-with-a-certificate-from-elsewhere",
    "external-postgresql-and-rabbitmq-cluster",
)
FORMS: Final = frozenset(
    {"url", "urls", "tokens", "keys", "providers", "CHANDLERY_SHUTDOWN_SECONDS", "caBundle", "fullnameOverride"}
)
"""Their form is checked by templates, which show no secret."""
MADE_UP: Final = ("-generated-key", "-token", "-postgres", "-bus")
"""Secrets whose data is random."""
CROSS_CHECKED: Final = frozenset({"name", "mountPath"})
"""Of elements of lists: two of one name are refused, and a mount names its volume."""


def places(values: Any, way: Place = ()) -> Iterator[Place]:
    """Where texts are in the values."""
    if isinstance(values, str):
        crossed = way[-1] in CROSS_CHECKED and any(isinstance(step, int) for step in way)
        if not crossed and not FORMS.intersection(way):
            yield way
    elif isinstance(values, dict):
        for name, part in values.items():
            yield from places(part, (*way, name))
    elif isinstance(values, list):
        for index, part in enumerate(values):
            yield from places(part, (*way, index))


def put(values: Any, way: Place, value: object) -> None:
    for step in way[:-1]:
        values = values[step]
    values[way[-1]] = value


@functools.cache
def validator() -> Any:
    return jsonschema_rs.Draft7Validator(json.loads((CHART / "values.schema.json").read_text()))


def takes(values: dict[str, Any], way: Place, value: object) -> bool:
    """Whether the schema takes it there."""
    changed = copy.deepcopy(values)
    put(changed, way, value)
    return bool(validator().is_valid(changed))


def plain(tree: Any, word: str, text: str) -> Any:
    """What is rendered, with one text instead of a word, without sums over it; encoded texts are decoded."""
    if isinstance(tree, list):
        return [plain(each, word, text) for each in tree]
    if isinstance(tree, str):
        # A name that changes with what is to be run.
        return re.sub("-migrate-[0-9a-f]{8}$", "-migrate", tree.replace(word, text))
    if not isinstance(tree, dict):
        return tree
    kept = {name: part for name, part in tree.items() if not name.startswith("checksum/")}
    if tree.get("kind") == "Secret" and tree["metadata"]["name"].endswith(MADE_UP):
        kept.pop("data", None)
    elif tree.get("kind") == "Secret" and "data" in tree:
        kept["data"] = {name: base64.b64decode(value).decode() for name, value in tree["data"].items()}
    if tree.get("kind") == "ConfigMap" and "policy.yaml" in tree["data"]:
        kept["data"] = yaml.safe_load(tree["data"]["policy.yaml"])
    return {name.replace(word, text): plain(part, word, text) for name, part in kept.items()}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("text", ODD)
def test_text_arrives_as_it_is_wherever_it_is_taken(name: str, text: str) -> None:
    values = values_of(name)
    odd, ordinary = copy.deepcopy(values), copy.deepcopy(values)
    for way in places(values):
        # One after the other, since some lists have nothing twice.
        if takes(odd, way, text) and takes(ordinary, way, ORDINARY):
            put(odd, way, text)
            put(ordinary, way, ORDINARY)
    rendered, expected = (
        [plain(body, ORDINARY, text) for body in render_values(each).objects] for each in (odd, ordinary)
    )
    assert rendered == expected


@pytest.mark.parametrize("text", ["true", "null"])
def test_a_name_for_everything_stays_a_text(text: str) -> None:
    values = values_of("texts-that-others-leave-alone")
    rendered, expected = (
        [plain(body, ORDINARY, text) for body in render_values({**values, "fullnameOverride": word}).objects]
        for word in (text, ORDINARY)
    )
    assert rendered == expected


def test_every_text_of_the_chart_is_in_one_of_the_sets() -> None:
    """Whoever adds a value adds it to a set, too: one of those above, if the schema takes words and odd texts there."""
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    words = [way for way in places(defaults) if takes(defaults, way, ORDINARY)]
    odd = {named(way) for way in words if any(takes(defaults, way, text) for text in ODD)}
    assert len(odd) > 50
    assert sorted(odd - {named(way) for name in SETS for way in places(values_of(name))}) == []


def named(way: Place) -> str:
    """Without the places in lists."""
    return ".".join(step for step in way if isinstance(step, str))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("value", [True, 123, 1.5, ["a"], {"a": "b"}], ids=["true", "123", "1.5", "list", "map"])
def test_what_is_no_text_is_refused_where_a_text_has_to_be(name: str, value: object) -> None:
    values = values_of(name)
    free = {way for way in places(values) if "spec" in way or "extraObjects" in way or "policy" in way}
    taken = {way for way in places(values) if takes(values, way, value)} - free
    # A quantity may be a number, and so may ports and shares.
    assert not [way for way in taken if not {"resources", "maxUnavailable", "port", "sizeLimit"} & set(way)]
