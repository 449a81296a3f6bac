"""Removes copies of brokers' Secrets whose broker is gone without having been dismantled.

Usually the syncer removes them with the broker's catalog (`lookup/kept_secrets`). A broker whose finalizers somebody
has taken away goes without that, and in a cluster no garbage collector of ours looks at what it has left.
"""

from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from chandlery.engine.upkeep.turns import take_turns
from chandlery.lookup.kept_secrets import owner_of_copy
from chandlery.model.faults import Fault
from chandlery.model.objects import kinds
from chandlery.model.objects.core import Secret
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.object_reads import Listing

log = structlog.get_logger(__name__)

_LEASE: Final = "left-copies"
_EVERY: Final = timedelta(hours=1)
_PART: Final = 200

Place = tuple[str, str]


class LeftCopies:
    """One of these runs in each syncer of a cluster."""

    def __init__(self, database: Database, *, owner: str) -> None:
        self._database = database
        self._owner = owner

    async def run(self) -> None:
        """Look for ever; ends by cancellation."""
        await take_turns(self._database, self.look, lease=_LEASE, owner=self._owner, every=_EVERY, failed=_failed)

    async def look(self) -> None:
        """Look at each copy once."""
        after: Place | None = None
        while True:
            removed, after = await self._database.run(partial(_looked_through, after=after))
            if removed:
                log.info(f"{removed} copies of Secrets of brokers that are gone are removed", action="keep_copies")
            if after is None:
                return


def _failed(fault: Fault) -> None:
    log.warning(f"copies of Secrets that are left were not looked for: {fault.message}", action="keep_copies")


async def _looked_through(unit: UnitOfWork, *, after: Place | None) -> tuple[int, Place | None]:
    """How many of a part are removed, and where the next part begins; None after the last."""
    found = await unit.objects.list(kinds.SECRET, Listing(after=after, limit=_PART))
    left = [each for each in found if isinstance(each, Secret) and await _is_left(unit, each)]
    for each in left:
        await unit.objects.remove_later(each)
    last = found[-1].metadata if len(found) == _PART else None
    return len(left), (last.namespace or "", last.name) if last is not None else None


async def _is_left(unit: UnitOfWork, secret: Secret) -> bool:
    owner = owner_of_copy(secret)
    return owner is not None and await unit.objects.get_by_uid(kinds.SERVICE_BROKER, owner) is None
