"""Numbers of any size pass through the API as they are: in every form of body, in every form of answer."""

import json
from typing import Any

import pytest
import yaml

from tests.integration.gateway.api_client import (
    CATALOG,
    JSON_PATCH,
    STRATEGIC,
    TABLE,
    TEAM,
    Answer,
    Api,
    Document,
    instance,
    plan,
    secret,
    service_class,
)

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

INSTANCES = f"{TEAM}/serviceinstances"
DB = f"{INSTANCES}/db"
APPLY = "application/apply-patch+yaml"
LARGE = {
    "long": 123456789012345678901,
    "below": -(2**63) - 1,
    "above": 2**64,
    "huge": 10**400 + 1,
    "list": [2**64, {"deep": -(2**70)}],
    "real": 1.5e300,
}
NAMED = {"clusterServiceClassExternalName": "mysql", "clusterServicePlanExternalName": "small"}


def parameters(answer: Answer) -> Any:
    assert answer.status in (200, 201), answer.payload
    return answer.document["spec"]["parameters"]


async def test_an_instance_keeps_them_in_json_and_in_yaml(api: Api) -> None:
    for name, encoded, kind in (
        ("db", json.dumps(instance("db", **NAMED, parameters=LARGE)), "application/json"),
        ("db-2", yaml.safe_dump(instance("db-2", **NAMED, parameters=LARGE)), "application/yaml"),
    ):
        made = await api.call("POST", INSTANCES, encoded.encode(), headers={"Content-Type": kind})
        assert parameters(made) == LARGE
        path = f"{INSTANCES}/{name}"
        assert parameters(await api.get(path)) == LARGE
        shown = await api.call("GET", path, headers={"Accept": "application/yaml"})
        assert yaml.safe_load(shown.payload)["spec"]["parameters"] == LARGE
    listed = await api.read(INSTANCES)
    assert [item["spec"]["parameters"] for item in listed["items"]] == [LARGE, LARGE]


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("application/merge-patch+json", {"spec": {"parameters": LARGE}}),
        (JSON_PATCH, [{"op": "add", "path": "/spec/parameters", "value": LARGE}]),
        (APPLY, instance("db", **NAMED, parameters=LARGE)),
    ],
    ids=["merge", "json", "apply"],
)
async def test_a_patch_brings_them_and_leaves_them(api: Api, kind: str, patch: Any) -> None:
    await api.made(INSTANCES, instance())
    query = {"fieldManager": "ann", "force": "true"} if kind == APPLY else {}
    assert parameters(await api.patch(DB, patch, kind, **query)) == LARGE
    for other in ("application/merge-patch+json", APPLY):
        label = {"metadata": {"labels": {"by": other[-4:]}}}
        body = label if other != APPLY else {**instance("db", **NAMED), **label, "spec": NAMED}
        query = {"fieldManager": "bob", "force": "true"} if other == APPLY else {}
        assert parameters(await api.patch(DB, body, other, **query)) == LARGE
    assert parameters(await api.get(DB)) == LARGE


async def test_a_replacement_keeps_them(api: Api) -> None:
    made = await api.made(INSTANCES, instance(**NAMED, parameters=LARGE))
    made["metadata"]["labels"] = {"a": "b"}
    assert parameters(await api.put(DB, made)) == LARGE


async def test_who_owns_them_is_known(api: Api) -> None:
    await api.patch(DB, instance("db", **NAMED, parameters=LARGE), APPLY, fieldManager="ann")
    other = instance("db", **NAMED, parameters={"above": 2**64 + 1})
    refused = await api.patch(DB, other, APPLY, fieldManager="bob")
    assert refused.status == 409
    assert set(refused.causes) == {".spec.parameters.above"}
    same = await api.patch(DB, instance("db", **NAMED, parameters={"above": 2**64}), APPLY, fieldManager="bob")
    assert parameters(same) == LARGE


async def test_classes_and_plans_keep_them_in_metadata_and_schemas(api: Api) -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"n": {"type": "integer", "maximum": 2**70, "minimum": -(10**40), "multipleOf": 0.5}},
    }
    await api.made(f"{CATALOG}/clusterserviceclasses", service_class(externalMetadata=LARGE))
    await api.made(f"{CATALOG}/clusterserviceplans", plan(instanceCreateParameterSchema=schema))
    found = await api.read(f"{CATALOG}/clusterserviceclasses/class-1")
    assert found["spec"]["externalMetadata"] == LARGE
    assert (await api.read(f"{CATALOG}/clusterserviceplans/plan-1"))["spec"]["instanceCreateParameterSchema"] == schema
    allowed = await api.post(INSTANCES, instance(**NAMED, parameters={"n": 2**70}))
    assert parameters(allowed) == {"n": 2**70}
    refused = await api.post(INSTANCES, instance("db-2", **NAMED, parameters={"n": 2**70 + 1}))
    assert refused.status == 422
    assert set(refused.causes) == {"spec.parameters.n"}


async def test_every_form_of_watch_shows_them(api: Api) -> None:
    async with api.watch(INSTANCES) as plain, api.watch(INSTANCES, accept=TABLE, includeObject="Object") as table:
        await api.made(INSTANCES, instance(**NAMED, parameters=LARGE))
        await api.patch(DB, {"metadata": {"labels": {"a": "b"}}})
        await api.delete(DB)
        for _ in range(3):
            assert (await plain.next())["object"]["spec"]["parameters"] == LARGE
            (row,) = (await table.next())["object"]["rows"]
            assert row["object"]["spec"]["parameters"] == LARGE


async def test_a_strategic_merge_passes_over_them(api: Api) -> None:
    await api.made("/api/v1/namespaces/team/secrets", secret(key="value"))
    answer = await api.patch(
        "/api/v1/namespaces/team/secrets/key",
        b'{"metadata":{"labels":{"a":"b"}},"unknown":123456789012345678901}',
        STRATEGIC,
    )
    assert (answer.status, answer.document["metadata"]["labels"]) == (200, {"a": "b"})


TOO_LARGE = ["1" + "0" * 1300, "1e400", "-1e999999999"]


@pytest.mark.parametrize("number", TOO_LARGE, ids=["digits", "exponent", "long-exponent"])
async def test_a_number_that_cannot_be_kept_is_refused_in_one_sentence(api: Api, number: str) -> None:
    spec: Document = {**NAMED, "parameters": {"n": "HERE"}}
    text = json.dumps(instance(**spec)).replace('"HERE"', number)
    made = await api.post(INSTANCES, text.encode())
    assert (made.status, made.document["reason"]) == (400, "BadRequest")
    assert "a number in it is too large: integers may have 1300 digits, fractions must fit a double" in made.message
    await api.made(INSTANCES, instance())
    patched = await api.patch(DB, b'{"spec":{"parameters":{"n":%s}}}' % number.encode())
    assert (patched.status, patched.message) == (400, patched.message)
    assert "a number in it is too large" in patched.message
    assert "parameters" not in (await api.read(DB))["spec"]


@pytest.mark.parametrize("number", [10**30, -(10**30)])
async def test_a_counter_of_any_size_is_no_failure_of_the_server(api: Api, number: int) -> None:
    answer = await api.post(INSTANCES, instance(**NAMED, updateRequests=number))
    assert answer.status in (201, 422), answer.payload
