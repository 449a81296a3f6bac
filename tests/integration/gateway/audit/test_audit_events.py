"""`kubectl get auditevents`: what the gateway keeps of requests, for those who may list it, on both databases."""

import asyncio
from typing import Any

import pytest

from chandlery.store.audit.audit_entries import AuditEntry, AuditFilter
from chandlery.store.database import UnitOfWork
from chandlery_gateway.main import Gateway
from tests.integration.gateway.api_client import SECRETS, TABLE, TEAM, Api, Document, instance
from tests.integration.gateway.conftest import TOKEN, Running
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVENTS = "/apis/audit.chandlery.io/v1/auditevents"


async def found(api: Api, *, at_least: int = 1, **selected: str) -> list[Document]:
    """The events that are selected, the newest first, as soon as there are so many; they are written in a moment."""
    selector = ",".join(f"{field.replace('__', '.')}={value}" for field, value in selected.items())

    async def listed() -> list[Document]:
        items: list[Document] = (await api.get(EVENTS, fieldSelector=selector)).document["items"]
        return items

    return await eventually(listed, lambda items: len(items) >= at_least, what=f"events with {selector}")


async def test_a_request_is_found_by_the_id_that_its_answer_tells(gateway: Running) -> None:
    ann = gateway.as_user("token-of-ann-the-developer")
    answer = await ann.post(f"{TEAM}/serviceinstances", instance("by-id"))
    [event] = await found(gateway.api, auditID=answer.headers["Audit-ID"])
    assert event["user"]["username"] == "ann"
    assert (event["verb"], event["stage"], event["level"]) == ("create", "ResponseComplete", "Metadata")
    reference = event["objectRef"]
    assert reference["uid"] == answer.document["metadata"]["uid"]
    assert (reference["resource"], reference["namespace"], reference["name"]) == ("serviceinstances", "team", "by-id")
    assert event["responseStatus"]["code"] == 201
    assert event["annotations"]["authorization.k8s.io/decision"] == "allow"
    assert event["sourceIPs"] == ["127.0.0.1"]
    assert event["requestReceivedTimestamp"] <= event["stageTimestamp"]
    assert "requestObject" not in event
    one = await gateway.api.get(f"{EVENTS}/{event['metadata']['name']}")
    assert one.document == event


async def test_events_are_selected_by_what_has_an_index_and_by_nothing_else(gateway: Running) -> None:
    api, ann = gateway.api, gateway.as_user("token-of-ann-the-developer")
    made = await ann.made(f"{TEAM}/serviceinstances", instance("chosen"))
    await ann.delete(f"{TEAM}/serviceinstances/unknown-one")
    chosen = await found(api, user="ann", objectRef__name="chosen", objectRef__uid=made["metadata"]["uid"])
    assert [event["verb"] for event in chosen] == ["create"]
    [refused] = await found(api, objectRef__name="unknown-one", responseStatus__code="404")
    assert (refused["verb"], refused["responseStatus"]["reason"]) == ("delete", "NotFound")
    for several in (
        await found(api, objectRef__resource="serviceinstances", verb="create", since="1h"),
        await found(api, objectRef__namespace="team", user__username="ann"),
    ):
        assert "chosen" in [event["objectRef"].get("name") for event in several]
    nobody = await api.get(EVENTS, fieldSelector="user!=ann,user!=admin,user!=system:anonymous")
    assert nobody.document["items"] == []
    for wrong, word in (
        ("userAgent=curl", "field label not supported"),
        ("since=yesterday", "since"),
        ("since!=1h", "only = is supported"),
        ("since=-1h", "must be a duration of more than 0"),
        ("since=1h,since=2h", "may be given once"),
        ("auditID=a,auditID=b", "may be given once"),
        ("responseStatus.code=many", "responseStatus.code"),
    ):
        answer = await api.get(EVENTS, fieldSelector=wrong)
        assert (answer.status, word in answer.message) == (400, True), answer.message
    assert (await api.get(EVENTS, labelSelector="a=b")).status == 400


