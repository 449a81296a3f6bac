"""What one write leaves in the tables: the object, its work, its command and its change together, or nothing at all."""

import asyncio
import json
import logging

import pytest
from sqlalchemy import text, update

from chandlery.model.faults import Unavailable
from chandlery.model.objects.kinds import AnyObject
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.changes import ChangeLog
from chandlery.store.schema import WORK_QUEUE
from chandlery.store.work.outbox import Outbox
from chandlery.store.work.work_queue import WorkQueue
from chandlery_gateway.write.write_transactions import WriteTransactions
from tests.integration.gateway.api_client import (
    CATALOG,
    RBAC,
    SECRETS,
    TEAM,
    Answer,
    Api,
    Document,
    binding,
    broker,
    catalog_object,
    instance,
    namespace,
    role,
    role_binding,
    secret,
    service_class,
)
from tests.integration.gateway.conftest import Running
from tests.support.waiting import SOON

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

INSTANCES = f"{TEAM}/serviceinstances"
DB = f"{INSTANCES}/db"
_SECRET = "hunter2"


async def _messages(gateway: Running) -> list[Document]:
    return [json.loads(row["message"]) for row in sorted(await gateway.rows("outbox"), key=lambda row: row["id"])]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (INSTANCES, instance("one")),
        (f"{TEAM}/servicebindings", binding("one")),
        (f"{TEAM}/servicebrokers", broker("one", "ServiceBroker")),
        (f"{CATALOG}/clusterservicebrokers", broker("one")),
        ("/api/v1/namespaces", namespace("one")),
    ],
)
async def test_a_creation_brings_its_work_its_command_and_its_change(
    api: Api, gateway: Running, path: str, body: Document
) -> None:
    created = await api.made(path, body)
    uid, version = created["metadata"]["uid"], created["metadata"]["resourceVersion"]
    (work,) = [row for row in await gateway.rows("work_queue") if row["uid"] == uid]
    assert work["kind"] == created["kind"]
    assert work["due_at"] is not None
    commands = [message for message in await _messages(gateway) if message.get("uid") == uid]
    trace = work["traceparent"]
    assert commands == [
        {"type": "Reconcile", "kind": created["kind"], "uid": uid, "lane": work["lane"], "traceparent": trace}
    ]
    assert trace, "the row remembers the request, and so does its command"
    (change,) = [row for row in await gateway.rows("changes") if row["position"] == int(version)]
    assert (change["verb"], change["kind"], change["name"]) == ("ADDED", created["kind"], "one")
    lanes = [message["lane"] for message in await _messages(gateway) if message["type"] == "LaneOpened"]
    assert lanes == ([work["lane"]] if "Broker" in created["kind"] else [])


