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
    first, second = columns
    if connection.dialect.name != "postgresql":
        return tuple_(first, second).in_(pairs)
    halves = [[pair[half] for pair in pairs] for half in (0, 1)]
    given = [bindparam(None, half, type_=_TEXTS) for half in halves]
    pair = func.unnest(*given).table_valued("first", "second").render_derived(name="pair")
    return exists().select_from(pair).where(and_(pair.c.first == first, pair.c.second == second))
