"""An operator written with kopf follows instances: it is told of each change once, and keeps its own marks on them."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients.svcat import CATALOG, FINALIZER
from tests.e2e.stacks.api_client import ApiClient
from tests.e2e.stacks.manifests import instance
from tests.e2e.stacks.programs import Program, clean_environment
from tests.e2e.stacks.stacks import Stack
from tests.support.waiting import wait_for

_OPERATOR = Path(__file__).with_name("kopf_operator.py")
_FINALIZER = "kopf.zalando.org/KopfFinalizerMarker"
_LAST_HANDLED = "kopf.zalando.org/last-handled-configuration"


@pytest.fixture
def operator(shop: Stack, namespace: str, tmp_path: Path) -> Iterator[Program]:
    """Started when there is an instance `db`, which is ready."""
    _create(shop.api, namespace, "db")
    program = Program(
        "kopf",
        [sys.executable, "-m", "kopf", "run", str(_OPERATOR), "--namespace", namespace, "--log-format=plain"],
        environment=clean_environment(KUBECONFIG=str(shop.kubeconfig)),
        log=tmp_path / "kopf.log",
    )
    program.start()
    try:
        program.await_log("Initial authentication has finished")
        yield program
    finally:
        program.stop()


def test_operator_is_told_of_what_is_there_of_creation_change_and_deletion_once(
    operator: Program, api: ApiClient, namespace: str
) -> None:
    _await_told(operator, "create", "db")
    (posted,) = wait_for(lambda: _posted(api, namespace), what="the event that kopf has posted")
    assert (posted["source"]["component"], posted["message"]) == ("kopf", "a new instance")
    _await_marks(api, namespace, "db")
    _create(api, namespace, "late")
    _await_told(operator, "create", "late")
    late = _await_marks(api, namespace, "late")
    assert set(late["metadata"]["finalizers"]) == {FINALIZER, _FINALIZER}
    assert _annotations(late)["example.com/seen"] == "yes"

    patch = {"Content-Type": "application/merge-patch+json"}
    path = f"{CATALOG}/namespaces/{namespace}/serviceinstances/late"
    status, changed = api.send("PATCH", path, {"spec": {"parameters": {"size": 2}}}, headers=patch)
    assert status == 200, changed
    _await_told(operator, "update", "late")
    generation = changed["metadata"]["generation"]
    ready = api.await_ready("serviceinstances", "late", namespace=namespace, generation=generation)
    assert set(ready["metadata"]["finalizers"]) == {FINALIZER, _FINALIZER}
    assert _LAST_HANDLED in _annotations(ready)

    assert api.send("DELETE", path)[0] == 200
    api.await_gone("serviceinstances", "late", namespace=namespace)
    told = _told(operator)
    assert [(one["handler"], one["name"]) for one in told] == [
        ("create", "db"),
        ("create", "late"),
        ("update", "late"),
        ("delete", "late"),
    ]
    assert told[2]["new"] == {"size": 2}
    assert "Traceback" not in operator.log_text()
    assert api.send("DELETE", path.replace("/late", "/db"))[0] == 200
    api.await_gone("serviceinstances", "db", namespace=namespace)


def _create(api: ApiClient, namespace: str, name: str) -> None:
    path = f"{CATALOG}/namespaces/{namespace}/serviceinstances"
    status, made = api.send("POST", path, instance(name, parameters={"size": 1}))
    assert status == 201, made
    api.await_ready("serviceinstances", name, namespace=namespace)


def _await_marks(api: ApiClient, namespace: str, name: str) -> dict[str, Any]:
    return api.await_object(
        "serviceinstances", name, lambda found: _LAST_HANDLED in _annotations(found), namespace=namespace
    )


def _posted(api: ApiClient, namespace: str) -> list[dict[str, Any]]:
    events = api.read(f"/api/v1/namespaces/{namespace}/events")[1]["items"]
    return [event for event in events if event["reason"] == "Noticed" and event["involvedObject"]["name"] == "db"]


def _annotations(document: dict[str, Any]) -> dict[str, str]:
    return document["metadata"].get("annotations") or {}


def _await_told(operator: Program, handler: str, name: str) -> None:
    wait_for(
        lambda: [(one["handler"], one["name"]) for one in _told(operator)],
        lambda told: (handler, name) in told,
        what=f"{handler} of {name}, told to kopf",
    )


def _told(operator: Program) -> list[dict[str, Any]]:
    lines = operator.log_text().splitlines()
    return [json.loads(line.removeprefix("told ")) for line in lines if line.startswith("told ")]
