"""Lists: what is selected, in pages that neither lose nor repeat anything."""

import asyncio
import base64
import json
from hashlib import sha224
from typing import Any

import pytest

from tests.integration.gateway.api_client import (
    CATALOG,
    SECRETS,
    TEAM,
    Api,
    Document,
    binding,
    instance,
    labelled,
    names,
    namespace,
    plan,
    secret,
    service_class,
)

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

CLASSES = f"{CATALOG}/clusterserviceclasses"
PLANS = f"{CATALOG}/clusterserviceplans"


async def test_label_selectors_select(api: Api) -> None:
    for name, labels in (("a", {"tier": "web", "x": "1"}), ("b", {"tier": "db"}), ("c", {})):
        await api.made(SECRETS, labelled(secret(name), **labels))
    for selector, found in (
        ("tier=web", ["a"]),
        ("tier==web,x=1", ["a"]),
        ("tier!=web", ["b", "c"]),
        ("tier in (web, db)", ["a", "b"]),
        ("tier notin (web)", ["b", "c"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c"]),
        ("tier=web,tier=db", []),
        ("x>0", ["a"]),
        ("", ["a", "b", "c"]),
    ):
        assert names((await api.get(SECRETS, labelSelector=selector)).document) == found, selector
    for wrong in ("tier=", "=web", "tier in (", "tier=a b", "ti er=web", "a,,b", "x" * 20_000):
        status = (await api.get(SECRETS, labelSelector=wrong)).status
        assert status == (200 if wrong == "tier=" else 400), wrong


async def test_classes_and_plans_are_found_as_svcat_looks_for_them(api: Api) -> None:
    for number, name in enumerate(("mysql", "redis")):
        await api.made(CLASSES, service_class(f"class-{number}", external_name=name))
        await api.made(PLANS, plan(f"plan-{number}", of=f"class-{number}"))
    hashed = sha224(b"redis").hexdigest()
    by_label = await api.get(CLASSES, labelSelector=f"servicecatalog.k8s.io/spec.externalName={hashed}")
    by_field = await api.get(CLASSES, fieldSelector="spec.externalName=redis")
    assert names(by_label.document) == names(by_field.document) == ["class-1"]
    for selector, found in (
        ("spec.externalName=small", ["plan-0", "plan-1"]),
        ("spec.externalName=small,spec.clusterServiceClassRef.name=class-1", ["plan-1"]),
        ("spec.externalName!=small", []),
        ("spec.clusterServiceClassRef.name!=class-1", ["plan-0"]),
        ("spec.externalID==plan-0,spec.clusterServiceBrokerName=broker", ["plan-0"]),
        ("metadata.name=plan-1", ["plan-1"]),
        ("metadata.name!=plan-1", ["plan-0"]),
        ("spec.externalID=", []),
    ):
        assert names((await api.get(PLANS, fieldSelector=selector)).document) == found, selector
    wrong = await api.get(PLANS, fieldSelector="spec.colour=red")
    assert wrong.status == 400
    assert "spec.externalName" in wrong.message


async def test_columns_that_serve_several_fields_do_not_mix_them_up(api: Api) -> None:
    await api.made(f"{TEAM}/servicebindings", binding("a", to="db", externalID="id-1"))
    await api.made(f"{TEAM}/servicebindings", binding("b", to="other", externalID="id-2"))
    found = await api.get(f"{CATALOG}/servicebindings", fieldSelector="spec.instanceRef.name=db")
    assert names(found.document) == ["a"]
    await api.made(f"{TEAM}/serviceinstances", instance())
    await api.patch(f"{TEAM}/serviceinstances/db", {"spec": {}})
    for field in ("spec.serviceClassRef.name", "spec.clusterServiceClassRef.name"):
        empty = await api.get(f"{TEAM}/serviceinstances", fieldSelector=f"{field}=x")
        assert names(empty.document) == []


async def test_events_are_found_by_what_they_are_about(api: Api) -> None:
    events = "/api/v1/namespaces/team/events"
    for number in range(3):
        await api.made(
            events,
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"generateName": "e-"},
                "involvedObject": {
                    "kind": "ServiceInstance",
                    "name": f"db-{number}",
                    "namespace": "team",
                    "uid": f"u-{number}",
                },
                "reason": "Tested",
            },
        )
    wanted = {"name": "db-1", "namespace": "team", "kind": "ServiceInstance", "uid": "u-1"}
    selector = ",".join(f"involvedObject.{field}={value}" for field, value in wanted.items())
    (found,) = (await api.get(events, fieldSelector=selector)).document["items"]
    assert found["involvedObject"]["uid"] == "u-1"


