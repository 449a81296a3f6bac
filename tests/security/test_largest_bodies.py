"""No body of the largest size holds the event loop, whatever is in it and whatever is done with it."""

import asyncio
import json
from typing import Any

import pytest

from chandlery.model.json.json_text import MOST_SENT_VALUES, MOST_VALUES
from tests.integration.gateway.api_client import (
    CATALOG,
    JSON_PATCH,
    MERGE,
    SECRETS,
    STRATEGIC,
    TABLE,
    TEAM,
    Answer,
    Api,
    catalog_object,
    instance,
    plan,
    secret,
)
from tests.security.hostile_bodies import NAMES, hostile, largest_body, largest_object, within

pytestmark = pytest.mark.asyncio(loop_scope="session")

INSTANCES = f"{TEAM}/serviceinstances"
DB = f"{INSTANCES}/db"
NAMED = {"clusterServiceClassExternalName": "mysql", "clusterServicePlanExternalName": "small"}
APPLY = "application/apply-patch+yaml"
TOO_LARGE = "a number in it is too large"


def sent(text: str) -> dict[str, tuple[str, str, bytes]]:
    """Every way in which a value comes into an instance: method, media type, body."""
    whole = within(instance(**NAMED, parameters={"p": "HERE"}), text)
    part = within({"spec": {"parameters": {"p": "HERE"}}}, text)
    step = within([{"op": "add", "path": "/spec/parameters", "value": {"p": "HERE"}}], text)
    return {
        "create": ("POST", "application/json", whole),
        "merge": ("PATCH", MERGE, part),
        "json": ("PATCH", JSON_PATCH, step),
        "apply": ("PATCH", APPLY, whole),
    }


async def send(api: Api, how: tuple[str, str, bytes]) -> Answer:
    method, kind, body = how
    path, query = (INSTANCES, {}) if method == "POST" else (DB, {"fieldManager": "ann", "force": "true"})
    if kind != APPLY:
        query.pop("force", None)
    return await api.call(method, path, body, headers={"Content-Type": kind}, query=query)


@pytest.mark.parametrize("value", NAMES)
@pytest.mark.parametrize("way", ["create", "merge", "json", "apply"])
async def test_a_body_of_three_megabytes_is_refused_or_stored_without_a_hold(api: Api, way: str, value: str) -> None:
    how = await asyncio.to_thread(lambda: sent(largest_body(value))[way])
    if way != "create":
        await api.made(INSTANCES, instance())
    answer = await send(api, how)
    if answer.status == 400:
        assert TOO_LARGE in answer.message
    elif answer.status == 413:
        assert "Request entity too large" in answer.message
    else:
        assert answer.status in (200, 201)
        assert value in ("a text of unicode", "blanks")


@pytest.mark.parametrize("value", [name for name in NAMES if name != "long numbers"])
async def test_an_object_as_large_as_may_be_lives_without_a_hold(api: Api, value: str) -> None:
    ways = await asyncio.to_thread(lambda: sent(largest_object(value)))
    async with api.watch(INSTANCES, timeoutSeconds="60") as plain, api.watch(INSTANCES, accept=TABLE) as table:
        made = await send(api, ways["create"])
        assert made.status == 201, made.payload[:200]
        for way in ("merge", "json", "apply"):
            assert (await send(api, ways[way])).status == 200
        for patch in (b'{"metadata":{"labels":{"a":"b"}}}', b'{"metadata":{"labels":{"a":"c"}}}'):
            assert (await api.patch(DB, patch)).status == 200
        found = await api.get(DB)
        body = await asyncio.to_thread(lambda: json.dumps({**found.document, "status": {}}).encode())
        assert (await api.put(DB, body)).status == 200
        for accept in ("application/json", "application/yaml", TABLE):
            assert (await api.call("GET", INSTANCES, headers={"Accept": accept})).status == 200
        assert (await api.delete(DB)).status == 200
        plain.response.close()
        table.response.close()


