"""Documents as text, JSON or YAML. Lists are written item by item, so that in a thread no step of it is long."""

from typing import Any, Final

import yaml

from chandlery.model.json.json_text import read_written, write_json
from chandlery.model.objects.wire import JsonObject

_LISTS: Final = ("items", "rows")
_FAST_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def json_text(document: JsonObject) -> bytes:
    """The document as compact JSON."""
    key = next((key for key in _LISTS if document.get(key)), None)
    if key is None:
        return write_json(document)
    empty = write_json({**{name: value for name, value in document.items() if name != key}, key: []})
    return empty[:-2] + b",".join(map(write_json, document[key])) + b"]}"


def yaml_text(document: JsonObject) -> bytes:
    """The document as YAML."""
    plain = {name: _plain(value) for name, value in document.items()}
    text: bytes = yaml.dump(plain, Dumper=_FAST_DUMPER, sort_keys=False, allow_unicode=True, encoding="utf-8")
    return text


def _plain(value: Any) -> Any:
    """As a parser would give it: without tuples and the like, which YAML has tags for."""
    if isinstance(value, list):
        return [read_written(write_json(item)) for item in value]
    return read_written(write_json(value))
