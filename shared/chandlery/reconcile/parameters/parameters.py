"""Parameters: those of the manifest and of Secrets merged into one object, and the form in which they are shown."""

import hashlib
import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chandlery.model.faults import ParametersFault
from chandlery.model.json.json_text import NotJson, read_json
from chandlery.model.objects.instances import InstancePropertiesState
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.parameters.parameter_schemas import violations

REDACTED = "<redacted>"
_GO_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


@dataclass(frozen=True)
class Parameters:
    """What is sent, what is shown, and a checksum to tell whether it changed."""

    sent: JsonObject = field(repr=False)
    shown: JsonObject = field(repr=False)
    checksum: str
    """Empty without parameters. Hex SHA-256 as in the reference, until `keyed_checksums` makes it fit to be shown."""
    older_checksums: frozenset[str] = field(default=frozenset(), compare=False)
    """What it was, or could have been, stored as before."""


def hidden_values(sent: Mapping[str, object], *shown: Mapping[str, object] | None) -> list[object]:
    """The values of what is sent that some form in which it is shown does not show."""
    return [sent[key] for key in sent if any(form and form.get(key) == REDACTED for form in shown)]


NO_PARAMETERS = Parameters({}, {}, "")


def merge_parameters(
    inline: JsonObject | None, from_secrets: Sequence[tuple[str, bytes]], *, defaults: JsonObject | None = None
) -> Parameters:
    """Secrets first, in order, then inline. `from_secrets` pairs a name to show with the JSON text.

    What neither of them says comes from the defaults, down into objects.

    Raises ParametersFault on a key given twice or a Secret that holds no JSON object; values are never shown.
    """
    sent: JsonObject = {}
    shown: JsonObject = {}
    for source, text in from_secrets:
        part = _object(source, text)
        _add(sent, part, source)
        shown.update(dict.fromkeys(part, REDACTED))
    _add(sent, inline or {}, "parameters")
    shown.update(inline or {})
    if defaults:
        sent, shown = overlaid(defaults, sent), overlaid(defaults, shown)
    return Parameters(sent, shown, checksum(sent))


def overlaid(below: JsonObject, above: JsonObject) -> JsonObject:
    """Both objects in one: where both say something, what is above counts; objects are joined key by key.

    Rule: the reference's merge of default parameters. A list, or null, takes the place of what is below as a whole.
    """
    joined = dict(below)
    for key, value in above.items():
        lower = joined.get(key)
        joined[key] = overlaid(lower, value) if isinstance(lower, dict) and isinstance(value, dict) else value
    return joined


def what_differs(
    parameters: Parameters, has: InstancePropertiesState | None, *, forms_of: Callable[[str], Container[str]]
) -> JsonObject:
    """The parameters that are others than the broker has; all, if it is not known what it has.

    Values from Secrets are not on record. They count as the same if what is on record, with the values that the Secrets
    have now, comes to the checksum on record, else each of them as another one. `forms_of` has all that a bare checksum
    may be stored as.
    """
    shown, stored = (has.parameters or {}, has.parameter_checksum or "") if has else ({}, "")
    sent = parameters.sent
    on_record = {key: sent.get(key) if value == REDACTED else value for key, value in shown.items()}
    differing = {key for key, value in sent.items() if key not in shown or not _is_same(value, on_record[key])}
    if stored not in forms_of(checksum(on_record)):
        differing |= {key for key, value in shown.items() if value == REDACTED}
    return {key: value for key, value in sent.items() if key in differing}


def _is_same(one: object, other: object) -> bool:
    # To Python, 1 and true are equal.
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def checksum(parameters: Mapping[str, object]) -> str:
    """Hex SHA-256 of the JSON text that Go's encoder makes: sorted keys, HTML characters escaped."""
    if not parameters:
        return ""
    text = json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.translate(_GO_ESCAPES).encode(errors="surrogatepass")).hexdigest()


def _object(source: str, text: bytes) -> JsonObject:
    try:
        part = read_json(text)
    except NotJson:
        part = None
    if not isinstance(part, dict):
        raise ParametersFault(f"{source} does not hold a JSON object", source=source)
    return part


def _add(merged: JsonObject, part: JsonObject, source: str) -> None:
    twice = sorted(merged.keys() & part.keys())
    if twice:
        message = f"conflict: duplicate entry for parameter {', '.join(twice)} (again in {source})"
        raise ParametersFault(message, source=source)
    merged.update(part)


@dataclass(frozen=True)
class UpdateParameters:
    """What is to be sent, and sentences about what the schema does not allow of it."""

    sent: JsonObject = field(repr=False)
    wrong: tuple[str, ...] = ()


def parameters_to_update(schema: Any, parameters: JsonObject, *, differing: JsonObject) -> UpdateParameters:
    """All parameters, or as few as the update schema takes; `differing` are others than the broker has.

    Tried in this order: all; those that differ and those that the schema lists; those that differ.
    """
    if schema is None:
        return UpdateParameters(parameters)
    told: tuple[str, ...] = ()
    for candidate in _candidates(schema, parameters, differing):
        wrong = violations(schema, candidate)
        if not wrong:
            return UpdateParameters(candidate)
        # The least that could be sent is what people are told of: the rest stands there for good reason.
        told = wrong
    return UpdateParameters(differing, told)


def _candidates(schema: Any, whole: JsonObject, differing: JsonObject) -> Iterator[JsonObject]:
    yield whole
    properties = schema.get("properties") if isinstance(schema, dict) else None
    listed = properties if isinstance(properties, dict) else {}
    for keys in (differing.keys() | listed.keys(), differing.keys()):
        candidate = {key: value for key, value in whole.items() if key in keys}
        # An empty object would be an order to forget all of them, to some brokers.
        if candidate and len(candidate) < len(whole):
            yield candidate
