"""Replacing and patching: versions, generations, the status apart, dry runs, and what is refused in which words."""

import asyncio
import json

import pytest

from tests.integration.gateway.api_client import (
    CATALOG,
    JSON_PATCH,
    MERGE,
    SECRETS,
    STRATEGIC,
    TEAM,
    Api,
    Document,
    binding,
    broker,
    catalog_object,
    instance,
    namespace,
    secret,
    service_class,
)
from tests.integration.gateway.conftest import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

INSTANCES = f"{TEAM}/serviceinstances"
DB = f"{INSTANCES}/db"
BROKERS = f"{CATALOG}/clusterservicebrokers"


def changed(document: Document, *, metadata: Document | None = None, **fields: Document) -> Document:
    """A copy with some fields of its parts replaced."""
    copy = json.loads(json.dumps(document))
    copy["metadata"] |= metadata or {}
    for part, values in fields.items():
        copy[part] |= values
    return dict(copy)


async def test_a_replacement_needs_the_version_it_is_based_on(api: Api) -> None:
    created = await api.made(INSTANCES, instance())
    bare = changed(created)
    del bare["metadata"]["resourceVersion"]
    refused = await api.put(DB, bare)
    assert refused.status == 422
    assert "must be specified for an update" in refused.causes["metadata.resourceVersion"]

    assert (await api.put(DB, changed(created, metadata={"labels": {"a": "b"}}))).status == 200
    stale = await api.put(DB, changed(created, spec={"parameters": {"a": 1}}))
    assert (stale.status, stale.document["reason"]) == (409, "Conflict")
    assert stale.message.count("Operation cannot be fulfilled on serviceinstances.servicecatalog.k8s.io") == 1
    assert "parameters" not in (await api.read(DB))["spec"]


async def test_a_replacement_of_what_is_not_there_finds_nothing(api: Api) -> None:
    missing = await api.put(DB, instance())
    assert (missing.status, missing.message) == (404, 'serviceinstances.servicecatalog.k8s.io "db" not found')


async def test_a_manifest_that_says_nothing_of_finalizers_leaves_them(api: Api) -> None:
    """`kubectl replace -f` sends the file and the version; `svcat deprovision --abandon` sends what it has read."""
    created = await api.made(INSTANCES, instance())
    version = {"resourceVersion": created["metadata"]["resourceVersion"]}
    replaced = await api.put(DB, changed(instance(), metadata=version))
    assert replaced.document["metadata"]["finalizers"] == created["metadata"]["finalizers"]

    read = await api.read(DB)
    del read["metadata"]["finalizers"]
    assert "finalizers" not in (await api.put(DB, read)).document["metadata"]


async def test_a_new_object_has_no_version(api: Api) -> None:
    refused = await api.post(INSTANCES, changed(instance(), metadata={"resourceVersion": "7"}))
    assert (refused.status, refused.message.partition(";")[0]) == (
        400,
        "resourceVersion should not be set on objects to be created",
    )


async def test_a_stale_version_is_a_conflict_even_when_the_change_is_not_valid_any_more(api: Api) -> None:
    """`svcat sync` and `touch` raise a counter and try again on a conflict."""
    created = await api.made(f"{CATALOG}/clusterservicebrokers", broker())
    one = f"{CATALOG}/clusterservicebrokers/broker"
    for counter in (1, 2):
        assert (await api.patch(one, {"spec": {"relistRequests": counter}})).status == 200
    assert (await api.put(one, changed(created, spec={"relistRequests": 1}))).status == 409


async def test_core_kinds_can_be_replaced_without_a_version(api: Api) -> None:
    await api.made(SECRETS, secret(a="b"))
    replaced = await api.put(f"{SECRETS}/key", secret(c="d"))
    assert replaced.status == 200
    assert replaced.document["data"] == {"c": "ZA=="}


async def test_a_replacement_that_leaves_the_namespace_out_stays_where_it_is(api: Api) -> None:
    created = await api.made(INSTANCES, instance())
    del created["metadata"]["namespace"]
    replaced = await api.put(DB, changed(created, spec={"parameters": {"a": 1}}))
    assert replaced.document["metadata"]["namespace"] == "team"
    assert await api.read(DB) == replaced.document


