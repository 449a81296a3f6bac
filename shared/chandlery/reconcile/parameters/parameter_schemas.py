"""Parameters held against the JSON schema of their plan, before a service broker gets them. Pure.

Source: OSB v2.17, "Schemas Object". JSON Schema drafts 4, 6, 7, 2019-09 and 2020-12, as `$schema` says. A schema of
another draft, or one that cannot be used or takes too long, refuses nothing: then the broker decides.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from jsonschema.protocols import Validator
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable

from chandlery.model.json.json_text import write_json
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.parameters.bounded_patterns import is_too_costly
from chandlery.reconcile.parameters.bounded_validators import (
    TooCostly,
    bounded_time,
    first_errors,
    looked_through,
    metaschema_validator,
    time_left,
    validator_for,
)
from chandlery.reconcile.parameters.cost_bounded_cache import CostBoundedCache
from chandlery.reconcile.parameters.violation_words import sentences

MOST_VIOLATIONS = 20
ROOT = "parameters"
_MOST_SCHEMA_BYTES: Final = 32 << 20
_MOST_FINDING_BYTES: Final = 2 << 20
_BYTES_OF_A_SCHEMA: Final = 4 << 10
_BYTES_OF_A_FINDING: Final = 300
_BYTES_PER_BYTE: Final = 12
"""What a byte of JSON takes as an object, about, with what a validator keeps of it."""
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


@dataclass(frozen=True, kw_only=True)
class _CompiledSchema:
    problem: str | None = None
    digest: bytes = b""
    validator: Validator | None = field(default=None, repr=False)


_schemas: Final = CostBoundedCache[bytes, _CompiledSchema](_MOST_SCHEMA_BYTES)
_findings: Final = CostBoundedCache[tuple[bytes, bytes], tuple[str, ...]](_MOST_FINDING_BYTES)


def violations(schema: Any, parameters: JsonObject) -> tuple[str, ...]:
    """What is wrong with the parameters: at most 20 sentences, each `<JSON path>: <what is expected>`.

    Paths look like `parameters.nodes[2].zone`. No sentence holds a value of the parameters. Nothing is wrong where
    the schema cannot be used: see `schema_problem`. What has just been found is known for a while: so whoever must not
    be held up can have it found out in a thread first.
    """
    compiled = _compiled_of(schema)
    validator, text = compiled.validator, _text(parameters)
    if validator is None or text is None:
        return ()

    def find() -> tuple[tuple[str, ...], int]:
        found = _found(validator, parameters)
        return found, _BYTES_OF_A_FINDING + sum(map(len, found))

    return _findings.of((compiled.digest, _digest(text)), find)


def _found(validator: Validator, parameters: JsonObject) -> tuple[str, ...]:
    try:
        errors = first_errors(validator, parameters, MOST_VIOLATIONS)
        found = [sentence for error in errors for sentence in islice(sentences(error, ROOT), MOST_VIOLATIONS)]
    except Exception:  # noqa: BLE001 - the schema is a stranger's: whatever it breaks, the broker has to decide
        return ()
    # Each missing property is an error of its own, and each such error tells all of them.
    return tuple(islice(dict.fromkeys(found), MOST_VIOLATIONS))


def schema_problem(schema: Any) -> str | None:
    """Why the schema cannot be used, for people; None if it can, and for drafts that are not known here.

    Nothing is fetched: a reference to what is not in the schema is a problem.
    """
    return _compiled_of(schema).problem


def unapplied_pattern(schema: JsonObject) -> str | None:
    """A pattern of the schema that is too costly to be applied, if there is one; the rest of the schema is."""
    return next(filter(is_too_costly, _patterns(schema)), None)


def _patterns(schema: JsonObject) -> Iterator[str]:
    """Whatever may be a pattern. A loop: a broker decides how deep it goes."""
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        if not isinstance(node, dict):
            continue
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        if isinstance(node.get("patternProperties"), dict):
            yield from node["patternProperties"]
        waiting += node.values()


def _text(document: JsonObject) -> bytes | None:
    try:
        return write_json(document, sort_keys=True)
    except (ValueError, TypeError, RecursionError):
        return None


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def _compiled_of(schema: Any) -> _CompiledSchema:
    if not isinstance(schema, dict):
        return _CompiledSchema(problem="it is not a JSON object")
    text = _text(schema)
    if text is None:
        return _CompiledSchema(problem="it is nested too deeply")
    digest, size = _digest(text), _BYTES_OF_A_SCHEMA + _BYTES_PER_BYTE * len(text)
    return _schemas.of(digest, lambda: (_compiled(schema, digest), size))


def _compiled(schema: JsonObject, digest: bytes) -> _CompiledSchema:
    try:
        validator = validator_for(schema)
        if validator is None:
            return _CompiledSchema()
        problem = _defect(validator)
        if problem is None:
            root, registry = looked_through(validator)
            # Else the library looks the schema through again for each reference to a name.
            validator = type(validator)(schema, registry=registry)
            problem = _missing_reference(root, registry)
        if problem is None:
            _check_end(validator)
    except TooCostly:
        return _CompiledSchema(problem="it takes too long to evaluate")
    except RecursionError:
        return _CompiledSchema(problem="it is nested too deeply, or refers to itself without an end")
    except Exception as error:  # noqa: BLE001 - see `violations`
        return _CompiledSchema(problem=f"it cannot be evaluated ({type(error).__name__})")
    return _CompiledSchema(problem=problem) if problem else _CompiledSchema(digest=digest, validator=validator)


def _defect(validator: Validator) -> str | None:
    """The first rule of its own draft that the schema breaks."""
    errors = first_errors(metaschema_validator(validator), validator.schema, 1)
    return "it is not valid: " + next(sentences(errors[0], "schema")) if errors else None


def _missing_reference(root: Resource[Any], registry: Registry[Any]) -> str | None:
    """The first reference that leads out of the schema or nowhere. A loop: a broker decides how deep it goes."""
    waiting = [(root, registry.resolver_with_root(root))]
    with bounded_time():
        while waiting:
            time_left()
            part, resolver = waiting.pop()
            for reference in _references(part.contents):
                try:
                    resolver.lookup(reference)
                except Unresolvable:
                    return f"it refers to {reference[:100]!r}, which is not in it"
            waiting += [(below, resolver.in_subresource(below)) for below in part.subresources()]
    return None


def _references(contents: Any) -> list[str]:
    found = [contents.get(keyword) for keyword in _REFERENCES] if isinstance(contents, dict) else []
    return [reference for reference in found if isinstance(reference, str)]


def _check_end(validator: Validator) -> None:
    """Evaluate it once, so that what never ends is known before anybody depends on it."""
    first_errors(validator, {}, 1)
