"""Watches over a real socket: what they begin with, what they tell, and how they end."""

import asyncio
import json
import time
from typing import Any

import pytest

from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import SERVICE_INSTANCE
from chandlery.reconcile.policies.label_selectors import Selector
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.changes import Snapshot
from chandlery_gateway.identity.authorization import access_to
from chandlery_gateway.identity.rbac.rule_keeper import RuleKeeper
from chandlery_gateway.kube.printing.tables import IncludeObject
from chandlery_gateway.kube.query.list_options import WatchOptions
from chandlery_gateway.kube.query.negotiation import Representation
from chandlery_gateway.read.object_reader import ObjectReader
from chandlery_gateway.read.selection import Selection
from chandlery_gateway.watch import watch_stream
from chandlery_gateway.watch.watch_hub import WatchHub
from chandlery_gateway.watch.watch_rights import WatchRights
from chandlery_gateway.watch.watch_stream import WatchRequest, WatchStream
from tests.integration.gateway.api_client import (
    CATALOG,
    SECRETS,
    TABLE,
    TEAM,
    Api,
    instance,
    labelled,
    namespace,
    secret,
)
from tests.integration.gateway.conftest import Running
from tests.support.allow_everything import AllowEverything
from tests.support.waiting import SOON, eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

INSTANCES = f"{TEAM}/serviceinstances"
DB = f"{INSTANCES}/db"


async def _until_idle(gateway: Running) -> str:
    """A resource version that everything written so far is below; other databases' transactions may take a moment."""
    newest = max((row["position"] for row in await gateway.rows("changes")), default=0)

    async def version() -> str:
        return str((await gateway.api.read(SECRETS))["metadata"]["resourceVersion"])

    return await eventually(version, lambda seen: int(seen) >= newest, what="the horizon")


async def test_a_watch_begins_with_what_is_there_and_goes_on(api: Api) -> None:
    await api.made(INSTANCES, instance("a"))
    for query in ({}, {"resourceVersion": "0"}, {"resourceVersion": ""}):
        async with api.watch(INSTANCES, **query) as watch:
            (first,) = [await watch.next()]
            assert (first["type"], first["object"]) == ("ADDED", await api.read(f"{INSTANCES}/a"))
            created = await api.made(INSTANCES, instance("b"))
            assert await watch.next() == {"type": "ADDED", "object": created}
            patched = await api.patch(f"{INSTANCES}/b", {"metadata": {"finalizers": None}})
            assert await watch.next() == {"type": "MODIFIED", "object": patched.document}
            await api.delete(f"{INSTANCES}/b")
            gone = await watch.next()
            assert (gone["type"], gone["object"]["metadata"]["name"]) == ("DELETED", "b")
            assert int(gone["object"]["metadata"]["resourceVersion"]) > int(
                patched.document["metadata"]["resourceVersion"]
            )


async def test_a_watch_from_a_lists_version_tells_only_what_came_after(api: Api, gateway: Running) -> None:
    await api.made(INSTANCES, instance("a"))
    version = await _until_idle(gateway)
    for name in ("b", "c"):
        await api.made(INSTANCES, instance(name))
    async with api.watch(INSTANCES, resourceVersion=version) as watch:
        assert await watch.until("c") == [("ADDED", "b"), ("ADDED", "c")]
        await api.patch(f"{INSTANCES}/a", {"metadata": {"labels": {"x": "y"}}})
        assert await watch.until("a") == [("MODIFIED", "a")]


async def test_a_watch_keeps_to_its_kind_and_namespace(api: Api) -> None:
    await api.made("/api/v1/namespaces", namespace("other"))
    async with api.watch(SECRETS) as mine, api.watch("/api/v1/secrets") as all_of_them:
        await api.made("/api/v1/namespaces/other/secrets", secret("theirs"))
        await api.made(INSTANCES, instance("no-secret"))
        await api.made(SECRETS, secret("ours"))
        assert await mine.until("ours") == [("ADDED", "ours")]
        assert await all_of_them.until("ours") == [("ADDED", "theirs"), ("ADDED", "ours")]
        assert mine.seen[-1]["object"]["data"] == {}


