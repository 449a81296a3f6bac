"""`kubectl get serviceinstanceoperations` and `servicebindingoperations`: who sees what of the operation history."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from chandlery.model.history.recorded_operations import (
    OperationName,
    OperationOutcome,
    OperationReason,
    OperationWords,
    RecordedOperation,
)
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.store.database import UnitOfWork
from tests.integration.gateway.api_client import TABLE, Api, Document
from tests.integration.gateway.conftest import Running
from tests.integration.gateway.roles.test_shown_objects import give, rule

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

HISTORY = "/apis/history.chandlery.io/v1"
INSTANCES = f"{HISTORY}/namespaces/team/serviceinstanceoperations"
BINDINGS = f"{HISTORY}/namespaces/team/servicebindingoperations"
NOW = datetime.now(UTC).replace(microsecond=123456)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
FAILED = OperationWords(broker_status=503, message="no room", is_failure=True)


def told(ago: timedelta, operation: OperationName = OperationName.PROVISION, **changed: Any) -> RecordedOperation:
    given: dict[str, Any] = {
        "operation": operation,
        "started_at": NOW - ago,
        "external_id": "external-1",
        "reason": OperationReason.CREATED,
        "requested_by": "ann",
        "instance_name": "db",
        "attempts": 2,
        "outcome": OperationOutcome.SUCCEEDED,
        "words": OperationWords(broker_status=201),
        "ended_at": NOW - ago + timedelta(seconds=90),
    }
    return RecordedOperation(**{**given, **changed})


def of(name: str, namespace: str = "team") -> ServiceInstance:
    return ServiceInstance(metadata=ObjectMeta(name=name, namespace=namespace, uid=f"uid-of-{name}-in-{namespace}"))


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def past(gateway: Running) -> None:
    """Three operations of `db`, one of `cache`, one of its binding, and one in another namespace."""
    days = [timedelta(days=number) for number in range(10)]
    going: dict[str, Any] = {"outcome": OperationOutcome.IN_PROGRESS, "ended_at": None}
    knot = ServiceBinding(metadata=ObjectMeta(name="knot", namespace="team", uid="uid-of-knot"))

    async def note(unit: UnitOfWork) -> None:
        def tell(document: Any, *some: RecordedOperation) -> None:
            unit.operations.note(document, some, broker="harbour", trace_id=TRACE)

        tell(of("db"), told(days[6]), told(days[2], OperationName.UPDATE), told(days[0], words=FAILED, **going))
        tell(of("cache"), told(days[1], outcome=OperationOutcome.FAILED, words=FAILED, requested_by="eve"))
        tell(of("db", "elsewhere"), told(days[3]))
        tell(knot, told(days[1], OperationName.BIND))

    async def first(unit: UnitOfWork) -> None:
        unit.operations.note(of("db"), [told(days[6], words=FAILED, **going)], broker="harbour", trace_id=TRACE)

    for namespace in ("team", "elsewhere"):
        await gateway.resources.database.run(lambda unit, of=namespace: unit.operations.forget_namespace(of, limit=99))  # type: ignore[misc]
    await gateway.resources.database.run(first)
    await gateway.resources.database.run(note)


async def listed(api: Api, path: str = INSTANCES, **query: str) -> Sequence[Document]:
    answer = await api.get(path, **query)
    assert answer.status == 200, answer.payload
    items: Sequence[Document] = answer.document["items"]
    return items


def shown(items: Sequence[Document]) -> list[tuple[str, str]]:
    return [(item["instanceRef"]["name"], item["operation"]) for item in items]


async def table(api: Api, selector: str) -> Document:
    answer = await api.call("GET", INSTANCES, headers={"Accept": TABLE}, query={"fieldSelector": selector})
    return answer.document


async def rows(api: Api, selector: str) -> list[Document]:
    """What kubectl prints, by column."""
    answer = await table(api, selector)
    names = [each["name"] for each in answer["columnDefinitions"]]
    return [dict(zip(names, row["cells"], strict=True)) for row in answer["rows"]]


async def test_operations_of_a_namespace_are_listed_the_newest_first(gateway: Running) -> None:
    everything = [("db", "Provision"), ("cache", "Provision"), ("db", "Update"), ("db", "Provision")]
    assert shown(await listed(gateway.api)) == everything
    everywhere = await listed(gateway.api, f"{HISTORY}/serviceinstanceoperations")
    assert [item["metadata"]["namespace"] for item in everywhere].count("elsewhere") == 1
    [bind] = await listed(gateway.api, BINDINGS)
    assert (bind["kind"], bind["operation"]) == ("ServiceBindingOperation", "Bind")
    assert bind["bindingRef"] == {"name": "knot", "uid": "uid-of-knot"}
    assert bind["instanceRef"] == {"name": "db"}


async def test_one_operation_tells_all_that_is_known_of_it(gateway: Running) -> None:
    oldest = (await listed(gateway.api))[-1]
    name = oldest["metadata"]["name"]
    assert await gateway.api.read(f"{INSTANCES}/{name}") == oldest
    began = NOW - timedelta(days=6)
    assert oldest == {
        "apiVersion": "history.chandlery.io/v1",
        "kind": "ServiceInstanceOperation",
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": name,
            "creationTimestamp": began.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "operation": "Provision",
        "reason": "Created",
        "requestedBy": "ann",
        "instanceRef": {"name": "db", "uid": "uid-of-db-in-team"},
        "broker": "harbour",
        "externalID": "external-1",
        "attempts": 2,
        "outcome": "Succeeded",
        "brokerStatus": 201,
        "lastFailure": {"brokerStatus": 503, "message": "no room"},
        "startTime": began.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "completionTime": (began + timedelta(seconds=90)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "traceID": TRACE,
    }
    for path in (f"{INSTANCES}/no-such-operation", INSTANCES.replace("team", "elsewhere") + f"/{name}"):
        assert (await gateway.api.get(path)).status == 404
    assert (await gateway.api.get(f"{BINDINGS}/{name}")).status == 404, "of another kind"


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("instanceRef.name=db", ["Provision", "Update", "Provision"]),
        ("instanceRef.uid=uid-of-db-in-team,since=72h", ["Provision", "Update"]),
        ("instanceRef.uid=uid-of-db-in-elsewhere", []),
        ("outcome=Failed", ["Provision"]),
        ("outcome!=Succeeded", ["Provision", "Provision"]),
        ("operation=Update,requestedBy=ann", ["Update"]),
        ("since=36h", ["Provision", "Provision"]),
        ("broker=harbour,reason=Created,externalID=external-1,instanceRef.name=cache", ["Provision"]),
        (f"traceID={TRACE},operation=Update", ["Update"]),
        ("metadata.namespace=elsewhere", []),
        ("instanceRef.name=a\0b", []),
    ],
)
async def test_operations_are_selected_by_their_fields(gateway: Running, selector: str, found: list[str]) -> None:
    assert [item["operation"] for item in await listed(gateway.api, fieldSelector=selector)] == found


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"fieldSelector": "since=tuesday"}, "must be a duration"),
        ({"fieldSelector": "since!=1h"}, "only = is supported"),
        ({"fieldSelector": "since=-5h"}, "must be a duration of more than 0"),
        ({"fieldSelector": "since=0s"}, "must be a duration of more than 0"),
        ({"fieldSelector": "since=1h,since=24h"}, "may be given once"),
        ({"fieldSelector": "message=x"}, "field label not supported"),
        ({"fieldSelector": "bindingRef.name=x"}, "field label not supported"),
        ({"labelSelector": "a=b"}, "no labels"),
        ({"continue": "x.y"}, "continue token"),
    ],
)
async def test_what_makes_no_sense_is_refused(gateway: Running, query: dict[str, str], word: str) -> None:
    answer = await gateway.api.get(INSTANCES, **query)
    assert (answer.status, word in answer.message) == (400, True), answer.message


async def test_pages_miss_nothing_and_go_on_with_the_same_list_alone(gateway: Running) -> None:
    seen, query = [], {"limit": "2"}
    page = (await gateway.api.get(INSTANCES, **query)).document
    token = page["metadata"]["continue"]
    while True:
        seen += page["items"]
        if not page["metadata"].get("continue"):
            break
        page = (await gateway.api.get(INSTANCES, **query, **{"continue": page["metadata"]["continue"]})).document
    assert len(seen) == len({item["metadata"]["name"] for item in seen}) == 4
    for other in (BINDINGS, f"{HISTORY}/serviceinstanceoperations"):
        assert (await gateway.api.get(other, **{"continue": token})).status == 400


async def test_history_is_read_and_never_written_or_watched(gateway: Running) -> None:
    one = f"{INSTANCES}/{(await listed(gateway.api))[0]['metadata']['name']}"
    for method, path in (("POST", INSTANCES), ("DELETE", INSTANCES), ("PUT", one), ("PATCH", one), ("DELETE", one)):
        assert (await gateway.api.call(method, path, {})).status == 405, (method, path)
    watched = await gateway.api.get(INSTANCES, watch="true")
    assert (watched.status, "cannot be watched" in watched.message) == (405, True)


async def test_the_table_tells_what_happened(gateway: Running) -> None:
    answer = await table(gateway.api, "instanceRef.name=cache")
    assert [each["name"] for each in answer["columnDefinitions"] if not each["priority"]] == [
        *("Instance", "Operation", "Reason", "Requested-By", "Attempts", "Outcome", "Duration", "Age", "Answer")
    ]
    [cells] = await rows(gateway.api, "instanceRef.name=cache")
    wanted = {"Instance": "cache", "Outcome": "Failed", "Duration": "90s", "Age": "24h", "Answer": "503: no room"}
    assert {name: cells[name] for name in wanted} == wanted
    assert (cells["Requested-By"], cells["Trace-ID"], cells["Broker"]) == ("eve", TRACE, "harbour")


async def test_whoever_may_read_the_namespace_may_read_what_happened_in_it(gateway: Running) -> None:
    bob = gateway.api.acting_as("bob")
    assert (await bob.get(INSTANCES)).status == 403
    await give(
        gateway.api, "reads", rule("get", "list", resource="serviceinstanceoperations", group="history.chandlery.io"),
        within="team",
    )  # fmt: skip
    assert len(await listed(bob)) == 4
    for path in (BINDINGS, INSTANCES.replace("team", "elsewhere"), f"{HISTORY}/serviceinstanceoperations"):
        assert (await bob.get(path)).status == 403


async def test_a_list_shows_what_its_user_may_get(gateway: Running) -> None:
    bob, group = gateway.api.acting_as("bob"), "history.chandlery.io"
    await give(gateway.api, "lists", rule("list", resource="serviceinstanceoperations", group=group), within="team")
    assert await listed(bob) == []
    wanted = (await listed(gateway.api))[2]["metadata"]["name"]
    one = rule("get", resource="serviceinstanceoperations", group=group, resourceNames=[wanted])
    await give(gateway.api, "gets", one, within="team")
    page = await bob.get(INSTANCES, limit="1")
    assert [item["metadata"]["name"] for item in page.document["items"]] == [wanted]


async def test_an_operation_whose_end_nobody_knows_says_so_beside_what_was_answered_last(gateway: Running) -> None:
    async def note(unit: UnitOfWork) -> None:
        unknown: dict[str, Any] = {"outcome": OperationOutcome.UNKNOWN, "words": FAILED}
        unit.operations.note(of("gone"), [told(timedelta(0), **unknown)], broker="harbour", trace_id=TRACE)

    await gateway.resources.database.run(note)
    [operation] = await listed(gateway.api, fieldSelector="outcome=Unknown")
    assert operation["message"] == (
        "The outcome is unknown: Chandlery stopped tracking the operation before the service broker's last answer was "
        f"recorded. Resources may still exist at the service broker. It had said: {FAILED.message}"
    )
    [cells] = await rows(gateway.api, "outcome=Unknown")
    assert cells["Duration"] == "<unknown>", "the end is noticed later than it was"
