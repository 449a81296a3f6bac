"""What a deletion's body, or its query, says besides the object: dry run, preconditions, propagation, grace.

Nothing here stops slowly: every grace period is accepted and means the same, the finalizers of the object decide when
it goes. The propagation policy is for the garbage collector, which finds it among them.
"""

from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request

from chandlery.model.faults import BadRequest, FieldProblem
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.body.bodies import parse_body, type_in_words
from chandlery_gateway.kube.query.request_options import InvalidOptions, is_dry_run
from chandlery_gateway.write.write_requests import Preconditions

_OPTIONS: Final = "DeleteOptions"
_POLICIES: Final = ("Background", "Foreground", "Orphan")
_TRUTHS: Final = {"true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True, kw_only=True)
class DeleteOptions:
    """How a deletion is meant."""

    dry_run: bool
    preconditions: Preconditions
    policy: str | None = None
    """`Background`, `Foreground` or `Orphan`; None is for the object to say."""


def read_delete_options(request: Request, payload: bytes) -> DeleteOptions:
    """The options of a deletion; the body counts before the query, but a dry run that either asks for is one.

    Raises:
        BadRequest: malformed, or a field of a wrong type.
        InvalidOptions: a word that is none of those expected, or options that exclude each other.
    """
    options = _from_query(request)
    if payload.strip():
        content_type = request.headers.get("content-type", "")
        body = parse_body(payload, content_type, find_repeated=False, takes_protobuf=True).document
        options |= {key: value for key, value in body.items() if value is not None}
    _check_kind(options)
    _check_policy(options)
    grace = options.get("gracePeriodSeconds")
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool)):
        raise BadRequest(f"gracePeriodSeconds: must be a whole number, not {type_in_words(grace)}")
    dry_run = options.get("dryRun", [])
    if not isinstance(dry_run, list):
        raise BadRequest(f"dryRun: must be a list, not {type_in_words(dry_run)}")
    asked = [*dry_run, *request.query_params.getlist("dryRun")]
    return DeleteOptions(
        dry_run=is_dry_run(asked, _OPTIONS), preconditions=_preconditions(options), policy=_policy(options)
    )


def _from_query(request: Request) -> JsonObject:
    query = request.query_params
    options: JsonObject = {}
    if policy := query.get("propagationPolicy"):
        options["propagationPolicy"] = policy
    if orphans := query.get("orphanDependents"):
        options["orphanDependents"] = _TRUTHS.get(orphans.lower(), orphans)
    if grace := query.get("gracePeriodSeconds"):
        try:
            options["gracePeriodSeconds"] = int(grace)
        except ValueError:
            raise BadRequest("gracePeriodSeconds: must be a whole number") from None
    return options


def _check_kind(options: JsonObject) -> None:
    if options.get("kind") not in (None, "", _OPTIONS):
        raise BadRequest(f"the body of a deletion must be {_OPTIONS}")


def _check_policy(options: JsonObject) -> None:
    policy, orphans = options.get("propagationPolicy"), options.get("orphanDependents")
    if orphans is not None and not isinstance(orphans, bool):
        raise BadRequest(f"orphanDependents: must be true or false, not {type_in_words(orphans)}")
    if policy is None:
        return
    if not isinstance(policy, str):
        raise BadRequest(f"propagationPolicy: must be a string, not {type_in_words(policy)}")
    if orphans is not None:
        problem = "orphanDependents and propagationPolicy cannot both be set"
        raise InvalidOptions(_OPTIONS, FieldProblem("propagationPolicy", "FieldValueInvalid", problem))
    if policy not in _POLICIES:
        known = ", ".join(f'"{word}"' for word in _POLICIES)
        problem = f"supported values: {known}"
        raise InvalidOptions(_OPTIONS, FieldProblem("propagationPolicy", "FieldValueNotSupported", problem))


def _policy(options: JsonObject) -> str | None:
    orphans = options.get("orphanDependents")
    if orphans is None:
        policy: str | None = options.get("propagationPolicy")
        return policy
    return "Orphan" if orphans else "Background"


def _preconditions(options: JsonObject) -> Preconditions:
    wanted = options.get("preconditions") or {}
    if not isinstance(wanted, dict):
        raise BadRequest(f"preconditions: must be an object, not {type_in_words(wanted)}")
    return Preconditions(uid=_text(wanted, "uid"), resource_version=_text(wanted, "resourceVersion"))


def _text(wanted: JsonObject, name: str) -> str | None:
    value: Any = wanted.get(name)
    if value is None or isinstance(value, str):
        return value
    raise BadRequest(f"preconditions.{name}: must be a string, not {type_in_words(value)}")
