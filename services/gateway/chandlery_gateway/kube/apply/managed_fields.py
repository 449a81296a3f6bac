"""`metadata.managedFields`: who owns which fields of an object, as it is stored, worked with, shown and sent.

Stored as one JSON text, so that whoever does not look into it, which is every worker, pays next to nothing for it.
What a create, an update or a patch makes of it is here, too; `server_side_apply` has the rest. Rules: the managers that
kube-apiserver puts around structured-merge-diff (apimachinery `util/managedfields`).
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from chandlery.model.json.json_text import MOST_OWNED_VALUES, read_written, write_json
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.metadata import to_timestamp
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.apply.field_comparison import Comparison, compare, fields_made
from chandlery_gateway.kube.apply.field_sets import FieldSet, difference, read_field_set, union, united
from chandlery_gateway.kube.apply.field_shapes import Structure, shape_of
from chandlery_gateway.kube.body.bodies import check_values

APPLY: Final = "Apply"
UPDATE: Final = "Update"
LONGEST_MANAGER: Final = 128
_LONGEST_SUBRESOURCE: Final = 256
_LONGEST_KEPT: Final = 4 * 1024
_DATA: Final = "data"
_STRING_DATA: Final = "stringData"
BEFORE_FIRST_APPLY: Final = "before-first-apply"
_ANCIENT: Final = "ancient-changes"
_MOST_UPDATERS: Final = 10
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who writes now, and to which part of an object of which kind."""

    manager: str
    kind: Kind
    now: datetime
    subresource: str = ""

    @property
    def shape(self) -> Structure:
        """The shape of what this write may own."""
        return shape_of(self.kind, self.subresource)

    def entry(self, operation: str, fields: FieldSet) -> "Entry":
        """What this author owns by this write."""
        return Entry(
            manager=self.manager,
            operation=operation,
            api_version=self.kind.api_version,
            subresource=self.subresource,
            time=to_timestamp(self.now),
            fields=fields,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What one manager owns by one kind of operation."""

    manager: str
    operation: str
    api_version: str
    fields: FieldSet
    time: str | None = None
    subresource: str = ""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What tells entries apart: appliers keep theirs through all versions of the API."""
        version = "" if self.operation == APPLY else self.api_version
        return self.manager, self.operation, self.subresource, version

    @property
    def rank(self) -> tuple[str, str, str, str, str]:
        """Where the entry stands in the list."""
        return self.operation, self.time or "", self.manager, self.api_version, self.subresource

    def to_wire(self) -> JsonObject:
        """As clients see it."""
        wire: JsonObject = {"manager": self.manager, "operation": self.operation, "apiVersion": self.api_version}
        if self.time:
            wire["time"] = self.time
        wire |= {"fieldsType": "FieldsV1", "fieldsV1": self.fields}
        return {**wire, "subresource": self.subresource} if self.subresource else wire


Identity = tuple[str, str, str, str]
Entries = Mapping[Identity, Entry]


def by_identity(entries: Iterable[Entry]) -> dict[Identity, Entry]:
    """The entries as they are worked with; those that own nothing are left out, doubles become one."""
    found: dict[Identity, Entry] = {}
    for entry in entries:
        if entry.fields:
            before = found.get(entry.identity)
            found[entry.identity] = replace(entry, fields=union(before.fields, entry.fields)) if before else entry
    return found


def encode(entries: Iterable[Entry]) -> str | None:
    """The text that is stored; None if nobody owns anything.

    Raises:
        RequestTooLarge: each of many managers owns much. An object's fields are counted once for each of them.
    """
    listed = [entry.to_wire() for entry in sorted(entries, key=lambda entry: entry.rank) if entry.fields]
    if not listed:
        return None
    text = write_json(listed)
    check_values(text, MOST_OWNED_VALUES, of="all that the managers of an object own")
    return text.decode()


def decode(text: str | None) -> dict[Identity, Entry]:
    """The entries of a stored text."""
    return by_identity(_entry(each) for each in managed_fields_wire(text)) if text else {}


def managed_fields_wire(text: str) -> list[JsonObject]:
    """A stored text as clients see it. Shared between calls: not to be changed."""
    return _kept_wire(text) if len(text) <= _LONGEST_KEPT else _wire(text)


def _wire(text: str) -> list[JsonObject]:
    listed: list[JsonObject] = read_written(text)
    return listed


# Watches render the same text again with every status that is written.
_kept_wire = lru_cache(maxsize=512)(_wire)


def read_sent(value: Any, *, api_version: str) -> dict[Identity, Entry] | None:
    """What a client sent as managed fields: none to have them forgotten; None if there is nothing usable.

    As in Kubernetes, an empty list or one with an empty entry forgets them, and what cannot be read is passed over.
    """
    if value in ([], [{}]):
        return {}
    if not isinstance(value, list):
        return None
    entries = []
    for each in value:
        if not _is_entry(each):
            return None
        fields = read_field_set(each.get("fieldsV1") or {})
        if fields is None:
            return None
        entries.append(_entry({**each, "fieldsV1": fields}))
    return by_identity(entry for entry in entries if entry.api_version == api_version) or None


def _is_entry(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    texts = [value.get(name) or "" for name in ("manager", "apiVersion", "subresource", "time")]
    if not all(isinstance(text, str) for text in texts):
        return False
    manager, api_version, subresource, time = texts
    return (
        value.get("operation") in (APPLY, UPDATE)
        and value.get("fieldsType") == "FieldsV1"
        and bool(api_version)
        and len(manager) <= LONGEST_MANAGER
        and len(subresource) <= _LONGEST_SUBRESOURCE
        and (not time or _TIME.fullmatch(time) is not None)
    )


def _entry(wire: JsonObject) -> Entry:
    return Entry(
        manager=wire.get("manager") or "",
        operation=wire["operation"],
        api_version=wire["apiVersion"],
        fields=wire.get("fieldsV1") or {},
        time=wire.get("time"),
        subresource=wire.get("subresource") or "",
    )


def on_create(document: JsonObject, author: Author) -> str | None:
    """Whoever creates an object owns all that the request states; `document` is its body."""
    return encode([author.entry(UPDATE, fields_made(document, author.shape))])


def on_update(old: JsonObject, new: JsonObject, *, entries: Entries, author: Author) -> str | None:
    """Whoever changes fields takes them from everybody else; fields that go away are nobody's any more.

    Objects of which nobody owns anything, such as those that workers make, stay so until the first apply.
    """
    if not entries:
        return None
    found = compare(old, new, author.shape)
    left = bereaved(entries, found)
    if found.changed:
        own = author.entry(UPDATE, found.changed)
        before = left.get(own.identity)
        left[own.identity] = replace(own, fields=union(before.fields, own.fields)) if before else own
    return encode(_capped(left).values())


def bereaved(entries: Entries, found: Comparison) -> dict[Identity, Entry]:
    """The entries without what another write has changed or removed."""
    if found.is_equal:
        return dict(entries)
    lost = united(iter((found.changed, found.removed)))
    return by_identity(replace(entry, fields=difference(entry.fields, lost)) for entry in entries.values())


def before_first_apply(document: JsonObject, author: Author) -> dict[Identity, Entry]:
    """What stands in an object whose fields nobody owns is somebody's all the same, so that it is not overwritten."""
    fields = fields_made(document, author.shape)
    return by_identity([replace(author, manager=BEFORE_FIRST_APPLY).entry(UPDATE, fields)])


def _capped(entries: dict[Identity, Entry]) -> dict[Identity, Entry]:
    """Of many names that wrote once, the oldest become one entry."""
    updaters = sorted((entry for entry in entries.values() if entry.operation == UPDATE), key=lambda entry: entry.rank)
    if len(updaters) <= _MOST_UPDATERS:
        return entries
    oldest = updaters[: len(updaters) - _MOST_UPDATERS + 1]
    fields = united(entry.fields for entry in oldest)
    ancient = replace(oldest[-1], manager=_ANCIENT, subresource="", fields=fields)
    return by_identity([*(entry for entry in entries.values() if entry not in oldest), ancient])


def is_same_but_for_times(first: str | None, second: str | None) -> bool:
    """Whether two stored texts say the same of who owns what."""
    return first == second or _timeless(first) == _timeless(second)


def _timeless(text: str | None) -> dict[Identity, FieldSet]:
    return {identity: entry.fields for identity, entry in decode(text).items()}


def appliers(text: str | None) -> dict[Identity, FieldSet]:
    """What the managers own that apply server-side."""
    return {identity: fields for identity, fields in _timeless(text).items() if identity[1] == APPLY}


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
