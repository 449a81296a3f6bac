"""Reads typed fields of one JSON object and collects every problem with its path. Used by the catalog's reader only."""

from typing import Any

from chandlery.model.faults import FieldProblem
from chandlery.model.json.json_text import write_json
from chandlery.model.objects.wire import JsonObject

REQUIRED, INVALID, DUPLICATE = "FieldValueRequired", "FieldValueInvalid", "FieldValueDuplicate"

_NAMES = {str: "a string", bool: "a boolean", dict: "an object", list: "an array"}
OBJECT_LIMIT = 256 * 1024
"""Bytes of one serialized `metadata`."""

_SHOWN_CHARACTERS = 60


class Fields:
    """One object of the catalog. A null counts as absent; unknown fields are never looked at."""

    __slots__ = ("_document", "path", "problems", "remarks")

    def __init__(self, document: JsonObject, path: str, *, problems: list[FieldProblem], remarks: list[str]) -> None:
        self._document = document
        self.problems = problems
        self.remarks = remarks
        self.path = path

    def apart(self) -> "Fields":
        """The same object, whose problems and remarks are collected for it alone."""
        return Fields(self._document, self.path, problems=[], remarks=[])

    @property
    def is_broken(self) -> bool:
        """Whether anything is wrong with it."""
        return bool(self.problems)

    def has(self, name: str) -> bool:
        """Whether there is such a field, and not a null."""
        return self._document.get(name) is not None

    def text(self, name: str) -> str:
        """A string that has to be there and must not be empty."""
        value = self._document.get(name)
        if isinstance(value, str) and value:
            return value
        if value is None or value == "":
            self.complain(name, REQUIRED, message="is required and must not be empty")
        else:
            self._wrong_type(name, str)
        return ""

    def optional_text(self, name: str) -> str | None:
        """A string, or None."""
        value: str | None = self._optional(name, str)
        return value

    def flag(self, name: str) -> bool | None:
        """A boolean, or None."""
        value: bool | None = self._optional(name, bool)
        return value

    def object(self, name: str) -> JsonObject | None:
        """An object, or None."""
        value: JsonObject | None = self._optional(name, dict)
        return value

    def small_object(self, name: str) -> JsonObject | None:
        """An object of a size that can be stored and shown with others, or None."""
        value = self.object(name)
        if value is not None and (size := len(write_json(value))) > OBJECT_LIMIT:
            self.complain(name, INVALID, message=f"has {size:,} bytes and may have {OBJECT_LIMIT:,}")
        return value

    def array(self, name: str) -> list[Any] | None:
        """An array, or None."""
        value: list[Any] | None = self._optional(name, list)
        return value

    def required_array(self, name: str, *, message: str, may_be_empty: bool) -> list[Any]:
        """An array that has to be there; empty if it is not."""
        value = self._document.get(name)
        if value is None or (value == [] and not may_be_empty):
            self.complain(name, REQUIRED, message=message)
        return self.array(name) or []

    def texts(self, name: str) -> tuple[str, ...]:
        """An array of strings; empty if absent."""
        values = self.array(name) or []
        for position, value in enumerate(values):
            if not isinstance(value, str):
                self.complain(f"{name}[{position}]", INVALID, message="must be a string")
        return tuple(value for value in values if isinstance(value, str))

    def positive(self, name: str) -> int | None:
        """A positive integer; None for anything else, which OSB's readers agree to overlook."""
        value = self._document.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None

    def inside(self, name: str) -> "Fields | None":
        """The object of that name, to read on."""
        document = self.object(name)
        return None if document is None else self.at(document, name)

    def at(self, document: JsonObject, name: str) -> "Fields":
        """Fields of an object below this one."""
        return Fields(document, self._place(name), problems=self.problems, remarks=self.remarks)

    def complain(self, name: str, reason: str, *, message: str) -> None:
        """Record a problem with a field of this object."""
        self.problems.append(FieldProblem(self._place(name), reason, message))

    def remark(self, name: str, message: str) -> None:
        """Record something odd about a field of this object, which is taken all the same."""
        self.remarks.append(f"{self._place(name)}: {message}")

    def _place(self, name: str) -> str:
        return f"{self.path}.{name}".removeprefix(".")

    def _optional(self, name: str, kind: type[Any]) -> Any:
        value = self._document.get(name)
        if value is None or isinstance(value, kind):
            return value
        self._wrong_type(name, kind)
        return None

    def _wrong_type(self, name: str, kind: type[Any]) -> None:
        self.complain(name, INVALID, message=f"must be {_NAMES[kind]}")


def shown(text: str) -> str:
    """A value from the catalog, quoted, escaped and short enough for a message."""
    quoted = ascii(text[: _SHOWN_CHARACTERS + 1])[1:-1]
    return f'"{quoted}"' if len(text) <= _SHOWN_CHARACTERS else f'"{quoted[:_SHOWN_CHARACTERS]}…"'