@pytest.mark.parametrize("metadata", [{"namespace": "other"}, {"name": "other"}])
async def test_an_object_cannot_be_moved(api: Api, metadata: Document) -> None:
    created = await api.made(INSTANCES, instance())
    assert (await api.put(DB, changed(created, metadata=metadata))).status == 400
    assert (await api.patch(DB, {"metadata": metadata})).status in (400, 422)
    assert await api.read(DB) == created


async def test_a_change_meant_for_another_object_of_the_name_is_a_conflict(api: Api) -> None:
    created = await api.made(INSTANCES, instance())
    assert (await api.put(DB, changed(created, metadata={"uid": "another"}))).status == 409
    assert (await api.patch(DB, {"metadata": {"uid": "another"}})).status == 409


async def test_nothing_is_created_by_a_replacement_or_a_patch(api: Api) -> None:
    missing = changed(instance(), metadata={"resourceVersion": "1"})
    assert (await api.put(DB, missing)).status == 404
    assert (await api.patch(DB, {"spec": {}})).status == 404


async def test_only_a_changed_specification_makes_a_new_generation(api: Api) -> None:
    await api.made(INSTANCES, instance())
    for patch, generation in (
        ({"metadata": {"labels": {"a": "b"}}}, 1),
        ({"status": {"provisionStatus": "Provisioned"}}, 1),
        ({"spec": {"userInfo": {"username": "root"}, "clusterServiceClassRef": {"name": "x"}}}, 1),
        ({"spec": {"parameters": {"a": 1}}}, 2),
        ({"spec": {"parameters": {"a": 1}}}, 2),
        ({"spec": {"updateRequests": 1}}, 3),
        ({"spec": {"updateRequests": 0}}, 3),
        ({"spec": {"planName": "small"}}, 3),
    ):
        answer = await api.patch(DB, patch)
        assert answer.status == 200, answer.payload
        assert answer.document["metadata"]["generation"] == generation, patch
    assert "clusterServiceClassRef" not in (await api.read(DB))["spec"]


async def test_a_change_of_nothing_writes_nothing(api: Api, gateway: Running) -> None:
    created = await api.made(INSTANCES, instance())
    before = await gateway.row_counts()
    assert (await api.patch(DB, {"metadata": {"labels": {}}, "spec": {"parameters": None}})).document == created
    assert (await api.put(DB, created)).document == created
    assert await gateway.row_counts() == before


async def test_status_is_written_apart_from_everything_else(api: Api) -> None:
    await api.made(INSTANCES, instance())
    await api.patch(DB, {"status": {"dashboardURL": "https://d"}, "metadata": {"labels": {"a": "b"}}})
    stored = await api.read(DB)
    assert "dashboardURL" not in stored["status"]

    sent = changed(
        stored, metadata={"labels": {"c": "d"}}, spec={"parameters": {"a": 1}}, status={"lastConditionState": "Ready"}
    )
    answer = await api.put(f"{DB}/status", sent)
    assert answer.status == 200
    after = await api.read(f"{DB}/status")
    assert after == await api.read(DB) == answer.document
    assert after["status"]["lastConditionState"] == "Ready"
    assert after["metadata"]["labels"] == {"a": "b"}
    assert "parameters" not in after["spec"]
    assert after["metadata"]["generation"] == 1

    assert (await api.put(f"{DB}/status", sent)).status == 409
    patched = await api.patch(f"{DB}/status", {"status": {"dashboardURL": "https://d"}})
    assert patched.document["status"]["dashboardURL"] == "https://d"
    assert patched.document["status"]["lastConditionState"] == "Ready"
    contradiction = await api.patch(f"{DB}/status", {"status": {"lastOperation": "op-1"}})
    assert "status.lastOperation" in contradiction.causes


async def test_a_status_write_asks_for_no_other_state(api: Api, gateway: Running) -> None:
    await api.made(INSTANCES, instance())
    outbox, work = await gateway.rows("outbox"), await gateway.rows("work_queue")
    assert (await api.patch(f"{DB}/status", {"status": {"dashboardURL": "https://d"}})).status == 200
    assert await gateway.rows("outbox") == outbox
    assert await gateway.rows("work_queue") == work