async def test_objects_enter_and_leave_a_selection(api: Api) -> None:
    for name, tier in (("a", "web"), ("b", "db")):
        await api.made(SECRETS, labelled(secret(name), tier=tier))
    async with api.watch(SECRETS, labelSelector="tier=web") as watch:
        assert await watch.until("a") == [("ADDED", "a")]
        await api.patch(f"{SECRETS}/b", {"metadata": {"labels": {"x": "y"}}})
        await api.patch(f"{SECRETS}/b", {"metadata": {"labels": {"tier": "web"}}})
        assert await watch.until("b") == [("ADDED", "b")]
        await api.patch(f"{SECRETS}/b", {"stringData": {"x": "y"}})
        assert await watch.until("b") == [("MODIFIED", "b")]
        await api.patch(f"{SECRETS}/b", {"metadata": {"labels": {"tier": None}}})
        assert await watch.until("b") == [("DELETED", "b")]
        await api.delete(f"{SECRETS}/b")
        await api.delete(f"{SECRETS}/a")
        assert await watch.until("a") == [("DELETED", "a")]


async def test_a_resumed_watch_tells_who_left_and_is_silent_about_strangers(api: Api, gateway: Running) -> None:
    for name, tier in (("mine", "web"), ("stranger", "db"), ("last", "web")):
        await api.made(SECRETS, labelled(secret(name), tier=tier))
    version = await _until_idle(gateway)
    async with api.watch(SECRETS, labelSelector="tier=web", resourceVersion=version) as watch:
        # The first notice shows that the watch has found its feet.
        await api.patch(f"{SECRETS}/last", {"stringData": {"x": "y"}})
        assert await watch.until("last") == [("MODIFIED", "last")]
        await api.patch(f"{SECRETS}/stranger", {"stringData": {"x": "y"}})
        await api.patch(f"{SECRETS}/mine", {"metadata": {"labels": {"tier": None}}})
        assert await watch.until("mine") == [("DELETED", "mine")]
        await api.patch(f"{SECRETS}/stranger", {"metadata": {"labels": {"tier": "web"}}})
        assert await watch.until("stranger") == [("ADDED", "stranger")]


async def test_a_resumed_watch_tells_who_left_before_it_came_back(api: Api, gateway: Running) -> None:
    await api.made(SECRETS, labelled(secret("mine"), tier="web"))
    version = await _until_idle(gateway)
    await api.patch(f"{SECRETS}/mine", {"metadata": {"labels": {"tier": None}}})
    async with api.watch(SECRETS, labelSelector="tier=web", resourceVersion=version) as watch:
        assert await watch.until("mine") == [("DELETED", "mine")]


async def test_one_object_is_watched_by_its_name(api: Api) -> None:
    """As `kubectl wait` and `kubectl delete` do it."""
    await api.made(INSTANCES, instance())
    listed = await api.get(INSTANCES, fieldSelector="metadata.name=db", resourceVersion="0")
    version = listed.document["metadata"]["resourceVersion"]
    query = {"fieldSelector": "metadata.name=db", "allowWatchBookmarks": "true"}
    async with api.watch(INSTANCES, resourceVersion=version, **query) as watch:
        await api.made(INSTANCES, instance("other"))
        await api.patch(f"{DB}/status", {"status": {"lastConditionState": "Ready"}})
        await api.patch(DB, {"metadata": {"finalizers": None}})
        await api.delete(DB)
        passed = await watch.until("db", "DELETED")
        assert [notice for notice in passed if notice[0] != "ADDED"] == [
            ("MODIFIED", "db"),
            ("MODIFIED", "db"),
            ("DELETED", "db"),
        ]


async def test_a_watch_of_tables_has_columns_once(api: Api) -> None:
    await api.made(INSTANCES, instance("a"))
    async with api.watch(INSTANCES, accept=TABLE) as watch:
        first = (await watch.next())["object"]
        await api.made(INSTANCES, instance("b"))
        second = (await watch.next())["object"]
    assert [table["kind"] for table in (first, second)] == ["Table", "Table"]
    assert [column["name"] for column in first["columnDefinitions"]][:2] == ["Name", "Class"]
    assert second["columnDefinitions"] == []
    assert [table["rows"][0]["cells"][0] for table in (first, second)] == ["a", "b"]


async def test_bookmarks_come_in_the_form_of_the_watch(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_stream, "_BOOKMARK_SECONDS", 0.05)
    await api.made(INSTANCES, instance())
    partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    for accept, kind in (("application/json", "ServiceInstance"), (TABLE, "Table"), (partial, "PartialObjectMetadata")):
        async with api.watch(INSTANCES, accept=accept, allowWatchBookmarks="true") as watch:
            created = await watch.next()
            mark = await watch.next()
            assert (mark["type"], mark["object"]["kind"]) == ("BOOKMARK", kind)
            version = mark["object"]["metadata"]["resourceVersion"]
            assert created["type"] == "ADDED"
            assert int(version) > 0


