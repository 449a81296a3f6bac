"""The read side of the API: one object, or a list that shows one moment, however many pages and gateways it takes.

Comes in: a kind, a namespace, selectors, and the moment that is asked for: now, a resource version, or the token that
the page before has ended with (`continue_tokens.py`).
Goes out: objects as clients see them, the resource version to watch from, and the token of the next page.
Called by: the handlers of reads (`routes/read_handlers.py`), and `watch_stream.py` for what a watch begins with.

A moment of the past is today's rows with the change log taken back; what the log has forgotten is answered 410.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from chandlery.model.faults import Expired, NotFound, Unavailable
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.metadata import NamespacedName
from chandlery.model.objects.wire import JsonObject
from chandlery.store.breaths import Breaths
from chandlery.store.database import Database
from chandlery.store.objects.changes import Snapshot
from chandlery.store.objects.past_objects import PastPart
from chandlery.store.recovery.restored_hold import HELD_KINDS
from chandlery_gateway.kube.query.list_options import ContinueExpired, ListOptions, VersionTooLarge
from chandlery_gateway.read.continue_tokens import PURPOSE, ContinueToken, ContinueTokens
from chandlery_gateway.read.selection import Selection, shown

_PATIENCE_SECONDS: Final = 3.0
"""How long a version may stay beyond the horizon before it is said to be too large; API servers wait as long."""
_SETTLING_SECONDS: Final = 1.0
"""How long a list waits for transactions that were open when it was asked for."""
_PAUSE_SECONDS: Final = 0.01


class SnapshotWaits:
    """Takes snapshots of one database, and waits for those that a client asks for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def now(self, *, at_least: int = 0) -> Snapshot:
        """What is committed by now. Waits a little until the horizon is beyond the version.

        Raises VersionTooLarge if no such version has been given out yet, so that waiting cannot help.
        """
        return await self._beyond(at_least, await self._first(at_least), _PATIENCE_SECONDS)

    async def settled(self, *, at_least: int = 0) -> Snapshot:
        """A moment that its version tells exactly, with everything in it that had been committed by now.

        Somebody who keeps a transaction open for long does not hold up lists: they get what is committed all the same,
        and what its version does not tell a watch repeats. Raises VersionTooLarge, as `now` does.
        """
        first = await self._first(at_least)
        snapshot = await self._beyond(first.end - 1, first, _SETTLING_SECONDS)
        return Snapshot.at(snapshot.version) if snapshot.horizon >= first.end else snapshot

    async def _first(self, at_least: int) -> Snapshot:
        snapshot = await self._take()
        if at_least >= snapshot.end:
            raise VersionTooLarge(at_least, snapshot.version)
        return snapshot

    async def _take(self) -> Snapshot:
        return await self._database.run(lambda unit: unit.changes.snapshot())

    async def _beyond(self, position: int, snapshot: Snapshot, seconds: float) -> Snapshot:
        """The first snapshot whose horizon is beyond the position, or the last one within this time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while position >= snapshot.horizon and loop.time() < deadline:
            await asyncio.sleep(_PAUSE_SECONDS)
            snapshot = await self._take()
        return snapshot


_HELD: Final = (
    "the database was restored ({since}), and nobody has said yet that it agrees with the service brokers: whether "
    "there is such an object is told after `chandlery reconcile release`"
)
_PAGE = 500
_MOST_COUNTED: Final = 10_000
"""Objects that are counted for what a page says of those behind it: the count of a million takes longer than a page."""


@dataclass(frozen=True)
class Page:
    """A part of a list."""

    items: Sequence[JsonObject]
    resource_version: str
    continue_token: str | None = None
    remaining: int | None = None
    """About how many objects come after it, where that is known."""


class ObjectReader:
    """Reads objects in the form that clients see."""

    def __init__(self, database: Database, *, is_in_cluster: bool = False) -> None:
        self._database = database
        self._is_in_cluster = is_in_cluster
        self._tokens = ContinueTokens(database.keyring.derived(PURPOSE))
        self.moments = SnapshotWaits(database)

    async def get(self, kind: Kind, namespace: str, name: str, *, version: int = 0) -> AnyObject:
        """One object, at least as new as the version; raises NotFound, VersionTooLarge."""
        if version:
            await self.moments.now(at_least=version)
        found = await self._database.run(lambda unit: unit.objects.get(kind, namespace, name))
        if found is None:
            raise NotFound
        return found

    async def require_memory(self, kind: Kind) -> None:
        """Raises Unavailable while nobody knows what became of such objects, because the database was restored.

        In a cluster alone: its garbage collector asks for owners, and takes away the Secret of one that is not there.
        It asks for their metadata, and nobody else is kept from anything: `kubectl apply` looks for what it then makes.
        """
        if not self._is_in_cluster or kind.kind not in HELD_KINDS:
            return
        if since := await self._database.run(lambda unit: unit.restored.hold.since()):
            raise Unavailable(_HELD.format(since=since))

    async def list(self, selection: Selection, options: ListOptions) -> Page:
        """A page of a list.

        Raises:
            BadRequest: the continue token is not ours.
            Expired: the log no longer reaches back; a ContinueExpired if a token says how to go on all the same.
            VersionTooLarge: the version does not exist yet.
        """
        if not options.token:
            return await self._first_page(selection, options)
        token = self._tokens.read(options.token, of=_list_of(selection))
        place = (token.namespace, token.name)
        if token.snapshot is None:
            return await self._page(selection, options.limit, await self.moments.settled(), after=place)
        try:
            return await self._page(selection, options.limit, token.snapshot, after=place, is_exact=True)
        except Expired:
            raise ContinueExpired(self._tokens.write(replace(token, snapshot=None))) from None

    async def parts(
        self, selection: Selection, snapshot: Snapshot, after: NamespacedName | None = None, size: int = _PAGE
    ) -> AsyncIterator[PastPart]:
        """The list as it was at the snapshot, not yet checked against the selection.

        Raises Expired if the log no longer reaches back to it.
        """
        while True:
            # A transaction for each part: a long list must not keep a connection, on SQLite the only one, from others.
            part = await self._part(selection, snapshot, after, size)
            yield part
            if part.reached is None:
                return
            after = part.reached

    async def _part(
        self, selection: Selection, snapshot: Snapshot, after: NamespacedName | None, size: int
    ) -> PastPart:
        listing = selection.listing(after, size)
        part = await self._database.run(lambda unit: unit.past.part(selection.kind, listing, snapshot))
        if not part.is_covered:
            raise Expired
        return part

    async def _first_page(self, selection: Selection, options: ListOptions) -> Page:
        if not options.is_exact:
            return await self._page(selection, options.limit, await self.moments.settled(at_least=options.version))
        newest = await self.moments.now(at_least=options.version)
        if options.version > newest.version:
            raise VersionTooLarge(options.version, newest.version)
        return await self._page(selection, options.limit, Snapshot.at(options.version), is_exact=True)

    async def _page(
        self,
        selection: Selection,
        limit: int,
        snapshot: Snapshot,
        *,
        after: NamespacedName | None = None,
        is_exact: bool = False,
    ) -> Page:
        # One more than asked for, to know whether there is another page.
        size = min(limit, _PAGE) + 1 if limit and not selection.is_narrow else _PAGE
        items: list[JsonObject] = []
        breaths = Breaths()
        async for part in self.parts(selection, snapshot, after, size):
            if part.unknown and is_exact:
                raise Expired
            # Of a moment ago, what is newer does no harm: a watch from there on tells of a change to it.
            for plain in part.nearest:
                wire = shown(selection.kind, plain)
                if not selection.matches(wire):
                    continue
                if limit and len(items) == limit:
                    return await self._unfinished(selection, items, snapshot)
                items.append(wire)
                await breaths.take()
        return Page(items, str(snapshot.version))

    async def _unfinished(self, selection: Selection, items: Sequence[JsonObject], snapshot: Snapshot) -> Page:
        last = items[-1]["metadata"]
        token = ContinueToken(_list_of(selection), last.get("namespace", ""), last["name"], snapshot)
        remaining = None
        if not selection.is_narrow:
            rest = selection.listing((token.namespace, token.name), _MOST_COUNTED + 1)
            # As of now and not of then: Kubernetes promises no more than an estimate, and none where it costs too much.
            counted = await self._database.run(lambda unit: unit.objects.count(selection.kind, rest))
            remaining = max(1, counted) if counted <= _MOST_COUNTED else None
        return Page(items, str(snapshot.version), self._tokens.write(token), remaining)


def _list_of(selection: Selection) -> str:
    """All pages are of one kind and one namespace, whatever selectors they have."""
    return f"{selection.kind.group}/{selection.kind.plural}/{selection.namespace or ''}"
