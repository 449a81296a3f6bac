"""Server-side apply: an object, who owns its fields, and a configuration become the next object and its owners.

Called by `mutations` in the transaction that locks the object. Semantics of kube-apiserver: what an applier states
is merged and becomes its own, what it no longer states goes unless somebody else owns it, and a field of which another
manager wants another value is a conflict, unless the applier takes it by force.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from chandlery.model.faults import BadRequest
from chandlery.model.json.json_text import NotJson, read_json, write_json
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.apply.apply_conflicts import ApplyConflict, FieldConflict
from chandlery_gateway.kube.apply.field_comparison import Comparison, compare, fields_stated
from chandlery_gateway.kube.apply.field_sets import difference, has, intersection, paths, united
from chandlery_gateway.kube.apply.managed_fields import (
    APPLY,
    Author,
    Entries,
    Entry,
    before_first_apply,
    bereaved,
    decode,
    encode,
    with_data,
)
from chandlery_gateway.kube.apply.structured_merge import merged, pruned
from chandlery_gateway.kube.body.bodies import Body, parse_body, type_in_words

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


LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL: Final = "kubectl"
"""The field manager of `kubectl apply --server-side`; only it carries on what client-side apply began."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply comes to: the desired object in wire form, and the text of its managed fields."""

    document: JsonObject
    managed_fields: str | None


def first_applied(config: JsonObject, author: Author) -> str | None:
    """The managed fields of an object that an apply creates."""
    return encode([author.entry(APPLY, fields_stated(config, author.shape))])


def applied(
    live: JsonObject, managed_fields: str | None, config: JsonObject, author: Author, *, force: bool
) -> Applied:
    """Apply the configuration to the object; neither is changed.

    Raises:
        ApplyConflict: fields that are to change are owned by others, and force is not used.
    """
    shape = author.shape
    entries = decode(managed_fields) or before_first_apply(live, author)
    own = author.entry(APPLY, fields_stated(config, shape))
    before = entries.get(own.identity)
    others = {identity: entry for identity, entry in entries.items() if identity != own.identity}
    document = merged(live, config, shape)
    if before:
        owned = united(entry.fields for entry in (own, *others.values()))
        document = pruned(document, before.fields, owned, shape)
    found = compare(live, document, shape)
    if not force:
        _refuse(tuple(_conflicts(others, found)), live=live, author=author)
    if found.is_equal and before and before.fields == own.fields:
        # Nothing happens, so the time stays as well and nothing is written.
        own = before
    left = bereaved(others, found)
    return Applied(_with_last_applied(document, config, author), encode([*left.values(), own]))


def _conflicts(others: Entries, found: Comparison) -> Iterator[FieldConflict]:
    for entry in sorted(others.values(), key=_by_name):
        for path in paths(intersection(entry.fields, found.changed)):
            yield FieldConflict(entry, path)


def _by_name(entry: Entry) -> tuple[str, ...]:
    return entry.manager, entry.operation, entry.api_version, entry.subresource


def _refuse(conflicts: tuple[FieldConflict, ...], *, live: JsonObject, author: Author) -> None:
    if not conflicts:
        return
    allowed = _last_applied_fields(live, author) if author.manager == _KUBECTL else {}
    left = tuple(conflict for conflict in conflicts if not has(allowed, conflict.path))
    if left:
        raise ApplyConflict(left)


def _last_applied_fields(live: JsonObject, author: Author) -> dict[str, Any]:
    """What client-side apply set and nobody has changed since: kubectl may take that over without a conflict."""
    text = _annotations(live).get(LAST_APPLIED)
    try:
        config = read_json(text) if text else None
    except NotJson:
        return {}
    if not isinstance(config, dict) or config.get("apiVersion") != author.kind.api_version:
        return {}
    config = with_data(config)
    found = compare(config, live, author.shape)
    return difference(fields_stated(config, author.shape), united(iter((found.changed, found.removed))))


def _with_last_applied(document: JsonObject, config: JsonObject, author: Author) -> JsonObject:
    """Keeps the annotation of client-side apply true for whoever goes back to that."""
    if author.manager != _KUBECTL or not _annotations(document).get(LAST_APPLIED):
        return document
    annotations = {key: value for key, value in _annotations(config).items() if key != LAST_APPLIED}
    metadata = {key: value for key, value in config.get("metadata", {}).items() if key != "annotations"}
    stated = {**config, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}}
    text = write_json(stated, sort_keys=True).decode() + "\n"
    updated = {**_annotations(document), LAST_APPLIED: text}
    return {**document, "metadata": {**document["metadata"], "annotations": updated}}


def _annotations(document: JsonObject) -> JsonObject:
    metadata = document.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return annotations if isinstance(annotations, dict) else {}