@pytest.mark.parametrize("kind", ["Role", "RoleBinding", "ServiceAccount"])
async def test_no_right_is_made_in_a_namespace_while_it_goes(
    api: Api, gateway: Running, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it could be left over, and count in the next namespace of the name."""
    made: dict[str, tuple[str, Document]] = {
        "Role": (f"{RBAC}/namespaces/passing/roles", role()),
        "RoleBinding": (f"{RBAC}/namespaces/passing/rolebindings", role_binding()),
        "ServiceAccount": ("/api/v1/namespaces/passing/serviceaccounts", {"metadata": {"name": "robot"}}),
    }
    await api.made("/api/v1/namespaces", namespace("passing"))
    checked, goes_on = asyncio.Event(), asyncio.Event()
    insert = WriteTransactions.insert

    async def slow(self: WriteTransactions, unit: UnitOfWork, prepared: AnyObject) -> AnyObject:
        stored = await insert(self, unit, prepared)
        checked.set()
        await goes_on.wait()
        return stored

    monkeypatch.setattr(WriteTransactions, "insert", slow)
    path, body = made[kind]
    async with asyncio.timeout(SOON), asyncio.TaskGroup() as group:
        creating = group.create_task(api.post(path, body))
        await checked.wait()
        deleting = group.create_task(api.delete("/api/v1/namespaces/passing"))
        await asyncio.wait({deleting}, timeout=0.3)
        was_marked_meanwhile = deleting.done()
        goes_on.set()
    assert (creating.result().status, deleting.result().status, was_marked_meanwhile) == (201, 200, False)
    monkeypatch.undo()
    assert (await api.post(path, {**body, "metadata": {"name": "late"}})).status == 403


async def test_kinds_without_a_worker_have_no_work(api: Api, gateway: Running) -> None:
    before = (await gateway.rows("work_queue"), await gateway.rows("outbox"))
    await api.made(SECRETS, secret())
    await api.made(f"{CATALOG}/clusterserviceclasses", service_class())
    assert (await gateway.rows("work_queue"), await gateway.rows("outbox")) == before


async def test_a_new_spec_is_commanded_once(api: Api, gateway: Running) -> None:
    created = await api.made(INSTANCES, instance())
    uid = created["metadata"]["uid"]
    await api.patch(DB, {"spec": {"parameters": {"a": 1}}})
    await api.patch(DB, {"metadata": {"labels": {"a": "b"}}})
    (work,) = [row for row in await gateway.rows("work_queue") if row["uid"] == uid]
    assert work["revision"] == 1
    assert len([message for message in await _messages(gateway) if message.get("uid") == uid]) == 2


async def _work_on(gateway: Running, document: Document) -> tuple[int, int]:
    """How often the object's desired state has changed, and how many commands were sent for it."""
    uid = document["metadata"]["uid"]
    (work,) = [row for row in await gateway.rows("work_queue") if row["uid"] == uid]
    return work["revision"], len([message for message in await _messages(gateway) if message.get("uid") == uid])


async def _rests(gateway: Running) -> None:
    """Every worker has nothing to do for now."""
    async with gateway.resources.database._engine.begin() as connection:
        await connection.execute(update(WORK_QUEUE).values(due_at=None, enqueue_after=None, attempt=7))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (INSTANCES, instance("one")),
        (f"{TEAM}/servicebindings", binding("one")),
        (f"{TEAM}/servicebrokers", broker("one", "ServiceBroker")),
        (f"{CATALOG}/clusterservicebrokers", broker("one")),
    ],
)
async def test_an_action_makes_the_object_due_without_a_new_generation(
    api: Api, gateway: Running, path: str, body: Document
) -> None:
    created = await api.made(path, body)
    await _rests(gateway)
    ann, one = gateway.as_user("token-of-ann-the-developer"), f"{path}/one"
    for times, annotations in enumerate(
        ({"chandlery.io/retry-requested-at": "1"}, {"chandlery.io/retry-requested-at": "2"}, None), start=1
    ):
        answer = await ann.patch(one, {"metadata": {"annotations": annotations}})
        assert answer.status == 200, answer.payload
        assert answer.document["metadata"]["generation"] == 1
        assert await _work_on(gateway, created) == (times, 1 + times)
    (work,) = [row for row in await gateway.rows("work_queue") if row["uid"] == created["metadata"]["uid"]]
    assert work["due_at"] is not None
    assert work["attempt"] == 0
    if "userInfo" in created["spec"]:
        assert answer.document["spec"] == {**created["spec"], "userInfo": answer.document["spec"]["userInfo"]}
        assert answer.document["spec"]["userInfo"]["username"] == "ann"
    unknown = await api.patch(one, {"metadata": {"annotations": {"chandlery.io/no-such-action": "x"}}})
    assert "chandlery.io/force-delete" in unknown.causes["metadata.annotations[chandlery.io/no-such-action]"]
    dry = await api.patch(one, {"metadata": {"annotations": {"chandlery.io/force-delete": "true"}}}, dryRun="All")
    assert dry.status == 200
    assert await _work_on(gateway, created) == (3, 4)


