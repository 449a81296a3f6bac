"""Documents of a dump, one after the other: what `kubectl get … -o yaml` and `-o json` print.

Comes in: files, or stdin. Goes out: objects as they stand there, `List`s taken apart, with where each was found.

A dump that was cut off is refused, wherever it ends: kubectl writes what a list is behind its items.
A dump may be large. YAML is read from a stream and made into objects item by item, JSON is cut into its items before
any is read: neither is ever in memory as objects as a whole. Values are those of JSON: times stay texts.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import yaml

from chandlery.model.faults import ConfigurationFault
from chandlery.model.json.json_text import NotJson, read_json
from chandlery.model.objects.wire import JsonObject

STDIN: Final = Path("-")
_ITEMS: Final = "items"
_FastLoader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG: Final = "tag:yaml.org,2002:"
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_ITEMS_BEGIN: Final = re.compile(rb'"items"\s*:\s*\[')
_BETWEEN: Final = re.compile(rb"[\s,]*")
_DEEPEST: Final = 200


class _CutOff(Exception):
    """The dump ends before what it has begun."""


class _DumpLoader(_FastLoader):  # type: ignore[misc, valid-type]
    """YAML as JSON would have it: kubectl quotes every text that YAML 1.1 would take for something else."""


_DumpLoader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in (
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _DumpLoader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"(?:{_pattern})\Z"), _first)
_DumpLoader.add_constructor(f"{_TAG}int", lambda loader, node: int(loader.construct_scalar(node)))
_DumpLoader.add_constructor(f"{_TAG}float", lambda loader, node: float(loader.construct_scalar(node)))


def read_dumps(paths: Iterable[Path]) -> Iterator[JsonObject]:
    """All objects of the dumps. Raises ConfigurationFault for what is neither YAML nor JSON, or cannot be read."""
    for path in paths:
        shown = "stdin" if path == STDIN else str(path)
        with _opened(path, shown) as stream:
            yield from _read(stream, shown)


@contextmanager
def _opened(path: Path, shown: str) -> Iterator[IO[bytes]]:
    if path == STDIN:
        yield sys.stdin.buffer
        return
    try:
        stream = path.open("rb")
    except OSError as error:
        raise ConfigurationFault(f"the dump {shown} cannot be read: {error.strerror}") from error
    with stream:
        yield stream


def _read(stream: IO[bytes], shown: str) -> Iterator[JsonObject]:
    beginning = stream.read(1)
    while beginning.isspace():
        beginning = stream.read(1)
    rest = _Continued(beginning, stream)
    try:
        documents = _json_items(rest.read()) if beginning in (b"{", b"[") else _yaml_items(rest)
        for document in documents:
            yield from _objects(document, shown)
    except _CutOff:
        message = f"the dump {shown} ends in the middle, so that objects are missing: take another one"
        raise ConfigurationFault(message) from None
    except NotJson as fault:
        raise ConfigurationFault(f"the dump {shown} is not JSON: {fault.message}") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        # Without the parser's own words, which quote the dump.
        raise ConfigurationFault(f"the dump {shown} is not YAML{where}") from None


class _Continued:
    """A stream of which something has been read already."""

    def __init__(self, beginning: bytes, rest: IO[bytes]) -> None:
        self._beginning = beginning
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        """As a file."""
        beginning, self._beginning = self._beginning, b""
        return beginning + self._rest.read(size if size < 0 else max(0, size - len(beginning)))


def _objects(document: Any, shown: str) -> Iterator[JsonObject]:
    """The objects of a document; of a list in a list, too."""
    if document is None:
        return
    if isinstance(document, list):
        for each in document:
            yield from _objects(each, shown)
        return
    if not isinstance(document, dict):
        raise ConfigurationFault(f"the dump {shown} holds something else than objects of Kubernetes")
    items = document.get(_ITEMS)
    if isinstance(items, list) and str(document.get("kind", "")).endswith("List"):
        for each in items:
            # In a list of one kind, as the API gives it, items need not say what they are.
            kind = str(document["kind"]).removesuffix("List")
            named = {"apiVersion": document.get("apiVersion"), "kind": kind} if kind else {}
            yield from _objects({**named, **each} if isinstance(each, dict) else each, shown)
        return
    yield document


def _json_items(text: bytes) -> Iterator[Any]:
    """The values one after the other; of an object with `items`, each of these instead of the whole."""
    position = 0
    while position < len(text):
        end = _end_of_value(text, position)
        lists = _ITEMS_BEGIN.search(text, position, end)
        if lists is None or _depth(text, position, lists.start()) != 1:
            yield read_json(text[position:end])
        else:
            begin = lists.end() - 1
            rest = text[position : lists.start()] + text[_end_of_value(text, begin) : end]
            yield from _elements(text, begin + 1, named=_named_in(rest), end=end)
        position = end
        while position < len(text) and text[position : position + 1].isspace():
            position += 1


def _named_in(rest: bytes) -> JsonObject:
    """What items of a list are that do not say it, by the list around them."""
    kind = re.search(rb'"kind"\s*:\s*"([A-Za-z]*)List"', rest)
    version = re.search(rb'"apiVersion"\s*:\s*"([^"\\]*)"', rest)
    return {"kind": kind[1].decode(), "apiVersion": version[1].decode()} if kind and kind[1] and version else {}


def _elements(text: bytes, start: int, *, named: JsonObject, end: int) -> Iterator[Any]:
    while start < end:
        found = _BETWEEN.match(text, start, end)
        start = found.end() if found else start
        if text[start : start + 1] != b"{":
            return
        stop = _end_of_value(text, start)
        yield {**named, **read_json(text[start:stop])}
        start = stop


def _end_of_value(text: bytes, start: int) -> int:
    """Behind the object or list that begins there. Raises _CutOff if it has no end."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
        elif first in b"]}":
            depth -= 1
            if depth == 0:
                return token.end()
    if depth > 0:
        raise _CutOff
    return len(text)


