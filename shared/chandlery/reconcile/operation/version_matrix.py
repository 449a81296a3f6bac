"""Since which version of the Open Service Broker API each part of a request exists. Pure data, and how to ask it.

Source: the release notes of OSB 2.12 to 2.17. A broker that is pinned to an older version (`osbAPIVersion`) is sent
nothing that its version does not know. What it answers counts as in 2.17 whatever its version, since unknown fields
would have been ignored and known ones mean the same, with one exception: until 2.13, 408 to a creation left open
whether something had been created.
"""

from functools import lru_cache
from typing import Final

from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.answers import Verb

NEWEST: Final = "2.17"
OLDEST: Final = "2.11"
"""That a broker may be pinned to."""
ORIGINATING_IDENTITY: Final = "X-Broker-API-Originating-Identity"
REQUEST_IDENTITY: Final = "X-Broker-API-Request-Identity"
IF_NONE_MATCH: Final = "If-None-Match"
IF_MODIFIED_SINCE: Final = "If-Modified-Since"

_MAJOR = "2."
_CERTAIN_408 = 14

_REQUESTS = {Verb.POLL_BINDING: 14, Verb.GET_BINDING: 14, Verb.GET_INSTANCE: 14}
_HEADERS = {ORIGINATING_IDENTITY: 13, REQUEST_IDENTITY: 15, IF_NONE_MATCH: 16, IF_MODIFIED_SINCE: 16}
_HINTS = {"service_id": 16, "plan_id": 16}
_QUERY: dict[Verb, dict[str, int]] = {
    Verb.BIND: {"accepts_incomplete": 14},
    Verb.UNBIND: {"accepts_incomplete": 14},
    Verb.GET_INSTANCE: _HINTS,
    Verb.GET_BINDING: _HINTS,
}
_CONTEXT = {
    "context.clusterid": 14,
    "context.instance_name": 16,
    "context.instance_annotations": 16,
    "context.namespace_annotations": 16,
}
_INSTANCE = {"context": 12, **_CONTEXT, "maintenance_info": 15}
_BODY: dict[Verb, dict[str, int]] = {
    Verb.PROVISION: _INSTANCE,
    Verb.UPDATE: {**_INSTANCE, "previous_values.maintenance_info": 15},
    Verb.BIND: {"context": 13, **_CONTEXT, "predecessor_binding_id": 17},
}


def knows_request(verb: Verb, version: str | None) -> bool:
    """Whether the version has such a request; None is the newest."""
    return _REQUESTS.get(verb, 0) <= _minor(version)


def knows_header(name: str, version: str | None) -> bool:
    """Whether the version has such a header."""
    return _HEADERS.get(name, 0) <= _minor(version)


def knows_query(verb: Verb, name: str, version: str | None) -> bool:
    """Whether the request takes such a query parameter in the version."""
    return _QUERY.get(verb, {}).get(name, 0) <= _minor(version)


def knows_field(verb: Verb, path: str, version: str | None) -> bool:
    """Whether the request's body has such a field in the version; `path` is like `context.clusterid`."""
    return _BODY.get(verb, {}).get(path, 0) <= _minor(version)


def timeout_is_certain(version: str | None) -> bool:
    """Whether 408 means that nothing was created."""
    return _minor(version) >= _CERTAIN_408


def known_body(verb: Verb, body: JsonObject, version: str | None) -> JsonObject:
    """The body without the fields that the version does not know. Objects that become empty by it go as well."""
    known = dict(body)
    for path in _unknown_fields(verb, version):
        owner, _, name = path.partition(".")
        inner = known.get(owner)
        if not name:
            known.pop(owner, None)
        elif isinstance(inner, dict) and name in inner:
            known[owner] = {key: value for key, value in inner.items() if key != name}
            if not known[owner]:
                del known[owner]
    return known


@lru_cache
def _unknown_fields(verb: Verb, version: str | None) -> tuple[str, ...]:
    return tuple(path for path in _BODY.get(verb, {}) if not knows_field(verb, path, version))


@lru_cache
def _minor(version: str | None) -> int:
    # Other majors are refused at admission; what has become unreadable all the same is taken for the newest.
    number = (version or NEWEST).removeprefix(_MAJOR)
    return int(number) if number.isdecimal() else int(NEWEST.removeprefix(_MAJOR))
