"""What two databases agree on about a table: how many rows, and a checksum of all of them in any order. Pure.

A row is read the same way from both (`readable`): JSON as its text, so that nothing of it is lost on the way, not even
the difference between no value and a JSON `null`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import JSON, Column, Table, Text, cast, type_coerce
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

from chandlery.model.json.json_text import read_written, write_json

_MODULUS: Final = 2**256
_POSTGRESQL: Final = postgresql.dialect()  # type: ignore[no-untyped-call]


@dataclass
class TableDigest:
    """Of the rows so far."""

    rows: int = 0
    checksum: int = 0

    def add(self, values: Sequence[Any]) -> None:
        """One row, as `readable` gives it."""
        text = "\x1f".join(map(_canonical, values))
        self.rows += 1
        # A sum, so that the order does not matter and equal rows do not cancel each other.
        self.checksum = (self.checksum + int.from_bytes(hashlib.sha256(text.encode()).digest())) % _MODULUS


def is_json(column: "Column[Any]") -> bool:
    """Whether it is read and written as text."""
    return isinstance(column.type, JSON)


def readable(table: Table, *, is_postgresql: bool) -> list[Any]:
    """The columns to select, in the order of the table."""
    take = cast if is_postgresql else type_coerce
    return [take(column, Text).label(column.name) if is_json(column) else column for column in table.columns]


def normalized(table: Table, row: Sequence[Any]) -> list[Any]:
    """The values as both databases have them."""
    return [_value(column, value) for column, value in zip(table.columns, row, strict=True)]


def _value(column: "Column[Any]", value: Any) -> Any:
    if isinstance(value, datetime):
        # SQLite knows no zones; all that is stored is UTC.
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if value is not None and is_json(column) and _is_binary(column):
        # PostgreSQL writes these in an order of its own.
        return write_json(_sorted(read_written(value))).decode()
    return value


def _is_binary(column: "Column[Any]") -> bool:
    return isinstance(column.type.dialect_impl(_POSTGRESQL), JSONB)


def _sorted(value: Any) -> Any:
    return dict(sorted(value.items())) if isinstance(value, dict) else value


def _canonical(value: Any) -> str:
    return f"{type(value).__name__}:{value.isoformat() if isinstance(value, datetime) else value}"