async def test_patches_of_each_kind_are_applied(api: Api) -> None:
    await api.made(INSTANCES, instance())
    steps = [
        {"op": "test", "path": "/metadata/generation", "value": 1},
        {"op": "add", "path": "/spec/parameters", "value": {"a": [1, 2]}},
        {"op": "replace", "path": "/spec/parameters/a/0", "value": 3},
    ]
    answer = await api.patch(DB, steps, JSON_PATCH)
    assert answer.document["spec"]["parameters"] == {"a": [3, 2]}
    failed = await api.patch(DB, steps, JSON_PATCH)
    assert failed.status == 422
    assert "operation 1" in failed.causes["patch"]
    merged = await api.patch(DB, {"spec": {"parameters": {"a": None, "b": {"c": 1}}}}, MERGE)
    assert merged.document["spec"]["parameters"] == {"b": {"c": 1}}

    await api.made(SECRETS, secret(a="b", c="d"))
    strategic = await api.patch(
        f"{SECRETS}/key", {"data": {"a": None, "$patch": "merge"}, "stringData": {"e": "f"}}, STRATEGIC
    )
    assert strategic.status == 200
    assert strategic.document["data"] == {"c": "ZA==", "e": "Zg=="}


async def test_an_unserved_kind_of_patch_is_refused_with_the_way_out(api: Api) -> None:
    await api.made(INSTANCES, instance())
    for kind, advice in (
        ("application/apply-patch+cbor", "application/apply-patch+yaml"),
        (STRATEGIC, "--type merge"),
        ("text/plain", MERGE),
        ("application/json", MERGE),
    ):
        answer = await api.patch(DB, {"spec": {}}, kind)
        assert (answer.status, answer.document["reason"]) == (415, "UnsupportedMediaType")
        assert advice in answer.message
    assert (await api.call("POST", INSTANCES, b"x", headers={"Content-Type": "text/plain"})).status == 415


async def test_patches_that_race_all_land(api: Api) -> None:
    await api.made(INSTANCES, instance())
    labels = [f"label-{number}" for number in range(12)]
    answers = await asyncio.gather(*(api.patch(DB, {"metadata": {"labels": {label: "x"}}}) for label in labels))
    assert [answer.status for answer in answers] == [200] * 12
    assert set((await api.read(DB))["metadata"]["labels"]) == set(labels)


async def test_of_replacements_that_race_one_wins(api: Api) -> None:
    created = await api.made(INSTANCES, instance())
    answers = await asyncio.gather(
        *(api.put(DB, changed(created, spec={"parameters": {"by": number}})) for number in range(6))
    )
    assert sorted(answer.status for answer in answers) == [200, *[409] * 5]
    winner = next(answer.document for answer in answers if answer.status == 200)
    assert await api.read(DB) == winner
    assert winner["metadata"]["generation"] == 2


