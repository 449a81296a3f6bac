"""Request bodies in YAML. kubectl sends JSON, people with curl send manifests."""

from collections import Counter
from collections.abc import Hashable
from math import isfinite
from typing import Any, Final

import yaml

from chandlery.model.faults import BadRequest

Path = tuple[str | int, ...]

TOO_DEEP: Final = "the request body is nested too deeply"
_DEEPEST_YAML: Final = 200
_MOST_YAML_BYTES: Final = 256 * 1024
_FastLoader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _ManifestLoader(_FastLoader):  # type: ignore[misc, valid-type]
    """YAML as JSON would have it: times stay texts. Notes repeated keys."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self.repeated: list[Path] = []

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        self.repeated.extend((key,) for key, occurrences in keys.items() if occurrences > 1)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def _finite(loader: _ManifestLoader, node: yaml.ScalarNode) -> float:
    number: float = loader.construct_yaml_float(node)
    if isfinite(number):
        return number
    raise BadRequest(f"the request body has an infinite number or none{_position(node.start_mark)}, which JSON has not")


_ManifestLoader.add_constructor("tag:yaml.org,2002:float", _finite)
_ManifestLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_yaml(payload: bytes) -> tuple[Any, tuple[Path, ...]]:
    """What the manifest says, and the keys that it repeats.

    Raises:
        BadRequest: malformed (with line and column where known), nested too deeply, or with aliases.
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
    depth = 0
    for event in yaml.parse(payload, Loader=_FastLoader):
        if isinstance(event, yaml.AliasEvent):
            where = _position(event.start_mark)
            raise BadRequest(f"YAML aliases (*name) are not read here, write the value out{where}")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST_YAML:
            raise BadRequest(TOO_DEEP)


def _position(mark: Any) -> str:
    return f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
