"""An operator written with kopf follows instances: it is told of each change once, and keeps its own marks on them."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.api_client import ApiClient
from tests.e2e.clients.svcat import CATALOG, FINALIZER
from tests.e2e.manifests import instance
from tests.e2e.programs import Program, clean_environment, eventually
from tests.e2e.stacks import Stack

_OPERATOR = Path(__file__).with_name("kopf_operator.py")
_FINALIZER = "kopf.zalando.org/KopfFinalizerMarker"
_LAST_HANDLED = "kopf.zalando.org/last-handled-configuration"


@pytest.fixture
def operator(shop: Stack, namespace: str, tmp_path: Path) -> Iterator[Program]:
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


def test_operator_is_told_of_creation_change_and_deletion_once(
    operator: Program, api: ApiClient, namespace: str
) -> None:
    path = f"{CATALOG}/namespaces/{namespace}/serviceinstances"
    status, made = api.send("POST", path, instance("db", parameters={"size": 1}))
    assert status == 201, made
    _await_told(operator, "create", 1)
    (posted,) = eventually(lambda: _posted(api, namespace), what="the event that kopf has posted")
    assert (posted["source"]["component"], posted["message"]) == ("kopf", "a new instance")
    seen = api.await_object(
        "serviceinstances", "db", lambda found: _LAST_HANDLED in _annotations(found), namespace=namespace
    )
    assert _annotations(seen)["example.com/seen"] == "yes"
    assert set(seen["metadata"]["finalizers"]) == {FINALIZER, _FINALIZER}
    ready = api.await_ready("serviceinstances", "db", namespace=namespace)
    assert set(ready["metadata"]["finalizers"]) == {FINALIZER, _FINALIZER}
    assert _LAST_HANDLED in _annotations(ready)

    patch = {"Content-Type": "application/merge-patch+json"}
    assert api.send("PATCH", f"{path}/db", {"spec": {"parameters": {"size": 2}}}, headers=patch)[0] == 200
    _await_told(operator, "update", 1)

    assert api.send("DELETE", f"{path}/db")[0] == 200
    api.await_gone("serviceinstances", "db", namespace=namespace)
    assert [(one["handler"], one["name"]) for one in _told(operator)] == [
        ("create", "db"),
        ("update", "db"),
        ("delete", "db"),
    ]
    assert _told(operator)[1]["new"] == {"size": 2}
    assert "Traceback" not in operator.log_text()


def _posted(api: ApiClient, namespace: str) -> list[dict[str, Any]]:
    events = api.read(f"/api/v1/namespaces/{namespace}/events")[1]["items"]
    return [event for event in events if event["reason"] == "Noticed" and event["involvedObject"]["name"] == "db"]


def _annotations(document: dict[str, Any]) -> dict[str, str]:
    return document["metadata"].get("annotations") or {}


def _await_told(operator: Program, handler: str, count: int) -> None:
    eventually(
        lambda: [one for one in _told(operator) if one["handler"] == handler],
        lambda told: len(told) >= count,
        what=f"{handler} of kopf; its log: {operator.log_tail(15)}",
    )


def _told(operator: Program) -> list[dict[str, Any]]:
    lines = operator.log_text().splitlines()
    return [json.loads(line.removeprefix("told ")) for line in lines if line.startswith("told ")]