async def test_the_end_of_initial_events_is_marked_when_asked_for(api: Api) -> None:
    """Informers of newer client-go wait for this before they believe to be in step."""
    await api.made(INSTANCES, instance())
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    async with api.watch(INSTANCES, **query) as watch:
        assert (await watch.next())["type"] == "ADDED"
        mark = await watch.next()
        assert mark["type"] == "BOOKMARK"
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        await api.made(INSTANCES, instance("b"))
        assert await watch.until("b") == [("ADDED", "b")]


async def test_a_watch_ends_at_its_time(api: Api) -> None:
    began = time.monotonic()
    async with api.watch(INSTANCES, timeoutSeconds="1") as watch:
        assert await watch.rest() == []
    assert 0.9 < time.monotonic() - began < 5


async def test_a_version_that_has_been_forgotten_is_expired(own_gateway: Running) -> None:
    api = own_gateway.api
    await api.made(INSTANCES, instance())
    await _until_idle(own_gateway)
    await own_gateway.resources.database.run(lambda unit: unit.changes.trim(_later(unit)))
    async with api.watch(INSTANCES, resourceVersion="1") as watch:
        (error,) = await watch.rest()
        assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")
    fresh = await api.read(INSTANCES)
    async with api.watch(INSTANCES, resourceVersion=fresh["metadata"]["resourceVersion"]) as watch:
        await api.made(INSTANCES, instance("b"))
        await watch.until("b")


def _later(unit: UnitOfWork) -> Any:
    return unit.now.replace(year=unit.now.year + 1)


async def test_a_watch_that_falls_behind_what_is_kept_ends_with_an_error(own_gateway: Running) -> None:
    """Its client did not read for so long that even the log has gone on."""
    api, database = own_gateway.api, own_gateway.resources.database
    await api.made(INSTANCES, instance())
    hub = WatchHub(database, rules=RuleKeeper(database))
    watching = access_to(SERVICE_INSTANCE, "watch", user=UserInfo(username="ann"), namespace="", name="")

    async def check_known() -> None:
        """They stay who they are."""

    rights = WatchRights(AllowEverything(), watching=watching, getting=watching, check_known=check_known)
    request = WatchRequest(
        selection=Selection(
            kind=SERVICE_INSTANCE, namespace=None, labels=Selector(), fields=Selector(), reach=await rights.begin()
        ),
        rights=rights,
        options=WatchOptions(
            version=1, sends_initial=False, marks_initial_end=False, wants_bookmarks=False, timeout_seconds=SOON
        ),
        representation=Representation(),
        include_object=IncludeObject.METADATA,
    )
    following = asyncio.create_task(hub.run())
    stream = WatchStream(request, hub, ObjectReader(database))
    await api.patch(DB, {"metadata": {"labels": {"a": "b"}}})
    await eventually(lambda: hub._has_begun, what="the hub to begin")
    async with asyncio.timeout(SOON):
        await database.run(lambda unit: unit.changes.trim(_later(unit)))
        lines = [json.loads(line) async for line in stream.lines(Snapshot.at(1))]
    following.cancel()
    (error,) = lines
    assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")


