"""Server-side apply over HTTP: who owns what, conflicts, and all else that a write has to be, on both databases."""

import asyncio
import base64
import json

import pytest
import yaml

from tests.integration.gateway.api_client import (
    CATALOG,
    JSON_PATCH,
    SECRETS,
    TEAM,
    Answer,
    Api,
    Document,
    binding,
    broker,
    instance,
    secret,
)
from tests.integration.gateway.conftest import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

APPLY = "application/apply-patch+yaml"
INSTANCES = f"{TEAM}/serviceinstances"
DB = f"{INSTANCES}/db"
NAMES = {"clusterServiceClassExternalName": "mysql", "clusterServicePlanExternalName": "small"}


async def apply(api: Api, path: str, config: Document, manager: str = "ann", **query: str) -> Answer:
    return await api.patch(path, yaml.safe_dump(config).encode(), APPLY, fieldManager=manager, **query)


def owners(document: Document) -> dict[str, Document]:
    """Manager, operation and subresource -> fields."""
    listed = document["metadata"].get("managedFields", [])
    return {
        " ".join((each["manager"], each["operation"], each.get("subresource", ""))).strip(): each["fieldsV1"]
        for each in listed
    }


async def test_an_apply_creates_and_changes(api: Api) -> None:
    created = await apply(api, DB, instance(**NAMES, parameters={"size": 1, "color": "red"}))
    assert (created.status, created.warnings) == (201, ())
    assert created.document["metadata"]["generation"] == 1
    assert owners(created.document) == {
        "ann Apply": {
            "f:spec": {
                "f:clusterServiceClassExternalName": {},
                "f:clusterServicePlanExternalName": {},
                "f:parameters": {"f:size": {}, "f:color": {}},
            }
        }
    }
    assert await api.read(DB) == created.document

    changed = await apply(api, DB, instance(**NAMES, parameters={"size": 2}))
    assert changed.status == 200
    assert changed.document["spec"]["parameters"] == {"size": 2}
    assert changed.document["metadata"]["generation"] == 2
    assert changed.document["spec"]["externalID"] == created.document["spec"]["externalID"]


async def test_the_same_apply_again_writes_nothing(api: Api, gateway: Running) -> None:
    first = await apply(api, DB, instance(**NAMES, parameters={"size": 1}))
    before = await gateway.row_counts()
    for _ in range(2):
        assert (await apply(api, DB, instance(**NAMES, parameters={"size": 1}))).document == first.document
    assert await gateway.row_counts() == before


async def test_a_conflict_names_field_and_owner(api: Api) -> None:
    created = await api.post(
        INSTANCES, instance(**NAMES, parameters={"size": 1}), fieldManager="kubectl-client-side-apply"
    )
    assert created.status == 201

    refused = await apply(api, DB, instance(parameters={"size": 2}))
    assert (refused.status, refused.document["reason"]) == (409, "Conflict")
    assert refused.message == (
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using '
        "servicecatalog.k8s.io/v1beta1: .spec.parameters.size"
    )
    assert refused.document["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-client-side-apply" using servicecatalog.k8s.io/v1beta1',
            "field": ".spec.parameters.size",
        }
    ]
    assert await api.read(DB) == created.document

    forced = await apply(api, DB, instance(parameters={"size": 2}), force="true")
    assert forced.document["spec"]["parameters"] == {"size": 2}
    assert "f:size" not in str(owners(forced.document)["kubectl-client-side-apply Update"])


