"""Parameters held against the JSON schema of their plan, before a service broker gets them. Pure.

Source: OSB v2.17, "Schemas Object". JSON Schema drafts 4, 6, 7, 2019-09 and 2020-12, as `$schema` says. A schema of
another draft, or one that cannot be used or takes too long, refuses nothing: then the broker decides.
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema.protocols import Validator
from referencing import Registry, Specification
from referencing.exceptions import Unresolvable
from referencing.jsonschema import specification_with

from chandlery.model.wire import JsonObject
from chandlery.reconcile.bounded_validators import TooCostly, first_errors, metaschema_validator, validator_for
from chandlery.reconcile.violation_words import sentences

MOST_VIOLATIONS = 20
ROOT = "parameters"
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


@dataclass(frozen=True)
class _Schema:
    """Equal by what is in it, which is dear to compare, so by a digest."""

    digest: bytes
    document: JsonObject = field(compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class _Compiled:
    problem: str | None = None
    validator: Validator | None = field(default=None, repr=False)


def violations(schema: Any, parameters: JsonObject) -> tuple[str, ...]:
    """What is wrong with the parameters: at most 20 sentences, each `<JSON path>: <what is expected>`.

    Paths look like `parameters.nodes[2].zone`. No sentence holds a value of the parameters. Nothing is wrong where
    the schema cannot be used: see `schema_problem`.
    """
    validator = _compiled_of(schema).validator
    if validator is None:
        return ()
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


def _compiled_of(schema: Any) -> _Compiled:
    if not isinstance(schema, dict):
        return _Compiled(problem="it is not a JSON object")
    try:
        text = json.dumps(schema, sort_keys=True).encode()
    except (ValueError, TypeError, RecursionError):
        return _Compiled(problem="it is nested too deeply")
    return _compiled(_Schema(hashlib.sha256(text).digest(), schema))


@lru_cache(maxsize=256)
def _compiled(schema: _Schema) -> _Compiled:
    try:
        validator = validator_for(schema.document)
        if validator is None:
            return _Compiled()
        problem = _defect(validator) or _missing_reference(validator)
        if problem is None:
            _check_end(validator)
    except TooCostly:
        return _Compiled(problem="it takes too long to evaluate")
    except RecursionError:
        return _Compiled(problem="it is nested too deeply, or refers to itself without an end")
    except Exception as error:  # noqa: BLE001 - see `violations`
        return _Compiled(problem=f"it cannot be evaluated ({type(error).__name__})")
    return _Compiled(problem=problem) if problem else _Compiled(validator=validator)


def _defect(validator: Validator) -> str | None:
    """The first rule of its own draft that the schema breaks."""
    errors = first_errors(metaschema_validator(validator), validator.schema, 1)
    return "it is not valid: " + next(sentences(errors[0], "schema")) if errors else None


def _missing_reference(validator: Validator) -> str | None:
    """The first reference that leads out of the schema or nowhere. A loop: a broker decides how deep it goes."""
    specification: Specification[Any] = specification_with(str(validator.META_SCHEMA["$schema"]))
    root = specification.create_resource(validator.schema)
    waiting = [(root, Registry[Any]().resolver_with_root(root))]
    while waiting:
        part, resolver = waiting.pop()
        for keyword in _REFERENCES:
            reference = part.contents.get(keyword) if isinstance(part.contents, dict) else None
            if not isinstance(reference, str):
                continue
            try:
                resolver.lookup(reference)
            except Unresolvable:
                return f"it refers to {reference[:100]!r}, which is not in it"
        waiting += [(below, resolver.in_subresource(below)) for below in part.subresources()]
    return None


def _check_end(validator: Validator) -> None:
    """Evaluate it once, so that what never ends is known before anybody depends on it."""
    first_errors(validator, {}, 1)
