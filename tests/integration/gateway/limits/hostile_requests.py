"""Requests that nobody sends on purpose, or only with bad ones: tables of them, by the part that is odd.

Rows are bytes as they go over the wire, because clients tidy up much of what is in them.
"""

import base64
import itertools
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tests.integration.gateway.api_client import CATALOG, JSON_PATCH, MERGE, SECRETS, STRATEGIC, TEAM, instance

APPLY: Final = "application/apply-patch+yaml"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
INSTANCES: Final = f"{TEAM}/serviceinstances"
ONE: Final = f"{INSTANCES}/seed"
SECRET: Final = f"{SECRETS}/seed"
EVENTS: Final = "/api/v1/namespaces/team/events"

_NUL, _SURROGATE = r"\u0000", r"\ud800"
_JUNK: Final = (
    "",
    "-1",
    "99999999999999999999",
    "9223372036854775808",
    "1e9",
    "%00",
    "%ff",
    "%ed%a0%80",
    "%D9%A3",
    "a%20in%20(",
    "a%20%3E%2099999999999999999999",
    "metadata.name=%00",
    "metadata.name=%ed%a0%80",
    "!!a",
    "a" * 20_000,
    ",".join(f"k{number}=v" for number in range(2_000)),
)
_TOKENS: Final = tuple(
    base64.urlsafe_b64encode(text).decode()
    for text in (b"[" * 30_000, b'[1e308,"",""]', b'[18446744073709551616,"a","b"]', b'[1,"\\ud800","b"]', b"null")
)
_VALUES: Final = (
    f'"a{_NUL}b"',
    f'"{_SURROGATE}"',
    f'{{"a{_NUL}b":1}}',
    f'{{"{_SURROGATE}":1}}',
    "1e400",
    "1" + "0" * 400,
    "9223372036854775808",
    "-0",
    "null",
    "[null]",
    '{"":""}',
    "[[]]",
    "[{}]",
    '"' + "x" * 300_000 + '"',
    '"' + "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9_000)) + '"',
    "[" * 120 + "]" * 120,
    "[" * 100_000 + "]" * 100_000,
    '{"a":' * 900 + "1" + "}" * 900,
    '"0000-00-00T00:00:00Z"',
    '"0001-01-01T00:00:00Z"',
    '"0001-01-01T00:00:00+14:00"',
    '"9999-12-31T23:59:59-14:00"',
    '"99999999999h"',
)
_PLACES: Final = {
    INSTANCES: (
        "metadata",
        "metadata.name",
        "metadata.generateName",
        "metadata.labels",
        "metadata.labels.a",
        "metadata.annotations.a",
        "metadata.finalizers",
        "metadata.ownerReferences",
        "metadata.managedFields",
        "metadata.resourceVersion",
        "metadata.creationTimestamp",
        "spec",
        "spec.parameters",
        "spec.parameters.a",
        "spec.parametersFrom",
        "spec.externalID",
        "spec.updateRequests",
        "spec.clusterServicePlanExternalName",
        "status",
    ),
    EVENTS: ("involvedObject", "involvedObject.uid", "involvedObject.name", "firstTimestamp", "count", "series"),
    SECRETS: ("data", "data.a", "stringData", "stringData.a", "type"),
    f"{CATALOG}/clusterservicebrokers": ("spec.url", "spec.caBundle", "spec.retryPolicy.factor", "spec.relistDuration"),
}
_YAMLS: Final = (
    "a: *b",
    "a: &b [*b]",
    "a: !!python/object:os.system x",
    "a: !!bool x",
    "a: !!int ''",
    "a: !!float ''",
    "a: !!timestamp ''",
    "a: !!timestamp 9999-12-31T23:59:59-14:00",
    "a: !!binary '='",
    "a: !!set {x}",
    "a: .nan",
    "a: " + "9" * 5_000,
    "a: 1:" + "59:" * 2_000 + "59",
    "? [a, b]\n: 1",
    "1: 2",
    'a: "\\uD800"',
    "a: \x00",
    "%YAML 9.9\n---\na: b",
    "- " * 5_000,
)


@dataclass(frozen=True, slots=True)
class HostileRequest:
    """One request; the path is what stands in the request line."""

    method: str
    path: bytes
    body: bytes = field(default=b"", repr=False)
    headers: tuple[tuple[str, bytes], ...] = ()