async def test_creations_that_race_for_a_name_end_in_one_object(api: Api, gateway: Running) -> None:
    answers = await asyncio.gather(*(api.post(INSTANCES, instance()) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [201, *[409] * 7]
    assert len(await gateway.rows("serviceinstances")) == 1
    assert len([row for row in await gateway.rows("work_queue") if row["kind"] == "ServiceInstance"]) == 1


async def test_creations_at_the_same_time_fail_each_for_itself(api: Api) -> None:
    """They may share a transaction."""
    bodies = [instance(f"db-{number}") for number in range(10)]
    bodies[3] = catalog_object("ServiceInstance", "db-3", clusterServiceClassExternalName="unknown")
    bodies[5] = instance("db-4")
    lost = api.post(f"{CATALOG}/namespaces/nowhere/serviceinstances", instance())
    *answers, missing = await asyncio.gather(*(api.post(INSTANCES, body) for body in bodies), lost)
    statuses = [answer.status for answer in answers]
    assert statuses[3] == 422
    assert sorted(statuses[4:6]) == [201, 409]
    assert [status for number, status in enumerate(statuses) if number not in (3, 4, 5)] == [201] * 7
    assert missing.status == 404


async def test_a_dry_run_answers_and_leaves_nothing(api: Api, gateway: Running) -> None:
    created = await api.made(INSTANCES, instance())
    await api.made(SECRETS, secret())
    before = await gateway.row_counts()
    made = await api.post(INSTANCES, instance("other"), dryRun="All")
    assert made.status == 201
    assert made.document["spec"]["externalID"]
    replaced = await api.put(DB, changed(created, spec={"parameters": {"a": 1}}), dryRun="All")
    assert replaced.document["metadata"]["generation"] == 2
    assert (await api.patch(DB, {"spec": {"parameters": {"a": 1}}}, dryRun="All")).status == 200
    assert (await api.patch(f"{DB}/status", {"status": {"dashboardURL": "x"}}, dryRun="All")).status == 200
    assert (await api.delete(DB, dryRun="All")).document["metadata"]["deletionTimestamp"]
    assert (await api.delete(DB, {"dryRun": ["All"]})).status == 200
    assert (await api.delete(f"{SECRETS}/key", dryRun="All")).document["status"] == "Success"
    assert (await api.delete(SECRETS, dryRun="All")).status == 200
    assert (await api.delete(INSTANCES, {"dryRun": ["All"]})).status == 200
    assert (await api.post(INSTANCES, instance(), dryRun="All")).status == 409
    assert await gateway.row_counts() == before
    assert await api.read(DB) == created

    for wrong in ("Some", "", "all"):
        refused = await api.post(INSTANCES, instance("other"), dryRun=wrong)
        assert (refused.status, refused.causes) == (422, {"dryRun": 'Unsupported value: supported values: "All"'})
        assert refused.message.startswith('CreateOptions.meta.k8s.io "" is invalid: dryRun: ')
    assert (await api.delete(DB, {"dryRun": ["Some"]})).status == 422
    assert (await api.delete(DB, {"dryRun": "All"})).status == 400


async def test_unknown_fields_are_refused_told_or_passed_over(api: Api) -> None:
    body = changed(instance(), spec={"colour": "red"})
    strict = await api.post(INSTANCES, body, fieldValidation="Strict")
    assert strict.status == 400
    assert 'unknown field "spec.colour"' in strict.message
    for number, validation in enumerate(("Warn", None)):
        query = {"fieldValidation": validation} if validation else {}
        told = await api.post(INSTANCES, changed(body, metadata={"name": f"told-{number}"}), **query)
        assert told.status == 201
        assert told.warnings == ('299 - "unknown field \\"spec.colour\\""',)
        assert "colour" not in told.document["spec"]
    ignored = await api.post(INSTANCES, body, fieldValidation="Ignore")
    assert (ignored.status, ignored.warnings) == (201, ())
    assert (await api.post(INSTANCES, body, fieldValidation="Perhaps")).status == 422
    patched = await api.patch(DB, {"spec": {"colour": "red"}}, fieldValidation="Strict")
    assert patched.status == 422
    twice = b'{"spec":{},"metadata":{"name":"x"},"spec":{"clusterServiceClassName":"a","clusterServicePlanName":"b"}}'
    assert 'duplicate field "spec"' in (await api.post(INSTANCES, twice, fieldValidation="Strict")).message


async def test_field_names_that_no_header_can_hold_do_no_harm(api: Api) -> None:
    body = changed(
        instance(), spec={"a\r\nSet-Cookie: b\x01é": 1, **{f"x{number}": 1 for number in range(200)}, "y" * 5000: 1}
    )
    answer = await api.post(INSTANCES, body)
    assert answer.status == 201
    assert "Set-Cookie" not in answer.headers
    assert 2 < len(answer.warnings) < 30
    assert all(len(warning) < 600 for warning in answer.warnings)


async def test_wrong_types_are_named_one_by_one(api: Api) -> None:
    body = changed(instance(), spec={"updateRequests": "5", "parameters": [1], "parametersFrom": {"a": 1}})
    answer = await api.post(INSTANCES, body)
    assert (answer.status, answer.document["reason"]) == (422, "Invalid")
    assert set(answer.causes) == {"spec.updateRequests", "spec.parameters", "spec.parametersFrom"}


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("ClusterServiceBroker", f"{CATALOG}/clusterservicebrokers"),
        ("ServiceBroker", f"{TEAM}/servicebrokers"),
    ],
)
async def test_what_a_broker_says_of_itself_is_checked_and_told(api: Api, kind: str, path: str) -> None:
    way = {"secretRef": {"name": "key"} | ({"namespace": "team"} if kind.startswith("Cluster") else {})}
    wrong: Document = {
        "requestTimeout": "1h",
        "retryPolicy": {"factor": 0},
        "contextAnnotations": ["acme.com/", "acme"],
    }
    answer = await api.post(path, broker(kind=kind, **wrong))
    fields = {"spec.requestTimeout", "spec.retryPolicy.factor", "spec.contextAnnotations[1]"}
    assert (answer.status, set(answer.causes)) == (422, fields)
    answer = await api.post(path, broker(kind=kind, osbAPIVersion="2.10", orphanMitigation="Perhaps"))
    assert (answer.status, set(answer.causes)) == (422, {"spec.osbAPIVersion", "spec.orphanMitigation"})
    both = await api.post(path, broker(kind=kind, authInfo={"basic": way, "bearer": way}))
    assert both.status == 201
    assert "basic is used" in both.warnings[0]
    patched = await api.patch(f"{path}/broker", {"metadata": {"labels": {"a": "b"}}})
    assert (patched.status, patched.warnings) == (200, ())
    refused = await api.patch(f"{path}/broker", {"spec": {"pollPolicy": {"initialInterval": "never"}}})
    assert set(refused.causes) == {"spec.pollPolicy.initialInterval"}


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"{", "not valid JSON"),
        (b"", "no body"),
        (b"[]", "must be an object"),
        (b'"text"', "must be an object"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, ""),
        (b"\xff\xfe", "not valid JSON"),
    ],
)
async def test_a_body_that_is_no_object_is_a_bad_request(api: Api, payload: bytes, told: str) -> None:
    answer = await api.post(INSTANCES, payload)
    assert (answer.status, answer.document["reason"]) == (400, "BadRequest")
    assert told in answer.message
    await api.made(INSTANCES, instance())
    assert (await api.put(DB, payload)).status == 400
    assert (await api.patch(DB, payload)).status == 400


