"""Requests as a cluster's controllers and the newest clients send them: protobuf and CBOR first, JSON where that fails.

From client-go: `metadata/metadata.go` (garbage collector, namespace controller, quota), `rest/request.go`,
`util/watchlist`, and `pkg/controller/garbagecollector` of Kubernetes.
"""

from typing import Final

import pytest

from tests.integration.gateway.api_client import MERGE, STRATEGIC, TEAM, Api, Document, instance
from tests.integration.gateway.conftest import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

INSTANCES: Final = f"{TEAM}/serviceinstances"
DB: Final = f"{INSTANCES}/db"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
CBOR: Final = "application/cbor"
OBJECT: Final = "as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
LIST: Final = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

NEWEST_OPTIONS: Final = (
    b'{"kind":"DeleteOptions","apiVersion":"servicecatalog.k8s.io/v1beta1",'
    b'"propagationPolicy":"Orphan","ignoreStoreReadErrorWithClusterBreakingPotential":false}'
)


def _metadata_accept(form: str) -> dict[str, str]:
    """As a metadata client asks."""
    return {"Accept": f"{PROTOBUF};{form},application/json;{form},application/json"}


def _field(number: int, value: bytes | str) -> bytes:
    """A field of protobuf that has a length, and less than 128 bytes."""
    content = value.encode() if isinstance(value, str) else value
    return bytes((number << 3 | 2, len(content))) + content


def _delete_options(uid: str, policy: str) -> bytes:
    """`DeleteOptions` as Go writes them: preconditions are field 2, the policy field 4."""
    options = _field(2, _field(1, uid)) + _field(4, policy)
    return b"k8s\0" + _field(1, _field(1, "v1") + _field(2, "DeleteOptions")) + _field(2, options)


async def test_an_object_is_deleted_by_options_in_protobuf(api: Api) -> None:
    created = await api.made(INSTANCES, instance())
    headers = {"Content-Type": PROTOBUF, **_metadata_accept(OBJECT)}
    wrong = await api.call("DELETE", DB, _delete_options("nobody", "Foreground"), headers=headers)
    assert (wrong.status, wrong.document["reason"]) == (409, "Conflict")
    options = _delete_options(created["metadata"]["uid"], "Foreground")
    deleted = await api.call("DELETE", DB, options, headers=headers)
    assert (deleted.status, deleted.document["kind"]) == (200, "PartialObjectMetadata")
    assert deleted.document["metadata"]["finalizers"][-1] == "foregroundDeletion"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/yaml", b"kind: DeleteOptions\napiVersion: v1\npropagationPolicy: Orphan\n"),
        ("application/json", b'{"kind":"DeleteOptions","apiVersion":"meta.k8s.io/v1","propagationPolicy":"Orphan"}'),
        ("application/json", NEWEST_OPTIONS),
        # As the garbage collector of some releases sends it: JSON without saying so.
        ("", b'{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Orphan"}'),
    ],
)
async def test_options_of_a_deletion_come_in_each_notation(api: Api, content_type: str, body: bytes) -> None:
    await api.made(INSTANCES, instance())
    deleted = await api.call("DELETE", DB, body, headers={"Content-Type": content_type})
    assert deleted.status == 200, deleted.payload
    assert deleted.document["metadata"]["finalizers"][-1] == "orphan"


async def test_what_cannot_be_read_is_refused_so_that_clients_fall_back_to_json(api: Api) -> None:
    """client-go sends CBOR, or applies it, until it is told 415; then JSON for as long as it runs."""
    await api.made(INSTANCES, instance())
    empty = b"\xd9\xd9\xf7\xa0"
    for method, path, content_type in (
        ("POST", INSTANCES, CBOR),
        ("PUT", DB, CBOR),
        ("PATCH", DB, "application/apply-patch+cbor"),
        ("DELETE", DB, CBOR),
        ("POST", INSTANCES, PROTOBUF),
        ("PATCH", DB, STRATEGIC),
    ):
        answer = await api.call(method, path, empty, headers={"Content-Type": content_type})
        assert (answer.status, answer.document["reason"]) == (415, "UnsupportedMediaType"), (method, content_type)
    assert "deletionTimestamp" not in (await api.read(DB))["metadata"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (f"{PROTOBUF};{OBJECT},application/json;{OBJECT},application/json", "PartialObjectMetadata"),
        (f"{CBOR};{OBJECT},application/json;{OBJECT}", "PartialObjectMetadata"),
        (f"{CBOR},application/json", "ServiceInstance"),
        (f"{CBOR},{PROTOBUF},application/json", "ServiceInstance"),
        (f"{PROTOBUF}, */*", "ServiceInstance"),
        (f"{CBOR};as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io", "Table"),
    ],
)
async def test_who_prefers_a_binary_form_and_takes_json_gets_json(api: Api, accept: str, kind: str) -> None:
    await api.made(INSTANCES, instance())
    answer = await api.call("GET", DB, headers={"Accept": accept})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.document["kind"] == kind


