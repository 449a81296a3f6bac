"""Whatever arrives, the gateway answers for it: a `Status` that blames the request, never an internal error."""

import asyncio
import itertools
import json
from collections.abc import Callable, Iterable

import pytest

from tests.integration.gateway.api_client import SECRETS, TEAM, Api, instance, secret
from tests.integration.gateway.conftest import TOKEN, Running
from tests.integration.gateway.limits import hostile_requests as hostile
from tests.integration.gateway.limits.hostile_requests import HostileRequest
from tests.support.waiting import SOON

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

_AT_ONCE = 8
_INTERNAL, _TIMEOUT = 500, 504


@pytest.mark.parametrize(
    "table",
    [
        hostile.odd_paths,
        hostile.odd_queries,
        hostile.odd_headers,
        hostile.odd_instances,
        hostile.odd_objects,
        hostile.odd_patches,
        hostile.odd_bodies,
    ],
)
async def test_hostile_request_is_answered_without_an_internal_error(
    gateway: Running, table: Callable[[], Iterable[HostileRequest]]
) -> None:
    await gateway.api.made(f"{TEAM}/serviceinstances", _seed())
    await gateway.api.made(SECRETS, secret("seed", a="b"))
    rows = iter(list(table()))
    wrong: list[str] = []

    async def send_in_turn() -> None:
        for row in rows:
            status, body = await _sent(gateway, row)
            if _is_servers_error(status, body) or status < 0 or not _explains_itself(status, body):
                wrong.append(f"{status} {body[:300]!r}: {row} {row.body[:300]!r}")

    await asyncio.gather(*(send_in_turn() for _ in range(_AT_ONCE)))
    assert not wrong, "\n".join(wrong[:20])
    assert (await gateway.api.get("/livez")).status == 200


async def test_list_still_reads_after_everything_hostile_that_was_accepted(gateway: Running) -> None:
    for row in itertools.chain(hostile.odd_instances(), hostile.odd_objects()):
        if row.method == "POST":
            await _sent(gateway, row)
    for collection in (hostile.INSTANCES, hostile.EVENTS, SECRETS):
        for accept in ("application/json", "application/yaml", "application/json;as=Table;v=v1;g=meta.k8s.io"):
            answer = await gateway.api.call("GET", collection, headers={"Accept": accept})
            assert answer.status == 200, answer.payload[:300]


async def test_time_of_the_first_year_is_read_back_as_it_was_written(api: Api) -> None:
    event = {"metadata": {"name": "ancient"}, "involvedObject": {}, "firstTimestamp": "0001-01-01T00:00:00Z"}
    assert (await api.made(hostile.EVENTS, event))["firstTimestamp"] == "0001-01-01T00:00:00Z"
    assert (await api.read(f"{hostile.EVENTS}/ancient"))["firstTimestamp"] == "0001-01-01T00:00:00Z"


async def test_time_beyond_the_calendar_is_refused_by_field(api: Api) -> None:
    event = {"metadata": {"name": "late"}, "involvedObject": {}, "lastTimestamp": "9999-12-31T23:59:59-14:00"}
    answer = await api.post(hostile.EVENTS, event)
    assert answer.status == 422
    assert "must be a time" in answer.causes["lastTimestamp"]


@pytest.mark.parametrize("collection", ["serviceinstances", "servicebindings"])
async def test_external_id_that_no_index_takes_is_refused_by_field(api: Api, collection: str) -> None:
    spec = {"instanceRef": {"name": "db"}} if collection == "servicebindings" else instance()["spec"]
    document = {"metadata": {"name": "long"}, "spec": {**spec, "externalID": "é" * 254}}
    answer = await api.post(f"{TEAM}/{collection}", document)
    assert (answer.status, list(answer.causes)) == (422, ["spec.externalID"])


async def _sent(gateway: Running, row: HostileRequest) -> tuple[int, bytes]:
    """Status and body; -1 if the connection ended without an answer, which only those without a length may get."""
    base = gateway.session._base_url
    assert base is not None and base.host is not None and base.port is not None
    headers = {"Host": b"gateway", "Connection": b"close", "Authorization": f"Bearer {TOKEN}".encode()}
    if row.body:
        headers["Content-Length"] = str(len(row.body)).encode()
    headers |= dict(row.headers)
    head = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers.items())
    async with asyncio.timeout(SOON * 4):
        reader, writer = await asyncio.open_connection(base.host, base.port)
        try:
            writer.write(row.method.encode() + b" " + row.path + b" HTTP/1.1\r\n" + head + b"\r\n" + row.body)
            answer = await reader.read()
        except ConnectionError:
            answer = b""
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split(b" ", 2)[1]) if head else -1), body


def _is_servers_error(status: int, body: bytes) -> bool:
    """Any 5xx but the 504 by which API servers refuse a version that is still to come."""
    return status >= _INTERNAL and (status != _TIMEOUT or b"Too large resource version" not in body)


def _explains_itself(status: int, body: bytes) -> bool:
    """Refusals are `Status` objects, also where it is no HTTP that arrived."""
    if status < 400:
        return True
    document = json.loads(body)
    return bool(document["kind"] == "Status" and document["code"] == status and document["message"])


def _seed() -> dict[str, object]:
    seed = instance("seed")
    return {**seed, "spec": {**seed["spec"], "parameters": {"l": [1, 2, 3], "o": {"a": 1}}}}