async def test_values_are_counted_and_said(api: Api) -> None:
    too_many = hostile("numbers", size=10**6, values=MOST_VALUES + 1)
    stored = await send(api, sent(too_many)["create"])
    assert (stored.status, stored.message) == (
        413,
        f"Request entity too large: an object may have {MOST_VALUES} values, counted at every depth",
    )
    read = await send(api, sent(hostile("numbers", size=10**6, values=MOST_SENT_VALUES + 1))["create"])
    assert (read.status, read.message) == (
        413,
        f"Request entity too large: a body may have {MOST_SENT_VALUES} values, counted at every depth",
    )


@pytest.fixture(params=[4_500, 70_000])
def finalizers(request: pytest.FixtureRequest) -> tuple[list[str], bytes]:
    """Names, and a patch that sets them in the opposite order; made before the loop is watched."""
    names = [f"f{number}.example.com/x" for number in range(request.param)]
    patch = {"metadata": {"finalizers": names, "$setElementOrder/finalizers": names[::-1]}}
    return names, json.dumps(patch).encode()


async def test_the_order_of_a_list_is_set_in_linear_time(api: Api, finalizers: tuple[list[str], bytes]) -> None:
    names, body = finalizers
    await api.made(SECRETS, secret("s"))
    answer = await api.patch(f"{SECRETS}/s", body, STRATEGIC)
    if len(names) > MOST_SENT_VALUES:
        assert answer.status == 413
        return
    assert answer.status == 200, answer.payload[:300]
    assert answer.document["metadata"]["finalizers"] == names[::-1]
    rest = json.dumps({"metadata": {"$deleteFromPrimitiveList/finalizers": names}}).encode()
    assert "finalizers" not in (await api.patch(f"{SECRETS}/s", rest, STRATEGIC)).document["metadata"]


async def test_directives_that_keep_or_remove_take_linear_time(api: Api) -> None:
    keys = [f"k{number}" for number in range(4_500)]
    await api.made(SECRETS, secret("s"))
    labels = {"metadata": {"annotations": dict.fromkeys(keys, "x")}}
    assert (await api.patch(f"{SECRETS}/s", labels, STRATEGIC)).status == 200
    kept = {"metadata": {"annotations": {"$retainKeys": keys[::2], **dict.fromkeys(keys[::2], "y")}}}
    answer = await api.patch(f"{SECRETS}/s", kept, STRATEGIC)
    assert len(answer.document["metadata"]["annotations"]) == len(keys[::2])


async def test_ten_thousand_steps_of_a_json_patch_hold_nothing(api: Api) -> None:
    await api.made(INSTANCES, instance(**NAMED, parameters={"list": []}))
    steps = [{"op": "add", "path": "/spec/parameters/list/0", "value": number} for number in range(9_000)]
    assert (await api.patch(DB, steps, JSON_PATCH)).status == 200
    moves = [{"op": "move", "from": "/spec/parameters/list/0", "path": "/spec/parameters/list/8999"}] * 9_000
    assert (await api.patch(DB, moves, JSON_PATCH)).status == 200


POINTER = "/a" * 740_000


@pytest.mark.parametrize("operation", ["test", "remove", "move"])
async def test_a_pointer_of_a_million_steps_holds_nothing(api: Api, operation: str) -> None:
    await api.made(INSTANCES, instance())
    body = f'[{{"op":"{operation}","value":1,"path":"{POINTER}","from":"{POINTER}"}}]'.encode()
    answer = await api.patch(DB, body, JSON_PATCH)
    assert (answer.status, "there is no such path in the object" in answer.message) == (422, True)
    assert len(answer.payload) < 2_000


@pytest.mark.parametrize("validation", ["Strict", "Warn"])
async def test_thousands_of_mistakes_hold_nothing_and_are_not_all_told(api: Api, validation: str) -> None:
    unknown = {f"unknown{number}": number for number in range(9_000)}
    answer = await api.post(INSTANCES, {**instance(), **unknown}, fieldValidation=validation)
    assert answer.status == (400 if validation == "Strict" else 201)
    assert len(answer.payload) < 20_000
    wrong = {f"label{number}": number for number in range(9_000)}
    document = instance("other")
    refused = await api.post(INSTANCES, {**document, "metadata": {**document["metadata"], "labels": wrong}})
    assert refused.status == 422
    assert len(refused.payload) < 100_000