async def test_pages_go_from_the_newest_to_the_oldest_and_miss_none(gateway: Running) -> None:
    api = gateway.api
    for number in range(7):
        await api.get(f"{TEAM}/serviceinstances/page-{number}")
    await found(api, objectRef__name="page-6")
    query = {"fieldSelector": "responseStatus.code=404,since=1h", "limit": "3"}
    seen, page = [], (await api.get(EVENTS, **query)).document
    while True:
        assert len(page["items"]) <= 3
        seen += [event["objectRef"]["name"] for event in page["items"]]
        token = page["metadata"].get("continue")
        if not token or "page-0" in seen:
            break
        page = (await api.get(EVENTS, **query, **{"continue": token})).document
    pages = [name for name in seen if name.startswith("page-")]
    assert pages == [f"page-{number}" for number in reversed(range(7))]
    wrong = await api.get(EVENTS, limit="3", **{"continue": token or "x.y"})
    assert wrong.status in (400, 410), "a token of another list"


async def test_the_log_is_read_and_never_written(gateway: Running) -> None:
    api = gateway.api
    await api.get(f"{TEAM}/serviceinstances/somewhere")
    [event] = await found(api, objectRef__name="somewhere")
    one = f"{EVENTS}/{event['metadata']['name']}"
    for method, path in (("POST", EVENTS), ("PUT", one), ("PATCH", one), ("DELETE", one), ("DELETE", EVENTS)):
        assert (await api.call(method, path, {})).status == 405, (method, path)
    assert (await api.get(EVENTS, watch="true")).status == 405
    assert (await api.get(f"{EVENTS}/no-such-event")).status == 404
    assert (await api.get(one)).status == 200
    assert (await gateway.as_user(None).get(EVENTS)).status == 401


async def test_the_table_tells_who_did_what_with_what_and_what_came_of_it(gateway: Running) -> None:
    await gateway.as_user("token-of-ann-the-developer").post(SECRETS, {"kind": "Secret", "metadata": {"name": "shown"}})
    await found(gateway.api, objectRef__name="shown", verb="create")
    query = {"fieldSelector": "objectRef.name=shown,verb=create", "limit": "1"}
    answer = await gateway.api.call("GET", EVENTS, headers={"Accept": TABLE}, query=query)
    table = answer.document
    columns = [column["name"] for column in table["columnDefinitions"] if not column["priority"]]
    assert columns == ["Age", "User", "Verb", "Object", "Namespace", "Code", "Decision"]
    cells = dict(zip([column["name"] for column in table["columnDefinitions"]], table["rows"][0]["cells"], strict=True))
    wanted = {"User": "ann", "Verb": "create", "Object": "secrets/shown", "Namespace": "team", "Code": 201}
    assert {name: cells[name] for name in wanted} == wanted
    assert cells["Decision"] == "allow"


async def test_everybody_who_is_refused_is_on_record(gateway: Running) -> None:
    api = gateway.api
    answers = [
        await gateway.as_user(None).get(f"{TEAM}/serviceinstances/by-nobody"),
        await gateway.as_user("a-token-that-nobody-has").get(f"{TEAM}/serviceinstances/by-a-guesser"),
        await api.get("/apis/servicecatalog.k8s.io/v1beta1/no-such-kind"),
        await api.post(f"{TEAM}/serviceinstances/no-create-here", {}),
        await gateway.as_user("token-of-ann-the-developer").call(
            "GET", f"{TEAM}/serviceinstances", headers={"Impersonate-User": "admin"}
        ),
    ]
    assert [answer.status for answer in answers] == [401, 401, 404, 405, 403]
    events = [(await found(api, auditID=answer.headers["Audit-ID"]))[0] for answer in answers]
    assert [event["responseStatus"]["code"] for event in events] == [401, 401, 404, 405, 403]
    assert [event["user"]["username"] for event in events] == ["system:anonymous"] * 2 + ["admin"] * 2 + ["ann"]
    assert events[2]["requestURI"] == "/apis/servicecatalog.k8s.io/v1beta1/<removed>", "a path may hold anything"


async def test_whoever_acts_as_somebody_is_named_with_them(gateway: Running) -> None:
    headers = {"Impersonate-User": "bob", "Impersonate-Group": "dba", "User-Agent": "kubectl/v1.30"}
    answer = await gateway.api.call("GET", f"{TEAM}/serviceinstances", headers=headers)
    [event] = await found(gateway.api, auditID=answer.headers["Audit-ID"])
    assert (event["user"]["username"], event["impersonatedUser"]["username"]) == ("admin", "bob")
    assert event["impersonatedUser"]["groups"] == ["dba", "system:authenticated"]
    assert event["userAgent"] == "kubectl/v1.30"


