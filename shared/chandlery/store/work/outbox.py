"""Messages that are committed with the state they speak of, and published afterwards.

Comes in: messages from whoever has made something due or has news for watchers (`add`), written with the last
statements of the transaction.
Goes out: numbered entries; to the relay of the same process as soon as the transaction is committed, or to the sweep of
any process later, if that one has died in between (`older_than`).
Called by: whoever has a `UnitOfWork`; the relay, which removes what the bus has confirmed.

A message is sent if, and only if, its transaction was committed; it may be sent twice. One that is never sent costs
time and nothing else: the work queue knows what is due.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, select, text

from chandlery.contracts.messages import Message, ObjectChanged, UnreadableMessage, decode, encode_whole
from chandlery.model.json.json_text import write_json
from chandlery.store.pruning.steps import remove_found
from chandlery.store.schema import OUTBOX
from chandlery.store.sets_of_values import is_one_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_AT = bindparam("at", type_=OUTBOX.c.at.type)
_INSERT: Final = "INSERT INTO outbox (at, message) SELECT"
_INSERT_ALL: Final[Mapping[str, tuple[Any, Callable[[list[str]], Any]]]] = {
    "postgresql": (
        text(
            f"{_INSERT} :at, message FROM unnest(CAST(:messages AS text[])) WITH ORDINALITY AS given (message, place)"
            " ORDER BY place RETURNING id"
        ).bindparams(_AT),
        list,
    ),
    "sqlite": (
        text(f"{_INSERT} :at, value FROM json_each(:messages) ORDER BY key RETURNING id").bindparams(_AT),
        lambda texts: write_json(texts).decode(),
    ),
}
"""Statement, and the messages as it takes them."""


@dataclass(frozen=True)
class OutboxEntry:
    """A message that waits for its confirmation."""

    id: int
    message: Message


class Outbox:
    """The outbox, as this transaction sees it."""

    def __init__(self, connection: "AsyncConnection", now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._pending: list[Message] = []
        self._told: set[str] = set()

    def add(self, *messages: Message | None) -> None:
        """Publish these once the transaction has committed; None is passed over.

        Of several that say "look at the change log" of one kind the first will do.
        """
        for message in messages:
            if isinstance(message, ObjectChanged):
                if message.kind in self._told:
                    continue
                self._told.add(message.kind)
            if message is not None:
                self._pending.append(message)

    async def flush(self) -> list[OutboxEntry]:
        """Write what was added and return it with its numbers."""
        if not self._pending:
            return []
        texts = [encode_whole(message).decode() for message in self._pending]
        # SQLAlchemy's way to many rows with their numbers has another text for each count, and on SQLite a statement
        # for each. A message that comes later has the larger number.
        statement, given = _INSERT_ALL[self._connection.dialect.name]
        rows = await self._connection.execute(statement, {"at": self._now, "messages": given(texts)})
        ids = sorted(rows.scalars())
        entries = [OutboxEntry(number, message) for number, message in zip(ids, self._pending, strict=True)]
        self._pending.clear()
        self._told.clear()
        return entries

    async def older_than(self, moment: datetime, *, limit: int) -> Sequence[OutboxEntry]:
        """What somebody committed and nobody has published: their process died in between."""
        query = select(OUTBOX.c.id, OUTBOX.c.message).where(OUTBOX.c.at < moment).order_by(OUTBOX.c.id).limit(limit)
        if self._connection.dialect.name == "postgresql":
            query = query.with_for_update(skip_locked=True)
        rows = (await self._connection.execute(query)).all()
        return [entry for number, message in rows if (entry := _entry(number, message))]

    async def remove(self, ids: Sequence[int]) -> None:
        """The bus has confirmed these."""
        await self._connection.execute(delete(OUTBOX).where(is_one_of(self._connection, OUTBOX.c.id, ids)))

    async def forget(self, before: datetime, *, limit: int) -> int:
        """Take away, unpublished, what is older than the moment, at most so many; returns how many.

        Nothing is lost with a message: the work queue knows what is due, and the change log what has happened.
        """
        old = select(OUTBOX.c.id).where(OUTBOX.c.at < before).order_by(OUTBOX.c.id).limit(limit)
        return await remove_found(self._connection, OUTBOX.c.id, old)


def _entry(number: int, message: str) -> OutboxEntry | None:
    try:
        return OutboxEntry(number, decode(message.encode()))
    except UnreadableMessage:
        # Of a newer release, while the two run side by side: its own sweep reads it.
        return None