def refused_metadata(**metadata: Any) -> bytes:
    document = instance()
    return json.dumps({**document, "metadata": {**document["metadata"], **metadata}}).encode()


REFUSED = {
    "a name": refused_metadata(name="a" * 1_400_000),
    "a name of dots": refused_metadata(name="a." * 700_000),
    "annotations for brokers": refused_metadata(annotations={f"chandlery.io/a{n}": "x" for n in range(9_000)}),
    "labels": refused_metadata(labels={f"-{number}": "x" for number in range(9_000)}),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
async def test_a_refusal_is_not_larger_than_a_page_whatever_it_is_about(api: Api, body: bytes) -> None:
    refused = await api.post(INSTANCES, body)
    assert refused.status == 422
    assert len(refused.payload) < 100_000
    causes = refused.document["details"]["causes"]
    assert ("and 8900 more" in refused.message) == (len(causes) == 100)


async def test_of_thousands_of_conflicts_the_first_are_told(api: Api) -> None:
    mine, others = ({f"key-number-{number}": value for number in range(4_500)} for value in (1, 2))
    first = await api.patch(DB, instance(**NAMED, parameters=mine), APPLY, fieldManager="ann")
    assert first.status == 201
    refused = await api.patch(DB, instance(**NAMED, parameters=others), APPLY, fieldManager="bob")
    assert (refused.status, refused.message.count("key-number-")) == (409, 100)
    assert "Apply failed with 4500 conflicts" in refused.message
    assert "and 4400 more" in refused.message
    assert len(refused.document["details"]["causes"]) == 100


async def test_managers_of_a_large_object_are_bounded(api: Api) -> None:
    keys = dict.fromkeys((f"k{number}" for number in range(4_500)), 1)
    statuses = []
    for number in range(8):
        body = instance(**NAMED, parameters=keys)
        answer = await api.patch(DB, body, APPLY, fieldManager=f"manager-{number}")
        statuses.append(answer.status)
    assert statuses[:2] == [201, 200]
    assert statuses[-1] == 413
    assert "managers" in answer.message
    assert (await api.get(DB)).status == 200


async def test_lists_and_watches_of_many_large_objects_hold_nothing(api: Api) -> None:
    value = await asyncio.to_thread(lambda: hostile("keys with objects", size=10**6, values=4_500))
    bodies = [within(instance(f"db-{number}", **NAMED, parameters={"p": "HERE"}), value) for number in range(5)]
    async with api.watch(INSTANCES, timeoutSeconds="60") as watch:
        for body in bodies:
            assert (await api.post(INSTANCES, body)).status == 201
        for accept in ("application/json", TABLE, f"{TABLE};q=0.5", "application/yaml"):
            listed = await api.call("GET", INSTANCES, headers={"Accept": accept}, query={"includeObject": "Object"})
            assert listed.status == 200
        async with api.watch(INSTANCES, timeoutSeconds="60") as late:
            late.response.close()
        watch.response.close()


async def test_parameters_are_held_against_a_schema_without_a_hold(api: Api) -> None:
    schema: dict[str, Any] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"p": {"items": {"anyOf": [{"type": "string"}, {"minimum": 5}] * 10}}},
    }
    await api.made(f"{CATALOG}/clusterserviceplans", plan(instanceCreateParameterSchema=schema))
    klass = catalog_object(
        "ClusterServiceClass",
        "class-1",
        externalName="mysql",
        externalID="class-1",
        description="a database",
        bindable=True,
        clusterServiceBrokerName="broker",
    )
    await api.made(f"{CATALOG}/clusterserviceclasses", klass)
    ways = await asyncio.to_thread(lambda: sent(largest_object("numbers")))
    assert (await send(api, ways["create"])).status in (201, 422)
