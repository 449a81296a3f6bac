"""Lists and versions: pages of one moment, a moment asked for by its version, and what is said where that fails."""

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest

from chandlery.store.database import UnitOfWork
from chandlery_gateway.read import object_reader
from tests.integration.gateway.api_client import SECRETS, TABLE, Api, Document, labelled, names, secret
from tests.integration.gateway.conftest import Running
from tests.support.waiting import SOON, eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

TOO_LARGE = str(2**62)


async def _three(api: Api) -> None:
    for name in ("a", "b", "c"):
        await api.made(SECRETS, secret(name, turn="first"))


async def _first_page(api: Api, **query: str) -> Document:
    answer = await api.get(SECRETS, limit="1", **query)
    assert answer.status == 200, answer.payload
    return answer.document


def _token(page: Document) -> str:
    return str(page["metadata"]["continue"])


def _later(unit: UnitOfWork) -> Any:
    return unit.now.replace(year=unit.now.year + 1)


async def _forget(gateway: Running) -> None:
    """Let the log be trimmed to its end, once the horizon is beyond."""
    await gateway.settled()
    await gateway.resources.database.run(lambda unit: unit.changes.trim(_later(unit)))


async def test_later_pages_show_the_moment_of_the_first(api: Api) -> None:
    await _three(api)
    first = await _first_page(api)
    before = {name: await api.read(f"{SECRETS}/{name}") for name in ("b", "c")}
    await api.patch(f"{SECRETS}/b", {"stringData": {"turn": "second"}})
    await api.delete(f"{SECRETS}/c")
    await api.made(SECRETS, secret("b-later"))
    await api.delete(f"{SECRETS}/b")
    await api.made(SECRETS, secret("b", turn="another"))

    rest = (await api.get(SECRETS, **{"continue": _token(first)})).document

    assert rest["items"] == [before["b"], before["c"]]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert names(await api.read(SECRETS)) == ["a", "b", "b-later"]


async def test_pages_of_a_selection_show_the_moment_of_the_first(api: Api) -> None:
    for name in ("a", "b", "c", "d"):
        await api.made(SECRETS, labelled(secret(name), tier="db" if name == "d" else "web"))
    first = await _first_page(api, labelSelector="tier=web")
    await api.patch(f"{SECRETS}/b", {"metadata": {"labels": {"tier": "db"}}})
    await api.patch(f"{SECRETS}/d", {"metadata": {"labels": {"tier": "web"}}})
    rest = await api.get(SECRETS, labelSelector="tier=web", **{"continue": _token(first)})
    assert names(rest.document) == ["b", "c"]
    assert "remainingItemCount" not in first["metadata"]


@pytest.mark.parametrize("accept", ["application/json", TABLE])
async def test_a_page_tells_how_many_come_after_it(api: Api, accept: str) -> None:
    await _three(api)
    counts = []
    token = ""
    while True:
        query = {"limit": "1", **({"continue": token} if token else {})}
        page = (await api.call("GET", SECRETS, headers={"Accept": accept}, query=query)).document
        counts.append(page["metadata"].get("remainingItemCount"))
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert counts == [2, 1, None]


