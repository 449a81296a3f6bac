"""How objects go: at once, marked for their worker, abandoned, under conditions, by the dozen."""

import asyncio

import pytest
from sqlalchemy import update

from chandlery.store.schema import WORK_QUEUE
from tests.integration.gateway.api_client import (
    CATALOG,
    FINALIZER,
    SECRETS,
    TEAM,
    Api,
    Document,
    binding,
    broker,
    instance,
    labelled,
    names,
    secret,
)
from tests.integration.gateway.conftest import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

INSTANCES = f"{TEAM}/serviceinstances"
DB = f"{INSTANCES}/db"


async def test_an_instance_is_marked_and_its_worker_is_told(api: Api, gateway: Running) -> None:
    created = await api.made(INSTANCES, instance())
    marked = (await gateway.as_user("token-of-ann-the-developer").delete(DB)).document
    assert marked["metadata"]["deletionTimestamp"]
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
    assert marked["metadata"]["generation"] == 1
    assert marked["spec"]["userInfo"]["username"] == "ann"
    row = next(row for row in await gateway.rows("work_queue") if row["uid"] == created["metadata"]["uid"])
    assert row["revision"] == 1
    commands = [row for row in await gateway.rows("outbox") if created["metadata"]["uid"] in row["message"]]
    assert len(commands) == 2
    assert (await api.delete(DB)).document == marked
    assert (await api.read(DB)) == marked


@pytest.mark.parametrize(
    ("path", "body", "action", "words"),
    [
        (INSTANCES, instance("one"), "abandon", "Anything the broker still holds for it stays"),
        (INSTANCES, instance("one"), "force-delete", "removed together with its bindings"),
        (f"{TEAM}/servicebindings", binding("one"), "abandon", "Anything the broker still holds for it stays"),
        (f"{TEAM}/servicebindings", binding("one"), "force-delete", "whatever its service broker answers"),
        (f"{TEAM}/servicebrokers", broker("one", "ServiceBroker"), "force-delete", "even if it has instances"),
    ],
)
async def test_an_action_is_taken_up_before_and_after_the_deletion(
    api: Api, gateway: Running, path: str, body: Document, action: str, words: str
) -> None:
    created = await api.made(path, body)
    one, uid = f"{path}/one", created["metadata"]["uid"]

    async def revision() -> int:
        (work,) = [row for row in await gateway.rows("work_queue") if row["uid"] == uid]
        return int(work["revision"])

    first = await api.delete(one)
    assert (first.status, first.warnings) == (200, ())
    assert (await api.delete(one)).document == first.document
    assert await revision() == 1
    requested = await api.patch(one, {"metadata": {"annotations": {f"chandlery.io/{action}": "true"}}})
    assert requested.status == 200
    assert words in requested.warnings[0]
    assert await revision() == 2
    again = await api.delete(one)
    assert again.document == requested.document
    assert words in again.warnings[0]
    taken_back = await api.patch(one, {"metadata": {"annotations": {f"chandlery.io/{action}": "false"}}})
    assert taken_back.warnings == ()
    assert await revision() == 3
    await api.patch(one, {"metadata": {"annotations": {f"chandlery.io/{action}": "true"}, "finalizers": None}})
    assert (await api.get(one)).status == 404


async def test_a_marked_object_goes_with_its_last_finalizer(api: Api, gateway: Running) -> None:
    """As `svcat deprovision --abandon` does it."""
    await api.made(INSTANCES, instance())
    await api.patch(DB, {"metadata": {"finalizers": [FINALIZER, "example.com/other"]}})
    await api.delete(DB)
    refused = await api.patch(DB, {"metadata": {"finalizers": [FINALIZER, "example.com/other", "example.com/new"]}})
    assert "example.com/new" in refused.causes["metadata.finalizers"]
    marked = await api.read(DB)
    marked["metadata"]["finalizers"] = ["example.com/other"]
    assert (await api.put(DB, marked)).document["metadata"]["finalizers"] == ["example.com/other"]
    done = await api.patch(DB, {"metadata": {"finalizers": None}})
    assert done.status == 200
    assert "finalizers" not in done.document["metadata"]
    assert (await api.get(DB)).status == 404
    assert not [row for row in await gateway.rows("work_queue") if row["kind"] == "ServiceInstance"]
    last = max(await gateway.rows("changes"), key=lambda row: row["position"])
    assert (last["verb"], last["name"]) == ("DELETED", "db")


async def test_an_object_without_finalizers_goes_at_once(api: Api) -> None:
    created = await api.made(INSTANCES, instance())
    created["metadata"]["finalizers"] = []
    assert (await api.put(DB, created)).status == 200
    assert (await api.delete(DB)).document["status"] == "Success"
    assert (await api.get(DB)).status == 404
    assert (await api.delete(DB)).status == 404