def odd_paths() -> Iterator[HostileRequest]:
    """Names, namespaces, groups and documents that cannot be."""
    parts = ("%00", "%ff", "%c0%af", "%ed%a0%80", "..%2f..", "%", "%zz", "%0d%0aX:%20y", "~", "*", "a" * 20_000)
    for part in parts:
        for place in (f"{INSTANCES}/@", f"{CATALOG}/namespaces/@/servicebindings/x/status", "/apis/@", "/openapi/v3/@"):
            path = place.replace("@", part)
            yield _request("GET", path)
            yield _request("DELETE", path)
            yield _request("PUT", path, json.dumps(instance()))
            yield _request("PATCH", path, "{}", MERGE)
    for whole in (b"/\x80", b"*", b"//api/v1", b"/api//v1", b"/?", b"http://elsewhere/api/v1"):
        yield HostileRequest("GET", whole)


def odd_queries() -> Iterator[HostileRequest]:
    """Junk in every parameter that is read."""
    reads = ("limit", "continue", "resourceVersion", "resourceVersionMatch", "labelSelector", "fieldSelector")
    for value in (*_JUNK, *_TOKENS):
        for name in (*reads, "includeObject", "pretty", "timeoutSeconds"):
            yield _request("GET", f"{INSTANCES}?{name}={value}")
        for name in ("dryRun", "fieldValidation", "fieldManager", "force"):
            yield _request("POST", f"{INSTANCES}?{name}={value}", json.dumps(instance("odd")))
            yield _request("PATCH", f"{ONE}?{name}={value}", "{}", MERGE)
        for name in ("dryRun", "gracePeriodSeconds", "propagationPolicy", "orphanDependents", "fieldSelector"):
            yield _request("DELETE", f"{EVENTS}?{name}={value}")
        for name in ("resourceVersion", "labelSelector", "fieldSelector", "sendInitialEvents"):
            yield _request("GET", f"{INSTANCES}?watch=1&timeoutSeconds=1&{name}={value}")


def odd_headers() -> Iterator[HostileRequest]:
    """What says how to read a request and how to answer, and who asks."""
    rows: tuple[tuple[str, bytes], ...] = (
        ("Content-Type", b"application/json; charset=utf-16"),
        ("Content-Type", b"application/\xff"),
        ("Content-Type", b";"),
        ("Content-Type", b"text/plain"),
        ("Content-Type", PROTOBUF.encode()),
        ("Accept", b";;;q=abc"),
        ("Accept", b"\xff\xfe"),
        ("Accept", b"*/*;q=1e400"),
        ("Accept", b"application/json;as=Table;g=meta.k8s.io;v=v9"),
        ("Accept", b"," * 5_000),
        ("Accept-Encoding", b"gzip;q=abc"),
        ("Authorization", b"Bearer \xff\xfe"),
        ("Authorization", b"Basic"),
        ("User-Agent", b"\xff\xfe\x80"),
        ("User-Agent", b"/"),
        ("Content-Encoding", b"gzip"),
        ("Content-Length", b"abc"),
        ("Content-Length", b"-1"),
        ("Transfer-Encoding", b"gzip, chunked"),
        ("Range", b"bytes=0-1"),
        ("Upgrade", b"websocket"),
    )
    for row in rows:
        yield HostileRequest("GET", INSTANCES.encode(), headers=(row,))
        yield HostileRequest("POST", INSTANCES.encode(), json.dumps(instance("odd")).encode(), (row,))
        yield HostileRequest("PATCH", ONE.encode(), b"{}", (("Content-Type", MERGE.encode()), row))
    for method in ("OPTIONS", "TRACE", "FOO", "PROPFIND"):
        yield _request(method, INSTANCES)


def odd_instances() -> Iterator[HostileRequest]:
    """Every odd value in every place of an instance, see `_odd_values`."""
    return _odd_values(INSTANCES)


def odd_objects() -> Iterator[HostileRequest]:
    """The same for what other kinds have beside."""
    return _odd_values(*(collection for collection in _PLACES if collection != INSTANCES))


def _odd_values(*collections: str) -> Iterator[HostileRequest]:
    """Every odd value in every place of objects that are otherwise in order: created, patched or applied, in turn."""
    rows = ((collection, place) for collection in collections for place in _PLACES[collection])
    for number, ((collection, place), value) in enumerate(itertools.product(rows, _VALUES)):
        base = _base(collection, f"odd-{number}")
        match number % 3:
            case 0:
                yield _request("POST", collection, _with(base, place, value))
            case 1:
                yield _request("PATCH", f"{collection}/seed", _with({}, place, value), MERGE)
            case _:
                applied = _with({**base, "metadata": {"name": "seed"}}, place, value)
                yield _request("PATCH", f"{collection}/seed?fieldManager=odd&force=true", applied, APPLY)


