"""A Secret that cannot be decrypted: it is shown as such, stops nobody else, keeps what is sealed, and can go."""

import base64

import pytest
from sqlalchemy import select, update

from chandlery.model.objects.annotations import UNREADABLE
from chandlery.store.schema import OBJECTS
from tests.integration.gateway.api_client import SECRETS, TABLE, Document
from tests.integration.gateway.conftest import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROWS = OBJECTS["Secret"]
DATA = {"password": base64.b64encode(b"hunter2").decode()}


def secret(name: str) -> Document:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": DATA}


async def _with_lost_key(gateway: Running) -> str:
    """Two Secrets, one of which is sealed with a key that nobody has; returns what is sealed of that."""
    for name in ("lost", "sound"):
        await gateway.api.made(SECRETS, secret(name))
    async with gateway.resources.database._engine.begin() as connection:
        spec = (await connection.execute(select(ROWS.c.spec).where(ROWS.c.name == "lost"))).scalar_one()
        sealed = f"gone:{spec['sealed'].partition(':')[2]}"
        await connection.execute(update(ROWS).where(ROWS.c.name == "lost").values(spec={**spec, "sealed": sealed}))
    return sealed


async def _sealed(gateway: Running) -> str:
    (row,) = [row for row in await gateway.rows("secrets") if row["name"] == "lost"]
    return str(row["spec"]["sealed"])


async def test_it_is_shown_without_data_and_says_why_in_lists_tables_and_watches(gateway: Running) -> None:
    await _with_lost_key(gateway)
    one = await gateway.api.read(f"{SECRETS}/lost")
    assert "data" not in one
    assert one["metadata"]["annotations"] == {
        UNREADABLE: "stored data was encrypted with the data key 'gone', which is not stored"
    }
    lost, sound = (await gateway.api.read(SECRETS))["items"]
    assert (lost.get("data"), sound["data"]) == (None, DATA)
    shown = (await gateway.api.call("GET", SECRETS, headers={"Accept": TABLE})).document
    assert [row["cells"][:3] for row in shown["rows"]] == [["lost", "Opaque", 0], ["sound", "Opaque", 1]]
    async with gateway.api.watch(SECRETS, resourceVersion="0") as watch:
        assert await watch.until("sound") == [("ADDED", "lost"), ("ADDED", "sound")]


async def test_it_can_be_labelled_and_keeps_what_is_sealed(gateway: Running) -> None:
    sealed = await _with_lost_key(gateway)
    answer = await gateway.api.patch(f"{SECRETS}/lost", {"metadata": {"labels": {"look": "here"}}})
    assert answer.status == 200
    assert (await gateway.api.read(f"{SECRETS}/lost"))["metadata"]["labels"] == {"look": "here"}
    assert await _sealed(gateway) == sealed


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        pytest.param({"data": {"more": ""}}, "data", id="data"),
        pytest.param({"stringData": {"more": "x"}}, "data", id="stringData"),
        pytest.param({"metadata": {"annotations": {"note": "x"}}}, "metadata.annotations", id="an annotation"),
        pytest.param({"metadata": {"annotations": None}}, "metadata.annotations", id="no annotations"),
    ],
)
async def test_a_change_that_would_lose_what_is_sealed_is_refused_with_the_way_out(
    gateway: Running, patch: Document, field: str
) -> None:
    sealed = await _with_lost_key(gateway)
    answer = await gateway.api.patch(f"{SECRETS}/lost", patch)
    assert answer.status == 422
    assert "cannot be decrypted; delete it and create it again" in answer.causes[field]
    assert await _sealed(gateway) == sealed


async def test_it_can_be_deleted_and_made_anew(gateway: Running) -> None:
    await _with_lost_key(gateway)
    async with gateway.api.watch(SECRETS, resourceVersion="0") as watch:
        await watch.until("sound")
        assert (await gateway.api.delete(f"{SECRETS}/lost")).status == 200
        assert await watch.until("lost") == [("DELETED", "lost")]
    made = await gateway.api.made(SECRETS, secret("lost"))
    assert made["data"] == DATA
    assert (await gateway.api.read(f"{SECRETS}/lost"))["data"] == DATA


async def test_one_with_a_finalizer_goes_when_that_is_taken_away(gateway: Running) -> None:
    await _with_lost_key(gateway)
    held = {"metadata": {"finalizers": ["example.com/hold"]}}
    assert (await gateway.api.patch(f"{SECRETS}/lost", held)).status == 200
    assert (await gateway.api.delete(f"{SECRETS}/lost")).status == 200
    assert (await gateway.api.read(f"{SECRETS}/lost"))["metadata"]["deletionTimestamp"]
    assert (await gateway.api.patch(f"{SECRETS}/lost", {"metadata": {"finalizers": None}})).status == 200
    assert (await gateway.api.get(f"{SECRETS}/lost")).status == 404
