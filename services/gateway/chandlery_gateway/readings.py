"""The read side of the API: one object, or a list that shows one moment, however many pages and gateways it takes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from chandlery.model.faults import Expired, NotFound
from chandlery.model.kinds import Kind
from chandlery.model.wire import JsonObject
from chandlery.store.database import Database
from chandlery.store.past_objects import PastPart
from chandlery.store.snapshots import Snapshot
from chandlery_gateway.continue_tokens import ContinueToken, read_continue_token
from chandlery_gateway.kube.list_options import ListOptions
from chandlery_gateway.kube.version_faults import ContinueExpired, VersionTooLarge
from chandlery_gateway.selection import Selection, to_client

_PAGE = 500
_PATIENCE_SECONDS = 3.0
"""How long a version may stay beyond the horizon before it is said to be too large; API servers wait as long."""
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Page:
    """A part of a list."""

    items: Sequence[JsonObject]
    resource_version: str
    continue_token: str | None = None
    remaining: int | None = None
    """About how many objects come after it, where that is known."""


class Readings:
    """Reads objects in the form that clients see."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, kind: Kind, namespace: str, name: str, *, version: int = 0) -> JsonObject:
        """One object, at least as new as the version; raises NotFound, VersionTooLarge."""
        if version:
            await self.now(at_least=version)
        found = await self._database.run(lambda unit: unit.objects.get(kind, namespace, name))
        if found is None:
            raise NotFound
        return to_client(kind, found)

    async def now(self, *, at_least: int = 0) -> Snapshot:
        """What is committed by now. Waits a little until the horizon is beyond the version.

        Raises VersionTooLarge if no such version has been given out yet, so that waiting cannot help.
        """
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while True:
            snapshot = await self._database.run(lambda unit: unit.changes.snapshot())
            if at_least >= snapshot.end:
                raise VersionTooLarge(at_least, snapshot.version)
            if at_least < snapshot.horizon or asyncio.get_running_loop().time() > deadline:
                return snapshot
            await asyncio.sleep(_PAUSE_SECONDS)

    async def list(self, selection: Selection, options: ListOptions) -> Page:
        """A page of a list.

        Raises:
            BadRequest: the continue token is not ours.
            Expired: the log no longer reaches back; a ContinueExpired if a token says how to go on all the same.
            VersionTooLarge: the version does not exist yet.
        """
        if not options.token:
            return await self._page(selection, options.limit, None, await self._first_snapshot(options))
        token = read_continue_token(options.token)
        snapshot = token.snapshot or await self.now()
        try:
            return await self._page(selection, options.limit, (token.namespace, token.name), snapshot)
        except Expired:
            raise ContinueExpired(str(ContinueToken(token.namespace, token.name, None))) from None

    async def parts(
        self, selection: Selection, snapshot: Snapshot | None, after: tuple[str, str] | None = None, size: int = _PAGE
    ) -> AsyncIterator[PastPart]:
        """The list as it was at the snapshot (None: at the first part), not yet checked against the selection.

        Raises Expired if the log no longer reaches back to it.
        """
        while True:
            # A transaction for each part: a long list must not keep a connection, on SQLite the only one, from others.
            part = await self._part(selection, snapshot, after, size)
            yield part
            if part.reached is None:
                return
            snapshot, after = part.snapshot, part.reached

    async def _part(
        self, selection: Selection, snapshot: Snapshot | None, after: tuple[str, str] | None, size: int
    ) -> PastPart:
        listing = selection.listing(after, size)
        part = await self._database.run(lambda unit: unit.past.part(selection.kind, listing, snapshot))
        if not part.is_covered:
            raise Expired
        return part

    async def _first_snapshot(self, options: ListOptions) -> Snapshot | None:
        if not options.version:
            return None
        snapshot = await self.now(at_least=options.version)
        if not options.is_exact:
            return None
        if options.version > snapshot.version:
            raise VersionTooLarge(options.version, snapshot.version)
        return Snapshot.at(options.version)

    async def _page(
        self, selection: Selection, limit: int, after: tuple[str, str] | None, snapshot: Snapshot | None
    ) -> Page:
        # One more than asked for, to know whether there is another page.
        size = min(limit, _PAGE) + 1 if limit and not selection.is_narrow else _PAGE
        items: list[JsonObject] = []
        async for part in self.parts(selection, snapshot, after, size):
            if part.unknown:
                raise Expired
            snapshot = part.snapshot
            for document in part.objects:
                wire = to_client(selection.kind, document)
                if not selection.matches(document, wire):
                    continue
                if limit and len(items) == limit:
                    return await self._unfinished(selection, items, snapshot)
                items.append(wire)
        return Page(items, str(snapshot.version if snapshot else 0))

    async def _unfinished(self, selection: Selection, items: Sequence[JsonObject], snapshot: Snapshot) -> Page:
        last = items[-1]["metadata"]
        token = ContinueToken(last.get("namespace", ""), last["name"], snapshot)
        remaining = None
        if not selection.is_narrow:
            rest = selection.listing((token.namespace, token.name), None)
            # As of now and not of then: Kubernetes promises no more than an estimate.
            remaining = max(1, await self._database.run(lambda unit: unit.objects.count(selection.kind, rest)))
        return Page(items, str(snapshot.version), str(token), remaining)
