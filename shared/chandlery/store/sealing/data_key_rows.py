"""The wrapped data keys and the root secret, as rows. Nothing here knows a key: see `data_keys`."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from chandlery.store.rows import utc
from chandlery.store.schema import DATA_KEYS as D
from chandlery.store.sealing.data_key_cache import KekName
from chandlery.store.sealing.providers.key_provider import WrappedKey

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

DATA: Final = "data"
ROOT: Final = "root"
"""The purposes. There is one root secret, whose id this is, too."""


@dataclass(frozen=True, kw_only=True)
class DataKeyRow:
    """One wrapped key."""

    id: str
    purpose: str
    wrapped: WrappedKey = field(repr=False)
    created_at: datetime
    closed_at: datetime | None = None
    writes: int = 0

    @property
    def context(self) -> str:
        """What it is wrapped for: another row's text does not unwrap in its place."""
        return f"chandlery/{self.purpose}/{self.id}"


class DataKeyStore:
    """The rows, as this transaction sees them."""

    def __init__(self, connection: "AsyncConnection", now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def all(self) -> Sequence[DataKeyRow]:
        """The newest first."""
        rows = await self._connection.execute(select(D).order_by(D.c.created_at.desc(), D.c.id))
        return [_read(row) for row in rows.mappings()]

    async def add(self, row: DataKeyRow) -> bool:
        """Store one; False if there is one of that id."""
        values = {
            "id": row.id,
            "purpose": row.purpose,
            "created_at": row.created_at,
            "writes": row.writes,
            **_columns(row.wrapped),
        }
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(insert(D).values(values))
        except IntegrityError:
            return False
        return True

    async def reserve(self, key_id: str, *, writes: int, most: int) -> bool:
        """Let this process seal so many texts more with it; False if that would be too many, or if it is closed."""
        free = (D.c.id == key_id) & D.c.closed_at.is_(None) & (D.c.writes + writes <= most)
        return bool((await self._connection.execute(update(D).where(free).values(writes=D.c.writes + writes))).rowcount)

    async def close_others(self, key_id: str) -> None:
        """Nothing new is to be sealed with any data key but this one."""
        others = (D.c.purpose == DATA) & (D.c.id != key_id) & D.c.closed_at.is_(None)
        await self._connection.execute(update(D).where(others).values(closed_at=self._now))

    async def rewrap(self, row: DataKeyRow, wrapped: WrappedKey) -> bool:
        """Put another wrapping in the place of this one; False if somebody else has done so, or it is gone."""
        as_it_was = (D.c.id == row.id) & (D.c.wrapped == row.wrapped.text)
        return bool((await self._connection.execute(update(D).where(as_it_was).values(_columns(wrapped)))).rowcount)

    async def closed_for(self, duration: timedelta) -> Sequence[str]:
        """The ids of those that have been closed for so long that no process can seal with them any more."""
        query = select(D.c.id).where(D.c.purpose == DATA, D.c.closed_at < self._now - duration).order_by(D.c.id)
        return (await self._connection.execute(query)).scalars().all()

    async def remove(self, key_ids: Sequence[str]) -> None:
        """Forget data keys for good: what they seal, copies included, cannot be read any more."""
        await self._connection.execute(delete(D).where(D.c.id.in_(key_ids), D.c.purpose == DATA))


def _columns(wrapped: WrappedKey) -> dict[str, Any]:
    return {"provider": wrapped.kek.provider, "kek": wrapped.kek.key, "wrapped": wrapped.text}


def _read(row: Any) -> DataKeyRow:
    wrapped = WrappedKey(KekName(row["provider"], row["kek"]), base64.b64decode(row["wrapped"]))
    return DataKeyRow(
        id=row["id"],
        purpose=row["purpose"],
        wrapped=wrapped,
        created_at=utc(row["created_at"]),
        closed_at=row["closed_at"] and utc(row["closed_at"]),
        writes=row["writes"],
    )