async def test_a_watch_is_on_record_when_it_begins_and_when_it_ends(gateway: Running) -> None:
    async with gateway.api.watch(SECRETS) as watch:
        audit_id = watch.response.headers["Audit-ID"]
        [begun] = await found(gateway.api, auditID=audit_id)
        assert (begun["stage"], begun["verb"]) == ("ResponseStarted", "watch")
    stages = [event["stage"] for event in await found(gateway.api, at_least=2, auditID=audit_id)]
    assert sorted(stages) == ["ResponseComplete", "ResponseStarted"]


async def test_the_reading_of_a_secret_is_found_by_the_uid_of_whom_it_belongs_to(gateway: Running) -> None:
    api = gateway.api
    owner = {"apiVersion": "v1", "kind": "Thing", "name": "owner", "uid": "uid-of-the-owner-1"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "owned", "ownerReferences": [owner]}}
    await api.made(SECRETS, secret)
    await api.get(f"{SECRETS}/owned")
    await api.get(SECRETS)
    await api.delete(f"{SECRETS}/owned")
    events = await found(api, at_least=4, objectRef__uid="uid-of-the-owner-1")
    assert [event["verb"] for event in reversed(events)] == ["create", "get", "list", "delete"]
    none = await api.get(EVENTS, fieldSelector="objectRef.uid=uid-of-nobody")
    assert none.document["items"] == []


async def test_a_secret_that_a_watch_shows_is_on_record_while_the_watch_goes_on(gateway: Running) -> None:
    def owned(name: str) -> Document:
        owner = {"apiVersion": "v1", "kind": "Thing", "name": "owner", "uid": f"uid-of-the-owner-of-{name}"}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "ownerReferences": [owner]}}

    async with gateway.api.watch(SECRETS) as watch:
        audit_id = watch.response.headers["Audit-ID"]
        await gateway.api.made(SECRETS, owned("first"))
        await gateway.api.made(SECRETS, owned("second"))
        for name in ("first", "second"):
            [shown] = await found(gateway.api, objectRef__uid=f"uid-of-the-owner-of-{name}", verb="watch")
            assert (shown["auditID"], shown["user"]["username"]) == (audit_id, "admin")
            assert shown["stage"] == "ResponseStarted"
    async with gateway.api.watch(SECRETS) as later:
        again = later.response.headers["Audit-ID"]
        events = await found(gateway.api, at_least=2, objectRef__uid="uid-of-the-owner-of-first", verb="watch")
    assert {event["auditID"] for event in events} == {audit_id, again}


async def test_a_list_of_very_many_secrets_is_found_by_each_of_them(own_gateway: Running) -> None:
    uids = tuple(f"uid-{number}" for number in range(2_500))
    entry = AuditEntry(name="0198-many", event="{}", related_uids=uids)
    run = own_gateway.resources.database.run
    await run(lambda unit: unit.audit.write([entry]))
    await run(lambda unit: unit.audit.write([entry]))

    async def find(unit: UnitOfWork) -> list[int]:
        some = [AuditFilter(uid=uid) for uid in (uids[0], uids[1_234], uids[-1], "uid-of-nobody")]
        return [len(await unit.audit.find(wanted, limit=5)) for wanted in some]

    assert await run(find) == [1, 1, 1, 0]


async def test_what_was_recorded_last_is_written_when_a_gateway_is_cut_off(own_gateway: Running) -> None:
    serving = asyncio.create_task(Gateway(own_gateway.resources).serve(asyncio.Event(), lambda: None))
    address = await eventually(lambda: own_gateway.resources.addresses[1:], what="another gateway to listen")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with own_gateway.session.get(f"{address[0]}{TEAM}/serviceinstances/asked-for-last", headers=headers) as told:
        audit_id = told.headers["Audit-ID"]
    serving.cancel()
    await asyncio.wait({serving})
    assert serving.cancelled()
    assert audit_id in {row["name"] for row in await own_gateway.rows("audit_events")}


async def test_old_events_go_a_step_at_a_time_and_what_they_are_about_with_them(own_gateway: Running) -> None:
    run = own_gateway.resources.database.run
    await asyncio.gather(*(own_gateway.api.get(f"{TEAM}/serviceinstances/old-{number}") for number in range(5)))
    await found(own_gateway.api, at_least=5, responseStatus__code="404")

    async def forget(unit: Any) -> int:
        gone: int = await unit.audit.forget(unit.now, limit=4)
        return gone

    assert await run(forget) == 4
    left = await own_gateway.rows("audit_events")
    assert left
    named = {row["event_name"] for row in await own_gateway.rows("audit_subjects")}
    assert named <= {row["name"] for row in left}
