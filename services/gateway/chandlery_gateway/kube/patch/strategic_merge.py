"""Kubernetes' strategic merge patch, as far as kubectl uses it on Kubernetes' own kinds.

Few lists of those kinds have a merge rule: `metadata.ownerReferences` (by uid), `metadata.finalizers` (as a set) and
those of a ServiceAccount (by name). All other lists are replaced. Source: the directives of apimachinery's
`strategicpatch`.
"""

from typing import Any, Final

from chandlery.model.faults import BadRequest
from chandlery.model.json.json_text import write_json
from chandlery.model.objects.wire import JsonObject

Field = tuple[str, ...]

_MERGE_KEYS: Final[dict[Field, str]] = {
    ("metadata", "ownerReferences"): "uid",
    ("secrets",): "name",
    ("imagePullSecrets",): "name",
}
_PRIMITIVE_SETS: Final = frozenset({("metadata", "finalizers")})
_DIRECTIVE: Final = "$patch"
_RETAIN_KEYS: Final = "$retainKeys"
_SET_ORDER: Final = "$setElementOrder/"
_DELETE_PRIMITIVES: Final = "$deleteFromPrimitiveList/"


def identity(item: Any) -> str | bytes:
    """Tells items of lists apart in linear time: equal for equal values, hashable; 1, 1.0 and true are three."""
    return item if isinstance(item, str) else write_json(item, sort_keys=True)


def strategic_merge(current: Any, patch: JsonObject, path: Field = ()) -> JsonObject:
    """The patched object.

    Raises:
        BadRequest: a directive is unknown or is not of the form it must have.
    """
    directive = patch.get(_DIRECTIVE, "merge")
    if directive == "delete":
        return {}
    if directive not in ("merge", "replace"):
        raise BadRequest("the patch has a $patch directive other than merge, replace and delete")
    values = {key: value for key, value in patch.items() if not key.startswith("$")}
    if directive == "replace":
        return values
    merged = dict(current) if isinstance(current, dict) else {}
    if _RETAIN_KEYS in patch:
        retained = {key for key in _list_of(patch, _RETAIN_KEYS) if isinstance(key, str)}
        merged = {key: value for key, value in merged.items() if key in retained}
    for key in (key for key in patch if key.startswith(_DELETE_PRIMITIVES)):
        field, removed = key.removeprefix(_DELETE_PRIMITIVES), set(map(identity, _list_of(patch, key)))
        merged[field] = [item for item in _list_of(merged, field) if identity(item) not in removed]
    for key, value in values.items():
        _set_field(merged, key, value, path=(*path, key))
    for key in (key for key in patch if key.startswith(_SET_ORDER)):
        field = key.removeprefix(_SET_ORDER)
        if merged.get(field):
            merged[field] = _ordered(merged[field], _list_of(patch, key), merge_key=_MERGE_KEYS.get((*path, field)))
    return merged


def _set_field(merged: JsonObject, key: str, value: Any, *, path: Field) -> None:
    if value is None or (isinstance(value, dict) and value.get(_DIRECTIVE) == "delete"):
        merged.pop(key, None)
    elif isinstance(value, dict):
        merged[key] = strategic_merge(merged.get(key), value, path)
    elif isinstance(value, list) and path in _PRIMITIVE_SETS:
        before = _list_of(merged, key)
        known = set(map(identity, before))
        merged[key] = [*before, *(item for item in value if identity(item) not in known)]
    elif isinstance(value, list) and path in _MERGE_KEYS:
        merged[key] = _merged_items(_list_of(merged, key), value, merge_key=_MERGE_KEYS[path])
    else:
        merged[key] = value


def _merged_items(before: list[Any], patches: list[Any], *, merge_key: str) -> list[Any]:
    if any(not isinstance(item, dict) for item in patches):
        raise BadRequest(f"items of a list that is merged by {merge_key} must be objects")
    if any(item.get(_DIRECTIVE) == "replace" and merge_key not in item for item in patches):
        return [item for item in patches if merge_key in item]
    items = {item.get(merge_key): item for item in before if isinstance(item, dict)}
    for patch in patches:
        key = patch.get(merge_key)
        if not isinstance(key, str):
            raise BadRequest(f"an item of a list that is merged by {merge_key} has no {merge_key}")
        if patch.get(_DIRECTIVE) == "delete":
            items.pop(key, None)
        else:
            items[key] = strategic_merge(items.get(key), patch)
    return list(items.values())


def _ordered(items: list[Any], order: list[Any], *, merge_key: str | None) -> list[Any]:
    def key_of(item: Any) -> str | bytes:
        return identity(item.get(merge_key) if merge_key and isinstance(item, dict) else item)

    # Of one that comes twice the first place counts.
    ranks = {key_of(item): len(order) - before_end for before_end, item in enumerate(reversed(order), start=1)}
    return sorted(items, key=lambda item: ranks.get(key_of(item), len(order)))


def _list_of(holder: JsonObject, key: str) -> list[Any]:
    value = holder.get(key) or []
    if not isinstance(value, list):
        raise BadRequest(f"{key} must be a list")
    return value