async def test_every_write_owns_what_it_changes(api: Api) -> None:
    await api.post(INSTANCES, instance(**NAMES, parameters={"a": 1, "b": 1}), fieldManager="creator")
    await api.patch(DB, {"spec": {"parameters": {"a": 2}}}, fieldManager="patcher")
    document = await api.read(DB)
    document["metadata"]["labels"] = {"team": "a"}
    await api.put(DB, document, fieldManager="replacer")
    await api.patch(f"{DB}/status", {"status": {"dashboardURL": "https://x"}}, fieldManager="controller")

    found = owners(await api.read(DB))
    assert found["creator Update"]["f:spec"]["f:parameters"] == {".": {}, "f:b": {}}
    assert found["patcher Update"] == {"f:spec": {"f:parameters": {"f:a": {}}}}
    assert found["replacer Update"] == {"f:metadata": {"f:labels": {".": {}, "f:team": {}}}}
    assert found["controller Update status"] == {"f:status": {"f:dashboardURL": {}}}


async def test_who_gives_no_name_is_known_by_its_program(api: Api) -> None:
    headers = {"User-Agent": "terraform/1.9 (linux)"}
    answer = await api.call("POST", INSTANCES, instance(), headers=headers)
    assert set(owners(answer.document)) == {"terraform Update"}


async def test_owners_can_be_rewritten_and_forgotten(api: Api) -> None:
    """As `kubectl apply --server-side` does when it takes over from client-side apply: with a test of the version."""
    created = await api.made(INSTANCES, instance(**NAMES, parameters={"size": 1}))
    entry = {**created["metadata"]["managedFields"][0], "manager": "kubectl", "operation": "Apply"}
    operations = [
        {"op": "replace", "path": "/metadata/managedFields", "value": [entry]},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": created["metadata"]["resourceVersion"]},
    ]
    assert (await api.patch(DB, operations, JSON_PATCH)).status == 200
    assert set(owners(await api.read(DB))) == {"kubectl Apply"}
    assert (await api.patch(DB, operations, JSON_PATCH)).status == 409

    dropped = await apply(api, DB, instance(**NAMES), "kubectl")
    assert "parameters" not in dropped.document["spec"]
    forgotten = await api.patch(DB, {"metadata": {"managedFields": [{}]}})
    assert "managedFields" not in forgotten.document["metadata"]
    assert "managedFields" not in (await api.patch(DB, {"spec": {"parameters": {"a": 1}}})).document["metadata"]

    conflict = await apply(api, DB, instance(parameters={"a": 2}))
    assert '"before-first-apply"' in conflict.message


async def test_a_field_that_the_rules_keep_has_no_new_owner(api: Api) -> None:
    await api.made(f"{TEAM}/servicebindings", binding())
    one = f"{TEAM}/servicebindings/db-binding"
    before = await api.read(one)
    answer = await api.patch(one, {"spec": {"secretName": "other"}}, fieldManager="bob")
    assert answer.document == before == await api.read(one)


async def test_keys_of_a_secret_have_owners_that_the_database_does_not_show(api: Api, gateway: Running) -> None:
    await api.made(SECRETS, secret("key", user="u"))
    answer = await apply(api, f"{SECRETS}/key", secret("key", password="p"))
    assert answer.document["data"] == {"user": "dQ==", "password": "cA=="}
    assert owners(answer.document)["ann Apply"] == {"f:data": {"f:password": {}}}
    rows = json.dumps(await gateway.rows("secrets") + await gateway.rows("changes"), default=str)
    assert "f:password" not in rows

    gone = await apply(api, f"{SECRETS}/key", {**secret("key"), "data": {}})
    assert gone.document["data"] == {"user": base64.b64encode(b"u").decode()}
    unread = await apply(api, f"{SECRETS}/key", {**secret("key"), "stringData": {"n": 1}})
    assert unread.status == 422


