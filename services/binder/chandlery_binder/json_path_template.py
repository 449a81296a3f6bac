r"""Evaluates a `jsonPathExpression`: the part of kubectl's template language in which a path names one value.

`{.host}`, `{.ports[0]}`, `{.tls['ca.crt']}`, `{$.uri}`, `{.a\.b}`, and text around them: `tcp://{.host}:{.port}`. What
can find several values or none (wildcards, `..`, slices, filters, `range`) is refused rather than guessed at.
Source: the Kubernetes documentation of "JSONPath Support". Called by `secret_projection.py`.
"""

import re
from collections.abc import Mapping
from typing import Any

from chandlery.model.clean_text import QUOTE_LONGEST, clean_text, quoted
from chandlery.model.faults import Fault
from chandlery_binder.growing_secret import json_text

_PART = re.compile(r"(?P<text>[^{}]+)|\{(?P<path>(?:[^{}'\"]|'[^']*'|\"[^\"]*\")*)\}")
_STEP = re.compile(
    r"""\.(?P<name>(?:\\.|[^\\\s.\[\]{}'"*?()@$,:|])+)"""
    r"""|\[\s*(?P<index>-?\d{1,9})\s*\]"""
    r"""|\[\s*(?P<quoted>'[^']*'|"[^"]*")\s*\]"""
)
_ESCAPE = re.compile(r"\\(.)")


class JsonPathFault(Fault):
    """The expression cannot be read, or leads nowhere. The message shows the expression, never a value."""


def render(template: str, values: Mapping[str, Any], *, most_characters: int) -> str:
    """The template with each `{path}` replaced: texts as they are, anything else as compact JSON.

    Raises:
        JsonPathFault: the template is not of the supported kind, a path leads to no value, or it becomes too long.
    """
    parts, end, room = [], 0, most_characters
    while end < len(template):
        match = _PART.match(template, end)
        if match is None:
            raise JsonPathFault(f"{quoted(template)}: a brace at position {end + 1} is not closed, or was never opened")
        path = match["path"]
        parts.append(match["text"] if path is None else json_text(_value(template, path.strip(), values)))
        end, room = match.end(), room - len(parts[-1])
        if room < 0:
            raise JsonPathFault(f"it becomes longer than {most_characters} characters")
    return "".join(parts)


def _value(template: str, path: str, values: Mapping[str, Any]) -> Any:
    found: Any = values
    end = 1 if path[:1] in ("$", "@") else 0
    if path in ("", "$", "@", "."):
        raise JsonPathFault(f"{quoted(template)}: {{{_short(path)}}} names no key")
    while end < len(path):
        step = _STEP.match(path, end)
        if step is None:
            raise JsonPathFault(
                f"{quoted(template)}: {quoted(path[end:])} is not supported;"
                " a path consists of .name, [number] and ['name']"
            )
        found = _follow(found, step, where=f"{quoted(template)}: {{{_short(path[: step.end()])}}}")
        end = step.end()
    return found


def _follow(found: Any, step: re.Match[str], *, where: str) -> Any:
    if step["index"] is not None:
        if not isinstance(found, list):
            raise JsonPathFault(f"{where} asks for an element of what is no list")
        position = int(step["index"])
        if not -len(found) <= position < len(found):
            raise JsonPathFault(f"{where} asks for an element that the list does not have")
        return found[position]
    key = step["quoted"][1:-1] if step["name"] is None else _ESCAPE.sub(r"\1", step["name"])
    if not isinstance(found, Mapping):
        raise JsonPathFault(f"{where} asks for a key of what is no object")
    if key not in found:
        raise JsonPathFault(f"{where} is not there")
    return found[key]


def _short(path: str) -> str:
    return clean_text(path, longest=QUOTE_LONGEST)
