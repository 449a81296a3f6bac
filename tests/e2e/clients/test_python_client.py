"""The official Python client: typed core kinds, custom objects, the dynamic client, its watches and its informer."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from kubernetes.client import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError
from kubernetes.informer import SharedInformer

from tests.e2e.stacks.manifests import API, instance
from tests.e2e.stacks.stacks import EmbeddedStack, Stack
from tests.support.waiting import wait_for

_GROUP, _VERSION, _PLURAL = "servicecatalog.k8s.io", "v1beta1", "serviceinstances"
_OBJECTS = 30


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Any]:
    with kubernetes.config.new_client_from_config(str(stack.kubeconfig)) as found:
        yield found


@pytest.fixture
def core(client: Any) -> Any:
    return kubernetes.client.CoreV1Api(client)


@pytest.fixture
def custom(client: Any) -> Any:
    return kubernetes.client.CustomObjectsApi(client)


def test_typed_models_of_core_kinds_come_back_as_they_were_sent(core: Any, namespace: str) -> None:
    models = kubernetes.client
    wanted = models.V1Secret(metadata=models.V1ObjectMeta(name="key", labels={"a": "b"}), string_data={"user": "ann"})
    made = core.create_namespaced_secret(namespace, wanted)
    assert (made.data, made.type, made.metadata.labels) == ({"user": "YW5u"}, "Opaque", {"a": "b"})
    assert made.metadata.creation_timestamp.tzinfo is not None
    listed = core.list_namespaced_secret(namespace, label_selector="a in (b, c)")
    assert [item.metadata.uid for item in listed.items] == [made.metadata.uid]
    made.data["more"] = "MQ=="
    assert core.replace_namespaced_secret("key", namespace, made).data["more"] == "MQ=="
    assert core.patch_namespaced_secret("key", namespace, {"data": {"more": None}}).data == {"user": "YW5u"}
    assert core.read_namespace(namespace).status.phase == "Active"
    reference = models.V1ObjectReference(kind="Secret", namespace=namespace, name="key", uid=made.metadata.uid)
    event = models.CoreV1Event(
        metadata=models.V1ObjectMeta(generate_name="key-"), involved_object=reference, reason="Seen", type="Normal"
    )
    assert core.create_namespaced_event(namespace, event).metadata.name.startswith("key-")
    (seen,) = core.list_namespaced_event(namespace, field_selector="involvedObject.name=key").items
    assert seen.reason == "Seen"
    assert core.delete_namespaced_secret("key", namespace)["status"] == "Success"


def test_what_there_is_and_which_version_are_told(client: Any) -> None:
    assert kubernetes.client.VersionApi(client).get_code().major == "1"
    groups = kubernetes.client.ApisApi(client).get_api_versions().groups
    assert _GROUP in [group.name for group in groups]
    resources = kubernetes.client.CustomObjectsApi(client).get_api_resources(_GROUP, _VERSION).resources
    assert {"serviceinstances", "serviceinstances/status"} <= {resource.name for resource in resources}


def test_custom_objects_live_their_whole_life(custom: Any, namespace: str) -> None:
    of = (_GROUP, _VERSION, namespace, _PLURAL)
    assert custom.create_namespaced_custom_object(*of, instance("dry"), dry_run="All")["metadata"]["name"] == "dry"
    made = custom.create_namespaced_custom_object(*of, instance("db", "no-such"), field_validation="Strict")
    for name in ("db-2", "db-3"):
        custom.create_namespaced_custom_object(*of, instance(name, "no-such"))
    first = custom.list_namespaced_custom_object(*of, limit=2)
    rest = custom.list_namespaced_custom_object(*of, limit=2, _continue=first["metadata"]["continue"])
    assert [one["metadata"]["name"] for one in (*first["items"], *rest["items"])] == ["db", "db-2", "db-3"]
    own = f"metadata.namespace={namespace}"
    everywhere = custom.list_cluster_custom_object(_GROUP, _VERSION, _PLURAL, field_selector=own)
    assert len(everywhere["items"]) == 3
    patched = custom.patch_namespaced_custom_object(*of, "db", {"spec": {"parameters": {"a": 1}}})
    assert patched["metadata"]["generation"] == made["metadata"]["generation"] + 1
    with pytest.raises(ApiException) as stale:
        custom.replace_namespaced_custom_object(*of, "db", made)
    assert (stale.value.status, stale.value.reason) == (409, "Conflict")
    with pytest.raises(ApiException) as invalid:
        custom.create_namespaced_custom_object(*of, {**instance("Bad Name")})
    assert (invalid.value.status, '"metadata.name"' in str(invalid.value.body)) == (422, True)
    custom.delete_namespaced_custom_object(*of, "db", propagation_policy="Foreground")
    custom.delete_collection_namespaced_custom_object(*of)
    wait_for(lambda: custom.list_namespaced_custom_object(*of)["items"], lambda found: not found, what="an empty list")


def test_dynamic_client_discovers_applies_and_watches(client: Any, namespace: str, tmp_path: Path) -> None:
    dynamic = DynamicClient(client, cache_file=str(tmp_path / "discovery.json"))
    kind = dynamic.resources.get(api_version=API, kind="ServiceInstance")
    assert (kind.name, kind.namespaced) == (_PLURAL, True)
    document = instance("db", "no-such", parameters={"size": 1})
    applied = kind.server_side_apply(document, "db", namespace, field_manager="ann", dry_run="All")
    assert applied.metadata.name == "db"
    with pytest.raises(NotFoundError):
        kind.get("db", namespace)
    applied = kind.server_side_apply(document, "db", namespace, field_manager="ann")
    assert "ann" in [entry.manager for entry in applied.metadata.managedFields]
    other = instance("db", "no-such", parameters={"size": 2})
    with pytest.raises(ConflictError):
        kind.server_side_apply(other, "db", namespace, field_manager="bob")
    forced = kind.server_side_apply(other, "db", namespace, field_manager="bob", force_conflicts=True)
    assert forced.spec.parameters.size == 2
    kinds = []
    for event in kind.watch(
        namespace=namespace,
        timeout=60,
        resource_version="",
        resource_version_match="NotOlderThan",
        send_initial_events=True,
        allow_watch_bookmarks=True,
    ):
        kinds.append(event["type"])
        if event["type"] == "BOOKMARK":
            assert event["raw_object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"
            break
    assert kinds == ["ADDED", "BOOKMARK"]
    kind.delete("db", namespace)
    wait_for(lambda: kind.get(namespace=namespace).items, lambda found: not found, what="an empty list")


def test_list_and_watch_with_reconnects_misses_and_repeats_nothing(custom: Any, core: Any, namespace: str) -> None:
    """The loop of an informer: list, watch from there, go on from the last version whenever the watch ends."""
    writer = threading.Thread(target=_write, args=(core, namespace))
    listed = core.list_namespaced_secret(namespace)
    version, seen = listed.metadata.resource_version, list[tuple[str, str, str]]()
    connections = 0
    writer.start()
    while ("DELETED", f"s-{_OBJECTS - 1}") not in [(kind, name) for kind, name, _ in seen]:
        connections += 1
        assert connections < 60, seen
        watch = kubernetes.watch.Watch()
        for event in watch.stream(
            core.list_namespaced_secret,
            namespace,
            resource_version=version,
            timeout_seconds=1,
            allow_watch_bookmarks=True,
        ):
            if event["type"] != "BOOKMARK":
                meta = event["raw_object"]["metadata"]
                seen.append((event["type"], meta["name"], meta["resourceVersion"]))
            version = event["raw_object"]["metadata"]["resourceVersion"]
            if len(seen) % 7 == 6:
                watch.stop()
    writer.join()
    names = [f"s-{number}" for number in range(_OBJECTS)]
    assert sorted((kind, name) for kind, name, _ in seen) == sorted(
        (kind, name) for kind in ("ADDED", "MODIFIED", "DELETED") for name in names
    )
    versions = [int(found) for *_, found in seen]
    assert versions == sorted(set(versions))
    assert connections > 3


def test_informer_keeps_a_true_copy_and_tells_of_each_object_once(core: Any, namespace: str) -> None:
    informer = SharedInformer(core.list_namespaced_secret, namespace=namespace)
    # By version: a list may be newer than what it says it is, and the watch then begins with what it had already.
    told: dict[str, dict[str, str]] = {"ADDED": {}, "MODIFIED": {}, "DELETED": {}}
    for kind, names in told.items():
        informer.add_event_handler(
            kind, lambda found, names=names: names.update({found.metadata.resource_version: found.metadata.name})
        )
    errors: list[Any] = []
    informer.add_event_handler("ERROR", errors.append)
    core.create_namespaced_secret(namespace, {"metadata": {"name": "before"}})
    informer.start()
    try:
        wait_for(informer.cache.list, lambda found: len(found) == 1, what="the copy")
        core.create_namespaced_secret(namespace, {"metadata": {"name": "after"}})
        core.patch_namespaced_secret("before", namespace, {"metadata": {"labels": {"a": "b"}}})
        core.delete_namespaced_secret("after", namespace)
        wait_for(lambda: told["DELETED"], what="the deletion")
        (left,) = informer.cache.list()
        assert left.metadata.labels == {"a": "b"}
        # It stops by cutting its own connection, and counts that as an error.
        assert errors == []
    finally:
        informer.stop()
    names_told = {kind: list(names.values()) for kind, names in told.items()}
    assert names_told == {"ADDED": ["before", "after"], "MODIFIED": ["before"], "DELETED": ["after"]}


def test_watch_from_a_forgotten_version_ends_in_410_and_a_new_list_helps(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path, environment={"CHANDLERY_CHANGE_LOG_HOURS": "0.0001"})
    try:
        stack.start()
        with kubernetes.config.new_client_from_config(str(stack.kubeconfig)) as client:
            core: Any = kubernetes.client.CoreV1Api(client)
            old = core.list_namespace().metadata.resource_version

            def expired() -> bool:
                core.patch_namespace("default", {"metadata": {"annotations": {"at": "now"}}})
                try:
                    found = kubernetes.watch.Watch().stream(
                        core.list_namespace, resource_version=old, timeout_seconds=1
                    )
                    return not list(found)
                except ApiException as error:
                    return bool(error.status == 410)

            wait_for(expired, what="410")
            fresh = core.list_namespace().metadata.resource_version
            core.create_namespace({"metadata": {"name": "fresh"}})
            for event in kubernetes.watch.Watch().stream(
                core.list_namespace, resource_version=fresh, timeout_seconds=20
            ):
                if event["object"].metadata.name == "fresh":
                    break
            else:
                pytest.fail("the watch has not told of the new namespace")
    finally:
        stack.stop()


def _write(core: Any, namespace: str) -> None:
    for number in range(_OBJECTS):
        name = f"s-{number}"
        core.create_namespaced_secret(namespace, {"metadata": {"name": name}})
        core.patch_namespaced_secret(name, namespace, {"metadata": {"labels": {"a": "b"}}})
        core.delete_namespaced_secret(name, namespace)
