# ruff: noqa: INP001, E501 - a script, with the lines of a page
"""Writes `docs/chart-values.md` from the chart's values, the comments beside them, and its schema.

python docs/generate_chart_values.py            # write it
python docs/generate_chart_values.py --check    # exit 1 if it is stale
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from docs.generated_page import table, write_or_check  # noqa: E402

PAGE: Final = Path(__file__).with_name("chart-values.md")
CHART: Final = ROOT / "deploy" / "chart" / "chandlery"
_MOST_CHOICES: Final = 12
_SERVICES: Final = frozenset({"gateway", "provisioner", "binder", "syncer"})
_TOLD_FOR_ALL: Final = ("provisioner", "gateway")
"""Services whose comments go for the others as well: what workers have in common first."""
_ALIKE: Final = frozenset({"resources", "storage", "issuerRef"})
"""Branches that mean the same wherever they stand."""
_HEAD: Final = """\
# Values of the chart

<!-- Written by docs/generate_chart_values.py from deploy/chart/chandlery/values.yaml and values.schema.json; edit there. -->

Every value of the [Helm chart](../deploy/chart/chandlery/README.md), with its default and what the schema lets through. Helm refuses a value that does not
exist or does not fit before anything is installed. What the values mean together is told by the [chart's own page](../deploy/chart/chandlery/README.md)
and by the guides.
"""


@dataclass(frozen=True)
class Value:
    """One value: where it stands, what it is by default, what stands beside it as a comment."""

    path: tuple[str, ...]
    default: Any
    comment: str

    @property
    def is_branch(self) -> bool:
        return isinstance(self.default, dict) and bool(self.default)


def page() -> str:
    """The whole page."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = list(every_value((CHART / "values.yaml").read_text(encoding="utf-8")))
    top = [each for each in values if len(each.path) == 1]
    single = _rows([each for each in top if not each.is_branch], values, schema)
    return "\n".join([_HEAD, single, *(_section(each, values, schema) for each in top if each.is_branch)])


def every_value(text: str) -> Iterator[Value]:
    """The values of a file in their order, branches before what is in them."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        yield from _below(root, (), yaml.safe_load(text), text.splitlines())


def _below(
    node: yaml.MappingNode, path: tuple[str, ...], values: Mapping[str, Any], lines: Sequence[str]
) -> Iterator[Value]:
    for key, below in node.value:
        name = str(key.value)
        # What stands above a line with braces is about all that is in them.
        comment = "" if node.flow_style else _comment(lines, key.start_mark.line)
        yield Value((*path, name), values[name], comment)
        if isinstance(below, yaml.MappingNode):
            yield from _below(below, (*path, name), values[name], lines)


def _comment(lines: Sequence[str], line: int) -> str:
    above: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        above.insert(0, lines[line].strip().lstrip("#").strip())
    return " ".join(above)


def _section(top: Value, values: Sequence[Value], schema: Mapping[str, Any]) -> str:
    about = [top.comment, ""] if top.comment else []
    inside = [each for each in values if each.path[0] == top.path[0] and not each.is_branch]
    return "\n".join([f"## {top.path[0]}", "", *about, _rows(inside, values, schema)])


def _rows(leaves: Sequence[Value], values: Sequence[Value], schema: Mapping[str, Any]) -> str:
    def row(each: Value) -> list[str]:
        part = _part(each.path, schema)
        meaning = meaning_of(each, values) or str(part.get("description", ""))
        return [f"`{'.'.join(each.path)}`", _default(each.default), _in_words(part, schema), meaning]

    return table(["value", "default", "allowed", "meaning"], [row(each) for each in leaves])


def meaning_of(value: Value, values: Sequence[Value]) -> str:
    """What is said of it: above it, above what it is in, or above its like; nothing if nobody says anything."""
    for each in (value, *_of_other_services(value, values)):
        if told := _told(each, values) or _told_around(each, values):
            return told
    return next((each.comment for each in values if each.comment and _is_alike(value, each)), "")


def _of_other_services(value: Value, values: Sequence[Value]) -> list[Value]:
    if value.path[0] not in _SERVICES:
        return []
    return [each for service in _TOLD_FOR_ALL for each in values if each.path == (service, *value.path[1:])]


def _told_around(value: Value, values: Sequence[Value]) -> str:
    """Which value has the comment of the innermost branch that it is in, but for the section's."""
    around = [each for each in values if 1 < len(each.path) < len(value.path) and _is_in(value, each) and each.comment]
    return f"See `{'.'.join(_first_leaf(around[-1], values).path)}`." if around else ""


def _told(value: Value, values: Sequence[Value]) -> str:
    """Its comment, after those of the branches below the section's that begin with it."""
    around = [
        each.comment
        for each in values
        if 1 < len(each.path) < len(value.path) and _is_in(value, each) and _first_leaf(each, values) == value
    ]
    return " ".join(filter(None, [*around, value.comment]))


def _is_in(value: Value, branch: Value) -> bool:
    return value.path[: len(branch.path)] == branch.path


def _is_alike(value: Value, branch: Value) -> bool:
    return branch.is_branch and branch.path[-1] in _ALIKE and branch.path[-1] in value.path


def _first_leaf(branch: Value, values: Sequence[Value]) -> Value:
    return next(each for each in values if each.path[: len(branch.path)] == branch.path and not each.is_branch)


def _default(value: Any) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{shown}`" if shown else ""


def _part(path: Sequence[str], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the schema says of a value; nothing of what it leaves open."""
    found: Mapping[str, Any] = schema
    for name in path:
        found = _resolved(_resolved(found, schema).get("properties", {}).get(name, {}), schema)
    return found


def _resolved(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in part:
        target: Any = schema
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        part = target
    return part


def _in_words(part: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    part = _resolved(part, schema)
    for choice in ("anyOf", "oneOf"):
        if choice in part:
            return " or ".join(dict.fromkeys(filter(None, (_in_words(each, schema) for each in part[choice]))))
    if "enum" in part:
        names = [f"`{json.dumps(each).strip(chr(34))}`" for each in part["enum"] if each != ""]
        return ", ".join(names[:_MOST_CHOICES]) + (" …" if len(names) > _MOST_CHOICES else "")
    kinds = part.get("type", "")
    words = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if words == "array" and "items" in part:
        words = f"list of {_in_words(part['items'], schema)}".strip()
    bounds = [f"{name} {part[key]}" for name, key in (("from", "minimum"), ("to", "maximum")) if key in part]
    return " ".join([words, *bounds]).strip()


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or check it; the exit status."""
    return write_or_check(PAGE, page(), arguments, script="generate_chart_values.py")


if __name__ == "__main__":
    sys.exit(main())