def odd_patches() -> Iterator[HostileRequest]:
    """Patches that point nowhere, contradict themselves or grow without end; directives that are none."""
    nowhere = ("", "/", "/metadata/labels/~2", "/spec/parameters/l/99999999999999999999", "/spec/parameters/l/-1")
    paths = (*nowhere, "/spec/parameters/l/\u0661", "spec", "/metadata/managedFields/0", "/metadata/uid", None, 5)
    for operation in ("add", "remove", "replace", "move", "copy", "test", "nope", None):
        for path in paths:
            patch: list[dict[str, Any]] = [{"op": operation, "path": path, "value": [{}], "from": "/spec/parameters"}]
            yield _request("PATCH", ONE, json.dumps(patch), JSON_PATCH)
    growing = [{"op": "copy", "from": "/spec/parameters", "path": "/spec/parameters/x"}] * 40
    endless = [{"op": "move", "from": "/spec", "path": "/spec/parameters/x"}]
    wholes: tuple[Any, ...] = ([{}], {}, None, [None], endless, growing)
    for whole in wholes:
        yield _request("PATCH", ONE, json.dumps(whole), JSON_PATCH)
    directives: tuple[Any, ...] = (
        {"$patch": 5},
        {"metadata": {"$patch": "delete"}},
        {"metadata": {"$retainKeys": 5}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": 5}},
        {"metadata": {"$setElementOrder/ownerReferences": [{"uid": 1}]}},
        {"metadata": {"ownerReferences": [5, None, {"$patch": "delete"}]}},
        {"metadata": {"managedFields": [{"manager": 5}]}},
        {"data": {"$patch": "merge"}},
        [],
    )
    for directive in directives:
        yield _request("PATCH", SECRET, json.dumps(directive), STRATEGIC)
        yield _request("PATCH", ONE, json.dumps(directive), MERGE)


def odd_bodies() -> Iterator[HostileRequest]:
    """YAML with the traps of YAML, bytes that are no text, and good bodies with bytes changed."""
    for text in _YAMLS:
        for path, media_type, method in (
            (INSTANCES, YAML, "POST"),
            (ONE, YAML, "DELETE"),
            (f"{INSTANCES}/odd?fieldManager=odd", APPLY, "PATCH"),
        ):
            yield _request(method, path, text, media_type)
            yield _request(method, path, text.encode("utf-16"), media_type)
    for body in (b"", b"null", b"[]", b'"x"', b"\xff\xfe", b'{"a":1}{"b":2}', b"[" * 100_000, b'{"a":NaN}'):
        for method, path in (("POST", INSTANCES), ("PUT", ONE), ("DELETE", f"{EVENTS}/nobody"), ("POST", SECRETS)):
            yield _request(method, path, body)
    good = b"k8s\x00\n\x0c\n\x02v1\x12\x06Secret\x12 \n\x12\n\x04pb-1\x12\x00\x1a\x04team\x22\x00"
    for body in _mutated(good, 150):
        yield _request("POST", SECRETS, body, PROTOBUF)
    for body in _mutated(json.dumps(instance("mutated")).encode(), 150):
        yield _request("POST", INSTANCES, body)


def _mutated(good: bytes, count: int) -> Iterable[bytes]:
    chance = random.Random(4)
    insertions = (b"[", b"{", b'"', b"\\u0000", b"\\ud800", b"null", b"1e999", b"\xff", b"-")
    for _ in range(count):
        body = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            position = chance.randrange(4, len(body))
            if chance.random() < 0.5:
                body[position] = chance.randrange(256)
            else:
                body[position:position] = chance.choice(insertions)
        yield bytes(body)


def _request(method: str, path: str, body: str | bytes = b"", media_type: str = "application/json") -> HostileRequest:
    content = body.encode() if isinstance(body, str) else body
    headers = (("Content-Type", media_type.encode()),) if content else ()
    return HostileRequest(method, path.encode(), content, headers)


def _base(collection: str, name: str) -> dict[str, Any]:
    if collection == INSTANCES:
        return instance(name)
    if collection == EVENTS:
        return {"apiVersion": "v1", "kind": "Event", "metadata": {"name": name}, "involvedObject": {"name": "db"}}
    if collection == SECRETS:
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    spec = {"url": "https://broker.example.com"}
    kind = {"apiVersion": "servicecatalog.k8s.io/v1beta1", "kind": "ClusterServiceBroker"}
    return {**kind, "metadata": {"name": name}, "spec": spec}


def _with(document: dict[str, Any], place: str, value: str) -> str:
    """The document as JSON, with this text for a value in that place."""
    whole = json.loads(json.dumps(document))
    holder = whole
    *parents, last = place.split(".")
    for parent in parents:
        holder = holder.setdefault(parent, {})
    holder[last] = "@@"
    return json.dumps(whole).replace('"@@"', value)