async def test_an_object_of_another_kind_or_place_is_a_bad_request(api: Api) -> None:
    assert "does not match the expected kind" in (await api.post(INSTANCES, binding())).message
    other = changed(instance())
    other["apiVersion"] = "servicecatalog.k8s.io/v1"
    assert (await api.post(INSTANCES, other)).status == 400
    assert (await api.post(INSTANCES, changed(instance(), metadata={"namespace": "other"}))).status == 400
    assert (await api.post(INSTANCES, changed(instance(), metadata={"resourceVersion": "5"}))).status == 400


async def test_a_namespace_has_to_be_there_and_to_stay(api: Api) -> None:
    missing = await api.post(f"{CATALOG}/namespaces/nowhere/serviceinstances", instance())
    assert missing.status == 404
    assert 'namespaces "nowhere" not found' in missing.message
    assert missing.document["details"] == {"name": "nowhere", "kind": "namespaces"}
    await api.made(INSTANCES, instance())
    leaving = await api.delete("/api/v1/namespaces/team")
    assert leaving.document["status"]["phase"] == "Terminating"
    for path, body in ((INSTANCES, instance("x")), (SECRETS, secret("x"))):
        refused = await api.post(path, body)
        assert (refused.status, refused.document["reason"]) == (403, "Forbidden")
        assert "being terminated" in refused.message
    assert (await api.patch(DB, {"metadata": {"labels": {"a": "b"}}})).status == 200


async def test_a_body_may_have_three_mebibytes(api: Api) -> None:
    limit = 3 * 1024 * 1024
    body = json.dumps(changed(instance(), spec={"parameters": {"a": "b"}})).encode()
    assert (await api.post(INSTANCES, body + b" " * (limit - len(body)))).status == 201
    for path, method in ((INSTANCES, "POST"), (DB, "PATCH"), (DB, "DELETE")):
        answer = await api.call(method, path, b" " * (limit + 1), headers={"Content-Type": MERGE})
        assert (answer.status, answer.document["reason"]) == (413, "RequestEntityTooLarge")


async def test_text_that_the_database_cannot_hold_is_refused(api: Api) -> None:
    for path, body, field in (
        (INSTANCES, changed(instance(), spec={"externalID": "a\0b"}), "spec.externalID"),
        (f"{TEAM}/servicebindings", binding(externalID="a\0b"), "spec.externalID"),
        (f"{CATALOG}/clusterserviceclasses", service_class(external_name="a\0b"), "spec.externalName"),
        (
            INSTANCES,
            catalog_object("ServiceInstance", "x", clusterServiceClassName="a\0b"),
            "spec.clusterServiceClassName",
        ),
    ):
        answer = await api.post(path, body)
        assert answer.status == 422, answer.payload
        assert field in answer.causes
    assert (await api.get(f"{INSTANCES}/a%00b")).status == 404
    assert (await api.get(f"{CATALOG}/namespaces/a%00b/serviceinstances")).status == 404
    nothing = await api.get(INSTANCES, fieldSelector="spec.externalID=a\0b")
    assert (nothing.status, nothing.document["items"]) == (200, [])


