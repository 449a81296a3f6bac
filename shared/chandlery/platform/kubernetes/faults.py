"""What kube-apiserver's refusals are to us: its `Status` objects become our faults, with its own words, bounded."""

from collections.abc import Mapping
from typing import Any, Final

from chandlery.model.faults import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Expired,
    Fault,
    FieldProblem,
    Forbidden,
    Invalid,
    NotFound,
    Refused,
    Unavailable,
)
from chandlery.model.json.json_text import NotJson, read_json
from chandlery.model.objects.wire import JsonObject

NAMESPACE_TERMINATING: Final = "NamespaceTerminating"
"""The cause that kube-apiserver's plugin NamespaceLifecycle gives for a create in a namespace that goes."""
_LONGEST_WORDS: Final = 1_000
_MOST_CAUSES: Final = 20
_QUOTATIONS: Final = (", error found in #", "; error found in #", "bigger context ...", "bigger context |")
"""Behind these a server that cannot decode a body repeats a piece of it, which may be a credential."""
_SERVER_FAILS: Final = 500
_LONGEST_DELAY_SECONDS: Final = 300.0
"""Whatever a cluster asks for: nobody would know that it has recovered."""


class Unauthorized(Refused):
    """The cluster does not accept our credentials."""


class TooManyRequests(Unavailable):
    """The cluster has too much to do; nothing was done."""

    def __init__(self, message: str | None = None, *, retry_after_seconds: float = 1.0) -> None:
        """`retry_after_seconds` is when the cluster wants to be asked again, 300 at most."""
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class Gone(NotFound):
    """The cluster serves no such resource: the path of the request is unknown to it."""


def fault_of(status: int, body: bytes, *, retry_after: str | None = None) -> Fault:
    """The fault for an answer of 300 and above; `body` is a `Status`, or whatever a proxy on the way has said."""
    document = _status_in(body)
    return fault_of_status(document, status=status, retry_after=retry_after)


def fault_of_status(document: JsonObject, *, status: int | None = None, retry_after: str | None = None) -> Fault:
    """The same for a `Status` object, which a watch may also end with."""
    code = status or _whole_number(document.get("code")) or _SERVER_FAILS
    words, reason = _words(document, code), document.get("reason")
    details = document.get("details")
    problems = _problems(details if isinstance(details, dict) else {})
    match code:
        case 401:
            return Unauthorized(f"the cluster does not accept our credentials: {words}")
        case 403:
            return Forbidden(words, problems=problems)
        case 404:
            return NotFound(words) if document.get("kind") == "Status" and details else Gone(words)
        case 409:
            return AlreadyExists(words) if reason == "AlreadyExists" else Conflict(words)
        case 410:
            return Expired(words)
        case 422:
            return Invalid(words, problems=problems)
        case 429:
            return TooManyRequests(words, retry_after_seconds=_seconds(retry_after))
        case _ if code >= _SERVER_FAILS:
            return Unavailable(f"the cluster fails with {code}: {words}")
        case _:
            return BadRequest(words)


def is_terminating(fault: Forbidden) -> bool:
    """Whether a create was refused because its namespace is on its way out."""
    return any(problem.reason == NAMESPACE_TERMINATING for problem in fault.problems)


def _status_in(body: bytes) -> JsonObject:
    try:
        document = read_json(body)
    except NotJson:
        # A proxy's page, perhaps. It may be long, and is written for browsers.
        return {}
    return document if isinstance(document, dict) else {}


def _words(document: Mapping[str, Any], code: int) -> str:
    words = document.get("message")
    if not isinstance(words, str) or not words:
        return f"the cluster has answered {code} and does not say why"
    for quotation in _QUOTATIONS:
        words = words.partition(quotation)[0]
    return words if len(words) <= _LONGEST_WORDS else f"{words[:_LONGEST_WORDS]}…"


def _problems(details: Mapping[str, Any]) -> tuple[FieldProblem, ...]:
    causes = details.get("causes")
    found = [cause for cause in causes if isinstance(cause, dict)] if isinstance(causes, list) else []
    return tuple(
        FieldProblem(
            str(cause.get("field", ""))[:_LONGEST_WORDS],
            str(cause.get("reason", ""))[:_LONGEST_WORDS],
            str(cause.get("message", ""))[:_LONGEST_WORDS],
        )
        for cause in found[:_MOST_CAUSES]
    )


def _seconds(retry_after: str | None) -> float:
    return min(float(retry_after), _LONGEST_DELAY_SECONDS) if retry_after and retry_after.isdecimal() else 1.0


def _whole_number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
