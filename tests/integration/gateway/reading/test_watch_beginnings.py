"""What a watch begins with, in every form, and how one goes on where another has ended, at any gateway."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from hashlib import sha224

import pytest
import pytest_asyncio

from chandlery.model.objects.kinds import KINDS, Kind
from chandlery_gateway.kube.printing.tables import IncludeObject
from chandlery_gateway.kube.query.negotiation import Form, Representation
from chandlery_gateway.watch.watch_lines import WatchLines
from tests.integration.gateway.api_client import (
    CATALOG,
    SECRETS,
    TEAM,
    Api,
    Document,
    instance,
    labelled,
    secret,
    service_class,
)
from tests.integration.gateway.conftest import Running, serving
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

INSTANCES = f"{TEAM}/serviceinstances"
CLASSES = f"{CATALOG}/clusterserviceclasses"
STREAMING = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
END = {"k8s.io/initial-events-end": "true"}
TOO_LARGE = str(2**62)


def _version(document: Document) -> int:
    return int(document["metadata"]["resourceVersion"])


async def _until_passed(api: Api, version: str) -> str:
    """A version to watch from that is not below this one; others on the server may hold that up for a moment."""
    listed = await eventually(
        lambda: api.read(SECRETS), lambda seen: _version(seen) >= int(version), what="the horizon"
    )
    return str(_version(listed))


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_a_streamed_list_of_metadata_ends_with_its_mark(api: Api, version: str) -> None:
    made = await api.made(INSTANCES, instance("a"))
    accept = f"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v={version}"
    async with api.watch(INSTANCES, accept=accept, **STREAMING) as watch:
        added, mark = (await watch.next()), (await watch.next())
        later = await api.made(INSTANCES, instance("b"))
        second = await watch.next()
    head = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}"}
    assert added == {"type": "ADDED", "object": {**head, "metadata": made["metadata"]}}
    assert second == {"type": "ADDED", "object": {**head, "metadata": later["metadata"]}}
    assert (mark["type"], mark["object"]["kind"]) == ("BOOKMARK", "PartialObjectMetadata")
    assert mark["object"]["metadata"]["annotations"] == END
    assert _version(mark["object"]) > 0


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_a_streamed_list_of_tables_ends_with_its_mark(api: Api, version: str) -> None:
    await api.made(INSTANCES, instance("a"))
    accept = f"application/json;as=Table;g=meta.k8s.io;v={version}"
    async with api.watch(INSTANCES, accept=accept, **STREAMING) as watch:
        added, mark = (await watch.next())["object"], (await watch.next())
        await api.made(INSTANCES, instance("b"))
        second = (await watch.next())["object"]
    assert {table["apiVersion"] for table in (added, mark["object"], second)} == {f"meta.k8s.io/{version}"}
    assert [len(table["columnDefinitions"]) > 0 for table in (added, second)] == [True, False]
    assert [table["rows"][0]["cells"][0] for table in (added, second)] == ["a", "b"]
    assert mark["type"] == "BOOKMARK"
    (row,) = mark["object"]["rows"]
    assert row["object"]["metadata"]["annotations"] == END
    assert row["object"]["metadata"]["resourceVersion"] == mark["object"]["metadata"]["resourceVersion"]


@pytest.mark.parametrize("kind", list(KINDS.values()), ids=lambda kind: str(kind.kind))
async def test_every_kind_has_bookmarks_in_tables(kind: Kind) -> None:
    """They have a row of an object that has nothing but its version."""
    lines = WatchLines(kind, Representation(Form.TABLE, "v1"), IncludeObject.METADATA)
    mark = json.loads(lines.bookmark(5, ends_initial=True))["object"]
    assert len(mark["rows"][0]["cells"]) == len(mark["columnDefinitions"])


async def test_an_empty_streamed_list_is_its_mark_alone(api: Api) -> None:
    version = await _until_passed(api, "0")
    async with api.watch(INSTANCES, **STREAMING, resourceVersion=version) as watch:
        mark = await watch.next()
    assert (mark["type"], mark["object"]["metadata"]["annotations"]) == ("BOOKMARK", END)
    assert _version(mark["object"]) >= int(version)


async def test_a_streamed_list_repeats_nothing_that_was_written_before_it(api: Api) -> None:
    for number in range(5):
        await api.made(SECRETS, secret(f"s-{number}"))
        async with api.watch(SECRETS, **STREAMING) as watch:
            seen = [await watch.next() for _ in range(number + 2)]
            await api.patch(f"{SECRETS}/s-0", {"stringData": {"turn": str(number)}})
            assert await watch.until("s-0") == [("MODIFIED", "s-0")]
        assert [notice["type"] for notice in seen] == ["ADDED"] * (number + 1) + ["BOOKMARK"]


async def test_the_mark_is_for_those_who_take_bookmarks(api: Api) -> None:
    await api.made(SECRETS, secret("a"))
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    async with api.watch(SECRETS, **query, timeoutSeconds="1") as watch:
        assert [notice["type"] for notice in await watch.rest()] == ["ADDED"]


async def test_what_is_there_is_left_out_when_it_is_not_wanted(api: Api) -> None:
    await api.made(SECRETS, secret("a"))
    query = {"sendInitialEvents": "false", "resourceVersionMatch": "NotOlderThan"}
    async with api.watch(SECRETS, **query) as watch:
        await api.made(SECRETS, secret("b"))
        assert ("ADDED", "b") in await watch.until("b")


@pytest.mark.parametrize(
    ("query", "code", "reason"), [({}, 410, "Expired"), ({**STREAMING}, 504, "Timeout")], ids=["plain", "streamed"]
)
async def test_a_version_of_the_future_ends_a_watch_at_once(
    api: Api, query: dict[str, str], code: int, reason: str
) -> None:
    async with api.watch(SECRETS, resourceVersion=TOO_LARGE, **query) as watch:
        (error,) = await watch.rest()
    assert (error["type"], error["object"]["kind"]) == ("ERROR", "Status")
    assert (error["object"]["code"], error["object"]["reason"]) == (code, reason)


async def test_a_watch_ends_with_a_bookmark_of_how_far_it_came(api: Api) -> None:
    """What passed is not its business, but the next watch need not read it again."""
    version = await _until_passed(api, (await api.made(SECRETS, secret("a")))["metadata"]["resourceVersion"])
    for seconds in ("1", "5", "25"):
        query = {"allowWatchBookmarks": "true", "timeoutSeconds": seconds, "resourceVersion": version}
        async with api.watch(INSTANCES, **query) as watch, api.watch(SECRETS, resourceVersion=version) as other:
            written = await api.made(SECRETS, secret(f"b-{seconds}"))
            await other.until(f"b-{seconds}")
            notices = await watch.rest(within=40)
        if notices and _version(notices[-1]["object"]) >= _version(written):
            break
    assert [notice["type"] for notice in notices] == ["BOOKMARK"]
    assert _version(notices[-1]["object"]) >= _version(written)


async def test_a_selection_by_hashed_label_follows_the_name(api: Api) -> None:
    """As svcat 0.3 finds a class by its external name."""
    await api.made(CLASSES, service_class("class-1", external_name="mysql"))
    label = f"servicecatalog.k8s.io/spec.externalName={sha224(b'redis').hexdigest()}"
    async with api.watch(CLASSES, labelSelector=label) as watch:
        await api.patch(f"{CLASSES}/class-1", {"spec": {"externalName": "redis"}})
        await api.patch(f"{CLASSES}/class-1", {"spec": {"description": "fast"}})
        await api.patch(f"{CLASSES}/class-1", {"spec": {"externalName": "mysql"}})
        assert await watch.until("class-1", "DELETED") == [
            ("ADDED", "class-1"),
            ("MODIFIED", "class-1"),
            ("DELETED", "class-1"),
        ]


async def test_a_selection_by_field_follows_the_field(api: Api) -> None:
    """As svcat 0.2 finds it."""
    await api.made(CLASSES, service_class("class-1", external_name="mysql"))
    async with api.watch(CLASSES, fieldSelector="spec.externalName=redis") as watch:
        await api.patch(f"{CLASSES}/class-1", {"spec": {"externalName": "redis"}})
        assert await watch.until("class-1") == [("ADDED", "class-1")]
        await api.patch(f"{CLASSES}/class-1", {"spec": {"externalName": "mysql"}})
        assert await watch.until("class-1") == [("DELETED", "class-1")]


async def test_a_resumed_watch_knows_who_was_in_the_selection_at_its_version(api: Api) -> None:
    """A stranger that was changed meanwhile is not told of, somebody who has left is, and who came back was away."""
    for name, tier in (("left", "web"), ("stranger", "db"), ("back", "web"), ("stays", "web")):
        made = await api.made(SECRETS, labelled(secret(name), tier=tier))
    version = await _until_passed(api, made["metadata"]["resourceVersion"])
    await api.patch(f"{SECRETS}/stranger", {"stringData": {"x": "y"}})
    await api.patch(f"{SECRETS}/left", {"metadata": {"labels": {"tier": "db"}}})
    await api.patch(f"{SECRETS}/back", {"metadata": {"labels": {"tier": None}}})
    await api.patch(f"{SECRETS}/back", {"metadata": {"labels": {"tier": "web"}}})
    await api.delete(f"{SECRETS}/stranger")
    await api.patch(f"{SECRETS}/stays", {"stringData": {"x": "y"}})
    async with api.watch(SECRETS, labelSelector="tier=web", resourceVersion=version) as watch:
        assert await watch.until("stays") == [
            ("DELETED", "left"),
            ("DELETED", "back"),
            ("ADDED", "back"),
            ("MODIFIED", "stays"),
        ]


async def test_a_watch_from_an_objects_own_version_does_not_repeat_it(api: Api) -> None:
    made = await api.made(SECRETS, secret("a"))
    async with api.watch(SECRETS, resourceVersion=made["metadata"]["resourceVersion"]) as watch:
        await api.patch(f"{SECRETS}/a", {"stringData": {"x": "y"}})
        notices = [notice for notice in await watch.until("a") if notice[1] == "a"]
    assert notices == [("MODIFIED", "a")]


@pytest_asyncio.fixture(loop_scope="session")
async def replica(own_gateway: Running) -> AsyncIterator[Api]:
    """A second gateway on the same database, which hears nothing from the first."""
    if own_gateway.resources.settings.database_url.get_secret_value().startswith("sqlite"):
        pytest.skip("there is one process only on SQLite")
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(serving(own_gateway.resources.settings))
        yield running.api


async def test_a_watch_goes_on_at_another_gateway(own_gateway: Running, replica: Api) -> None:
    api = own_gateway.api
    for number in range(3):
        await api.made(SECRETS, secret(f"s-{number}"))
    async with api.watch(SECRETS) as watch:
        first = [await watch.next() for _ in range(3)]
    version = await _until_passed(api, str(max(_version(notice["object"]) for notice in first)))
    await api.delete(f"{SECRETS}/s-0")
    created = await replica.made(SECRETS, secret("s-3"))
    async with replica.watch(SECRETS, resourceVersion=version) as watch:
        passed = await watch.until("s-3")
        assert [notice for notice in passed if notice[1] in ("s-0", "s-3")] == [("DELETED", "s-0"), ("ADDED", "s-3")]
        assert watch.seen[-1]["object"] == created


async def test_pages_come_from_several_gateways(own_gateway: Running, replica: Api) -> None:
    for number in range(4):
        await own_gateway.api.made(SECRETS, secret(f"s-{number}"))
    first = (await own_gateway.api.get(SECRETS, limit="2")).document
    await replica.delete(f"{SECRETS}/s-3")
    rest = (await replica.get(SECRETS, **{"continue": first["metadata"]["continue"]})).document
    found = [item["metadata"]["name"] for item in (*first["items"], *rest["items"])]
    assert found == [f"s-{number}" for number in range(4)]