async def test_no_problem_is_told_with_the_secret_it_is_about(api: Api, gateway: Running) -> None:
    await api.made("/api/v1/namespaces", namespace("other"))
    await api.made(SECRETS, secret())
    wrong = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
    for body in (
        {**wrong, "data": {"password": "not-base64-hunter2"}},
        {**wrong, "data": {"password": {"value": "hunter2"}}},
        {**wrong, "stringData": ["hunter2"]},
        {**wrong, "type": {"hunter2": 1}},
        {**wrong, "immutable": "hunter2"},
    ):
        for answer in (await api.post(SECRETS, body), await api.patch(f"{SECRETS}/key", {**body, "metadata": {}})):
            assert answer.status == 422
            assert b"hunter2" not in answer.payload
            assert "hunter2" not in "".join(answer.warnings)


async def test_namespace_of_a_cluster_scoped_object_is_cleared(api: Api) -> None:
    """As an API server does: clients send it, the examiner of upgrades of the Go reference among them."""
    sent = broker("nowhere")
    sent["metadata"]["namespace"] = "team"
    created = await api.post(BROKERS, sent)
    assert created.status == 201
    assert "namespace" not in created.document["metadata"]

    replaced = await api.put(f"{BROKERS}/nowhere", changed(created.document, metadata={"namespace": "other"}))
    assert (replaced.status, replaced.document["metadata"]) == (200, created.document["metadata"])
    patched = await api.patch(f"{BROKERS}/nowhere", {"metadata": {"namespace": "other", "labels": {"a": "b"}}}, MERGE)
    assert (patched.status, patched.document["metadata"]["labels"]) == (200, {"a": "b"})
    assert "namespace" not in patched.document["metadata"]
    added = await api.patch(
        f"{BROKERS}/nowhere", [{"op": "add", "path": "/metadata/namespace", "value": "x"}], JSON_PATCH
    )
    assert added.status == 200
    assert "namespace" not in added.document["metadata"]


async def test_namespace_of_a_namespace_is_cleared(api: Api) -> None:
    sent = namespace("of-itself")
    sent["metadata"]["namespace"] = "of-itself"
    created = await api.post("/api/v1/namespaces", sent)
    assert created.status == 201
    assert "namespace" not in created.document["metadata"]
    patch = {"metadata": {"namespace": "other", "labels": {"a": "b"}}}
    patched = await api.patch("/api/v1/namespaces/of-itself", patch, STRATEGIC)
    assert patched.status == 200
    assert "namespace" not in patched.document["metadata"]


async def test_namespace_of_a_namespaced_object_has_to_be_that_of_the_request(api: Api) -> None:
    sent = instance("elsewhere")
    sent["metadata"]["namespace"] = "other"
    refused = await api.post(INSTANCES, sent)
    assert (refused.status, refused.document["reason"]) == (400, "BadRequest")


async def test_pauses_shorter_than_the_operator_allows_are_refused_with_the_lowest(api: Api) -> None:
    hasty: Document = {
        "retryPolicy": {"initialDelay": "1us", "maximumDelay": "10ms"},
        "pollPolicy": {"initialInterval": "1us", "maximumInterval": "10ms"},
        "circuitBreaker": {"openDuration": "1ms"},
    }
    path = "/apis/servicecatalog.k8s.io/v1beta1/clusterservicebrokers"
    refused = await api.post(path, broker(kind="ClusterServiceBroker", **hasty))
    fields = ("retryPolicy.initialDelay", "retryPolicy.maximumDelay", "circuitBreaker.openDuration")
    polls = ("pollPolicy.initialInterval", "pollPolicy.maximumInterval")
    assert set(refused.causes) == {f"spec.{field}" for field in (*fields, *polls)}
    assert all(
        "must be at least 500ms, the lowest value that this platform allows" in refused.causes[f"spec.{field}"]
        for field in fields
    )
    assert all(
        "must be at least 200ms, the lowest value that this platform allows" in refused.causes[f"spec.{field}"]
        for field in polls
    )
    await api.post(path, broker(kind="ClusterServiceBroker"))
    changed = await api.patch(f"{path}/broker", {"spec": {"pollPolicy": {"initialInterval": "1us"}}})
    assert set(changed.causes) == {"spec.pollPolicy.initialInterval"}
