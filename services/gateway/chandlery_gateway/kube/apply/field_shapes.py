"""How the parts of an object are merged and owned: which maps and lists are taken apart, and which go as a whole.

Read off the models. Objects with named fields and maps are granular, down into free JSON such as parameters. Lists are
atomic but for those that Kubernetes itself keys: conditions by type, owner references by uid, finalizers as a set.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel

from chandlery.model.json.json_text import write_json
from chandlery.model.objects.conditions import Condition
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.metadata import ObjectMeta, OwnerReference

_OWNED_METADATA: Final = ("labels", "annotations", "ownerReferences")
"""And finalizers. The rest of the metadata is nobody's: it identifies the object or is the server's."""
_WRITE_ONLY: Final = "stringData"
_LIST_KEYS: Final[dict[type[BaseModel], str]] = {Condition: "type", OwnerReference: "uid"}
STATUS: Final = "status"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar, or a list that is replaced as a whole."""


@dataclass(frozen=True, slots=True)
class Structure:
    """An object with named fields: name -> its key in a field set, and its shape. Other names are nobody's."""

    fields: Mapping[str, "tuple[str, Shape]"]


@dataclass(frozen=True, slots=True)
class Map:
    """An object of which each key is somebody's own."""

    item: "Shape"


@dataclass(frozen=True, slots=True)
class Free:
    """Free JSON: objects are maps, everything else is a leaf."""


@dataclass(frozen=True, slots=True)
class KeyedList:
    """A list of objects that are told apart by one of their fields."""

    key: str
    item: Structure


@dataclass(frozen=True, slots=True)
class SetList:
    """A list of different texts."""


Shape = Leaf | Structure | Map | Free | KeyedList | SetList

LEAF: Final[Shape] = Leaf()
FREE: Final[Shape] = Free()
SET: Final[Shape] = SetList()


@cache
def shape_of(kind: Kind, subresource: str = "") -> Structure:
    """The shape of what a write to the object, or to its status, may own."""
    metadata = _structure(ObjectMeta)
    owned = {**{name: metadata.fields[name] for name in _OWNED_METADATA}, "finalizers": ("f:finalizers", SET)}
    model: type[BaseModel] = kind.model
    body = _structure(model)
    names = [name for name in kind.body_fields if (name == STATUS) == (subresource == STATUS)]
    fields = {name: body.fields[name] for name in names if name != _WRITE_ONLY}
    return Structure(fields if subresource else {"metadata": ("f:metadata", Structure(owned)), **fields})


@cache
def _structure(model: type[BaseModel]) -> Structure:
    fields = {found.alias or name: found for name, found in model.model_fields.items()}
    return Structure({name: (f"f:{name}", _shape(found.annotation)) for name, found in fields.items()})


def _shape(annotation: Any) -> Shape:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shape(arguments[0])
    if origin in (Union, UnionType):
        shapes = [_shape(each) for each in arguments if each is not type(None)]
        return shapes[0] if len(shapes) == 1 else LEAF
    if annotation is Any:
        return FREE
    if origin is dict:
        return FREE if arguments[1] is Any else Map(_shape(arguments[1]))
    if origin in (tuple, list):
        return _list(arguments[0])
    return _structure(annotation) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else LEAF


def _list(item: Any) -> Shape:
    return KeyedList(_LIST_KEYS[item], _structure(item)) if item in _LIST_KEYS else LEAF


def item_key(shape: KeyedList, item: Any) -> str | None:
    """What tells this item of the list apart, as a key of a field set; None if it lacks that."""
    value = item.get(shape.key) if isinstance(item, dict) else None
    return f"k:{write_json({shape.key: value}).decode()}" if isinstance(value, str) else None


def value_key(value: str) -> str:
    """An item of a set, as a key of a field set."""
    return f"v:{write_json(value).decode()}"