async def test_a_status_is_applied_apart(api: Api) -> None:
    await api.made(INSTANCES, instance())
    ready = {"type": "Ready", "status": "True", "reason": "Tested"}
    config = {**instance(parameters={"passed": "over"}), "status": {"conditions": [ready]}}
    answer = await apply(api, f"{DB}/status", config)
    assert answer.status == 200
    assert "parameters" not in answer.document["spec"]
    assert answer.document["status"]["conditions"][0]["reason"] == "Tested"

    other = {**instance(), "status": {"conditions": [{**ready, "reason": "Other"}]}}
    conflict = await apply(api, f"{DB}/status", other, "bob")
    assert conflict.message.endswith(
        'conflict with "ann" with subresource "status": .status.conditions[type="Ready"].reason'
    )
    assert (await apply(api, f"{INSTANCES}/nobody/status", config)).status in (400, 404)
    main = await apply(api, DB, {**instance(), "status": {"dashboardURL": "https://passed.over"}}, force="true")
    assert "dashboardURL" not in main.document["status"]


async def test_dry_runs_answer_and_leave_nothing(api: Api, gateway: Running) -> None:
    before = await gateway.row_counts()
    assert (await apply(api, DB, instance(**NAMES), dryRun="All")).status == 201
    assert await gateway.row_counts() == before

    created = (await apply(api, DB, instance(**NAMES))).document
    tried = await apply(api, DB, instance(**NAMES, parameters={"a": 1}), dryRun="All")
    assert tried.document["spec"]["parameters"] == {"a": 1}
    assert tried.document["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]
    assert await api.read(DB) == created


@pytest.mark.parametrize("validation", ["Strict", "Warn", "Ignore"])
async def test_unknown_and_repeated_fields_are_told_of(api: Api, validation: str) -> None:
    head = "apiVersion: servicecatalog.k8s.io/v1beta1\nkind: ServiceInstance\n"
    spec = "spec: {clusterServiceClassExternalName: a, clusterServicePlanExternalName: b, colour: red}\n"
    body = f"{head}{head}{spec}".encode()
    answers = [
        await api.patch(DB, body, APPLY, fieldManager="ann", fieldValidation=validation),
        await api.patch(DB, body, APPLY, fieldManager="ann", fieldValidation=validation),
    ]
    told = {"Strict": 0, "Warn": 3, "Ignore": 0}[validation]
    assert [len(answer.warnings) for answer in answers] == [told, told]
    assert [answer.status for answer in answers] == ([400, 400] if validation == "Strict" else [201, 200])
    if validation != "Ignore":
        said = answers[0].message or " ".join(answers[0].warnings).replace("\\", "")
        assert all(f'{complaint}"' in said for complaint in ('unknown field "spec.colour', 'duplicate field "kind'))
    stored = await api.get(DB)
    assert (stored.status == 404) == (validation == "Strict")
    assert "colour" not in stored.payload.decode()


async def test_a_patch_with_a_repeated_key_is_told_of(api: Api) -> None:
    await api.made(INSTANCES, instance())
    patch = b'{"metadata": {"labels": {"a": "b", "a": "c"}}}'
    warned = await api.patch(DB, patch)
    assert warned.warnings == ('299 - "duplicate field \\"metadata.labels.a\\""',)
    refused = await api.patch(DB, patch, fieldValidation="Strict")
    assert refused.status == 422
    assert refused.causes == {"patch": 'Invalid value: strict decoding error: duplicate field "metadata.labels.a"'}
    assert (await api.patch(DB, patch, fieldValidation="Ignore")).warnings == ()


@pytest.mark.parametrize(
    ("config", "query", "code", "words"),
    [
        (instance(), {"fieldManager": ""}, 422, "fieldManager: Required value: is required for apply patch"),
        (instance(), {"fieldManager": "m" * 129}, 422, "fieldManager: Too long"),
        (instance(), {"fieldManager": "a\nb"}, 422, "printable"),
        ({**instance(), "kind": "ServiceBinding"}, {}, 400, "incorrect kind"),
        ({**instance(), "metadata": {"managedFields": []}}, {}, 400, "metadata.managedFields must be nil"),
        (instance("other"), {}, 400, "does not match the name on the URL"),
        ({**instance(), "metadata": {"namespace": "other"}}, {}, 400, "namespace"),
        ({**instance(), "metadata": {"uid": "1"}}, {}, 409, "no such object was found"),
        ({**instance(), "metadata": {"resourceVersion": "1"}}, {}, 409, "no such object was found"),
        (instance(clusterServiceClassExternalName=1), {}, 422, "must be a string"),
        (instance(nothing="known"), {}, 422, "clusterServiceClassExternalName"),
    ],
)
async def test_an_apply_that_cannot_be_is_refused(
    api: Api, config: Document, query: dict[str, str], code: int, words: str
) -> None:
    answer = await api.patch(DB, yaml.safe_dump(config).encode(), APPLY, **{"fieldManager": "ann", **query})
    assert (answer.status, words in answer.message) == (code, True), answer.message
    assert (await api.get(DB)).status == 404


async def test_a_version_in_the_configuration_has_to_be_the_stored_one(api: Api) -> None:
    created = await api.made(INSTANCES, instance())
    config = instance(**NAMES)
    config["metadata"]["resourceVersion"] = created["metadata"]["resourceVersion"]
    assert (await apply(api, DB, config)).status == 200
    config["metadata"]["resourceVersion"] = "1"
    assert (await apply(api, DB, config)).document["reason"] == "Conflict"


async def test_other_patches_take_no_force(api: Api) -> None:
    await api.made(INSTANCES, instance())
    answer = await api.patch(DB, {}, force="true")
    assert (answer.status, "may not be specified for non-apply patch" in answer.message) == (422, True)
    assert answer.message.startswith('PatchOptions.meta.k8s.io "" is invalid: force: Forbidden')


async def test_appliers_that_race_all_land(api: Api) -> None:
    async def one(number: int) -> Answer:
        return await apply(api, DB, instance(**NAMES, parameters={f"p{number}": number}), f"manager-{number}")

    answers = await asyncio.gather(*map(one, range(8)))
    assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
    document = await api.read(DB)
    assert document["spec"]["parameters"] == {f"p{number}": number for number in range(8)}
    assert len(owners(document)) == 8


async def test_a_watch_shows_who_owns_what(api: Api) -> None:
    async with api.watch(INSTANCES) as watch:
        created = await apply(api, f"{INSTANCES}/watched", instance("watched", **NAMES))
        # On a busy server, what earlier tests have done may come first.
        await watch.until("watched")
        assert watch.seen[-1]["object"] == created.document


async def test_what_kubectl_has_made_without_the_server_it_can_take_over(api: Api) -> None:
    manifest = instance(**NAMES, parameters={"size": 1})
    annotation = "kubectl.kubernetes.io/last-applied-configuration"
    annotated = {**manifest, "metadata": {"name": "db", "annotations": {annotation: json.dumps(manifest)}}}
    await api.post(INSTANCES, annotated, fieldManager="kubectl-client-side-apply")

    config = instance(**NAMES, parameters={"size": 2})
    assert (await apply(api, DB, config, "argocd")).status == 409
    taken = await apply(api, DB, config, "kubectl")
    assert taken.status == 200
    assert json.loads(taken.document["metadata"]["annotations"][annotation]) == config


async def test_an_object_of_a_worker_has_owners_from_the_first_apply_on(api: Api, gateway: Running) -> None:
    created = await api.made(f"{CATALOG}/clusterservicebrokers", broker())
    await api.patch(f"{CATALOG}/clusterservicebrokers/broker", {"metadata": {"managedFields": []}})
    config = {**created, "metadata": {"name": "broker", "labels": {"a": "b"}}, "spec": {}}
    del config["status"]
    answer = await apply(api, f"{CATALOG}/clusterservicebrokers/broker", config)
    assert owners(answer.document)["ann Apply"] == {"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {}}
    assert "f:url" in owners(answer.document)["before-first-apply Update"]["f:spec"]
    assert answer.document["spec"]["url"] == created["spec"]["url"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"propagationPolicy": "Perhaps"}, 422, 'propagationPolicy: Unsupported value: supported values: "Background"'),
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, 422, "cannot both be set"),
        ({"propagationPolicy": 1}, 400, "must be a string"),
        ({"orphanDependents": "yes"}, 400, "must be true or false"),
        ({"gracePeriodSeconds": "soon"}, 400, "must be a whole number"),
        ({"preconditions": []}, 200, ""),
        ({"preconditions": [1]}, 400, "preconditions: must be an object"),
        ({"preconditions": {"uid": 1}}, 400, "preconditions.uid: must be a string"),
        ({"preconditions": {"uid": "1"}}, 409, "UID in the precondition"),
        ({"kind": "Secret"}, 400, "DeleteOptions"),
        *(({"propagationPolicy": word}, 200, "") for word in ("Background", "Foreground", "Orphan")),
        ({"orphanDependents": True, "gracePeriodSeconds": 30}, 200, ""),
        ({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}, 200, ""),
    ],
    ids=str,
)
async def test_options_of_a_deletion_are_checked(api: Api, options: Document, code: int, words: str) -> None:
    await api.made(SECRETS, secret())
    for path in (f"{SECRETS}/key", SECRETS):
        answer = await api.delete(path, options, dryRun="All")
        assert answer.status == code, answer.payload
        assert words in answer.payload.decode().replace('\\"', '"')
    assert (await api.get(f"{SECRETS}/key")).status == 200


