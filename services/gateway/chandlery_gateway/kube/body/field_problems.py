"""Pydantic's validation errors in Kubernetes' words, for `decoding`.

No value is quoted, except a wrong word where one of several is due, and that not in Secrets.
"""

import re
from typing import Final

from pydantic_core import ErrorDetails

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.kinds import SECRET, Kind
from chandlery_gateway.kube.body.bodies import type_in_words
from chandlery_gateway.kube.body.yaml_bodies import Path

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
