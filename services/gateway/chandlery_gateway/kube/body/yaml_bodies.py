"""Request bodies in YAML. kubectl sends JSON, people with curl send manifests.

Numbers are those of YAML 1.2 (its core schema), which are those of JSON: `1:30` and `1_000` are texts, `010` is ten.
"""

import re
from collections import Counter
from collections.abc import Hashable
from math import isfinite
from typing import Any, Final

import yaml

from chandlery.model.faults import BadRequest
from chandlery.model.json.json_text import MOST_DIGITS, MOST_SENT_VALUES, TOO_LARGE

Path = tuple[str | int, ...]

TOO_DEEP: Final = "the request body is nested too deeply"
_DEEPEST_YAML: Final = 200
_MOST_YAML_BYTES: Final = 256 * 1024
_FastLoader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT, _FLOAT, _TIME = (f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp"))
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FRACTION = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII
)
_NUMBERS_BEGIN_WITH: Final = "-+.0123456789"


class _ManifestLoader(_FastLoader):  # type: ignore[misc, valid-type]
    """YAML as JSON would have it: times stay texts, numbers are those of 1.2. Notes repeated keys."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self.repeated: list[Path] = []

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        self.repeated.extend((key,) for key, occurrences in keys.items() if occurrences > 1)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def _integer(loader: _ManifestLoader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    # By its tag (`!!int 1:30`) it may be any text.
    if not _INTEGER.fullmatch(text):
        raise BadRequest(f"the request body has a value that is tagged as an integer but is not one{_at(node)}")
    if len(text.lstrip("-+")) > MOST_DIGITS:
        raise BadRequest(f"the request body is not valid YAML: {TOO_LARGE}{_at(node)}")
    if text[:2] in ("0o", "0x"):
        return int(text, 0)
    return int(text)


def _fraction(loader: _ManifestLoader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node).lower()
    if not _FRACTION.fullmatch(text):
        raise BadRequest(f"the request body has a value that is tagged as a number but is not one{_at(node)}")
    number = float(text.replace(".inf", "inf").replace(".nan", "nan"))
    if isfinite(number):
        return number
    raise BadRequest(f"the request body has an infinite number or NaN{_at(node)}, which JSON does not support")


_ManifestLoader.add_constructor(_INT, _integer)
_ManifestLoader.add_constructor(_FLOAT, _fraction)
_ManifestLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_INT, _FLOAT, _TIME)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in ((_INT, _INTEGER), (_FLOAT, _FRACTION)):
    _ManifestLoader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern.pattern})\Z"), list(_NUMBERS_BEGIN_WITH))


def parse_yaml(payload: bytes) -> tuple[Any, tuple[Path, ...]]:
    """What the manifest says, and the keys that it repeats.

    Raises:
        BadRequest: malformed (with line and column where known), nested too deeply, with too many values, or with
            aliases.
    """
    if len(payload) > _MOST_YAML_BYTES:
        raise BadRequest(f"a YAML body may have at most {_MOST_YAML_BYTES} bytes; send JSON")
    try:
        _check_yaml_events(payload)
        loader = _ManifestLoader(payload)
        return loader.get_single_data(), tuple(loader.repeated)
    except (yaml.scanner.ScannerError, yaml.parser.ParserError) as error:
        # libyaml's texts are fixed; those of other classes quote the body.
        problem = f": {error.problem}{_position(error.problem_mark)}"
    except yaml.MarkedYAMLError as error:
        problem = _position(error.problem_mark)
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        # PyYAML is not prepared for a tag on a text that it does not fit: each of these is raised by one of them.
        problem = ""
    raise BadRequest(f"the request body is not valid YAML{problem}")


def _check_yaml_events(payload: bytes) -> None:
    """Refuses what a small text can exhaust memory or stack with, before anything is built of it."""
    depth = values = 0
    for event in yaml.parse(payload, Loader=_FastLoader):
        if isinstance(event, yaml.AliasEvent):
            where = _position(event.start_mark)
            raise BadRequest(f"YAML aliases (*name) are not supported, write the value out{where}")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        values += isinstance(event, yaml.NodeEvent)
        if depth > _DEEPEST_YAML:
            raise BadRequest(TOO_DEEP)
        # Keys are nodes too.
        if values > 2 * MOST_SENT_VALUES:
            raise BadRequest(f"the request body has more than {MOST_SENT_VALUES} values; an object takes fewer")


def _at(node: yaml.Node) -> str:
    return _position(node.start_mark)


def _position(mark: Any) -> str:
    return f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
