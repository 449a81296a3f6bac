"""Reads the body of a server-side apply: a part of an object, in YAML or JSON, that says what its applier wants."""

from base64 import b64encode
from typing import Final

from chandlery.model.faults import BadRequest
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.body.bodies import Body, parse_body, type_in_words

_DATA: Final = "data"
_STRING_DATA: Final = "stringData"
_LONGEST_ECHO: Final = 64


def parse_configuration(payload: bytes, kind: Kind, name: str, *, find_repeated: bool) -> Body:
    """The configuration, with the name from the URL and what Secrets take as plain text where it belongs.

    Raises:
        BadRequest: malformed, of another kind or version, for another object, or with managed fields.
    """
    # JSON is YAML too, but much faster to read as what it is. kubectl sends it.
    content_type = "application/json" if payload.lstrip()[:1] == b"{" else "application/yaml"
    body = parse_body(payload, content_type, find_repeated=find_repeated, takes_protobuf=False)
    document = body.document
    for key, expected in (("apiVersion", kind.api_version), ("kind", kind.kind)):
        if document.get(key) != expected:
            given = document.get(key) or ""
            shown = given[:_LONGEST_ECHO] if isinstance(given, str) else type_in_words(given)
            raise BadRequest(f"incorrect {key} specified in apply patch: specified {shown!r}, expected {expected!r}")
    metadata = document.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise BadRequest(f"metadata must be an object, not {type_in_words(metadata)}")
    if metadata.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    if metadata.get("name") not in (None, "", name):
        raise BadRequest(f"the name of the object does not match the name on the URL ({name})")
    return Body(with_data({**document, "metadata": {**metadata, "name": name}}), b"", body.repeated)


def with_data(document: JsonObject) -> JsonObject:
    """The same with a Secret's `stringData` written into its `data`: that is where it will be owned."""
    plain = document.get(_STRING_DATA)
    data = document.get(_DATA) or {}
    if not isinstance(plain, dict) or not isinstance(data, dict):
        return document
    texts = {key: b64encode(value.encode()).decode() for key, value in plain.items() if isinstance(value, str)}
    others = {key: value for key, value in plain.items() if key not in texts}
    kept = {key: value for key, value in document.items() if key != _STRING_DATA}
    return {**kept, _DATA: {**data, **texts}, **({_STRING_DATA: others} if others else {})}
