"""One transaction's way to what follows a restore: the hold, the identity of the database, numbers that begin anew.

Called by: `chandlery migrate`, which notices a restored copy; `chandlery reconcile`; processes when they start.
"""

from typing import TYPE_CHECKING, Final

from chandlery.model.faults import ConfigurationFault, Unavailable
from chandlery.store.recovery.database_identity import is_copy, note_identity
from chandlery.store.recovery.new_numbers import begin_new_numbers
from chandlery.store.recovery.restored_hold import RestoredHold
from chandlery.store.recovery.sole_use import other_process

_UNSEEN: Final = (
    "the database was restored or copied from another server: run `chandlery migrate`, which lets nothing be done at "
    "service brokers until you have compared it with them"
)

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection


class RestoredUnseen(Unavailable):
    """A copy that `chandlery migrate` has not seen: positions that were given out before would be given out again."""


class RestoredDatabase:
    """See above."""

    def __init__(self, connection: "AsyncConnection", now: "datetime") -> None:
        self._connection = connection
        self.hold = RestoredHold(connection, now)

    async def look(self) -> str | None:
        """At a start: since when it is held, or None.

        Raises RestoredUnseen if this is a copy of the database that was noted. Numbers can begin anew only while nobody
        works, so whoever starts waits for that.
        """
        if await is_copy(self._connection):
            raise RestoredUnseen(_UNSEEN)
        await note_identity(self._connection)
        return await self.hold.since()

    async def begin_anew(self) -> None:
        """It was restored: hold, and give out new numbers. For a database that no process works on."""
        await self.hold.begin()
        await begin_new_numbers(self._connection)
        await note_identity(self._connection, anew=True)

    async def is_copy(self) -> bool:
        """Whether it was restored, or copied, since its last start."""
        return await is_copy(self._connection)

    async def require_nobody(self) -> None:
        """Raises ConfigurationFault if a service is connected. Of SQLite its own locks tell."""
        if who := await other_process(self._connection):
            raise ConfigurationFault(f"a process works on the database ({who}): stop all of them first")

    async def go_on(self) -> None:
        """End the hold."""
        await note_identity(self._connection, anew=True)
        await self.hold.end()
