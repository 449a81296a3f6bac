"""How a violation of a JSON schema is told: where, and what is expected there. Pure.

Never what was found: it may come from a Secret. That is why no message of the library is used, which all repeat it.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jsonschema.exceptions import ValidationError

LONGEST = 300
"""Characters of one sentence."""
IS_REQUIRED = "is required"
"""What is said of a property that is missing."""
_LONGEST_VALUE = 60
_LONGEST_NAME = 60
_SHOWN_VALUES = 10
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

_TYPES = {
    "array": "an array",
    "boolean": "a boolean",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}


def sentences(error: ValidationError, root: str) -> Iterator[str]:
    """One sentence, or one for each missing property. `root` is what the value as a whole is called."""
    path = place(root, error.absolute_path)
    if "propertyNames" in error.absolute_schema_path:
        yield _cut(f"{path}: the name of a property {_expected(error)}")
    elif error.validator == "required":
        rule: Any = error.validator_value
        found: Any = error.instance
        for name in rule:
            if name not in found:
                yield _cut(f"{place(path, [name])}: {IS_REQUIRED}")
    else:
        yield _cut(f"{path}: {_expected(error)}")


def place(root: str, path: Iterable[str | int]) -> str:
    """`parameters.nodes[2].zone`; names that are no words are quoted."""
    return root + "".join(map(_step, path))


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if len(part) > _LONGEST_NAME:
        part = part[: _LONGEST_NAME - 1] + "…"
    return f".{part}" if _PLAIN_NAME.fullmatch(part) else f"[{json.dumps(part)}]"


def _expected(error: ValidationError) -> str:
    word = _WORDS.get(str(error.validator))
    if word is None:
        return f"does not satisfy the schema's rule `{error.validator}`"
    schema = error.schema if isinstance(error.schema, dict) else {}
    return word(error.validator_value, schema)


def _type(rule: Any, _schema: Any) -> str:
    names = [rule] if isinstance(rule, str) else rule
    return "must be " + " or ".join(_TYPES.get(name, str(name)) if isinstance(name, str) else "…" for name in names)


def _one_of_values(rule: Any, _schema: Any) -> str:
    shown = ", ".join(map(_shown, rule[:_SHOWN_VALUES]))
    return f"must be one of {shown}" + (", …" if len(rule) > _SHOWN_VALUES else "")


def _minimum(rule: Any, schema: Any) -> str:
    # In draft 4 the exclusion is a flag beside the limit.
    return f"must be {'more than' if schema.get('exclusiveMinimum') is True else 'at least'} {_shown(rule)}"


def _maximum(rule: Any, schema: Any) -> str:
    return f"must be {'less than' if schema.get('exclusiveMaximum') is True else 'at most'} {_shown(rule)}"


def _limit(before: str, after: str = "") -> Callable[[Any, Any], str]:
    return lambda rule, _schema: f"{before} {_shown(rule)}{after}"


def _always(text: str) -> Callable[[Any, Any], str]:
    return lambda _rule, _schema: text


def _alternatives(rule: Any, _schema: Any) -> str:
    return f"must have one of the {len(rule)} forms that the schema allows"


_WORDS: dict[str, Callable[[Any, Any], str]] = {
    "type": _type,
    "enum": _one_of_values,
    "const": _limit("must be"),
    "minimum": _minimum,
    "maximum": _maximum,
    "exclusiveMinimum": _limit("must be more than"),
    "exclusiveMaximum": _limit("must be less than"),
    "multipleOf": _limit("must be a multiple of"),
    "minLength": _limit("must have at least", " characters"),
    "maxLength": _limit("must have at most", " characters"),
    "pattern": _limit("must match the pattern"),
    "minItems": _limit("must have at least", " items"),
    "maxItems": _limit("must have at most", " items"),
    "uniqueItems": _always("must not have the same item twice"),
    "minProperties": _limit("must have at least", " properties"),
    "maxProperties": _limit("must have at most", " properties"),
    "additionalProperties": _always("is not a property of the schema"),
    "additionalItems": _always("has more items than the schema allows"),
    "items": _always("has more items than the schema allows"),
    "contains": _always("does not contain a required item"),
    "not": _always("has a form that the schema excludes"),
    "anyOf": _alternatives,
    "oneOf": _alternatives,
    "false": _always("is not allowed"),
    "None": _always("is not allowed"),
    "required": _always("lacks a required property"),
}


def _shown(value: Any) -> str:
    """A value of the schema, never of the parameters."""
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _cut(sentence: str) -> str:
    return sentence if len(sentence) <= LONGEST else sentence[: LONGEST - 1] + "…"
