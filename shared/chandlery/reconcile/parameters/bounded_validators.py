"""The validators of the library `jsonschema`, made safe for schemas and values that nobody has looked at. Pure.

What differs: an evaluation ends when its processor time is used up, patterns and the comparison of items too; nothing
is ever fetched; `format` and `unevaluatedProperties`/`unevaluatedItems` are not checked.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from itertools import islice
from typing import Any, Final

import attrs
from jsonschema import Draft4Validator, Draft6Validator, Draft7Validator, Draft201909Validator, Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry, Resource, Specification
from referencing.jsonschema import specification_with

from chandlery.reconcile.parameters.bounded_patterns import finds

SECONDS: Final = 0.25
"""Processor time that one evaluation may take."""

_DEEPEST_STACK: Final = 700
"""Frames of Python's thousand that an evaluation may begin a keyword in."""

_deadline: ContextVar[float] = ContextVar("deadline")

Keyword = Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]


class TooCostly(Exception):
    """The evaluation has used up its time."""


def first_errors(validator: Validator, value: Any, limit: int) -> list[ValidationError]:
    """Up to so many errors.

    Raises:
        TooCostly: they were not found in the time that there is.
        RecursionError: the schema refers to itself without an end, or nearly so.
    """
    # A collection of garbage counts as time of the thread that it befalls, and what comes of it is kept for a while.
    with suppress(TooCostly):
        return _errors(validator, value, limit)
    return _errors(validator, value, limit)


def _errors(validator: Validator, value: Any, limit: int) -> list[ValidationError]:
    with bounded_time():
        return list(islice(validator.iter_errors(value), limit))


@contextmanager
def bounded_time() -> Iterator[None]:
    """Let `time_left` count from now."""
    token = _deadline.set(time.thread_time() + SECONDS)
    try:
        yield
    finally:
        _deadline.reset(token)


def validator_for(schema: Any) -> Validator | None:
    """A validator for the schema, or None for a draft that is not known or not named."""
    draft = schema.get("$schema") if isinstance(schema, dict) else None
    kind = _KINDS.get(_plain(draft)) if isinstance(draft, str) else None
    return None if kind is None else kind(schema, registry=Registry())


def looked_through(validator: Validator) -> tuple[Resource[Any], Registry[Any]]:
    """The schema of the validator, which is sound, and all that can be referred to in it."""
    specification: Specification[Any] = specification_with(str(validator.META_SCHEMA["$schema"]))
    root = specification.create_resource(validator.schema)
    return root, Registry[Any]().with_resource(root.id() or "", root).crawl()


def metaschema_validator(validator: Validator) -> Validator:
    """What validates the schema itself."""
    return type(validator)(validator.META_SCHEMA, registry=Registry())


def _plain(draft: str) -> str:
    return draft.removeprefix("https:").removeprefix("http:").rstrip("#")


def time_left() -> float:
    """Seconds of processor time; raises TooCostly if there are none."""
    left = _deadline.get() - time.thread_time()
    if left <= 0:
        raise TooCostly
    return left


def _timed(keyword: Keyword) -> Keyword:
    def within_time(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterable[ValidationError] | None:
        time_left()
        _refuse_deep_stack()
        return keyword(validator, rule, instance, schema)

    return within_time


def _refuse_deep_stack() -> None:
    """Raises RecursionError before Python does: native parts of the library make a panic of that, and end the task."""
    try:
        sys._getframe(_DEEPEST_STACK)  # noqa: SLF001 - the one way to ask that takes no time
    except ValueError:
        return
    raise RecursionError


def _pattern(validator: Any, rule: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and finds(rule, instance, seconds=time_left()) is False:
        yield ValidationError("pattern")


def _pattern_properties(
    validator: Any, rule: Mapping[str, Any], instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, subschema in rule.items():
        for name, value in instance.items():
            if finds(pattern, name, seconds=time_left()):
                yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object") or rule is True:
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in instance.items():
        if name in known or any(finds(pattern, name, seconds=time_left()) is not False for pattern in patterns):
            continue
        if rule is False:
            yield ValidationError("additionalProperties", path=(name,))
        else:
            yield from validator.descend(value, rule, path=name)


def _unique_items(validator: Any, rule: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if not rule or not validator.is_type(instance, "array"):
        return
    seen = set()
    for item in instance:
        time_left()
        text = json.dumps(_comparable(item), sort_keys=True)
        if text in seen:
            yield ValidationError("uniqueItems")
            return
        seen.add(text)


def _comparable(value: Any) -> Any:
    """1 and 1.0 are the same number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()}
    return value


_OWN: dict[str, Keyword] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
}
# The library looks for what is evaluated with patterns and recursions of its own, which nothing can end.
_LEFT_TO_THE_BROKER = ("unevaluatedProperties", "unevaluatedItems")


def _bounded(kind: type[Validator]) -> type[Validator]:
    keywords = {**kind.VALIDATORS, **_OWN}
    timed = {name: _timed(keyword) for name, keyword in keywords.items()}
    everything = {**timed, **dict.fromkeys(_LEFT_TO_THE_BROKER, _nothing)}
    bounded: type[Validator] = extend(kind, everything)  # type: ignore[no-untyped-call]
    # The library's own goes back to its own validators wherever a part of a schema names a draft.
    bounded.evolve = attrs.evolve  # type: ignore[method-assign,assignment]
    bounded.descend = _with_path(bounded.descend)  # type: ignore[attr-defined]
    return bounded


def _with_path(descend: Callable[..., Iterable[ValidationError]]) -> Callable[..., Iterable[ValidationError]]:
    """The library forgets the path of what a schema of `false` excludes."""

    def descend_with_path(self: Validator, instance: Any, schema: Any, *places: Any, **named: Any) -> Any:
        if schema is False:
            path = places[0] if places else named.get("path")
            return [ValidationError("false", validator="false", path=() if path is None else (path,))]
        return descend(self, instance, schema, *places, **named)

    return descend_with_path


def _nothing(_validator: Any, _rule: Any, _instance: Any, _schema: Any) -> None:
    """Check nothing."""


_KINDS: dict[str, type[Validator]] = {
    "//json-schema.org/draft-04/schema": _bounded(Draft4Validator),
    "//json-schema.org/draft-06/schema": _bounded(Draft6Validator),
    "//json-schema.org/draft-07/schema": _bounded(Draft7Validator),
    "//json-schema.org/draft/2019-09/schema": _bounded(Draft201909Validator),
    "//json-schema.org/draft/2020-12/schema": _bounded(Draft202012Validator),
}
