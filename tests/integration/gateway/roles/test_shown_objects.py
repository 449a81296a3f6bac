"""Lists, watches and answers of deletions show nothing that a `get` would refuse, whatever form they have."""

from typing import Any

import pytest

from tests.integration.gateway.api_client import (
    JSON_PATCH,
    RBAC,
    SECRETS,
    STRATEGIC,
    TABLE,
    Api,
    Document,
    names,
    namespace,
    role,
    role_binding,
    secret,
)

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

ALL_SECRETS = "/api/v1/secrets"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
EVENTS = "/apis/events.k8s.io/v1/namespaces/team/events"


def rule(*verbs: str, resource: str = "secrets", group: str = "", **more: Any) -> Document:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs), **more}


async def give(api: Api, name: str, *rules: Document, within: str = "") -> None:
    """Let bob do this, in one namespace or everywhere."""
    if within:
        await api.made(f"{RBAC}/namespaces/{within}/roles", role(name, rules=list(rules)))
        binding = role_binding(name, to="bob", gives=f"Role/{name}")
        await api.made(f"{RBAC}/namespaces/{within}/rolebindings", binding)
        return
    await api.made(f"{RBAC}/clusterroles", role(name, "ClusterRole", rules=list(rules)))
    binding = role_binding(name, "ClusterRoleBinding", to="bob", gives=f"ClusterRole/{name}")
    await api.made(f"{RBAC}/clusterrolebindings", binding)


@pytest.fixture
def bob(api: Api) -> Api:
    """Somebody who may do what a test gives him."""
    return api.acting_as("bob")


async def three_secrets(api: Api) -> None:
    for name in ("a", "b", "c"):
        await api.made(SECRETS, secret(name, word=f"hidden-{name}"))


async def test_a_list_shows_what_its_user_may_get(api: Api, bob: Api) -> None:
    await three_secrets(api)
    await give(api, "lists", rule("list", "watch", "deletecollection"), within="team")
    assert names(await bob.read(SECRETS)) == []
    await give(api, "gets", rule("get", resourceNames=["a", "c", "missing"]), within="team")
    assert names(await bob.read(SECRETS)) == ["a", "c"]
    for accept in (TABLE, METADATA_ONLY, "application/yaml"):
        answer = await bob.call("GET", SECRETS, headers={"Accept": accept})
        assert answer.status == 200
        assert b"hidden" not in answer.payload
        assert b'"name":"b"' not in answer.payload.replace(b" ", b"")
        assert b"name: b\n" not in answer.payload
    assert names(await bob.read(f"{SECRETS}?fieldSelector=metadata.name=b")) == []
    await give(api, "gets-all", rule("get"), within="team")
    assert names(await bob.read(SECRETS)) == ["a", "b", "c"]


async def test_pages_count_and_name_nothing_that_is_not_shown(api: Api, bob: Api) -> None:
    await three_secrets(api)
    await give(api, "lists", rule("list"), rule("get", resourceNames=["a", "c"]), within="team")
    first = (await bob.get(SECRETS, limit="1")).document
    assert (names(first), first["metadata"].get("remainingItemCount")) == (["a"], None)
    second = (await bob.get(SECRETS, limit="1", **{"continue": first["metadata"]["continue"]})).document
    assert (names(second), "continue" in second["metadata"]) == (["c"], False)
    # To somebody who may get them all it is what it always was.
    assert (await api.get(SECRETS, limit="1")).document["metadata"]["remainingItemCount"] == 2


async def test_a_list_of_all_namespaces_shows_what_bindings_in_single_ones_allow(api: Api, bob: Api) -> None:
    await three_secrets(api)
    await api.made("/api/v1/namespaces", namespace("other"))
    await api.made("/api/v1/namespaces/other/secrets", secret("b", word="hidden-other"))
    await give(api, "lists", rule("list"))
    await give(api, "gets", rule("get"), within="other")
    await give(api, "gets-one", rule("get", resourceNames=["a"]), within="team")
    items = (await bob.read(ALL_SECRETS))["items"]
    assert [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items] == [
        ("other", "b"),
        ("team", "a"),
    ]


