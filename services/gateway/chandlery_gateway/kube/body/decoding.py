"""From a request's body to an object of ours: tolerant of what clients leave empty, exact about what they get wrong.

Fields are checked by the pydantic models. What clients may send and models do not take (nulls, empty enumeration
values, unknown fields unless refused) is taken out by its error location, and the rest is checked again.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from chandlery.model.faults import BadRequest, FieldProblem, Invalid
from chandlery.model.json.json_text import MOST_VALUES, read_json, write_json
from chandlery.model.objects.brokers import GROUP
from chandlery.model.objects.core import Event
from chandlery.model.objects.kinds import SECRET, AnyObject, Kind
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.body.bodies import RequestTooLarge, check_values, encode_json, parse_body, type_in_words
from chandlery_gateway.kube.body.yaml_bodies import Path
from chandlery_gateway.kube.kinds.regarding_events import RegardingEvent, as_involved, sent_model

_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_ECHO: Final = 64
_EXPECTED: Final = {
    "string_type": "a string",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "float_type": "a number",
    "dict_type": "an object",
    "model_type": "an object",
    "tuple_type": "a list",
    "list_type": "a list",
}


def is_removable(error: ErrorDetails) -> bool:
    """Whether it is unknown, or counts as absent: null anywhere, "" where one of several words is expected."""
    if error["type"] == "missing":
        return False
    return error["type"] == "extra_forbidden" or error["input"] is None or (_is_choice(error) and error["input"] == "")


def _is_choice(error: ErrorDetails) -> bool:
    return error["type"] in ("literal_error", "enum")


def problem_of(kind: Kind, error: ErrorDetails) -> FieldProblem:
    """The error as a problem of that field, with a sentence that says what was expected."""
    field, given = field_path(error["loc"]), error["input"]
    if error["type"] == "missing":
        return FieldProblem(field, "FieldValueRequired", "must be given")
    if error["type"].startswith("datetime"):
        return FieldProblem(field, "FieldValueTypeInvalid", "must be a time such as 2030-01-31T12:00:00Z")
    if _is_choice(error):
        echo = f"not '{given[:_LONGEST_ECHO]}'" if isinstance(given, str) and kind != SECRET else "nothing else"
        reason = "FieldValueNotSupported" if isinstance(given, str) else "FieldValueTypeInvalid"
        return FieldProblem(field, reason, f"must be {error['ctx']['expected']}, {echo}")
    # Pydantic's own texts quote the input, so an unforeseen one is not passed on.
    expected = _EXPECTED.get(error["type"], "a value of another form")
    return FieldProblem(field, "FieldValueTypeInvalid", f"must be {expected}, not {type_in_words(given)}")


def field_path(path: Path) -> str:
    """Where a field is, as Kubernetes writes it: `spec.parametersFrom[0].secretKeyRef.name`, `labels[a.com/x]`."""
    return "".join(_step(step) for step in path).removeprefix(".")


def _step(step: str | int) -> str:
    return f".{step}" if isinstance(step, str) and _FIELD_NAME.fullmatch(step) else f"[{step}]"


_DROPPED_METADATA: Final = ("managedFields", "selfLink")
_DROPPED_OF_CLUSTER_SCOPED: Final = (*_DROPPED_METADATA, "namespace")
"""An API server clears the namespace of what is in none; clients send it."""
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[-+]\d\d:\d\d)", re.ASCII)
_MOST_SHOWN: Final = 100
"""Of the problems of one body: an answer must not be larger than what it answers."""
MOST_OBJECT_BYTES: Final = 1536 * 1024
"""Of an object as JSON: what etcd takes for one, and so what objects in Kubernetes can have."""


class FieldValidation(StrEnum):
    """What to do about unknown and repeated fields: the `fieldValidation` query parameter, `Warn` unless given."""

    STRICT = "Strict"
    WARN = "Warn"
    IGNORE = "Ignore"


@dataclass(frozen=True, slots=True)
class Decoded:
    """An object and the sentences for `Warning` headers; and, for whoever keeps track of owners, what was sent."""

    object: AnyObject
    warnings: tuple[str, ...] = ()
    document: JsonObject = field(default_factory=dict, repr=False)

    @property
    def sent_managed_fields(self) -> Any:
        """What the client sent as managed fields; None if it sent none."""
        metadata = self.document.get("metadata")
        return metadata.get("managedFields") if isinstance(metadata, dict) else None


class StrictDecodingError(BadRequest):
    """Fields that are unknown or come twice, where the client wants none (`fieldValidation=Strict`)."""


def decode_object(kind: Kind, payload: bytes, content_type: str, *, field_validation: FieldValidation) -> Decoded:
    """Decodes a body in JSON or YAML; of Kubernetes' own kinds also in protobuf, where unknown fields go unnoticed.

    Raises:
        BadRequest: malformed, of another kind or version, or with fields that `Strict` refuses.
        Invalid: fields of a wrong type or value, one problem each.
        RequestTooLarge: more bytes or values than may be stored.
        UnsupportedMediaType: as `parse_body` says.
    """
    find_repeated = field_validation is not FieldValidation.IGNORE
    body = parse_body(payload, content_type, find_repeated=find_repeated, takes_protobuf=kind.group != GROUP)
    version = kind.api_version.rpartition("/")[2]
    return _decode(
        kind,
        body.document,
        body.encoded,
        field_validation=field_validation,
        repeated=body.repeated,
        refused=f'{kind.kind} in version "{version}" cannot be handled as a {kind.kind}: ',
    )


def decode_dict(
    kind: Kind, document: JsonObject, *, field_validation: FieldValidation, repeated: tuple[Path, ...] = ()
) -> Decoded:
    """Decodes what a patch made; the document is not changed. Raises as `decode_object` does."""
    return _decode(kind, document, encode_json(document), field_validation=field_validation, repeated=repeated)


def _decode(
    kind: Kind,
    document: JsonObject,
    encoded: bytes,
    *,
    field_validation: FieldValidation,
    repeated: tuple[Path, ...],
    refused: str = "",
) -> Decoded:
    _check_type(kind, document)
    metadata = document.get("metadata")
    dropped = _DROPPED_METADATA if kind.namespaced else _DROPPED_OF_CLUSTER_SCOPED
    if isinstance(metadata, dict) and not metadata.keys().isdisjoint(dropped):
        kept = {key: value for key, value in metadata.items() if key not in dropped}
        encoded = write_json({**document, "metadata": kept})
    if len(encoded) > MOST_OBJECT_BYTES:
        raise RequestTooLarge(f"Request entity too large: limit of an object is {MOST_OBJECT_BYTES}")
    check_values(encoded, MOST_VALUES, of="an object")
    found, unknown, problems = _tolerant(kind, encoded)
    complaints: tuple[str, ...] = ()
    if field_validation is not FieldValidation.IGNORE:
        complaints = (*_complaints("unknown", unknown), *_complaints("duplicate", repeated))
    if complaints and field_validation is FieldValidation.STRICT:
        shown = ", ".join(complaints[:_MOST_SHOWN])
        more = f", and {len(complaints) - _MOST_SHOWN} more" if len(complaints) > _MOST_SHOWN else ""
        raise StrictDecodingError(f"{refused}strict decoding error: {shown}{more}")
    if found is None:
        raise Invalid(problems=problems[:_MOST_SHOWN], name=_name_in(metadata))
    if isinstance(found, RegardingEvent):
        return Decoded(Event.model_validate(as_involved(found.to_wire())), complaints, as_involved(document))
    return Decoded(found, complaints, document)


def _check_type(kind: Kind, document: JsonObject) -> None:
    for key, expected in (("apiVersion", kind.api_version), ("kind", kind.kind)):
        given = document.get(key)
        if given is None or given in ("", expected):
            continue
        shown = given[:_LONGEST_ECHO] if isinstance(given, str) else type_in_words(given)
        raise BadRequest(f"the {key} in the data ({shown}) does not match the expected {key} ({expected})")


def _name_in(metadata: Any) -> str:
    names = [metadata.get("name"), metadata.get("generateName")] if isinstance(metadata, dict) else []
    return next((name[:_LONGEST_ECHO] for name in names if name and isinstance(name, str)), "")


def _complaints(adjective: str, paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(f'{adjective} field "{field_path(path)}"' for path in paths)


def _tolerant(kind: Kind, encoded: bytes) -> tuple[AnyObject | None, list[Path], tuple[FieldProblem, ...]]:
    """The object (or none, and problems) after taking out what clients may send; and the unknown fields among that."""
    unknown: list[Path] = []
    while True:
        result = _validated(kind, encoded)
        if not isinstance(result, list):
            return result, unknown, ()
        unknown += [error["loc"] for error in result if error["type"] == "extra_forbidden"]
        problems = tuple(problem_of(kind, error) for error in result if not is_removable(error))
        if problems:
            return None, unknown, problems
        encoded = _without(encoded, [error["loc"] for error in result])


def _validated(kind: Kind, encoded: bytes) -> AnyObject | list[ErrorDetails]:
    model, strict = sent_model(kind), True
    while True:
        try:
            # Strict, for "5" is no number in Kubernetes; by alias only, for our Python names are no field names.
            checked: AnyObject = model.model_validate_json(encoded, strict=strict, by_alias=True, by_name=False)
        except ValidationError as error:
            errors = error.errors(include_url=False)
        else:
            return checked
        if errors[0]["type"] == "json_invalid":
            raise BadRequest("the request body is nested too deeply")
        found = [error for error in errors if not (strict and _is_timestamp(error))]
        if found:
            return found
        # Only times are left, which a validator of theirs keeps from being read strictly.
        strict = False


def _is_timestamp(error: ErrorDetails) -> bool:
    text = error["input"]
    return error["type"] == "datetime_type" and isinstance(text, str) and _TIMESTAMP.fullmatch(text) is not None


def _without(encoded: bytes, paths: list[Path]) -> bytes:
    document = read_json(encoded)
    # From the last to the first, so that positions in lists stay true.
    for *parents, last in reversed(paths):
        holder = document
        for step in parents:
            holder = holder[step]
        del holder[last]
    return write_json(document)
