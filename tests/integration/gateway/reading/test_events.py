"""Recorded events in their two groups: one storage, two sets of names."""

import pytest

from tests.integration.gateway.api_client import MERGE, STRATEGIC, TABLE, Api, Document, names

pytestmark = pytest.mark.asyncio(loop_scope="session")

CORE = "/api/v1/namespaces/team/events"
NEWER = "/apis/events.k8s.io/v1/namespaces/team/events"
ABOUT = {"apiVersion": "servicecatalog.k8s.io/v1beta1", "kind": "ServiceInstance", "namespace": "team"}


def core_event(name: str, *, about: str = "db") -> Document:
    return {
        "metadata": {"name": name},
        "involvedObject": {**ABOUT, "name": about},
        "reason": "Provisioning",
        "message": "It is being made",
        "source": {"component": "manager"},
        "firstTimestamp": "2030-01-31T12:00:00Z",
        "lastTimestamp": "2030-01-31T12:00:00Z",
    }


def newer_event(name: str, *, about: str = "db") -> Document:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name},
        "eventTime": "2030-01-31T12:00:00.123456Z",
        "reportingController": "example.com/manager",
        "reportingInstance": "manager-1",
        "action": "Provision",
        "reason": "Provisioning",
        "regarding": {**ABOUT, "name": about},
        "note": "It is being made",
        "type": "Warning",
    }


async def test_an_event_of_either_group_is_read_in_both(api: Api) -> None:
    await api.made(CORE, core_event("old"))
    made = await api.made(NEWER, newer_event("new"))
    assert (made["apiVersion"], made["note"]) == ("events.k8s.io/v1", "It is being made")
    old = await api.read(f"{NEWER}/old")
    assert (old["kind"], old["regarding"]["name"], old["note"]) == ("Event", "db", "It is being made")
    assert old["deprecatedSource"] == {"component": "manager"}
    assert old["metadata"]["selfLink"] == f"{NEWER}/old"
    new = await api.read(f"{CORE}/new")
    assert (new["apiVersion"], new["involvedObject"]["name"]) == ("v1", "db")
    # client-go reads no time of this kind without its six digits.
    assert new["eventTime"] == made["eventTime"] == "2030-01-31T12:00:00.123456Z"
    for path, api_version in ((CORE, "v1"), (NEWER, "events.k8s.io/v1")):
        listed = await api.read(path)
        assert (listed["kind"], listed["apiVersion"]) == ("EventList", api_version)
        assert names(listed) == ["new", "old"]
        assert {item["apiVersion"] for item in listed["items"]} == {api_version}
    assert names(await api.read("/apis/events.k8s.io/v1/events")) == ["new", "old"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("0434-08-28T01:29:52.530349+10:53", "0434-08-27T14:36:52.530349Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
async def test_a_time_has_four_digits_for_its_year_whichever_it_is(api: Api, sent: str, kept: str) -> None:
    made = await api.made(NEWER, {**newer_event("old"), "eventTime": sent})
    assert made["eventTime"] == kept
    assert (await api.read(f"{CORE}/old"))["eventTime"] == kept


@pytest.mark.parametrize("selector", ["regarding.name=db", "involvedObject.name=db", "regarding.name!=other"])
async def test_events_are_selected_by_what_they_regard(api: Api, selector: str) -> None:
    await api.made(CORE, core_event("wanted"))
    await api.made(CORE, core_event("unwanted", about="other"))
    assert names((await api.get(NEWER, fieldSelector=selector)).document) == ["wanted"]


async def test_events_have_the_same_columns_in_both_groups(api: Api) -> None:
    await api.made(CORE, core_event("one"))
    answers = [await api.call("GET", path, headers={"Accept": TABLE}) for path in (CORE, NEWER)]
    core, newer = (answer.document for answer in answers)
    assert newer["columnDefinitions"] == core["columnDefinitions"]
    cells = newer["rows"][0]["cells"]
    assert cells[3] == core["rows"][0]["cells"][3] == "serviceinstance/db"
    assert cells[5] == "It is being made"


async def test_a_watch_of_either_group_tells_of_every_event_in_its_own_names(api: Api) -> None:
    async with api.watch(NEWER, fieldSelector="regarding.name=db") as newer, api.watch(CORE) as core:
        await api.made(CORE, core_event("strange", about="other"))
        await api.made(CORE, core_event("one"))
        notice = await newer.next()
        assert (notice["type"], notice["object"]["apiVersion"]) == ("ADDED", "events.k8s.io/v1")
        assert notice["object"]["regarding"]["name"] == "db"
        assert (await api.delete(f"{NEWER}/one")).status == 200
        assert (await newer.next())["type"] == "DELETED"
        assert ("DELETED", "one") in await core.until("one", "DELETED")


@pytest.mark.parametrize("kind", [MERGE, STRATEGIC])
async def test_an_event_is_changed_in_the_names_of_the_newer_group(api: Api, kind: str) -> None:
    await api.made(NEWER, newer_event("one"))
    series = {"series": {"count": 2, "lastObservedTime": "2030-01-31T12:05:00.000000Z"}, "note": "again"}
    answer = await api.patch(f"{NEWER}/one", series, kind)
    assert (answer.status, answer.document["note"]) == (200, "again")
    stored = await api.read(f"{CORE}/one")
    assert (stored["message"], stored["series"]["count"]) == ("again", 2)
    replaced = await api.put(f"{NEWER}/one", {**answer.document, "note": "once more"})
    assert (replaced.status, replaced.document["note"]) == (200, "once more")
    refused = await api.patch(f"{NEWER}/one", {}, "application/apply-patch+yaml", fieldManager="m")
    assert refused.status == 415


async def test_what_is_wrong_with_an_event_is_told_in_its_own_names(api: Api) -> None:
    strange = {**newer_event("one"), "message": "a name of the core group"}
    answer = await api.post(NEWER, strange, fieldValidation="Strict")
    assert (answer.status, 'unknown field "message"' in answer.message) == (400, True)
    assert (await api.post(NEWER, core_event("one") | {"apiVersion": "v1", "kind": "Event"})).status == 400
    answer = await api.post(NEWER, {**newer_event("one"), "note": 7})
    assert (answer.status, list(answer.causes)) == (422, ["note"])
    missing = await api.get(f"{NEWER}/none")
    assert missing.message == 'events.events.k8s.io "none" not found'


async def test_watches_of_both_groups_tell_the_same_change_in_their_own_words(api: Api) -> None:
    async with api.watch(CORE) as core, api.watch(NEWER) as newer:
        await api.made(CORE, core_event("both"))
        told = [await core.next(), await newer.next()]
    assert [notice["object"]["apiVersion"] for notice in told] == ["v1", "events.k8s.io/v1"]
    assert ["involvedObject" in notice["object"] for notice in told] == [True, False]
