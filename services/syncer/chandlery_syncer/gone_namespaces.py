"""Forgets what happened in namespaces that a cluster has no more: whoever makes one of the name again is somebody else.

The cluster ends namespaces by itself, and tells nobody. So each of those that have a history is looked for now and
then, by one process at a time. Objects are never deleted here: a cluster that was put back to an earlier day, or is
another one, has no namespace either, and what brokers hold would be lost.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from chandlery.engine.upkeep.turns import take_turns
from chandlery.model.faults import Fault
from chandlery.model.objects import kinds
from chandlery.platform.protocol import NamespaceGate
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.object_reads import Listing

log = structlog.get_logger(__name__)

_LEASE: Final = "gone-namespaces"
_EVERY: Final = timedelta(minutes=10)
"""Each look is a call for each namespace. Until then the gateway sees to it that nobody is shown another's history."""
_PART: Final = 50
_BATCH: Final = 500
_ORDERED: Final = (kinds.SERVICE_INSTANCE, kinds.SERVICE_BINDING)


class GoneNamespaces:
    """One of these runs in each syncer of a cluster."""

    def __init__(self, database: Database, namespaces: NamespaceGate, *, owner: str) -> None:
        self._database = database
        self._namespaces = namespaces
        self._owner = owner

    async def run(self) -> None:
        """Look for ever, whatever goes wrong; ends by cancellation."""
        await take_turns(self._database, self.look, lease=_LEASE, owner=self._owner, every=_EVERY, failed=_failed)

    async def look(self) -> None:
        """Look at each namespace that has a history, and forget what is not its own."""
        after = ""
        while names := await self._database.run(partial(_known, after=after)):
            for name in names:
                begun = await self._namespaces.begun_at(name)
                await self._forget(name, before=begun)
            after = names[-1]

    async def _forget(self, name: str, *, before: datetime | None) -> None:
        removed = 0
        while part := await self._database.run(partial(_forgotten, name=name, before=before)):
            removed += part
        if removed:
            log.info(
                f"the history of a former namespace {name} is forgotten",
                action="forget_namespace",
                namespace=name,
                count=removed,
            )


def _failed(fault: Fault) -> None:
    log.warning(f"namespaces that are gone were not looked for: {fault.message}", action="forget_namespace")


async def _known(unit: UnitOfWork, *, after: str) -> Sequence[str]:
    return await unit.operations.namespaces(after=after, limit=_PART)


async def _forgotten(unit: UnitOfWork, *, name: str, before: datetime | None) -> int:
    """A part of what is not this namespace's; without one nothing of what still has objects here."""
    if before is None:
        for kind in _ORDERED:
            if await unit.objects.count(kind, Listing(namespace=name)):
                return 0
    return await unit.operations.forget_namespace(name, limit=_BATCH, before=before)
