"""Which limit a request falls under, and how wide it is."""

from typing import Final

import pytest
from starlette.datastructures import QueryParams

from chandlery_gateway.http.request_classes import Demand, RequestClass, demand_of
from chandlery_gateway.kube.query.list_options import is_watch

_LISTED: Final = "/apis/servicecatalog.k8s.io/v1beta1/namespaces/team/serviceinstances"
READING, MUTATING, WATCH, EXEMPT = (
    RequestClass.READING,
    RequestClass.MUTATING,
    RequestClass.WATCH,
    RequestClass.EXEMPT,
)
CASES: Final = [
    ("GET", "/readyz", "", EXEMPT, 1),
    ("GET", "/livez", "verbose=1", EXEMPT, 1),
    ("GET", "/readyz/database", "", EXEMPT, 1),
    ("GET", "/readyz-not", "", READING, 1),
    ("POST", "/readyz", "", MUTATING, 1),
    ("GET", "/version", "", READING, 1),
    ("GET", "/apis", "", READING, 1),
    ("GET", "/api/v1", "", READING, 1),
    ("GET", "/apis/servicecatalog.k8s.io/v1beta1", "", READING, 1),
    ("GET", f"{_LISTED}/db", "", READING, 1),
    ("GET", f"{_LISTED}/db/status", "", READING, 1),
    ("GET", "/api/v1/namespaces/team", "", READING, 1),
    ("GET", "/api/v1/namespaces/team/secrets/key", "", READING, 1),
    ("GET", _LISTED, "", READING, 10),
    ("GET", _LISTED, "labelSelector=a%3Db", READING, 10),
    ("GET", _LISTED, "limit=0", READING, 10),
    ("GET", _LISTED, "limit=500", READING, 1),
    ("GET", _LISTED, "limit=500&continue=abc", READING, 1),
    ("GET", "/apis/servicecatalog.k8s.io/v1beta1/serviceinstances", "", READING, 10),
    ("GET", "/api/v1/namespaces", "", READING, 10),
    ("GET", "/api/v1/namespaces/team/secrets", "", READING, 10),
    ("GET", _LISTED, "watch=1", WATCH, 1),
    ("GET", _LISTED, "resourceVersion=5&watch=True", WATCH, 1),
    ("GET", _LISTED, "watch=0", READING, 10),
    ("GET", _LISTED, "watch=yes&limit=1", WATCH, 1),
    ("GET", _LISTED, "watch&limit=1", WATCH, 1),
    ("GET", _LISTED, "watch=true&watch=false&limit=1", WATCH, 1),
    ("GET", _LISTED, "watch=false&watch=true&limit=1", READING, 1),
    ("GET", _LISTED, "limit=", READING, 10),
    ("GET", f"{_LISTED}/db", "watch=1", READING, 1),
    ("DELETE", f"{_LISTED}/db", "", MUTATING, 1),
    ("PATCH", f"{_LISTED}/db", "", MUTATING, 1),
]


@pytest.mark.parametrize(("method", "path", "query", "request_class", "width"), CASES)
def test_class_and_width_follow_from_the_head(
    method: str, path: str, query: str, request_class: RequestClass, width: int
) -> None:
    demand = demand_of(method, path, query.encode(), [])
    assert (demand.request_class, demand.width) == (request_class, width)


@pytest.mark.parametrize("query", [query for method, path, query, *_ in CASES if (method, path) == ("GET", _LISTED)])
def test_what_takes_the_seat_of_a_watch_is_served_as_one(query: str) -> None:
    is_seated_as_one = demand_of("GET", _LISTED, query.encode(), []).request_class is WATCH
    assert is_seated_as_one == is_watch(QueryParams(query))


@pytest.mark.parametrize(
    ("query", "beginning"),
    [
        ("watch=1", 10),
        ("watch=1&resourceVersion=0", 10),
        ("watch=1&resourceVersion=7", 1),
        ("watch=1&resourceVersion=7&sendInitialEvents=true", 10),
        ("watch=1&resourceVersion=7&labelSelector=a%3Db", 10),
        ("watch=1&resourceVersion=7&fieldSelector=metadata.name%3Da", 10),
        ("limit=5", 0),
    ],
)
def test_watch_begins_as_wide_as_what_it_reads(query: str, beginning: int) -> None:
    assert demand_of("GET", _LISTED, query.encode(), []).beginning == beginning


@pytest.mark.parametrize(
    ("name", "value", "width"),
    [
        (b"content-length", b"1000", 1),
        (b"content-length", b"300000", 2),
        (b"content-length", b"3145728", 13),
        (b"content-length", b"99999999999", 13),
        (b"content-length", b"many", 1),
        (b"transfer-encoding", b"chunked", 13),
    ],
)
def test_large_body_takes_more_seats(name: bytes, value: bytes, width: int) -> None:
    headers = [(b"host", b"x"), (name, value)]
    assert demand_of("POST", _LISTED, b"", headers) == Demand(MUTATING, width)