async def test_each_group_of_events_asks_for_itself(api: Api, bob: Api) -> None:
    about = {"kind": "Secret", "namespace": "team", "name": "a"}
    event = {"metadata": {"name": "e"}, "involvedObject": about, "reason": "Made", "type": "Normal"}
    await api.made("/api/v1/namespaces/team/events", event)
    await give(api, "events", rule("list", resource="events", group="events.k8s.io"), within="team")
    assert (await bob.get("/api/v1/namespaces/team/events")).status == 403
    assert names(await bob.read(EVENTS)) == []
    await give(api, "core", rule("get", resource="events"), within="team")
    assert names(await bob.read(EVENTS)) == [], "that is another group"
    await give(api, "new", rule("get", resource="events", group="events.k8s.io"), within="team")
    assert names(await bob.read(EVENTS)) == ["e"]


async def test_the_answer_of_a_deletion_shows_what_its_user_may_get(api: Api, bob: Api) -> None:
    await three_secrets(api)
    await give(api, "deletes", rule("deletecollection", "list"), rule("get", resourceNames=["b"]), within="team")
    answer = await bob.delete(SECRETS, limit="1")
    assert (answer.status, names(answer.document)) == (200, ["b"])
    assert set(answer.document["metadata"]) == {"resourceVersion"}
    assert names(await api.read(SECRETS)) == [], "all are gone"


async def test_the_answer_to_the_deletion_of_one_shows_it_to_those_who_may_get_it(api: Api, bob: Api) -> None:
    held = secret("a", word="hidden-a")
    held["metadata"]["finalizers"] = ["example.com/held"]
    await api.made(SECRETS, held)
    await give(api, "deletes", rule("delete"), within="team")
    answer = await bob.delete(f"{SECRETS}/a")
    assert (answer.status, answer.document["kind"]) == (200, "Status")
    await give(api, "gets", rule("get"), within="team")
    assert (await bob.delete(f"{SECRETS}/a")).document["kind"] == "Secret"
    await api.patch(f"{SECRETS}/a", {"metadata": {"finalizers": None}})


async def test_a_watch_tells_of_what_its_user_may_get(api: Api, bob: Api) -> None:
    await three_secrets(api)
    await give(api, "watches", rule("list", "watch"), rule("get", resourceNames=["a", "c"]), within="team")
    initial = {"sendInitialEvents": "true", "allowWatchBookmarks": "true", "resourceVersionMatch": "NotOlderThan"}
    async with bob.watch(SECRETS, **initial) as watch:
        assert [(await watch.next())["object"]["metadata"].get("name") for _ in range(3)] == ["a", "c", None]
        await api.patch(f"{SECRETS}/b", {"metadata": {"labels": {"x": "y"}}})
        await api.delete(f"{SECRETS}/b")
        await api.made(SECRETS, secret("b", word="hidden-b"))
        await api.delete(f"{SECRETS}/a")
        assert await watch.until("a") == [("DELETED", "a")]
        await api.patch(f"{SECRETS}/c", {"metadata": {"labels": {"x": "y"}}})
        assert await watch.until("c") == [("MODIFIED", "c")]


async def test_a_watch_ends_when_its_user_loses_the_right(api: Api, bob: Api) -> None:
    await give(api, "watches", rule("list", "watch", "get"), within="team")
    async with bob.watch(SECRETS) as watch:
        await api.made(SECRETS, secret("a", word="x"))
        await watch.until("a")
        await api.delete(f"{RBAC}/namespaces/team/rolebindings/watches")
        await api.made(SECRETS, secret("b", word="hidden-b"))
        [error] = await watch.rest()
    assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 403, "Forbidden")
    assert 'User "bob" cannot watch resource "secrets"' in error["object"]["message"]


