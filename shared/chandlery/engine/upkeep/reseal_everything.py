"""Seals everything anew with the newest data key, as it is wanted now: for `chandlery keys reseal`.

In steps of one short transaction each, beside running services. A step that is cut off is rolled back, and what is done
already is passed over next time: it can be stopped at any moment and begun again.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from chandlery.model.objects.metadata import NamespacedName
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.sealing.data_keys import CLOSED_FOR_GOOD
from chandlery.store.sealing.key_usage import CAUSES, CHANGE_LOG, HISTORY, WORK
from chandlery.store.sealing.resealing import RESEALED, Step

_STEP: Final = 200

Take = Callable[[UnitOfWork, str], Awaitable[Step]]


@dataclass(frozen=True)
class Progress:
    """How far one table has come."""

    what: str
    total: int
    """How many there were at the beginning."""
    looked: int = 0
    done: int = 0
    unreadable: tuple[NamespacedName, ...] = ()
    seconds: float = 0.0
    is_last: bool = False
    """Of its table."""

    @property
    def rate(self) -> float:
        """Looked at in each second."""
        return self.looked / self.seconds if self.seconds else 0.0


async def reseal_everything(database: Database) -> AsyncIterator[Progress]:
    """A word after each step. Raises Unavailable if something cannot be reached; what is done stays done."""
    for what, take in _takes():
        async for progress in _table(database, what, take):
            yield progress
    await database.run(lambda unit: unit.seals.move_on(to_newest=True))


async def remove_unused(database: Database) -> Sequence[str]:
    """Remove the data keys that nothing is sealed with and nobody can seal with any more; returns their ids."""

    async def remove(unit: UnitOfWork) -> Sequence[str]:
        closed = await unit.data_keys.closed_for(CLOSED_FOR_GOOD)
        if not closed:
            return ()
        used = await unit.key_usage.count()
        unused = [key_id for key_id in closed if key_id not in used]
        await unit.data_keys.remove(unused)
        return unused

    return await database.run(remove)


def _takes() -> Sequence[tuple[str, Take]]:
    objects: list[tuple[str, Take]] = [
        (kind.plural, lambda unit, after, kind=kind: unit.resealing.objects(kind, after=after, limit=_STEP))  # type: ignore[misc]
        for kind in RESEALED
    ]
    return [
        *objects,
        (WORK, lambda unit, after: unit.resealing.notes(after=after, limit=_STEP, to_newest=True)),
        (CAUSES, lambda unit, after: unit.resealing.causes(after=after, limit=_STEP)),
        (HISTORY, lambda unit, after: unit.resealing.operations(after=after, limit=_STEP)),
        (CHANGE_LOG, lambda unit, after: unit.resealing.changes(after=after, limit=_STEP)),
    ]


async def _table(database: Database, what: str, take: Take) -> AsyncIterator[Progress]:
    began, after = time.monotonic(), ""
    progress = Progress(what, await database.run(lambda unit: unit.resealing.size(what)))
    while True:
        step = await database.run(lambda unit, after=after: take(unit, after))  # type: ignore[misc]
        progress = Progress(
            what,
            progress.total,
            progress.looked + step.looked,
            progress.done + step.done,
            progress.unreadable + step.unreadable,
            time.monotonic() - began,
            is_last=step.reached is None,
        )
        yield progress
        if step.reached is None:
            return
        after = step.reached
