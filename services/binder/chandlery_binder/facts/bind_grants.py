"""What a service broker grants with a binding: credentials of every kind, endpoints, and how long they last. Pure.

Source: OSB v2.17, "Binding" and "Types of Binding". Everything goes into the Secret under the name that OSB gives it;
what an offering may only grant with a permission (`requires`) counts for nothing without.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from chandlery.model.objects.bindings import Endpoint
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.answers import Answer, Verb, Verdict

_CREDENTIALS, _ENDPOINTS, _METADATA = "credentials", "endpoints", "metadata"
_PERMISSIONS = {
    "syslog_drain_url": "syslog_drain",
    "route_service_url": "route_forwarding",
    "volume_mounts": "volume_mount",
}
_PROTOCOLS = ("tcp", "udp", "all")
_PORTS = re.compile(r"\d{1,5}(-\d{1,5})?")
_NO_HOST = re.compile(r"[\s/\\@?#<>\"']")
_LONGEST_HOST = 253
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d)?")


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A broker's answer, read."""

    values: JsonObject = field(repr=False)
    """What goes into the Secret, before any transform."""
    is_empty: bool
    """Whether there is nothing by which anybody could connect."""
    ignored: tuple[str, ...]
    """What the offering has no permission for."""
    endpoints: tuple[Endpoint, ...] | None
    expires_at: datetime | None
    renew_before: datetime | None


def grant_of(body: JsonObject, requires: tuple[str, ...] | None) -> Grant:
    """What the answer grants; `body` is one that `checked` has seen."""
    given = {key: body[key] for key in _PERMISSIONS if body.get(key) is not None}
    allowed = {key: value for key, value in given.items() if _PERMISSIONS[key] in (requires or ())}
    credentials: JsonObject | None = body.get(_CREDENTIALS)
    endpoints = body.get(_ENDPOINTS) or None
    further = allowed | ({_ENDPOINTS: endpoints} if endpoints else {})
    expires_at, renew_before = _moments(body.get(_METADATA))
    return Grant(
        values=further | (credentials or {}),
        is_empty=credentials is None and not allowed,
        ignored=tuple(sorted(given.keys() - allowed.keys())),
        endpoints=tuple(map(_endpoint, endpoints)) if endpoints else None,
        expires_at=expires_at,
        renew_before=renew_before,
    )


def checked(answer: Answer) -> Answer:
    """The answer, or one that says what is wrong with the parts that the transport does not look at."""
    if answer.verdict != Verdict.SUCCEEDED or answer.verb not in (Verb.BIND, Verb.GET_BINDING):
        return answer
    checks = {_ENDPOINTS: _is_endpoint, "volume_mounts": _is_mount, "syslog_drain_url": None, "route_service_url": None}
    for key, check in checks.items():
        value = answer.body.get(key)
        if value is not None and not _is_sound(value, check):
            return replace(answer, verdict=Verdict.MALFORMED, description=f"`{key}` is not valid in OSB 2.17")
    return answer


def _is_sound(value: Any, check: Callable[[JsonObject], bool] | None) -> bool:
    if check is None:
        return isinstance(value, str)
    return isinstance(value, list) and all(isinstance(entry, dict) and check(entry) for entry in value)


def _is_endpoint(entry: JsonObject) -> bool:
    ports = entry.get("ports")
    return (
        _is_host(entry.get("host"))
        and isinstance(ports, list)
        and bool(ports)
        and all(map(_is_port, ports))
        and (entry.get("protocol") is None or entry["protocol"] in _PROTOCOLS)
    )


def _is_host(host: Any) -> bool:
    # It is shown in the status: a name or an address, and nothing that could be taken for more of a URL.
    return _is_text(host) and len(host) <= _LONGEST_HOST and host.isprintable() and not _NO_HOST.search(host)


def _is_port(port: Any) -> bool:
    # Integers come from brokers that were written against an early client library.
    return (isinstance(port, str | int) and not isinstance(port, bool)) and bool(_PORTS.fullmatch(str(port)))


def _is_mount(entry: JsonObject) -> bool:
    device = entry.get("device")
    return (
        all(_is_text(entry.get(key)) for key in ("driver", "container_dir", "device_type"))
        and entry.get("mode") in ("r", "rw")
        and isinstance(device, dict)
        and _is_text(device.get("volume_id"))
        and isinstance(device.get("mount_config"), dict | None)
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _endpoint(entry: JsonObject) -> Endpoint:
    ports = tuple(map(str, entry["ports"]))
    return Endpoint(host=entry["host"], ports=ports, protocol=entry.get("protocol") or "tcp")


def _moments(metadata: Any) -> tuple[datetime | None, datetime | None]:
    if not isinstance(metadata, dict):
        return None, None
    end, renewal = _moment(metadata.get("expires_at")), _moment(metadata.get("renew_before"))
    # A renewal after the end makes no sense, and OSB has platforms ignore it.
    return end, None if end is not None and renewal is not None and renewal > end else renewal


def _moment(text: Any) -> datetime | None:
    """RFC 3339 with any fraction of a second, in UTC unless it says otherwise; what cannot be read counts as absent."""
    if not isinstance(text, str) or not _MOMENT.match(text):
        return None
    try:
        moment = datetime.fromisoformat(_with_microseconds(text.strip().replace(" ", "T", 1).upper()))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _with_microseconds(text: str) -> str:
    return re.sub(r"\.(\d+)", lambda found: f".{found[1][:6].ljust(6, '0')}", text, count=1)
