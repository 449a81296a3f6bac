"""After a restore: positions go on far behind all that was given out before the loss, and nobody may go on from those.

A client that has seen later versions than the backup has would otherwise wait at a position that comes again, with
other changes below it that it is never told. So the log begins anew: whoever goes on from an older position, or turns
the page of an older list, is answered 410 and lists again, as Kubernetes' clients do by themselves.
"""

from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, select, text

from chandlery.store.objects.changes import AHEAD, ORDINALS, TICK, TRIMMED
from chandlery.store.schema import CHANGES
from chandlery.store.work.leases import read_mark, set_mark

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

LEAP: Final = 2**32
"""Transactions that are left out: no server makes as many between a backup and its loss without wrapping its own
counter. A position has room for thousands of such leaps."""
_NEXT: Final = text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")


async def begin_new_numbers(connection: "AsyncConnection") -> None:
    """Leap, and forget the log. For a database that no process works on: a leap lifts the horizon above what runs."""
    trimmed = int(await read_mark(connection, TRIMMED) or 0)
    newest = (await connection.execute(select(func.max(CHANGES.c.position)))).scalar() or 0
    if connection.dialect.name == "postgresql":
        next_number = int((await connection.execute(_NEXT)).scalar_one())
        lead = int(await read_mark(connection, AHEAD) or 0)
        number = max(next_number + lead, max(newest, trimmed) // ORDINALS) + LEAP
        await set_mark(connection, AHEAD, str(number - next_number))
    else:
        number = max(int(await read_mark(connection, TICK) or 0), max(newest, trimmed) // ORDINALS) + LEAP
        await set_mark(connection, TICK, str(number))
    await connection.execute(delete(CHANGES))
    # Half a leap back: transactions that run somewhere on the server keep the horizon a little below the next number.
    await set_mark(connection, TRIMMED, str((number - LEAP // 2) * ORDINALS))
