"""Faults become Kubernetes `Status` objects with their HTTP codes, in the words that kubectl prints."""

from typing import Final

from chandlery.model import faults
from chandlery.model.faults import Fault, FieldProblem, Invalid
from chandlery.model.objects.kinds import NAMESPACE, Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.clean_text import clean_message, clean_status, clean_text
from chandlery_gateway.kube.apply.apply_conflicts import ApplyConflict
from chandlery_gateway.kube.body.bodies import RequestTooLarge
from chandlery_gateway.kube.query.list_options import ContinueExpired, UnreadableChange, VersionTooLarge
from chandlery_gateway.kube.query.negotiation import NotAcceptable, UnsupportedMediaType
from chandlery_gateway.kube.query.request_options import InvalidOptions

_RETRY_AFTER_SECONDS: Final = 1
_LONGEST_FIELD: Final = 1_000
_LONGEST_NAME: Final = 253
_MOST_SHOWN: Final = 100
"""Of the problems of one object: an answer must not be larger than what it answers."""


class Unauthorized(Fault):
    """The request carries no valid credentials; give a token, as the kubeconfig that `chandlery up` writes does."""


class UnknownToCluster(Unauthorized):
    """The request carries no valid credentials; give a token of the cluster, as `kubectl create token` makes."""


class MethodNotAllowed(Fault):
    """The method is not allowed on this resource."""


class RequestTimeout(Fault):
    """The request did not arrive in time."""


class TooManyRequests(Fault):
    """Too many requests at once; try again shortly."""


_CODES: Final[dict[type[Fault], tuple[int, str]]] = {
    faults.BadRequest: (400, "BadRequest"),
    Unauthorized: (401, "Unauthorized"),
    faults.Forbidden: (403, "Forbidden"),
    faults.NotFound: (404, "NotFound"),
    MethodNotAllowed: (405, "MethodNotAllowed"),
    NotAcceptable: (406, "NotAcceptable"),
    RequestTimeout: (408, "Timeout"),
    faults.AlreadyExists: (409, "AlreadyExists"),
    faults.Conflict: (409, "Conflict"),
    ApplyConflict: (409, "Conflict"),
    faults.Expired: (410, "Expired"),
    RequestTooLarge: (413, "RequestEntityTooLarge"),
    UnsupportedMediaType: (415, "UnsupportedMediaType"),
    Invalid: (422, "Invalid"),
    TooManyRequests: (429, "TooManyRequests"),
    UnreadableChange: (500, "InternalError"),
    faults.Unavailable: (503, "ServiceUnavailable"),
    VersionTooLarge: (504, "Timeout"),
}
_INTERNAL: Final = (500, "InternalError")
_INTERNAL_MESSAGE: Final = "Internal error occurred; the server's log has the details"
_MODIFIED: Final = "the object has been modified; please apply your changes to the latest version and try again"
_RETRIABLE: Final = frozenset({429, 503, 504})
_CAUSE_WORDS: Final = {
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueInvalid": "Invalid value",
    "FieldValueTypeInvalid": "Invalid value",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueTooLong": "Too long",
    "FieldValueTooMany": "Too many",
}
_WHOLE: Final = "NamespaceTerminating"
"""A cause that is no field's: its message is all there is to say."""


def status_of(fault: Exception, *, kind: Kind | None = None, name: str = "") -> tuple[int, JsonObject]:
    """HTTP code and `Status` of a fault, about the object if kind and name are given.

    An exception that is none of the faults a request may meet gives 500 and no detail: log it before.
    """
    if isinstance(fault, Invalid):
        name = name or fault.name
    if isinstance(fault, faults.NamespaceNotFound):
        kind, name = NAMESPACE, fault.namespace
    # No object has a longer one, but somebody may ask for it.
    name = clean_text(name, longest=_LONGEST_NAME)
    known = _known(fault)
    code, reason = _CODES[known] if known else _INTERNAL
    message = _message(fault, kind, name) if isinstance(fault, Fault) and known else _INTERNAL_MESSAGE
    status = _status("Failure", message=clean_status(message), reason=reason, code=code)
    details = _details(fault, kind, name)
    if code in _RETRIABLE:
        details["retryAfterSeconds"] = _RETRY_AFTER_SECONDS
    if details:
        status["details"] = details
    if isinstance(fault, ContinueExpired):
        status["metadata"] = {"continue": fault.token}
    return code, status


