"""What an update sends of a whole spec, by the plan's update schema, and what is told of the rest."""

from typing import Any

import pytest

from chandlery.model.objects.instances import InstancePropertiesState
from chandlery.reconcile.parameters.parameters import (
    Parameters,
    UpdateParameters,
    checksum,
    merge_parameters,
    parameters_to_update,
    what_differs,
)

SECRET = 'Secret "ns/db" key "json"'


def schema(*, required: tuple[str, ...] = (), closed: bool = True, **properties: str) -> dict[str, Any]:
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(required),
        "additionalProperties": not closed,
    }


def having(parameters: Parameters) -> InstancePropertiesState:
    """What is on record of an instance that was told these."""
    return InstancePropertiesState(parameters=parameters.shown, parameter_checksum=parameters.checksum)


def told(**parameters: Any) -> InstancePropertiesState:
    return having(merge_parameters(parameters, ()))


def updated(given: Any, parameters: Parameters, *, has: InstancePropertiesState | None) -> UpdateParameters:
    differing = what_differs(parameters, has, forms_of=lambda bare: (bare, f"key:{bare}"))
    return parameters_to_update(given, parameters.sent, differing=differing)


def desired(**parameters: Any) -> Parameters:
    return merge_parameters(parameters, ())


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        pytest.param(None, {"dbname": "a", "size": 2}, id="no schema: all"),
        pytest.param(schema(dbname="string", size="integer"), {"dbname": "a", "size": 2}, id="it takes all: all"),
        pytest.param(schema(size="integer", closed=False), {"dbname": "a", "size": 2}, id="it is open: all"),
        pytest.param(schema(size="integer"), {"size": 2}, id="it is closed: what differs"),
    ],
)
def test_update_sends_what_the_schema_takes(given: Any, sent: dict[str, Any]) -> None:
    found = updated(given, desired(dbname="a", size=2), has=told(dbname="a", size=1))
    assert (found.sent, found.wrong) == (sent, ())


def test_what_the_schema_lists_goes_along_where_it_has_to() -> None:
    given = schema(size="integer", mode="string", required=("size",))
    found = updated(given, desired(dbname="a", size=1, mode="x"), has=told(dbname="a", size=1, mode="y"))
    assert (found.sent, found.wrong) == ({"size": 1, "mode": "x"}, ())


def test_what_is_as_it_was_is_held_against_no_new_rule() -> None:
    given = {**schema(size="integer", mode="string"), "properties": {"size": {"minimum": 5}, "mode": {}}}
    found = updated(given, desired(size=1, mode="x"), has=told(size=1, mode="y"))
    assert (found.sent, found.wrong) == ({"mode": "x"}, ())


def test_what_differs_and_is_wrong_is_told_and_nothing_else() -> None:
    found = updated(schema(size="integer"), desired(dbname="a", size="x"), has=told(dbname="a", size=1))
    assert found.wrong == ("parameters.size: must be an integer",)


def test_what_cannot_be_changed_is_told_when_it_is_changed() -> None:
    found = updated(schema(size="integer"), desired(dbname="b", size=1), has=told(dbname="a", size=1))
    assert len(found.wrong) == 1
    assert "dbname" in found.wrong[0]


def test_all_parameters_differ_from_what_is_not_on_record() -> None:
    found = updated(schema(size="integer"), desired(dbname="a", size=1), has=None)
    assert len(found.wrong) == 1


def test_no_empty_object_is_sent_where_the_schema_takes_nothing_of_it() -> None:
    found = updated(schema(size="integer"), desired(dbname="a"), has=told(dbname="a", size=1))
    assert found.wrong


def test_true_is_another_value_than_one() -> None:
    found = updated(schema(flag="boolean"), desired(dbname="a", flag=True), has=told(dbname="a", flag=1))
    assert found.sent == {"flag": True}


def test_value_of_a_secret_that_stays_is_no_difference() -> None:
    secret = [(SECRET, b'{"password": "sesame"}')]
    found = updated(
        schema(size="integer"), merge_parameters({"size": 2}, secret), has=having(merge_parameters({"size": 1}, secret))
    )
    assert (found.sent, found.wrong) == ({"size": 2}, ())


def test_value_of_a_secret_that_changes_is_one() -> None:
    before = merge_parameters({"size": 1}, [(SECRET, b'{"password": "sesame"}')])
    after = merge_parameters({"size": 1}, [(SECRET, b'{"password": "mellon"}')])
    found = updated(schema(password="string"), after, has=having(before))
    assert (found.sent, found.wrong) == ({"password": "mellon"}, ())


def test_defaults_lie_below_what_users_and_secrets_say() -> None:
    defaults = {"size": 1, "net": {"zone": "a", "public": False}, "tags": ["x"], "password": "none", "off": 1}
    merged = merge_parameters(
        {"net": {"public": True}, "tags": [], "off": None}, [(SECRET, b'{"password": "sesame"}')], defaults=defaults
    )
    assert merged.sent == {
        "size": 1,
        "net": {"zone": "a", "public": True},
        "tags": [],
        "password": "sesame",
        "off": None,
    }
    assert merged.shown == {**merged.sent, "password": "<redacted>"}
    assert merged.checksum == checksum(merged.sent)
    assert defaults["net"] == {"zone": "a", "public": False}