async def test_an_idle_watch_ends_too(api: Api, bob: Api) -> None:
    await give(api, "watches", rule("list", "watch", "get"), within="team")
    async with bob.watch(SECRETS) as watch:
        await api.delete(f"{RBAC}/namespaces/team/roles/watches")
        [error] = await watch.rest()
    assert error["object"]["code"] == 403


async def test_a_watch_begins_anew_when_its_user_may_see_something_else(api: Api, bob: Api) -> None:
    await three_secrets(api)
    await give(api, "watches", rule("list", "watch"), rule("get", resourceNames=["a"]), within="team")
    async with bob.watch(SECRETS, resourceVersion="0") as watch:
        await watch.until("a")
        await give(api, "another", rule("get", resource="events"), within="team")
        await api.patch(f"{SECRETS}/a", {"metadata": {"labels": {"x": "y"}}})
        assert await watch.until("a") == [("MODIFIED", "a")], "that is about something else"
        await give(api, "more", rule("get", resourceNames=["b"]), within="team")
        [error] = await watch.rest()
    assert (error["object"]["code"], error["object"]["reason"]) == (410, "Expired")
    assert "list again" in error["object"]["message"]


async def test_nobody_can_tell_what_exists_from_a_refusal(api: Api, bob: Api) -> None:
    await three_secrets(api)
    for method, body in (("GET", None), ("PUT", {}), ("PATCH", {}), ("DELETE", None)):
        answers = [await bob.call(method, f"{SECRETS}/{name}", body) for name in ("a", "x")]
        assert [answer.status for answer in answers] == [403, 403]
        assert answers[0].payload.replace(b'"a\\"', b'"x\\"').replace(b'"a"', b'"x"') == answers[1].payload
    for place in ("team", "missing"):
        answer = await bob.post(f"/api/v1/namespaces/{place}/secrets", secret("a"))
        assert (answer.status, f'in the namespace "{place}"' in answer.message) == (403, True)


async def test_who_may_write_a_secret_and_not_get_it_finds_out_nothing_of_it(api: Api, bob: Api) -> None:
    await api.made(SECRETS, secret("a", word="hidden", other="hidden, too"))
    await give(api, "writes", rule("patch", "update", "create"), within="team")
    path, hidden = f"{SECRETS}/a", ("aGlkZGVu", "word")
    metadata = {"name": "a", "labels": {"x": "y"}}
    applied = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    answers = [
        await bob.patch(path, {}),
        await bob.patch(path, {"metadata": {"labels": {"x": "y"}}}, STRATEGIC, dryRun="All"),
        await bob.patch(path, [{"op": "add", "path": "/data/new", "value": "bmV3"}], JSON_PATCH),
        await bob.patch(path, applied, "application/apply-patch+yaml", fieldManager="bob"),
    ]
    for answer in answers:
        assert answer.status == 200, answer.payload
        assert set(answer.document) == {"apiVersion", "kind", "metadata", "type"}
        assert set(answer.document["metadata"]) == {
            *("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "selfLink")
        }
    for operation in ({"op": "copy", "from": "/data/word"}, {"op": "move", "from": "/data/word"}, {"op": "test"}):
        for to in ("/metadata/name", "/kind", "/metadata/labels/x"):
            answer = await bob.patch(path, [{**operation, "path": to, "value": "a"}], JSON_PATCH)
            assert (answer.status, answer.document["reason"]) == (403, "Forbidden")
            assert not any(word in answer.message for word in hidden)
    replaced = await bob.put(path, secret("a", mine="mine"))
    assert (replaced.status, "data" in replaced.document) == (200, False)
    await give(api, "gets", rule("get", resourceNames=["a"]), within="team")
    assert set((await bob.patch(path, {})).document["data"]) == {"mine"}
    assert (await bob.patch(path, [{"op": "test", "path": "/kind", "value": "Secret"}], JSON_PATCH)).status == 200