async def test_options_of_a_deletion_may_stand_in_the_query(api: Api) -> None:
    await api.made(SECRETS, secret())
    one = f"{SECRETS}/key"
    assert (await api.delete(one, propagationPolicy="Perhaps")).status == 422
    assert (await api.delete(one, gracePeriodSeconds="soon")).status == 400
    assert (await api.delete(one, orphanDependents="perhaps")).status == 400
    assert (await api.delete(one, propagationPolicy="Foreground", gracePeriodSeconds="5")).status == 200


async def test_a_collection_is_deleted_by_selector_and_by_page(api: Api) -> None:
    for name in "abc":
        labels = {"team": "x" if name < "c" else "y"}
        await api.made(SECRETS, {**secret(name), "metadata": {"name": name, "labels": labels}})
    tried = await api.delete(SECRETS, labelSelector="team=x", dryRun="All")
    assert [item["metadata"]["name"] for item in tried.document["items"]] == ["a", "b"]
    assert (await api.delete(SECRETS, labelSelector="team=x", limit="1")).status == 200
    assert [item["metadata"]["name"] for item in (await api.read(SECRETS))["items"]] == ["b", "c"]
    assert (await api.delete(SECRETS, fieldSelector="metadata.name=c")).status == 200
    assert [item["metadata"]["name"] for item in (await api.read(SECRETS))["items"]] == ["b"]


async def test_a_method_that_is_not_served_is_told_what_is(api: Api) -> None:
    for path, allowed in (
        (SECRETS, "DELETE, GET, POST"),
        (f"{SECRETS}/key", "DELETE, GET, PATCH, PUT"),
        (f"{DB}/status", "GET, PATCH, PUT"),
        ("/apis", "GET"),
    ):
        answer = await api.call("TRACE", path)
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize("kind", ["application/json", "application/yaml"])
async def test_a_number_that_is_too_large_is_refused(api: Api, kind: str) -> None:
    number = "1e400" if kind.endswith("json") else "1.0e+400"
    body = json.dumps(instance(**NAMES, parameters={"a": "NUMBER"})).replace('"NUMBER"', number).encode()
    answer = await api.call("POST", INSTANCES, body, headers={"Content-Type": kind})
    assert (answer.status, answer.document["reason"]) == (400, "BadRequest")
    patched = await api.patch(DB, b'{"spec": {"parameters": {"a": 1e400}}}')
    assert patched.status == 400