def _depth(text: bytes, start: int, end: int) -> int:
    depth = 0
    for token in _TOKEN.finditer(text, start, end):
        depth += (token[0][:1] in b"[{") - (token[0][:1] in b"]}")
    return depth


def _yaml_items(stream: Any) -> Iterator[Any]:
    """The documents; of one with `items`, each of these as it comes, and then the rest."""
    loader = _DumpLoader(stream)
    try:
        while not loader.check_event(yaml.StreamEndEvent):
            if loader.check_event(yaml.DocumentStartEvent) or loader.check_event(yaml.StreamStartEvent):
                loader.get_event()
                continue
            if loader.check_event(yaml.DocumentEndEvent):
                loader.get_event()
                continue
            yield from _yaml_document(loader)
    finally:
        loader.dispose()


def _yaml_document(loader: Any) -> Iterator[Any]:
    if not loader.check_event(yaml.MappingStartEvent):
        yield _built(loader, _node(loader, {}))
        return
    loader.get_event()
    anchors: dict[str, yaml.Node] = {}
    rest: dict[Any, Any] = {}
    nameless, has_items = list[Any](), False
    while not loader.check_event(yaml.MappingEndEvent):
        key = _built(loader, _node(loader, anchors))
        has_items = has_items or key == _ITEMS
        if key == _ITEMS and loader.check_event(yaml.SequenceStartEvent):
            loader.get_event()
            while not loader.check_event(yaml.SequenceEndEvent):
                item = _built(loader, _node(loader, anchors))
                if isinstance(item, dict) and "kind" not in item:
                    # What they are is said behind them.
                    nameless.append(item)
                else:
                    yield item
            loader.get_event()
        else:
            rest[key] = _built(loader, _node(loader, anchors))
    loader.get_event()
    kind = str(rest.get("kind", ""))
    if has_items and not kind.endswith("List"):
        raise _CutOff
    if not has_items:
        yield rest
    for item in nameless:
        yield {"apiVersion": rest.get("apiVersion"), "kind": kind.removesuffix("List"), **item}


def _built(loader: Any, node: yaml.Node) -> Any:
    return loader.construct_document(node)


def _node(loader: Any, anchors: dict[str, yaml.Node], depth: int = 0) -> yaml.Node:
    """The node that begins with the next event: PyYAML's composer only makes whole documents."""
    event = loader.get_event()
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise yaml.YAMLError
        return anchors[event.anchor]
    node: yaml.Node
    if isinstance(event, yaml.ScalarEvent):
        tag = event.tag or loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        node = yaml.ScalarNode(tag, event.value)
    elif isinstance(event, yaml.SequenceStartEvent):
        node = yaml.SequenceNode(event.tag or loader.resolve(yaml.SequenceNode, None, event.implicit), [])
        while not loader.check_event(yaml.SequenceEndEvent):
            node.value.append(_node(loader, anchors, depth + 1))
        loader.get_event()
    elif isinstance(event, yaml.MappingStartEvent):
        node = yaml.MappingNode(event.tag or loader.resolve(yaml.MappingNode, None, event.implicit), [])
        while not loader.check_event(yaml.MappingEndEvent):
            key = _node(loader, anchors, depth + 1)
            node.value.append((key, _node(loader, anchors, depth + 1)))
        loader.get_event()
    else:
        raise yaml.YAMLError
    if event.anchor:
        anchors[event.anchor] = node
    return node
