"""What writes make of the owners of an object's fields: creates, updates and patches; `server_side_apply` has the rest.

Rules: the managers that kube-apiserver puts around structured-merge-diff (apimachinery `util/managedfields`).
"""

from dataclasses import replace
from typing import Final

from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.apply.field_comparison import Comparison, compare, fields_made
from chandlery_gateway.kube.apply.field_sets import FieldSet, difference, union, united
from chandlery_gateway.kube.apply.managed_fields import (
    APPLY,
    UPDATE,
    Author,
    Entries,
    Entry,
    Identity,
    by_identity,
    decode,
    encode,
)

BEFORE_FIRST_APPLY: Final = "before-first-apply"
_ANCIENT: Final = "ancient-changes"
_MOST_UPDATERS: Final = 10


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
