"""What an answer looks like on the wire: compressed or not, in forms that can be served, on connections that last."""

import gzip
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from tests.integration.gateway.api_client import SECRETS, TEAM, Answer, Api, Document, instance, names, secret
from tests.integration.gateway.conftest import TOKEN, Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

INSTANCES = f"{TEAM}/serviceinstances"
PROTOBUF = "application/vnd.kubernetes.protobuf"


@pytest_asyncio.fixture(loop_scope="session")
async def raw(gateway: Running, connections: list[object]) -> AsyncIterator[Api]:
    """A client that leaves bodies as they come, on one connection at a time."""
    trace = aiohttp.TraceConfig()

    async def note(_session: aiohttp.ClientSession, _context: object, params: object) -> None:
        connections.append(params)

    trace.on_connection_create_end.append(note)
    async with aiohttp.ClientSession(
        gateway.session._base_url,
        connector=aiohttp.TCPConnector(limit=1),
        auto_decompress=False,
        skip_auto_headers=("Accept-Encoding",),
        trace_configs=[trace],
    ) as session:
        yield Api(session, TOKEN)


@pytest.fixture
def connections() -> list[object]:
    """The connections that `raw` has opened."""
    return []


async def _large(api: Api) -> None:
    for name in ("a", "b"):
        await api.made(SECRETS, secret(name, text=name * 60_000))


async def _get(api: Api, path: str, **headers: str) -> Answer:
    return await api.call("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})


async def test_large_answers_are_compressed_for_those_who_take_it(raw: Api) -> None:
    await _large(raw)
    plain = await _get(raw, SECRETS)
    assert "Content-Encoding" not in plain.headers
    assert len(plain.payload) > 128 * 1024
    for accepted in ("gzip", "deflate, gzip;q=0.5", "*"):
        packed = await _get(raw, SECRETS, Accept_Encoding=accepted)
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.headers["Vary"] == "Accept-Encoding"
        assert int(packed.headers["Content-Length"]) == len(packed.payload) < 20_000
        # Its version may have moved on: others write to the same server.
        assert json.loads(gzip.decompress(packed.payload))["items"] == plain.document["items"]


async def test_small_answers_and_those_to_others_are_sent_as_they_are(raw: Api) -> None:
    await _large(raw)
    for path, accepted in ((f"{SECRETS}/a", "gzip"), (SECRETS, "br"), (SECRETS, "gzip;q=0"), (SECRETS, "identity")):
        answer = await _get(raw, path, Accept_Encoding=accepted)
        encoding = answer.headers.get("Content-Encoding")
        is_large = len(answer.payload) > 128 * 1024
        assert encoding == ("gzip" if is_large and accepted == "gzip" else None), (path, accepted)


async def test_documents_are_compressed_too(raw: Api) -> None:
    packed = await _get(raw, "/openapi/v2", Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed.payload))["swagger"] == "2.0"


async def test_watches_are_never_compressed(raw: Api) -> None:
    await _large(raw)
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "gzip"}
    async with raw.session.get(SECRETS, params={"watch": "1", "timeoutSeconds": "1"}, headers=headers) as response:
        assert "Content-Encoding" not in response.headers
        lines = (await response.read()).splitlines()
    assert [json.loads(line)["object"]["metadata"]["name"] for line in lines] == ["a", "b"]


async def test_a_form_that_cannot_be_served_is_not_acceptable(api: Api) -> None:
    for path, query, accept in (
        (SECRETS, {}, PROTOBUF),
        (SECRETS, {"watch": "1"}, f"{PROTOBUF};stream=watch"),
        (SECRETS, {"watch": "1"}, "application/yaml"),
        (SECRETS, {}, "application/json;as=Table;v=v2;g=meta.k8s.io"),
        (SECRETS, {}, "text/html"),
    ):
        answer = await api.call("GET", path, headers={"Accept": accept}, query=query)
        assert (answer.status, answer.document["reason"]) == (406, "NotAcceptable"), accept
        assert "application/json" in answer.message
    listed = await _get(api, SECRETS, Accept=f"{PROTOBUF},application/json")
    assert listed.document["kind"] == "SecretList"


async def test_a_watch_falls_back_to_what_can_be_streamed(api: Api) -> None:
    await api.made(SECRETS, secret("a"))
    async with api.watch(SECRETS, accept="application/yaml,application/json;q=0.5") as watch:
        assert watch.response.headers["Content-Type"] == "application/json"
        assert (await watch.next())["object"]["metadata"]["name"] == "a"


@pytest.mark.parametrize("body", [b"", b"\0\xff", b"k8s\0\x0a\x02"])
async def test_a_body_of_a_type_that_is_not_read_is_unsupported(api: Api, body: bytes) -> None:
    for kind in ("text/plain", "application/xml", "application/cbor"):
        answer = await api.call("POST", INSTANCES, body, headers={"Content-Type": kind})
        assert (answer.status, answer.document["reason"]) == (415, "UnsupportedMediaType")
    assert names(await api.read(INSTANCES)) == []


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize("suffix", ["PartialObjectMetadata", "PartialObjectMetadataList"])
async def test_metadata_alone_come_as_list_and_as_object(api: Api, version: str, suffix: str) -> None:
    made = await api.made(INSTANCES, instance())
    accept = f"application/json;as={suffix};g=meta.k8s.io;v={version}"
    listed = (await _get(api, INSTANCES, Accept=accept)).document
    one = (await _get(api, f"{INSTANCES}/db", Accept=accept)).document
    expected = {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": made["metadata"],
    }
    assert one == expected
    assert (listed["kind"], listed["apiVersion"]) == ("PartialObjectMetadataList", f"meta.k8s.io/{version}")
    assert listed["items"] == [expected]


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize(("include", "kind"), [("None", None), ("Metadata", "PartialObjectMetadata"), ("Object", "")])
async def test_rows_of_tables_carry_what_was_asked_for(api: Api, version: str, include: str, kind: str | None) -> None:
    await api.made(INSTANCES, instance())
    accept = {"Accept": f"application/json;as=Table;v={version};g=meta.k8s.io"}
    answer = await api.call("GET", INSTANCES, headers=accept, query={"includeObject": include})
    table: Document = answer.document
    assert (table["kind"], table["apiVersion"]) == ("Table", f"meta.k8s.io/{version}")
    (row,) = table["rows"]
    carried = row.get("object")
    assert (carried and carried["kind"]) == (kind if kind != "" else "ServiceInstance")
    assert row["cells"][0] == "db"
    assert table["metadata"]["resourceVersion"]


async def test_one_connection_serves_answers_of_every_sort(raw: Api, connections: list[object]) -> None:
    await raw.made(SECRETS, secret("a"))
    calls: list[tuple[str, str, int, bytes | None, dict[str, str]]] = [
        ("GET", f"{SECRETS}/a", 200, None, {}),
        ("GET", f"{SECRETS}/none", 404, None, {}),
        ("GET", SECRETS, 406, None, {"Accept": "text/html"}),
        ("POST", SECRETS, 415, b"{}", {"Content-Type": "text/plain"}),
        ("POST", SECRETS, 400, b"{", {}),
        ("PATCH", "/api/v1/namespaces", 405, b"{}", {}),
        ("GET", SECRETS, 401, None, {"Authorization": "Bearer wrong"}),
    ]
    for method, path, status, body, headers in calls * 2:
        assert (await raw.call(method, path, body, headers=headers)).status == status, path
    assert len(connections) == 1
