"""Protobuf message classes made at run time from a short declaration: no generated code and no compiler needed.

A message is declared by one line of fields, `number name [type]`, separated by commas. The type is string where none is
given; before it, `[]` means repeated, `{}` a map from strings and `?` that zero and empty are told from absent.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

SCALARS: Final = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
}
_FIELD: Final = re.compile(r"\s*(?P<number>\d+) (?P<key>\S+)(?: (?P<shape>\[]|{}|\?|)(?P<type>\w+))?\s*")


class Shape(StrEnum):
    """What a field holds."""

    PLAIN = ""
    OPTIONAL = "?"
    REPEATED = "[]"
    MAP = "{}"


class Field(NamedTuple):
    """A declared field. The name differs from the declared key where that is no name in protobuf (`$ref`)."""

    number: int
    name: str
    type: str
    shape: Shape

    @property
    def is_scalar(self) -> bool:
        """Whether the field, or one item of it, is no message."""
        return self.type in SCALARS


class MessageSet:
    """Messages that refer to each other, in one package of their own."""

    def __init__(self, package: str, layout: Mapping[str, str]) -> None:
        """Takes declarations by message.

        Raises:
            ValueError: a declaration cannot be read.
        """
        self._package = package
        self._fields = {message: _fields(text) for message, text in layout.items()}
        file = FileDescriptorProto(name=f"{package}.subset.proto", package=package, syntax="proto3")
        for message, fields in self._fields.items():
            declared = file.message_type.add(name=message)
            for field in fields.values():
                self._declare(declared, field)
        self._pool = DescriptorPool()
        self._pool.Add(file)

    def fields(self, message: str) -> dict[str, Field]:
        """The fields of a message by declared key."""
        return self._fields[message]

    def new(self, message: str) -> Any:
        """An empty message."""
        return GetMessageClass(self._pool.FindMessageTypeByName(f"{self._package}.{message}"))()

    def _declare(self, message: DescriptorProto, field: Field) -> None:
        row = message.field.add(name=field.name, number=field.number, label=FieldDescriptorProto.LABEL_OPTIONAL)
        if field.shape is Shape.MAP:
            entry = message.nested_type.add(name=f"{field.name[0].upper()}{field.name[1:]}Entry")
            entry.options.map_entry = True
            for part in (Field(1, "key", "string", Shape.PLAIN), Field(2, "value", field.type, Shape.PLAIN)):
                self._declare(entry, part)
            row.type, row.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{self._package}.{message.name}.{entry.name}"
        elif field.is_scalar:
            row.type = SCALARS[field.type]
        else:
            row.type, row.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{self._package}.{field.type}"
        if field.shape in {Shape.REPEATED, Shape.MAP}:
            row.label = FieldDescriptorProto.LABEL_REPEATED
        elif field.shape is Shape.OPTIONAL:
            row.proto3_optional, row.oneof_index = True, len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{field.name}")


def _fields(text: str) -> dict[str, Field]:
    fields = {}
    for declaration in text.split(","):
        found = _FIELD.fullmatch(declaration)
        if found is None:
            raise ValueError(f"no declaration of a field: {declaration!r}")
        key, shape = found["key"], Shape(found["shape"] or "")
        fields[key] = Field(int(found["number"]), key.replace("$", "_"), found["type"] or "string", shape)
    return fields
