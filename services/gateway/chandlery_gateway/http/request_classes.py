"""Which limit a request falls under, and how many seats it takes: decided from its head alone, before it is read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import parse_qsl

from chandlery_gateway.kube.body.bodies import MOST_BODY_BYTES
from chandlery_gateway.kube.query.list_options import is_yes

Headers = Iterable[tuple[bytes, bytes]]

_PROBES = ("/livez", "/healthz", "/readyz")
"""Whoever asks these, or a part of them, has to be answered all the more when there is much to do."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_BYTES_PER_SEAT = 256 * 1024
_SEATS_OF_A_WHOLE_LIST = 10
"""As many as Kubernetes counts at most for a list."""
_CORE_ROOT, _GROUP_ROOT = "/api/v1/", "/apis/"


class RequestClass(Enum):
    """What has seats of its own."""

    EXEMPT = auto()
    READING = auto()
    MUTATING = auto()
    WATCH = auto()


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request asks for."""

    request_class: RequestClass
    width: int = 1
    beginning: int = 0
    """Of a watch: how many seats of reading it takes until it has told what there is."""


_PLAIN_READING = Demand(RequestClass.READING)
_PLAIN_CHANGE = Demand(RequestClass.MUTATING)
_WHOLE_LIST = Demand(RequestClass.READING, _SEATS_OF_A_WHOLE_LIST)
_WATCH = Demand(RequestClass.WATCH, beginning=_SEATS_OF_A_WHOLE_LIST)
_WATCH_THAT_GOES_ON = Demand(RequestClass.WATCH, beginning=1)
_NEEDS_ALL_OBJECTS = ("labelSelector", "fieldSelector")
"""A watch with one of these reads them all, to know who leaves the selection later."""
_NO_LIMITS = Demand(RequestClass.EXEMPT)


def demand_of(method: str, path: str, query: bytes, headers: Headers) -> Demand:
    """The class and the width of a request.

    A body takes a seat more for each 256 KiB, one of unknown length as many as the largest. A list without `limit`
    takes ten, and so does the beginning of a watch, unless it goes on from a version without reading any object.
    """
    if method not in _READING:
        extra = _body_bytes(headers) // _BYTES_PER_SEAT
        return Demand(RequestClass.MUTATING, 1 + extra) if extra else _PLAIN_CHANGE
    if path.startswith(_PROBES) and f"/{path.split('/', 2)[1]}" in _PROBES:
        return _NO_LIMITS
    if not _is_collection(path):
        return _PLAIN_READING
    if not query:
        return _WHOLE_LIST
    words: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        # The first of several counts, as for whoever serves the request: a watch must not pass for something else.
        words.setdefault(name, value)
    if is_yes(words.get("watch")):
        return _WATCH_THAT_GOES_ON if _goes_on(words) else _WATCH
    return _PLAIN_READING if (words.get("limit") or "0") != "0" else _WHOLE_LIST


def _goes_on(words: Mapping[str, str]) -> bool:
    is_told_all = is_yes(words.get("sendInitialEvents")) or (words.get("resourceVersion") or "0") == "0"
    return not is_told_all and not any(word in words for word in _NEEDS_ALL_OBJECTS)


def _body_bytes(headers: Headers) -> int:
    for name, value in headers:
        if name == b"content-length":
            # What is not a number is refused by whoever reads it; what is too long is not read.
            return min(int(value), MOST_BODY_BYTES) if value.isdigit() else 0
        if name == b"transfer-encoding":
            return MOST_BODY_BYTES
    return 0


def _is_collection(path: str) -> bool:
    """Whether it may be a list: `…/plural`, perhaps within a namespace, and not `…/plural/name`."""
    if path.startswith(_GROUP_ROOT):
        return path.count("/") in (4, 6)
    return path.startswith(_CORE_ROOT) and path.count("/") in (3, 5)