async def test_an_action_with_a_new_spec_is_one_command(api: Api, gateway: Running) -> None:
    created = await api.made(INSTANCES, instance())
    both = {"metadata": {"annotations": {"chandlery.io/retry-requested-at": "1"}}, "spec": {"updateRequests": 1}}
    assert (await api.patch(DB, both)).document["metadata"]["generation"] == 2
    assert await _work_on(gateway, created) == (1, 2)


@pytest.mark.parametrize(
    ("told", "annotations", "is_woken"),
    [
        (["acme.com/"], {"acme.com/cost": "1"}, True),
        (["acme.com/c", "other.com/"], {"acme.com/cost": "1"}, True),
        (["acme.com/d"], {"acme.com/cost": "1"}, False),
        (None, {"acme.com/cost": "1"}, False),
    ],
)
@pytest.mark.parametrize("scope", ["cluster", "namespace"])
async def test_an_annotation_that_the_broker_is_told_makes_instances_due(
    api: Api, gateway: Running, scope: str, told: list[str] | None, annotations: Document, is_woken: bool
) -> None:
    spec: Document = {"contextAnnotations": told} if told else {}
    if scope == "cluster":
        await api.made(f"{CATALOG}/clusterservicebrokers", broker(**spec))
        await api.made(f"{CATALOG}/clusterserviceclasses", service_class())
        body = instance()
    else:
        await api.made(f"{TEAM}/servicebrokers", broker(kind="ServiceBroker", **spec))
        values = {"externalName": "mysql", "externalID": "c", "description": "d", "serviceBrokerName": "broker"}
        await api.made(f"{TEAM}/serviceclasses", catalog_object("ServiceClass", "c", **values))
        body = instance(serviceClassExternalName="mysql", servicePlanExternalName="small")
    created = await api.made(INSTANCES, body)
    await api.made("/api/v1/namespaces", namespace("elsewhere"))
    elsewhere = await api.made(f"{CATALOG}/namespaces/elsewhere/serviceinstances", body)
    ann = gateway.as_user("token-of-ann-the-developer")

    change = {"metadata": {"annotations": annotations}}
    changed = await ann.patch(DB, change)
    assert changed.document["metadata"]["generation"] == 1
    assert changed.document["spec"]["userInfo"]["username"] == ("ann" if is_woken else "admin")
    assert await _work_on(gateway, created) == (int(is_woken), 1 + is_woken)
    for patch in (change, {"metadata": {"labels": {"a": "b"}}}):
        assert (await ann.patch("/api/v1/namespaces/team", patch)).status == 200
        assert await _work_on(gateway, created) == (2 * is_woken, 1 + 2 * is_woken)
    assert (await ann.patch("/api/v1/namespaces/team", change)).status == 200
    assert await _work_on(gateway, created) == (2 * is_woken, 1 + 2 * is_woken)
    assert await _work_on(gateway, elsewhere) == (0, 1)


@pytest.mark.parametrize(
    "breaks", [(Outbox, "flush"), (ChangeLog, "flush"), (WorkQueue, "enqueue_changed")], ids=lambda broken: broken[1]
)
async def test_a_write_that_breaks_in_the_middle_leaves_nothing(
    gateway: Running,
    api: Api,
    breaks: tuple[type, str],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    named = {"clusterServiceClassName": "a", "clusterServicePlanName": "b"}
    created = await api.made(INSTANCES, instance(**named, parameters={"p": _SECRET}))
    await api.made(SECRETS, secret(password=_SECRET))
    tables = ("serviceinstances", "secrets", "work_queue", "outbox", "changes")
    before = {table: await gateway.rows(table) for table in tables}
    told = f"password={_SECRET}"

    async def broken(*_args: object, **_kwargs: object) -> None:
        raise LookupError(told)

    def broken_at_once(*_args: object, **_kwargs: object) -> None:
        raise LookupError(told)

    answers: list[Answer] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*breaks, broken)
        if breaks[0] is WorkQueue:
            patch.setattr(WorkQueue, "enqueue_changed_later", broken_at_once)
        if breaks[1] == "flush":
            answers.append(await api.post(INSTANCES, instance("x", **named, parameters={"p": _SECRET})))
        if breaks[0] is ChangeLog:
            answers.append(await api.patch(f"{SECRETS}/key", {"stringData": {"password": f"{_SECRET}x"}}))
        answers.append(await api.patch(DB, {"spec": {"parameters": {"p": f"{_SECRET}x"}}}))
        answers.append(await api.delete(DB))
    for answer in answers:
        assert (answer.status, answer.document["reason"]) == (500, "InternalError")
        assert _SECRET.encode() not in answer.payload
    for table, rows in before.items():
        assert sorted(map(repr, await gateway.rows(table))) == sorted(map(repr, rows)), table
    assert await api.read(DB) == created
    logged = "".join(capfd.readouterr()) + caplog.text
    assert "LookupError" in logged
    assert _SECRET not in logged
    # The gateway goes on as if nothing had been.
    assert (await api.post(INSTANCES, instance("x"))).status == 201