async def test_who_waits_for_an_abandoned_object_is_woken(api: Api, gateway: Running) -> None:
    parent = await api.made(INSTANCES, instance())
    child = await api.made(f"{TEAM}/servicebindings", binding())
    async with gateway.resources.database._engine.begin() as connection:
        mine = WORK_QUEUE.c.uid == parent["metadata"]["uid"]
        waits = {"waiting_for": "bindings-of:team/db", "due_at": None}
        await connection.execute(update(WORK_QUEUE).where(mine).values(waits))
        its = WORK_QUEUE.c.uid == child["metadata"]["uid"]
        await connection.execute(update(WORK_QUEUE).where(its).values(memory={"lane": "broker:/b"}))
    before = len(await gateway.rows("outbox"))
    await api.patch(f"{TEAM}/servicebindings/db-binding", {"metadata": {"finalizers": None}})
    assert (await api.delete(f"{TEAM}/servicebindings/db-binding")).document["status"] == "Success"
    row = next(row for row in await gateway.rows("work_queue") if row["uid"] == parent["metadata"]["uid"])
    assert row["waiting_for"] is None
    assert row["due_at"] is not None
    woken = [row["message"] for row in await gateway.rows("outbox")][before:]
    assert any(parent["metadata"]["uid"] in message for message in woken)


async def test_a_deletion_keeps_to_its_preconditions(api: Api) -> None:
    created = await api.made(SECRETS, secret())
    one, meta = f"{SECRETS}/key", created["metadata"]
    for wrong in ({"uid": "another"}, {"resourceVersion": "1"}, {"uid": meta["uid"], "resourceVersion": "1"}):
        answer = await api.delete(one, {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": wrong})
        assert (answer.status, answer.document["reason"]) == (409, "Conflict")
    assert (await api.delete(one, {"preconditions": "x"})).status == 400
    right = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    assert (await api.delete(one, {"preconditions": right, "propagationPolicy": "Background"})).status == 200
    assert (await api.get(one)).status == 404


async def test_of_deletes_at_the_same_moment_each_is_answered_for_itself(api: Api, gateway: Running) -> None:
    created = [await api.made(INSTANCES, instance(name)) for name in ("one", "two", "three")]
    abandoned = await api.made(INSTANCES, instance("abandoned"))
    abandoned["metadata"]["finalizers"] = []
    assert (await api.put(f"{INSTANCES}/abandoned", abandoned)).status == 200
    other = {"preconditions": {"uid": "another"}}

    one, again, missing, refused, gone, three = await asyncio.gather(
        api.delete(f"{INSTANCES}/one"),
        api.delete(f"{INSTANCES}/one"),
        api.delete(f"{INSTANCES}/missing"),
        api.delete(f"{INSTANCES}/two", other),
        api.delete(f"{INSTANCES}/abandoned"),
        api.delete(f"{INSTANCES}/three"),
    )

    assert [each.status for each in (one, again, missing, refused, gone, three)] == [200, 200, 404, 409, 200, 200]
    assert one.document == again.document == await api.read(f"{INSTANCES}/one")
    assert gone.document["status"] == "Success"
    rows = {row["uid"]: row["revision"] for row in await gateway.rows("work_queue")}
    assert [rows[each["metadata"]["uid"]] for each in created] == [1, 0, 1]
    assert abandoned["metadata"]["uid"] not in rows
    assert "deletionTimestamp" not in (await api.read(f"{INSTANCES}/two"))["metadata"]


async def test_a_collection_is_deleted_as_far_as_it_is_selected(api: Api) -> None:
    for number in range(4):
        await api.made(SECRETS, labelled(secret(f"key-{number}"), half="even" if number % 2 == 0 else "odd"))
    gone = await api.delete(SECRETS, labelSelector="half=even")
    assert (gone.status, gone.document["kind"]) == (200, "SecretList")
    assert names(gone.document) == ["key-0", "key-2"]
    assert names(await api.read(SECRETS)) == ["key-1", "key-3"]
    assert names((await api.delete(SECRETS, fieldSelector="metadata.name=key-1")).document) == ["key-1"]
    await api.made(INSTANCES, instance())
    await api.delete(INSTANCES)
    assert (await api.read(DB))["metadata"]["deletionTimestamp"]
    assert names(await api.read(SECRETS)) == ["key-3"]


async def test_the_default_namespace_stays(own_gateway: Running) -> None:
    answer = await own_gateway.api.delete("/api/v1/namespaces/default")
    assert (answer.status, answer.document["reason"]) == (403, "Forbidden")
    again = await own_gateway.api.read("/api/v1/namespaces/default")
    assert again["status"]["phase"] == "Active"
    assert (await own_gateway.api.get(f"{CATALOG}/namespaces/default/serviceinstances")).status == 200
