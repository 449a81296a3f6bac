"""Messages that are committed with the state they speak of, and published afterwards.

Comes in: messages from whoever has made something due or has news for watchers (`add`), written with the last
statements of the transaction.
Goes out: numbered entries; to the relay of the same process as soon as the transaction is committed, or to the sweep of
any process later, if that one has died in between (`older_than`).
Called by: whoever has a `UnitOfWork`; the relay, which removes what the bus has confirmed.

A message is sent if, and only if, its transaction was committed; it may be sent twice. One that is never sent costs
time and nothing else: the work queue knows what is due.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from chandlery.contracts.messages import Message, UnreadableMessage, decode, encode_whole
from chandlery.store.schema import OUTBOX

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


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

    def add(self, *messages: Message | None) -> None:
        """Publish these once the transaction has committed; None is passed over."""
        self._pending.extend(message for message in messages if message is not None)

    async def flush(self) -> list[OutboxEntry]:
        """Write what was added and return it with its numbers."""
        if not self._pending:
            return []
        rows = [{"at": self._now, "message": encode_whole(message).decode()} for message in self._pending]
        statement = insert(OUTBOX).returning(OUTBOX.c.id, sort_by_parameter_order=True)
        ids = (await self._connection.execute(statement, rows)).scalars().all()
        entries = [OutboxEntry(number, message) for number, message in zip(ids, self._pending, strict=True)]
        self._pending.clear()
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
        await self._connection.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(ids)))

    async def forget(self, before: datetime, *, limit: int) -> int:
        """Take away, unpublished, what is older than the moment, at most so many; returns how many.

        Nothing is lost with a message: the work queue knows what is due, and the change log what has happened.
        """
        old = select(OUTBOX.c.id).where(OUTBOX.c.at < before).order_by(OUTBOX.c.id).limit(limit)
        return (await self._connection.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(old)))).rowcount


def _entry(number: int, message: str) -> OutboxEntry | None:
    try:
        return OutboxEntry(number, decode(message.encode()))
    except UnreadableMessage:
        # Of a newer release, while the two run side by side: its own sweep reads it.
        return None