async def test_a_database_that_is_away_is_told_with_a_time_to_come_back(
    api: Api, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: object, **_kwargs: object) -> None:
        raise Unavailable("the database cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(gateway.resources.database, "run", away)
        for answer in (await api.get(INSTANCES), await api.get(DB), await api.get(INSTANCES, watch="true")):
            assert (answer.status, answer.document["reason"]) == (503, "ServiceUnavailable")
            assert answer.headers["Retry-After"] == "1"
    assert (await api.get(INSTANCES)).status == 200


async def test_a_bug_of_the_database_is_logged_without_what_was_sent(
    api: Api, gateway: Running, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Errors of SQLAlchemy quote the parameters of their statement."""
    caplog.set_level(logging.INFO)
    engine = gateway.resources.database._engine
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE serviceinstances RENAME TO elsewhere"))
    try:
        body = instance(clusterServiceClassName="a", clusterServicePlanName="b", parameters={"password": _SECRET})
        assert (await api.post(INSTANCES, body)).status in (500, 503)
    finally:
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE elsewhere RENAME TO serviceinstances"))
    logged = "".join(capfd.readouterr()) + caplog.text
    assert _SECRET not in logged
    assert (await api.post(INSTANCES, instance())).status == 201


async def test_of_changes_at_the_same_moment_each_is_answered_for_itself(api: Api, gateway: Running) -> None:
    created = {name: await api.made(INSTANCES, instance(name)) for name in ("one", "two", "three")}
    stale = {"metadata": {"resourceVersion": "1", "annotations": {"is": "stale"}}}

    *same, missing, outdated, invalid, three = await asyncio.gather(
        *(api.patch(f"{INSTANCES}/one", {"metadata": {"annotations": {key: key}}}) for key in "abc"),
        api.patch(f"{INSTANCES}/missing", {"metadata": {"annotations": {"a": "1"}}}),
        api.patch(f"{INSTANCES}/two", stale),
        api.patch(f"{INSTANCES}/two", {"metadata": {"labels": {"not a label": ""}}}),
        api.patch(f"{INSTANCES}/three", {"spec": {"parameters": {"size": 3}}}),
    )

    assert [each.status for each in same] == [200, 200, 200]
    assert [each.status for each in (missing, outdated, invalid, three)] == [404, 409, 422, 200]
    stored = await api.read(f"{INSTANCES}/one")
    assert stored["metadata"]["annotations"] == {"a": "a", "b": "b", "c": "c"}
    assert stored in [each.document for each in same]
    assert await api.read(f"{INSTANCES}/two") == created["two"]
    assert three.document["metadata"]["generation"] == 2
    rows = {row["uid"]: row["revision"] for row in await gateway.rows("work_queue")}
    # Annotations make nothing due.
    assert [rows[each["metadata"]["uid"]] for each in created.values()] == [0, 0, 1]
    versions = [int(row["position"]) for row in await gateway.rows("changes") if row["name"] == "one"]
    told = sorted(int(each.document["metadata"]["resourceVersion"]) for each in same)
    assert sorted(versions)[-3:] == told