async def test_a_token_that_is_too_old_expires_with_one_that_goes_on_regardless(own_gateway: Running) -> None:
    api = own_gateway.api
    await _three(api)
    first = await _first_page(api)
    await api.patch(f"{SECRETS}/b", {"stringData": {"turn": "second"}})
    await _forget(own_gateway)

    expired = await api.get(SECRETS, **{"continue": _token(first)})

    assert (expired.status, expired.document["reason"]) == (410, "Expired")
    fresh = _token(expired.document)
    rest = await api.get(SECRETS, limit="1", **{"continue": fresh})
    assert names(rest.document) == ["b"]
    last = await api.get(SECRETS, limit="1", **{"continue": _token(rest.document)})
    assert names(last.document) == ["c"]
    assert int(last.document["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])


async def test_a_list_of_a_version_shows_just_that(api: Api) -> None:
    await _three(api)
    await _until_passed(api)
    before = await api.read(SECRETS)
    version = before["metadata"]["resourceVersion"]
    await api.patch(f"{SECRETS}/a", {"stringData": {"turn": "second"}})
    await api.delete(f"{SECRETS}/b")
    exact = await api.get(SECRETS, resourceVersion=version, resourceVersionMatch="Exact")
    page = await api.get(SECRETS, resourceVersion=version, limit="2")
    rest = await api.get(SECRETS, **{"continue": _token(page.document)})
    newer = await api.get(SECRETS, resourceVersion=version, resourceVersionMatch="NotOlderThan", limit="2")
    assert exact.document == before
    assert [*page.document["items"], *rest.document["items"]] == before["items"]
    assert names(newer.document) == ["a", "c"]
    assert names((await api.get(SECRETS, resourceVersion=version)).document) == ["a", "c"]


async def _until_passed(api: Api) -> None:
    """Until lists tell a version that is not below what was written; others on the server may hold that up."""

    def has_passed(listed: Document) -> bool:
        newest = max(int(item["metadata"]["resourceVersion"]) for item in listed["items"])
        return int(listed["metadata"]["resourceVersion"]) >= newest

    await eventually(lambda: api.read(SECRETS), has_passed, what="the horizon")


async def test_the_version_of_a_write_can_be_listed_at_once(api: Api) -> None:
    await _three(api)
    changed = (await api.patch(f"{SECRETS}/a", {"stringData": {"turn": "second"}})).document
    version = changed["metadata"]["resourceVersion"]
    exact = await api.get(SECRETS, resourceVersion=version, resourceVersionMatch="Exact")
    assert exact.status == 200
    assert exact.document["items"][0] == changed
    assert exact.document["metadata"]["resourceVersion"] == version
    newer = await api.get(SECRETS, resourceVersion=version)
    assert int(newer.document["metadata"]["resourceVersion"]) >= int(version)


async def test_a_version_that_is_forgotten_cannot_be_listed(own_gateway: Running) -> None:
    api = own_gateway.api
    await _three(api)
    version = (await api.read(SECRETS))["metadata"]["resourceVersion"]
    await api.delete(f"{SECRETS}/b")
    await _forget(own_gateway)
    answer = await api.get(SECRETS, resourceVersion=version, resourceVersionMatch="Exact")
    assert (answer.status, answer.document["reason"]) == (410, "Expired")
    assert "continue" not in answer.document["metadata"]


@pytest.mark.parametrize("query", [{}, {"resourceVersionMatch": "Exact"}, {"limit": "5"}])
async def test_a_version_of_the_future_is_too_large(api: Api, query: dict[str, str]) -> None:
    """client-go looks for the cause, and lists without a version then."""
    answer = await api.get(SECRETS, resourceVersion=TOO_LARGE, **query)
    assert (answer.status, answer.document["reason"], answer.document["code"]) == (504, "Timeout", 504)
    assert answer.message.startswith(f"Timeout: Too large resource version: {TOO_LARGE}, current: ")
    details = answer.document["details"]
    assert details["causes"] == [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    assert details["retryAfterSeconds"] == 1


async def test_an_object_is_read_at_a_version_that_exists(api: Api) -> None:
    version = (await api.made(SECRETS, secret("a")))["metadata"]["resourceVersion"]
    assert (await api.get(f"{SECRETS}/a", resourceVersion=version)).status == 200
    assert (await api.get(f"{SECRETS}/a", resourceVersion="0")).status == 200
    assert (await api.get(f"{SECRETS}/a", resourceVersion=TOO_LARGE)).status == 504
    assert (await api.get(f"{SECRETS}/a", resourceVersion="x")).status == 400


async def test_options_that_do_not_go_together_are_unprocessable(api: Api) -> None:
    answer = await api.get(SECRETS, resourceVersionMatch="Exact")
    assert (answer.status, answer.document["reason"]) == (422, "Invalid")
    assert answer.message == (
        'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: '
        "resourceVersionMatch is forbidden unless resourceVersion is provided"
    )
    assert list(answer.causes) == ["resourceVersionMatch"]
    watch = await api.get(SECRETS, watch="true", sendInitialEvents="true")
    assert (watch.status, list(watch.causes)) == (422, ["resourceVersionMatch"])
    beside = await api.get(SECRETS, resourceVersion="5", **{"continue": "x"})
    assert beside.status == 400


async def test_a_token_with_another_moment_is_not_believed(api: Api) -> None:
    """Made-up moments lie in the future, or leave out thousands of transactions; only signed tokens count."""
    await _three(api)
    token = _token(await _first_page(api))
    written, _, signature = token.partition(".")
    of, namespace, name, moment = json.loads(urlsafe_b64decode(written))
    for wrong in ([5, 6, []], [5, 6, 7], [1, 2**62, []], [*moment[:2], list(range(4_000))]):
        other = urlsafe_b64encode(json.dumps([of, namespace, name, wrong]).encode()).decode()
        answer = await api.get(SECRETS, **{"continue": f"{other}.{signature}"})
        assert answer.status in (400, 410), wrong
    for unsigned in (written, f"{written}.", f"{written}.AAAA"):
        answer = await api.get(SECRETS, **{"continue": unsigned})
        assert (answer.status, answer.document["reason"]) == (410, "Expired")
        assert "list again" in answer.message
    assert (await api.get(SECRETS, **{"continue": token})).status == 200
    elsewhere = await api.get("/api/v1/secrets", **{"continue": token})
    assert (elsewhere.status, "another list" in elsewhere.message) == (400, True)


async def test_a_collection_is_deleted_page_by_page(api: Api) -> None:
    await _three(api)
    first = (await api.delete(SECRETS, limit="2")).document
    rest = (await api.delete(SECRETS, **{"continue": _token(first)})).document
    assert names(first) + names(rest) == ["a", "b", "c"]
    assert names(await api.read(SECRETS)) == []
    assert (await api.delete(SECRETS, resourceVersionMatch="Exact")).status == 422


async def test_a_list_of_many_parts_shows_one_moment_while_others_write(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects wander from one end of the list to the other, one at a time: no moment has one twice, or two missing."""
    monkeypatch.setattr(object_reader, "_PAGE", 5)
    await asyncio.gather(*(api.made(SECRETS, secret(f"key-{number:02}")) for number in range(24)))
    stop, moved = asyncio.Event(), asyncio.Event()
    moving = asyncio.create_task(_move_about(api, stop, moved))
    async with asyncio.timeout(SOON):
        await moved.wait()
    try:
        for query in ({}, {"limit": "1"}, {"limit": "7"}, {}):
            pages = [(await api.get(SECRETS, **query)).document]
            while "continue" in pages[-1]["metadata"]:
                pages.append((await api.get(SECRETS, **query, **{"continue": _token(pages[-1])})).document)
            found = [name for page in pages for name in names(page)]
            wanderers = {name.partition("-")[2] for name in found}
            assert len(found) == len(wanderers)
            assert len(found) in (23, 24)
            assert found == sorted(found)
    finally:
        stop.set()
        await moving


async def _move_about(api: Api, stop: asyncio.Event, moved: asyncio.Event) -> None:
    number = 0
    while not stop.is_set():
        old, new = ("key", "zoo") if number // 24 % 2 == 0 else ("zoo", "key")
        name = f"{number % 24:02}"
        assert (await api.delete(f"{SECRETS}/{old}-{name}")).status == 200
        await api.made(SECRETS, secret(f"{new}-{name}"))
        number += 1
        moved.set()
