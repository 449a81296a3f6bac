"""What is kept of a body: its shape, and no value that may be a secret, wherever somebody has put it."""

import json
from typing import Any

import pytest

from chandlery_gateway.identity.audit.struck_out import MOST_BYTES, STRUCK_OUT, kept_of

HIDDEN = "hunter2-hunter2"
JSON, YAML = "application/json", "application/yaml"


def kept(document: Any, content_type: str = JSON) -> Any:
    return kept_of(json.dumps(document).encode(), content_type)


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "Secret", "data": {"password": HIDDEN}},
        {"kind": "Secret", "stringData": {"password": HIDDEN}},
        {"kind": "Secret", "data": HIDDEN},
        {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": HIDDEN}}},
        {"metadata": {"managedFields": [{"manager": HIDDEN}]}},
        {"spec": {"parameters": {"password": HIDDEN}}},
        {"spec": {"parameters": HIDDEN}},
        {"spec": {"paramters": {"name": HIDDEN}}},
        {"spec": {"unknown": [{"name": HIDDEN}]}},
        {"spec": {"url": f"https://user:{HIDDEN}@broker.example.com/v2"}},
        {"spec": {"url": f"https://user:{HIDDEN} <&/?#@broker.example.com/v2"}},
        {"spec": {"url": f"https://user:pa@ss {HIDDEN}@broker.example.com/v2"}},
        {"spec": {"url": f"https://broker.example.com/v2?key={HIDDEN}"}},
        {"spec": {"token": HIDDEN}},
        {"spec": {"caBundle": HIDDEN}},
        {"spec": {"secretTransforms": [{"addKey": {"key": "a", "value": HIDDEN}}]}},
        {"spec": {"secretTransforms": [{"addKey": {"key": "a", "stringValue": HIDDEN}}]}},
        {"status": {"token": HIDDEN, "conditions": [{"message": HIDDEN}]}},
        {"password": HIDDEN},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "content_type",
    [
        JSON,
        YAML,
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    ],
)
def test_a_secret_value_is_struck_out(document: Any, content_type: str) -> None:
    found = kept({"apiVersion": "v1", **document}, content_type)
    assert found["apiVersion"] == "v1"
    assert HIDDEN not in str(found)
    assert STRUCK_OUT in str(found)


def test_of_a_json_patch_the_places_stay_and_no_value() -> None:
    steps = [{"op": "add", "path": "/spec/plan", "value": HIDDEN}, {"op": "remove", "path": "/a"}, HIDDEN]
    found = kept(steps, "application/json-patch+json")
    assert found == [{"op": "add", "path": "/spec/plan", "value": STRUCK_OUT}, {"op": "remove", "path": "/a"}]


def test_what_an_auditor_wants_to_see_stays() -> None:
    document = {
        "apiVersion": "servicecatalog.k8s.io/v1beta1",
        "kind": "ServiceBinding",
        "metadata": {"name": "db", "namespace": "team", "labels": {"app": "shop"}, "finalizers": ["a/b"]},
        "spec": {
            "instanceRef": {"name": "db"},
            "secretName": "credentials",
            "parametersFrom": [{"secretKeyRef": {"name": "settings", "key": "json"}}],
        },
    }
    assert kept(document) == document
    role = {"kind": "Role", "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    assert kept(role) == role
    secret = {"kind": "Secret", "data": {"password": HIDDEN}}
    assert kept(secret)["data"] == {"password": STRUCK_OUT}, "of data the keys stay"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[1]",
        b"null",
        b'{"a": ' * 300,
        b'{"spec": "' + b"x" * MOST_BYTES + b'"}',
        b'{"items": [' + b"1," * 2_000 + b"1]}",
        b"\xff\xfe",
    ],
    ids=["nothing", "half", "a list", "null", "deep", "large", "many values", "no text"],
)
def test_of_what_cannot_be_read_or_is_too_large_nothing_is_kept(payload: bytes) -> None:
    assert kept_of(payload, JSON) is None
    assert not kept_of(payload, "application/json-patch+json")