def reason_of(fault: Exception) -> str:
    """Kubernetes' word for a fault."""
    known = _known(fault)
    return (_CODES[known] if known else _INTERNAL)[1]


def _known(fault: Exception) -> type[Fault] | None:
    return next((ancestor for ancestor in type(fault).__mro__ if ancestor in _CODES), None)


def _message(fault: Fault, kind: Kind | None, name: str) -> str:
    subject = f'{kind.qualified_plural} "{name}"' if kind and name else ""
    match fault:
        case Invalid():
            return _invalid_message(fault, kind, name)
        case faults.Conflict() if subject and _says_nothing_special(fault):
            # Word for word: there are tools that look for it.
            return f"Operation cannot be fulfilled on {subject}: {_MODIFIED}"
        case faults.Conflict() if subject:
            return f"Operation cannot be fulfilled on {subject}: {fault.message}"
        case faults.Forbidden() if kind:
            return f"{subject or kind.qualified_plural} is forbidden: {fault.message}"
        case faults.NotFound() if subject and _says_nothing_special(fault):
            return f"{subject} not found"
        case faults.AlreadyExists() if subject and _says_nothing_special(fault):
            return f"{subject} already exists"
    return fault.message


def _says_nothing_special(fault: Fault) -> bool:
    return fault.message == (fault.__doc__ or "").strip()


def _invalid_message(fault: Invalid, kind: Kind | None, name: str) -> str:
    lines = [f"{_field(problem)}: {cause_message(problem)}" for problem in fault.problems[:_MOST_SHOWN]]
    if not lines:
        return fault.message
    if len(fault.problems) > _MOST_SHOWN:
        lines.append(f"and {len(fault.problems) - _MOST_SHOWN} more")
    listed = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    if isinstance(fault, InvalidOptions):
        return f"{fault.subject} is invalid: {listed}"
    if kind is None:
        return listed
    qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    return f'{qualified} "{name}" is invalid: {listed}'


def cause_message(problem: FieldProblem) -> str:
    """The problem's sentence after Kubernetes' words for its reason: `Required value: …`."""
    if problem.reason == _WHOLE:
        return clean_message(problem.message)
    return clean_message(f"{_CAUSE_WORDS.get(problem.reason, 'Invalid value')}: {problem.message}")


def _field(problem: FieldProblem) -> str:
    return clean_text(problem.field, longest=_LONGEST_FIELD)


def _details(fault: Exception, kind: Kind | None, name: str) -> JsonObject:
    # kubectl shows details instead of the message when an Invalid has both: without causes it would show nothing.
    problems = fault.problems if isinstance(fault, Invalid | faults.Forbidden) else ()
    if isinstance(fault, Invalid) and not problems:
        return {}
    details: JsonObject = {}
    if name:
        details["name"] = name
    if kind:
        details |= {"group": kind.group} if kind.group else {}
        details["kind"] = kind.kind if isinstance(fault, Invalid) else kind.plural
    if problems:
        details["causes"] = [
            {"reason": problem.reason, "message": cause_message(problem), "field": _field(problem)}
            for problem in problems[:_MOST_SHOWN]
        ]
    if isinstance(fault, ApplyConflict | VersionTooLarge):
        details["causes"] = fault.causes
    return details


def status_success(kind: Kind, name: str, *, uid: str | None = None) -> JsonObject:
    """The answer to a delete that removed the object at once."""
    details: JsonObject = {"name": name, **({"group": kind.group} if kind.group else {}), "kind": kind.plural}
    return {**_status("Success"), "details": {**details, "uid": uid} if uid else details}


def _status(outcome: str, **fields: str | int) -> JsonObject:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": outcome, **fields}
