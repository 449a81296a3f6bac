"""Conditions on many values at once whose text is the same however many they are, so that it is prepared once.

On PostgreSQL the values are arrays. SQLite prepares nothing that lasts, and takes them one by one.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Integer, String, and_, any_, bindparam, exists, func, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

_TEXTS, _NUMBERS = ARRAY(String), ARRAY(BigInteger)
_PAIRS, _HALVES = "pairs", ("firsts", "seconds")


def is_one_of(connection: "AsyncConnection", column: "ColumnElement[Any]", values: Collection[str | int]) -> Any:
    """Whether the column has one of the values."""
    if connection.dialect.name != "postgresql":
        return column.in_(values)
    arrays = _NUMBERS if isinstance(column.type, Integer) else _TEXTS
    return column == any_(bindparam(None, list(values), type_=arrays))


def is_one_of_given(column: "ColumnElement[Any]", name: str, *, is_postgresql: bool) -> Any:
    """`is_one_of` for a statement that is kept: the texts are given under this name each time."""
    if not is_postgresql:
        return column.in_(bindparam(name, expanding=True))
    return column == any_(bindparam(name, type_=_TEXTS))


def is_one_of_pairs(
    connection: "AsyncConnection", columns: "tuple[ColumnElement[Any], ColumnElement[Any]]", pairs: Collection[Any]
) -> Any:
    """Whether the two columns have one of the pairs of texts."""
    if connection.dialect.name != "postgresql":
        return tuple_(*columns).in_(pairs)
    return _is_one_of(columns, [bindparam(None, half, type_=_TEXTS) for half in _halves(pairs)])


def is_one_of_given_pairs(
    columns: "tuple[ColumnElement[Any], ColumnElement[Any]]", *, is_postgresql: bool
) -> "ColumnElement[bool]":
    """`is_one_of_pairs` for a statement that is kept: `given_pairs` is what it is given each time."""
    if not is_postgresql:
        return tuple_(*columns).in_(bindparam(_PAIRS, expanding=True))
    return _is_one_of(columns, [bindparam(name, type_=_TEXTS) for name in _HALVES])


def given_pairs(pairs: Collection[tuple[str, str]], *, is_postgresql: bool) -> dict[str, Any]:
    """What a statement with `is_one_of_given_pairs` is given."""
    return dict(zip(_HALVES, _halves(pairs), strict=True)) if is_postgresql else {_PAIRS: list(pairs)}


def _halves(pairs: Collection[tuple[str, str]]) -> list[list[str]]:
    return [[pair[half] for pair in pairs] for half in (0, 1)]


def _is_one_of(columns: "tuple[ColumnElement[Any], ColumnElement[Any]]", halves: list[Any]) -> "ColumnElement[bool]":
    pair = func.unnest(*halves).table_valued("first", "second").render_derived(name="pair")
    first, second = columns
    return exists().select_from(pair).where(and_(pair.c.first == first, pair.c.second == second))
