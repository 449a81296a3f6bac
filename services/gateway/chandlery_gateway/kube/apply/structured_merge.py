"""Server-side apply's merge of a configuration into an object, and the removal of what is no longer stated.

Objects in wire form go in and come out; what goes in is not changed. Who owns what is decided by `server_side_apply`.
"""

from typing import Any

from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.apply.field_comparison import children
from chandlery_gateway.kube.apply.field_sets import FieldSet, is_member
from chandlery_gateway.kube.apply.field_shapes import (
    Free,
    KeyedList,
    Map,
    SetList,
    Shape,
    Structure,
    item_key,
    value_key,
)
from chandlery_gateway.kube.patch.strategic_merge import identity

_ROOTS_THAT_STAY = frozenset({"f:metadata"})


def merged(live: JsonObject, config: JsonObject, shape: Structure) -> JsonObject:
    """The object with all that the configuration states; lists that are taken apart keep their order."""
    result = dict(live)
    for name, value in config.items():
        known = shape.fields.get(name)
        # Unknown names go along, for whoever decodes the result complains of them.
        if value is not None:
            result[name] = _merge(result.get(name), value, known[1]) if known else value
    return result


def _merge(live: Any, config: Any, shape: Shape) -> Any:
    if isinstance(live, dict) and isinstance(config, dict):
        match shape:
            case Structure():
                return merged(live, config, shape)
            case Map() | Free():
                inner = shape.item if isinstance(shape, Map) else shape
                return {**live, **{name: _merge(live.get(name), item, inner) for name, item in config.items()}}
    if isinstance(live, list) and isinstance(config, list):
        match shape:
            case KeyedList() if children(live, shape) is not None and children(config, shape) is not None:
                return _merge_items(live, config, shape)
            case SetList() if children(config, shape) is not None:
                known = set(map(identity, live))
                return [*live, *(item for item in dict.fromkeys(config) if identity(item) not in known)]
    return config


def _merge_items(live: list[Any], config: list[Any], shape: KeyedList) -> list[Any]:
    stated = {item[shape.key]: item for item in config}
    kept = [
        _merge(item, stated.pop(item[shape.key]), shape.item) if item[shape.key] in stated else item for item in live
    ]
    return [*kept, *stated.values()]


def pruned(document: JsonObject, dropped: FieldSet, owned: FieldSet, shape: Structure) -> JsonObject:
    """The object without what its applier stated before (`dropped`) and nobody, the applier included, owns now.

    As in Kubernetes, an object or item in which nobody owns anything any more goes with all that is in it.
    """
    kept = dict(document)
    for name, (key, inner) in shape.fields.items():
        if key not in dropped or name not in document:
            continue
        owners = owned.get(key)
        if owners is None and key not in _ROOTS_THAT_STAY:
            del kept[name]
        else:
            _put(kept, name, _prune(kept[name], dropped[key], owners or {}, inner), owners)
    return kept


def _prune(value: Any, dropped: FieldSet, owned: FieldSet, shape: Shape) -> Any:
    """What is left of a value in which somebody still owns something, or which is not owned as such."""
    match shape:
        case Structure() if isinstance(value, dict):
            return pruned(value, dropped, owned, shape)
        case Map() | Free() if isinstance(value, dict):
            inner = shape.item if isinstance(shape, Map) else shape
            kept = dict(value)
            for name in value:
                _prune_item(kept, name, key=f"f:{name}", dropped=dropped, owned=owned, shape=inner)
            return kept
        case KeyedList() | SetList() if isinstance(value, list):
            return _prune_list(value, dropped, owned, shape)
    return value


def _prune_list(value: list[Any], dropped: FieldSet, owned: FieldSet, shape: KeyedList | SetList) -> list[Any]:
    kept: list[Any] = []
    for item in value:
        key = item_key(shape, item) if isinstance(shape, KeyedList) else value_key(item)
        holder = {"item": item}
        if key is not None:
            inner = shape.item if isinstance(shape, KeyedList) else shape
            _prune_item(holder, "item", key=key, dropped=dropped, owned=owned, shape=inner)
        kept += holder.values()
    return kept


def _prune_item(holder: JsonObject, name: str, *, key: str, dropped: FieldSet, owned: FieldSet, shape: Shape) -> None:
    if key not in dropped:
        return
    owners = owned.get(key)
    if owners is None and is_member(dropped[key]):
        del holder[name]
    elif dropped[key]:
        _put(holder, name, _prune(holder[name], dropped[key], owners or {}, shape), owners)


def _put(holder: JsonObject, name: str, value: Any, owners: FieldSet | None) -> None:
    """What has become empty is taken away, unless somebody owns it as such."""
    if value in ({}, []) and holder[name] not in ({}, []) and (owners is None or not is_member(owners)):
        del holder[name]
    else:
        holder[name] = value
