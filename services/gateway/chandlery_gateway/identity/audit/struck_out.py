"""What is kept of a request's body at the level Request: its shape, and those values that can be no secret. Pure.

What is struck out is not guessed by its look: only texts under names of fields that our kinds have stay, and of those
not the ones that carry values of users (data of Secrets, parameters, annotations, tokens). So a field that somebody
mistyped, or that came in a patch, is struck out, too.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel

from chandlery.model.faults import Fault
from chandlery.model.json.json_text import has_more_values
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.body.bodies import parse_body, parse_json
from chandlery_gateway.kube.kinds.served_kinds import KNOWN_KINDS
from chandlery_gateway.kube.patch.patches import JSON_PATCH

STRUCK_OUT: Final = "<removed>"
MOST_BYTES: Final = 16 * 1024
"""Of a body that is kept; of a larger one the event tells the size."""
_MOST_VALUES: Final = 1_000
_LONGEST_TEXT: Final = 512
_DEEPEST: Final = 16
_WHOLLY: Final = frozenset({"parameters", "managedFields", "value", "stringValue", "conditions", "schemas", "extra"})
_VALUES: Final = frozenset({"annotations", "data", "stringData", "binaryData", "externalMetadata"})
"""Of these the keys stay."""
_SECRET_NAME: Final = re.compile(r"(?i)(token|passw|secret|credential|authorization|apikey|bearer|private|cabundle)")
_REFERENCE: Final = re.compile(r"(?i)(ref|name|namespace|key|type)s?$")
_LABELS: Final = frozenset({"labels", "matchLabels"})
_USER_IN_URL: Final = re.compile(r"(?<=://).*@", re.DOTALL)
"""Up to the last one, whatever is before it: what is refused for what stands there is recorded, too."""
_QUERY_OF_URL: Final = re.compile(r"(?<=\?).*", re.DOTALL)
_PATCHES: Final = "application/merge-patch+json", "application/strategic-merge-patch+json"
_APPLIES: Final = "application/apply-patch+yaml"


def kept_of(payload: bytes, content_type: str) -> Any:
    """The body as it may be kept; None if nothing of it can be read, or it is too large for that."""
    if len(payload) > MOST_BYTES or has_more_values(payload, _MOST_VALUES):
        return None
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        if media_type == JSON_PATCH:
            return [_kept_step(step) for step in parse_json(payload) if isinstance(step, dict)]
        read_as = {**dict.fromkeys(_PATCHES, "application/json"), _APPLIES: "application/yaml"}
        body = parse_body(payload, read_as.get(media_type, content_type), find_repeated=False, takes_protobuf=True)
    except (Fault, TypeError, RecursionError):
        return None
    return _kept(body.document, _DEEPEST)


def _kept_step(step: JsonObject) -> JsonObject:
    """Of a JSON patch: where it changes something, and nothing of what it writes there."""
    kept = {name: step[name] for name in ("op", "path", "from") if isinstance(step.get(name), str)}
    return {**kept, "value": STRUCK_OUT} if "value" in step else kept


def _kept(value: Any, deep: int, *, name: str = "") -> Any:
    if isinstance(value, dict):
        if not deep:
            return STRUCK_OUT
        return {_key(key): _kept_field(key, each, deep - 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_kept(each, deep - 1, name=name) for each in value] if deep else STRUCK_OUT
    if isinstance(value, str):
        return _without_login(value[:_LONGEST_TEXT])
    return value


def _kept_field(name: str, value: Any, deep: int) -> Any:
    if name in _LABELS and isinstance(value, dict):
        return {_key(key): each[:_LONGEST_TEXT] if isinstance(each, str) else STRUCK_OUT for key, each in value.items()}
    if name in _VALUES and isinstance(value, dict):
        return {_key(key): STRUCK_OUT for key in value}
    if name in _WHOLLY or name in _VALUES or name not in _known_names():
        return STRUCK_OUT
    if isinstance(value, str) and _SECRET_NAME.search(name) and not _REFERENCE.search(name):
        return STRUCK_OUT
    return _kept(value, deep, name=name)


def _key(key: str) -> str:
    return key[:_LONGEST_TEXT]


def _without_login(text: str) -> str:
    if "://" not in text:
        return text
    return _QUERY_OF_URL.sub(STRUCK_OUT, _USER_IN_URL.sub(f"{STRUCK_OUT}@", text))


_KNOWN: Final[set[str]] = set()


def _known_names() -> set[str]:
    """The names of all fields of all kinds that are known."""
    if not _KNOWN:
        for kind in KNOWN_KINDS:
            _KNOWN.update(_names_of(kind.model, set()))
            _KNOWN.update(kind.body_fields)
        _KNOWN.update(("dryRun", "preconditions", "propagationPolicy", "orphanDependents", "gracePeriodSeconds"))
    return _KNOWN


def _names_of(model: Any, seen: set[Any]) -> Iterator[str]:
    if isinstance(model, type) and issubclass(model, BaseModel):
        if model in seen:
            return
        seen.add(model)
        for name, field in model.model_fields.items():
            yield field.alias or name
            yield from _names_of(field.annotation, seen)
        return
    for part in get_args(model):
        yield from _names_of(part, seen)