async def test_an_idle_watch_from_an_old_version_leaves_the_database_alone(own_gateway: Running) -> None:
    """Its version is older than this gateway, and nothing has happened since."""
    api, database = own_gateway.api, own_gateway.resources.database
    runs = 0
    run = database.run

    async def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal runs
        runs += 1
        return await run(*args, **kwargs)

    async with api.watch(INSTANCES, resourceVersion="1") as watch:
        await api.made(INSTANCES, instance())
        await watch.until("db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "run", counted)
        async with api.watch(f"{TEAM}/servicebindings", resourceVersion="1", timeoutSeconds="1") as watch:
            assert await watch.rest() == []
    # The hub looks ten times a second; the watch itself a few times at its beginning.
    assert runs < 40


async def test_the_end_of_the_server_ends_watches_at_once(own_gateway: Running) -> None:
    async with own_gateway.api.watch(INSTANCES) as watch, own_gateway.api.watch(SECRETS) as other:
        began = time.monotonic()
        own_gateway.stop.set()
        assert await watch.rest() == await other.rest() == []
        await asyncio.wait_for(own_gateway.serving, SOON)
        assert time.monotonic() - began < 3


async def test_a_client_that_goes_away_is_forgotten(own_gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = asyncio.Event()
    follow = WatchHub.follow

    async def followed(*args: Any, **kwargs: Any) -> Any:
        try:
            async for batch in follow(*args, **kwargs):
                yield batch
        finally:
            ended.set()

    monkeypatch.setattr(WatchHub, "follow", followed)
    async with own_gateway.api.watch(INSTANCES) as watch:
        await own_gateway.api.made(INSTANCES, instance())
        await watch.until("db")
        watch.response.close()
        await asyncio.wait_for(ended.wait(), SOON)


async def test_a_watch_outlives_a_database_that_fails_for_a_moment(
    own_gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = own_gateway.api
    async with api.watch(INSTANCES) as watch:
        await api.made(INSTANCES, instance("a"))
        await watch.until("a")
        failed = asyncio.Event()
        read = WatchHub._catch_up

        async def fails(_hub: Any) -> None:
            failed.set()
            raise LookupError("no such column")

        monkeypatch.setattr(WatchHub, "_catch_up", fails)
        await api.made(INSTANCES, instance("b"))
        await asyncio.wait_for(failed.wait(), SOON)
        monkeypatch.setattr(WatchHub, "_catch_up", read)
        assert await watch.until("b") == [("ADDED", "b")]


@pytest.mark.parametrize("selector", ["", "tier=web"])
async def test_lists_and_watches_miss_nothing_while_others_write(api: Api, selector: str) -> None:
    """What a client puts together of a list and a watch from its version is what is there in the end."""
    writing = asyncio.create_task(_write_busily(api))
    query = {"labelSelector": selector} if selector else {}
    known: dict[str, int] = {}
    listed = await api.get(INSTANCES, limit="3", **query)
    pages = [listed.document]
    while token := pages[-1]["metadata"].get("continue"):
        pages.append((await api.get(INSTANCES, limit="3", **query, **{"continue": token})).document)
    for item in (item for page in pages for item in page["items"]):
        known[item["metadata"]["name"]] = int(item["metadata"]["resourceVersion"])
    version = pages[-1]["metadata"]["resourceVersion"]
    async with api.watch(INSTANCES, resourceVersion=version, **query) as watch:
        last = 0
        while True:
            notice = await watch.next()
            meta = notice["object"]["metadata"]
            position = int(meta["resourceVersion"])
            assert position > max(int(version), last), "in order, each once"
            last = position
            if meta["name"] == "the-last":
                break
            if notice["type"] == "DELETED":
                known.pop(meta["name"], None)
            else:
                known[meta["name"]] = position
    await writing
    final = await api.get(INSTANCES, **query)
    stored = {item["metadata"]["name"]: int(item["metadata"]["resourceVersion"]) for item in final.document["items"]}
    stored.pop("the-last")
    assert known == stored
    assert len(stored) > 3


async def _write_busily(api: Api) -> None:
    async def one(number: int) -> None:
        path = f"{INSTANCES}/db-{number}"
        await api.made(INSTANCES, labelled(instance(f"db-{number}"), tier="web" if number % 2 else "db"))
        for step in range(4):
            await api.patch(path, {"metadata": {"annotations": {"step": str(step)}}})
        if number % 5 == 0:
            await api.patch(path, {"metadata": {"labels": {"tier": "web"}}})
        if number % 3 == 0:
            await api.patch(path, {"metadata": {"labels": {"tier": "gone"}, "finalizers": None}})
            await api.delete(path)

    await asyncio.gather(*(one(number) for number in range(24)))
    await api.made(INSTANCES, labelled(instance("the-last"), tier="web"))


async def test_an_initial_list_under_writers_repeats_nothing(api: Api) -> None:
    writing = asyncio.create_task(_write_busily(api))
    known: dict[str, int] = {}
    async with api.watch(INSTANCES) as watch:
        while True:
            notice = await watch.next()
            meta = notice["object"]["metadata"]
            name, position = meta["name"], int(meta["resourceVersion"])
            if name == "the-last":
                break
            assert (notice["type"] == "ADDED") == (name not in known)
            assert position > known.get(name, 0), "never back in time, never twice"
            if notice["type"] == "DELETED":
                del known[name]
            else:
                known[name] = position
    await writing
    final = await api.read(f"{CATALOG}/serviceinstances")
    stored = {item["metadata"]["name"]: int(item["metadata"]["resourceVersion"]) for item in final["items"]}
    stored.pop("the-last")
    assert known == stored


async def test_a_watch_that_asks_for_a_websocket_is_told_over_plain_http(api: Api) -> None:
    """fabric8's client asks for one first and takes this as the answer."""
    await api.made(INSTANCES, instance("a"))
    headers = {
        "Authorization": f"Bearer {api.token}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "c2FtcGxlIGtleSBvZiAxNg==",
    }
    async with asyncio.timeout(SOON), api.session.get(INSTANCES, params={"watch": "1"}, headers=headers) as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
        first = json.loads(await response.content.readline())
    assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "a")
