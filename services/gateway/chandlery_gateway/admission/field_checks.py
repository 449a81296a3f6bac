"""Field problems and the checks that several kinds share. Each message says what to do instead."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.instances import ParametersFromSource
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.wire import wire_name
from chandlery.model.text.durations import parse_duration
from chandlery.model.text.names import subdomain_problem
from chandlery.model.text.versions import is_version

LONGEST_NAME: Final = 63
LONGEST_ECHO: Final = 253
MOST_SOURCES: Final = 50
"""Secrets that parameters may be taken from. Each is read whenever a worker looks at the object."""
_LONGEST_KEY: Final = 253
_EXTERNAL_ID: Final = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._~-]+")


def required(field: str, message: str) -> FieldProblem:
    """A field that must be given."""
    return FieldProblem(field, "FieldValueRequired", message)


def invalid(field: str, message: str, *, given: str | None = None) -> FieldProblem:
    """A field whose value cannot be accepted; `given` quotes it, where it is a name and nothing secret."""
    quoted = "" if given is None else f"{json.dumps(given[:LONGEST_ECHO], ensure_ascii=False)}: "
    return FieldProblem(field, "FieldValueInvalid", quoted + message)


def forbidden(field: str, message: str) -> FieldProblem:
    """A field that must not be given or changed here."""
    return FieldProblem(field, "FieldValueForbidden", message)


def name_problems(field: str, name: str, *, what: str) -> Iterator[FieldProblem]:
    """A required reference to an object by name; `what` ends the sentence "give the name of …"."""
    if not name:
        yield required(field, f"give the name of {what}")
    elif problem := subdomain_problem(name):
        yield invalid(field, problem, given=name)


def length_problems(field: str, value: str | None) -> Iterator[FieldProblem]:
    """Names and ids of classes and plans are at most 63 characters long."""
    if value and len(value) > LONGEST_NAME:
        yield FieldProblem(
            field, "FieldValueTooLong", f"may be at most {LONGEST_NAME} characters long, not {len(value)}"
        )


def count_problems(field: str, count: int, *, most: int) -> Iterator[FieldProblem]:
    """A list whose entries each cost the workers something."""
    if count > most:
        yield FieldProblem(field, "FieldValueTooMany", f"may have at most {most} entries, not {count}")


def key_problems(field: str, value: str | None) -> Iterator[FieldProblem]:
    """What objects are found by has to fit into a database's index, whatever its characters: as long as a name."""
    if value and len(value) > _LONGEST_KEY:
        yield FieldProblem(
            field, "FieldValueTooLong", f"may be at most {_LONGEST_KEY} characters long, not {len(value)}"
        )


def nul_problems(document: AnyObject) -> tuple[FieldProblem, ...]:
    """PostgreSQL has no text with a NUL in it, and what objects are looked up by is stored as text."""
    holders = {"spec": getattr(document, "spec", ()), "involvedObject": getattr(document, "involved_object", ())}
    return tuple(
        FieldProblem(f"{path}.{wire_name(field)}", "FieldValueInvalid", "must not contain a NUL character")
        for path, holder in holders.items()
        for field, value in holder
        if isinstance(value, str) and "\0" in value
    )


def external_id_problems(field: str, value: str | None) -> Iterator[FieldProblem]:
    """An id that goes into the path of requests to a service broker.

    OSB v2.17, "Provisioning" and "Binding": not empty, and best of RFC 3986's unreserved characters. Not a path of its
    own (`.`, `..`) either, for which anybody on the way would send the request elsewhere.
    """
    yield from key_problems(field, value)
    if value and not _EXTERNAL_ID.fullmatch(value):
        message = "may contain ASCII letters and digits, '-', '.', '_' and '~', and must not be '.' or '..'"
        yield invalid(field, message, given=value)


def counter_problems(field: str, old: int, new: int) -> Iterator[FieldProblem]:
    """A counter that users raise to ask for something again; 0 never gets here on an update."""
    if new < 0:
        yield invalid(field, "must not be negative")
    elif new < old:
        yield invalid(field, f"can only be raised; the current value is {old}")


def parameters_from_problems(sources: tuple[ParametersFromSource, ...] | None) -> Iterator[FieldProblem]:
    """Every source of parameters names a Secret and a key of it."""
    yield from count_problems("spec.parametersFrom", len(sources or ()), most=MOST_SOURCES)
    for position, source in enumerate(sources or ()):
        field = f"spec.parametersFrom[{position}]"
        if source.secret_key_ref is None:
            yield required(field, "give a source: secretKeyRef with name and key")
            continue
        yield from name_problems(f"{field}.secretKeyRef.name", source.secret_key_ref.name, what="a Secret")
        if not source.secret_key_ref.key:
            yield required(f"{field}.secretKeyRef.key", "give the key in the Secret whose value is a JSON object")


def duration_problems(
    field: str, text: str | None, *, example: str, longest: timedelta | None = None, way_out: str = ""
) -> Iterator[FieldProblem]:
    """A duration in Go's syntax that is greater than zero; None leaves it to the default."""
    if text is None:
        return
    try:
        duration = parse_duration(text)
    except ValueError as error:
        yield invalid(field, str(error))
        return
    if duration <= timedelta():
        yield invalid(field, f"must be greater than zero, such as {example}{way_out}")
    elif longest is not None and duration > longest:
        yield invalid(field, f"must be at most {longest // timedelta(minutes=1)}m, such as {example}")


def version_problems(field: str, text: str | None) -> Iterator[FieldProblem]:
    """A version such as a plan may offer, semantic or not; None and the empty text are as good as none."""
    if text and not is_version(text):
        yield invalid(field, "must be a version that the plan offers, such as 2.1.0, of at most 256 visible characters")