@pytest.mark.parametrize("accept", [CBOR, PROTOBUF, f"{PROTOBUF};{OBJECT}", f"{CBOR};stream=watch"])
async def test_who_takes_no_json_is_told_what_there_is(api: Api, accept: str) -> None:
    await api.made(INSTANCES, instance())
    for query in ({}, {"watch": "1"}):
        answer = await api.call("GET", INSTANCES, headers={"Accept": accept}, query=query)
        assert (answer.status, answer.document["reason"]) == (406, "NotAcceptable")
        assert "application/json" in answer.message


async def test_a_metadata_informer_is_served_by_a_streamed_list(api: Api) -> None:
    """As metadata informers of 1.32 and newer begin: a watch tells what is there, and then that this was all."""
    await api.made(INSTANCES, instance("one"))
    await api.made(INSTANCES, instance("two"))
    accept = f"{PROTOBUF};stream=watch;{OBJECT},application/json;stream=watch;{OBJECT}"
    options = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    async with api.watch(INSTANCES, accept=accept, **options) as watch:
        seen = [await watch.next() for _ in range(3)]
        assert [each["type"] for each in seen] == ["ADDED", "ADDED", "BOOKMARK"]
        assert {each["object"]["kind"] for each in seen} == {"PartialObjectMetadata"}
        assert seen[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        await api.delete(f"{INSTANCES}/one", {"propagationPolicy": "Foreground"})
        changed = await watch.next()
    assert changed["type"] == "MODIFIED"
    assert "foregroundDeletion" in changed["object"]["metadata"]["finalizers"]
    assert "spec" not in changed["object"]


async def test_the_garbage_collector_takes_its_finalizer_away_by_a_merge_patch(gateway: Running) -> None:
    """With the version that it has seen: a stale one is a conflict, and it looks again."""
    api = gateway.api
    await api.made(INSTANCES, instance())
    marked = (await api.delete(DB, {"propagationPolicy": "Foreground"})).document["metadata"]
    left = [name for name in marked["finalizers"] if name != "foregroundDeletion"]

    def patch(version: str) -> Document:
        return {"metadata": {"resourceVersion": version, "finalizers": left}}

    await api.patch(DB, {"metadata": {"labels": {"seen": "later"}}})
    stale = await api.patch(DB, patch(marked["resourceVersion"]))
    assert (stale.status, stale.document["reason"]) == (409, "Conflict")
    latest = (await api.read(DB))["metadata"]["resourceVersion"]
    headers = {"Content-Type": MERGE, **_metadata_accept(OBJECT)}
    patched = await api.call("PATCH", DB, patch(latest), headers=headers)
    assert (patched.status, patched.document["kind"]) == (200, "PartialObjectMetadata")
    assert patched.document["metadata"]["finalizers"] == left
    # What has come to lack all finalizers goes.
    assert (await api.patch(DB, {"metadata": {"finalizers": None}})).status == 200
    assert (await api.get(DB)).status == 404


async def test_a_list_of_metadata_comes_in_pages_as_the_namespace_controller_reads_it(api: Api) -> None:
    for name in ("one", "three", "two"):
        await api.made(INSTANCES, instance(name))
    first = await api.call("GET", INSTANCES, headers=_metadata_accept(LIST), query={"limit": "2"})
    assert first.document["kind"] == "PartialObjectMetadataList"
    assert first.document["metadata"]["remainingItemCount"] == 1
    token = first.document["metadata"]["continue"]
    rest = await api.call("GET", INSTANCES, headers=_metadata_accept(LIST), query={"limit": "2", "continue": token})
    assert [each["metadata"]["name"] for each in rest.document["items"]] == ["two"]
    assert rest.document["metadata"]["resourceVersion"] == first.document["metadata"]["resourceVersion"]