async def _all_pages(api: Api, path: str, *, limit: int, **query: str) -> list[Document]:
    pages, token = [], ""
    while True:
        answer = await api.get(path, limit=str(limit), **({"continue": token} if token else {}), **query)
        assert answer.status == 200, answer.payload
        pages.append(answer.document)
        token = answer.document["metadata"].get("continue", "")
        if not token:
            return pages


async def test_twelve_hundred_objects_come_in_pages_without_loss(api: Api) -> None:
    many = [f"key-{number:04}" for number in range(1200)]

    def body(name: str) -> Document:
        return labelled(secret(name), third="yes" if int(name[-4:]) % 3 == 0 else "no")

    for start in range(0, len(many), 100):
        answers = await asyncio.gather(*(api.post(SECRETS, body(name)) for name in many[start : start + 100]))
        assert {answer.status for answer in answers} == {201}

    assert names(await api.read(SECRETS)) == many
    for limit, sizes in ((500, [500, 500, 200]), (600, [600, 600]), (1200, [1200]), (5000, [1200])):
        pages = await _all_pages(api, SECRETS, limit=limit)
        assert [len(page["items"]) for page in pages] == sizes
        assert [name for page in pages for name in names(page)] == many
        assert len({page["metadata"]["resourceVersion"] for page in pages}) == 1
    thirds = [name for name in many if int(name[-4:]) % 3 == 0]
    for selector in ("third=yes", "third!=no", "third in (yes)"):
        pages = await _all_pages(api, SECRETS, limit=150, labelSelector=selector)
        assert [len(page["items"]) for page in pages] == [150, 150, 100]
        assert [name for page in pages for name in names(page)] == thirds
    (page,) = await _all_pages(api, SECRETS, limit=1, fieldSelector="metadata.name=key-1199")
    assert names(page) == ["key-1199"]
    (page,) = await _all_pages(api, SECRETS, limit=10, labelSelector="third=never")
    assert page["items"] == []


async def test_a_watch_from_the_last_page_tells_what_changed_on_the_first(api: Api) -> None:
    for name in ("a", "b", "c"):
        await api.made(SECRETS, secret(name))
    first = (await api.get(SECRETS, limit="2")).document
    await api.delete(f"{SECRETS}/a")
    last = (await api.get(SECRETS, limit="2", **{"continue": first["metadata"]["continue"]})).document
    assert names(last) == ["c"]
    async with api.watch(SECRETS, resourceVersion=last["metadata"]["resourceVersion"]) as watch:
        assert ("DELETED", "a") in await watch.until("a", "DELETED")


async def test_pages_go_on_over_what_was_removed_meanwhile(api: Api) -> None:
    await api.made("/api/v1/namespaces", namespace("zone"))
    for name in ("a", "b", "c"):
        await api.made(SECRETS, secret(name))
    await api.made("/api/v1/namespaces/zone/secrets", secret("a"))
    first = (await api.get("/api/v1/secrets", limit="2")).document
    await api.delete(f"{SECRETS}/b")
    rest = await api.get("/api/v1/secrets", limit="5", **{"continue": first["metadata"]["continue"]})
    assert names(rest.document) == ["c", "a"]


def _encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "AAAA",
        "%%%",
        *map(_encoded, (5, "ab", [1], [1, 2, 3], ["1", "a", "b"], {"a": 1}, [1, "a", "b\0"], [None] * 3)),
    ],
)
async def test_a_token_that_is_not_ours_is_a_bad_request(api: Api, token: str) -> None:
    answer = await api.get(SECRETS, **{"continue": token, "limit": "5"})
    assert (answer.status, answer.document["reason"]) == (400, "BadRequest")
    assert "list again" in answer.message


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "9" * 20, "9" * 5000, "\u00b2", "\uff11", " ", "1e3", "0x1"])
async def test_odd_numbers_are_bad_requests(api: Api, number: str) -> None:
    for query in (
        {"limit": number},
        {"watch": "1", "resourceVersion": number},
        {"watch": "1", "timeoutSeconds": number},
    ):
        answer = await api.get(SECRETS, **query)
        assert answer.status == 400, query
        assert "whole number" in answer.message


async def test_numbers_at_the_edge_are_taken(api: Api) -> None:
    await api.made(SECRETS, secret())
    for limit in ("0", "1", "9" * 19, "007"):
        assert names((await api.get(SECRETS, limit=limit)).document) == ["key"]
