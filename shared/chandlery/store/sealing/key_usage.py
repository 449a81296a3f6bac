"""What is sealed with which key: counted in the database, for operators. Reads all tables that have sealed texts."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import case, func, null, select

from chandlery.model.objects import kinds
from chandlery.store.schema import CHANGES, MARKS, OBJECTS, OPERATIONS
from chandlery.store.schema import WORK_QUEUE as W
from chandlery.store.sealing.seals import CANARY
from chandlery.store.sealing.spec_sealing import FIELDS, SEALED, SEALED_ANNOTATION
from chandlery.store.work.sealed_notes import SEALED_CAUSE

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

CHANGE_LOG, WORK, CAUSES = "entries of the change log", "notes of workers", "notes of failures"
HISTORY: Final = "words in the operation history"
SPECS: Final = frozenset({CAUSES, HISTORY, *(OBJECTS[kind].name for kind in FIELDS)})
"""What is encrypted on request alone."""

Usage = Mapping[str, Mapping[str, int]]
"""Name of the key -> what it seals -> how many texts."""


class KeyUsage:
    """The counts, as this transaction sees them."""

    def __init__(self, connection: "AsyncConnection") -> None:
        self._connection = connection
        self._is_postgresql = connection.dialect.name == "postgresql"

    async def count(self) -> Usage:
        """All of them. The canary counts as one of the marks."""
        found: dict[str, Counter[str]] = {}
        for what, column, table in self._columns():
            key = self._key_of(column)
            query = select(key, func.count()).select_from(table).where(column.is_not(None)).group_by(key)
            for name, count in await self._connection.execute(query):
                found.setdefault(name, Counter())[what] += count
        canary = select(MARKS.c.value).where(MARKS.c.name == CANARY)
        if text := (await self._connection.execute(canary)).scalar():
            found.setdefault(text.partition(":")[0], Counter())["the canary"] += 1
        return found

    def _columns(self) -> "Iterator[tuple[str, ColumnElement[Any], Table]]":
        yield kinds.SECRET.plural, _text(OBJECTS[kinds.SECRET.kind].c.spec[SEALED]), OBJECTS[kinds.SECRET.kind]
        for kind in FIELDS:
            table = OBJECTS[kind]
            for column in (table.c.spec[SEALED], table.c.status[SEALED], table.c.annotations[SEALED_ANNOTATION]):
                yield table.name, _text(column), table
            yield table.name, _after_mark(table.c.managed_fields), table
        logged = CHANGES.c.object
        annotation = logged["metadata"]["annotations"][SEALED_ANNOTATION]
        for column in (logged[SEALED], logged["spec"][SEALED], logged["status"][SEALED], annotation):
            yield CHANGE_LOG, _text(column), CHANGES
        yield CHANGE_LOG, _after_mark(logged["metadata"]["managedFields"].as_string()), CHANGES
        yield WORK, W.c.sealed, W
        yield CAUSES, _text(W.c.memory[SEALED_CAUSE]), W
        for words in (OPERATIONS.c.message, OPERATIONS.c.failure):
            yield HISTORY, _after_mark(words), OPERATIONS

    def _key_of(self, column: "ColumnElement[Any]") -> "ColumnElement[str]":
        if self._is_postgresql:
            return func.split_part(column, ":", 1)
        return func.substr(column, 1, func.instr(column, ":") - 1)


def _text(column: Any) -> Any:
    return column.as_string()


def _after_mark(column: "ColumnElement[Any]") -> "ColumnElement[Any]":
    """The sealed text without the mark before it; nothing for what is not sealed."""
    mark = f"{SEALED_ANNOTATION}:"
    return case((column.startswith(mark, autoescape=True), func.substr(column, len(mark) + 1)), else_=null())
