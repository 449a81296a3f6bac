"""One watch: what was there at its beginning, and then the changes that concern it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from chandlery.model.faults import Expired, Fault
from chandlery.model.objects.metadata import NamespacedName
from chandlery.model.objects.wire import JsonObject
from chandlery.store.breaths import Breaths
from chandlery.store.objects.changes import ChangeVerb, LoggedChange, Snapshot
from chandlery.store.sealing.data_key_cache import DataKeyNeeded
from chandlery_gateway.http.rendering import log_bug
from chandlery_gateway.identity.audit.audit_event import uids_shown
from chandlery_gateway.kube.printing.tables import IncludeObject
from chandlery_gateway.kube.query.list_options import UnreadableChange, VersionTooLarge, WatchOptions
from chandlery_gateway.kube.query.negotiation import Representation
from chandlery_gateway.read.object_reader import ObjectReader
from chandlery_gateway.read.selection import Selection
from chandlery_gateway.watch.recent_changes import Batch
from chandlery_gateway.watch.watch_hub import WatchHub
from chandlery_gateway.watch.watch_lines import ChangeView, WatchLines
from chandlery_gateway.watch.watch_rights import WatchRights


def told_as(verb: ChangeVerb, *, was_match: bool | None, is_match: bool) -> ChangeVerb | None:
    """What a change is to a client that watches a selection; None says nothing.

    `was_match` is None where it has been forgotten whether the client has the object: to tell it of a departure that
    was none does no harm, to keep one back does.
    """
    if verb == ChangeVerb.DELETED or not is_match:
        return None if was_match is False else ChangeVerb.DELETED
    if verb == ChangeVerb.ADDED or was_match is False:
        return ChangeVerb.ADDED
    return ChangeVerb.MODIFIED


class Membership:
    """The objects that match, as far as the watch has come."""

    def __init__(self, *, can_change: bool) -> None:
        """`can_change` says whether an object can enter or leave; if not, nothing has to be remembered."""
        self._can_change = can_change
        self._matching: set[str] = set()
        self._unsure: set[NamespacedName] = set()

    def note(self, uid: str) -> None:
        """This object matches."""
        if self._can_change:
            self._matching.add(uid)

    def note_unsure(self, places: Iterable[NamespacedName]) -> None:
        """Of these it is not known."""
        self._unsure.update(places)

    def follow(self, change: LoggedChange, *, uid: str, is_match: bool) -> ChangeVerb | None:
        """Go on by one change; returns what the client is told."""
        if not self._can_change:
            return told_as(change.verb, was_match=is_match and change.verb != ChangeVerb.ADDED, is_match=is_match)
        place = (change.namespace, change.name)
        was_match = None if place in self._unsure else uid in self._matching
        self._unsure.discard(place)
        self._matching.discard(uid)
        if is_match and change.verb != ChangeVerb.DELETED:
            self._matching.add(uid)
        return told_as(change.verb, was_match=was_match, is_match=is_match)


_BOOKMARK_SECONDS = 60.0
_LINES_AT_ONCE = 50


@dataclass(frozen=True, kw_only=True)
class WatchRequest:
    """What a client wants to watch, and how."""

    selection: Selection
    rights: WatchRights
    options: WatchOptions
    representation: Representation
    include_object: IncludeObject
    on_begun: Callable[[], None] = lambda: None
    """Called when what was there at the beginning has been told."""
    on_shown: Callable[[Sequence[str]], Awaitable[None]] | None = None
    """Called with the uids of objects and their owners before they are shown, if that is to be on record."""


class WatchStream:
    """Makes the lines of one watch."""

    def __init__(self, request: WatchRequest, hub: WatchHub, object_reader: ObjectReader) -> None:
        self._selection = request.selection
        self._rights = request.rights
        self._options = request.options
        self._on_begun = request.on_begun
        self._on_shown = request.on_shown
        self._shown: list[str] = []
        self._lines = WatchLines(request.selection.kind, request.representation, request.include_object)
        self._membership = Membership(can_change=request.selection.can_objects_enter)
        self._hub = hub
        self._object_reader = object_reader
        self._listeners = self._told_alike()
        """The same for all who are told the same of all that comes; None if it depends on what this one has seen."""

    async def lines(self, start: Snapshot | Fault) -> AsyncIterator[bytes]:
        """Lines until the time is up. A fault becomes an ERROR line, as Kubernetes does once a stream has begun."""
        until = asyncio.Event()
        timer = asyncio.get_running_loop().call_later(self._options.timeout_seconds, until.set)
        counts, route = self._hub.counts, self._selection.kind.plural
        counts.open[route] += 1
        try:
            if isinstance(start, Fault):
                raise start
            async for line in self._beginning(start):
                yield line
            self._on_begun()
            async for line in self._following(start, until):
                yield line
        except Fault as fault:
            yield self._lines.error(fault)
        except Exception as error:  # noqa: BLE001 - further up it would be logged with what the objects hold
            log_bug(error, action="serve_watch", kind=self._selection.kind.kind)
            yield self._lines.error(error)
        finally:
            timer.cancel()
            counts.open[route] -= 1

    async def start(self) -> Snapshot | Fault:
        """What the client has, or is sent first. What is wrong with the version it asks for is told in the stream."""
        version = self._options.version
        try:
            if self._options.sends_initial:
                return await self._object_reader.moments.settled(at_least=version)
            return Snapshot.at(await self._hub.start_position(version))
        except (Expired, VersionTooLarge) as fault:
            return fault

    async def _beginning(self, start: Snapshot) -> AsyncIterator[bytes]:
        is_told = self._options.sends_initial
        if is_told or self._selection.can_objects_enter:
            async for part in self._object_reader.parts(self._selection, start):
                if part.unknown and is_told:
                    raise Expired
                self._membership.note_unsure(part.unknown)
                for start_of_some in range(0, len(part.objects), _LINES_AT_ONCE):
                    lines = await self._lines_of(part.objects[start_of_some : start_of_some + _LINES_AT_ONCE])
                    await self._rights.check()
                    if lines:
                        await self._account()
                        yield self._joined(lines)
                    # Others have their turn between them: a client that reads at once would not let go of the loop.
                    await asyncio.sleep(0)
        if self._options.marks_initial_end:
            yield self._lines.bookmark(start.version, ends_initial=True)

    async def _lines_of(self, objects: Sequence[JsonObject]) -> list[bytes]:
        """Note who of these matches. Returns what is told of them at the beginning, if anything is."""
        lines: list[bytes] = []
        breaths = Breaths()
        for plain in objects:
            await breaths.take()
            view = ChangeView(self._selection.kind, plain)
            if self._selection.matches(view.wire):
                self._membership.note(view.wire["metadata"]["uid"])
                if self._options.sends_initial:
                    lines.append(self._notice(ChangeVerb.ADDED, view))
        return lines

    async def _following(self, start: Snapshot, until: asyncio.Event) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        last_word, position, told = loop.time(), start.version, start.version
        async for batch in self._hub.follow(start.version, until=until):
            # Most of what happens is nothing to this one; before it tells of something, it is looked at again.
            await self._rights.check(tells=False)
            if batch:
                position = batch.last
                lines, count = await self._of_batch(batch, start)
                if count:
                    last_word, told = loop.time(), position
                    await self._rights.check()
                    await self._account()
                    self._hub.counts.events[self._selection.kind.plural] += count
                    yield lines
            if self._marks and loop.time() - last_word > _BOOKMARK_SECONDS:
                last_word, told = loop.time(), position
                yield self._lines.bookmark(position)
        if self._marks and position > told:
            # The next watch need not read again what this one has passed over.
            yield self._lines.bookmark(position)

    @property
    def _marks(self) -> bool:
        """Whether it may say how far it is."""
        return self._options.wants_bookmarks and self._rights.is_sure

    async def _of_batch(self, batch: Batch, start: Snapshot) -> tuple[bytes, int]:
        """Lines, and how many; made once for all watches of the same objects in the same form."""
        first = batch.changes[0].position
        listeners = self._listeners if first >= start.end and first > self._options.version else None
        if listeners is None:
            return await self._made_of(batch, start)
        said: tuple[bytes, int] | None = batch.said.get(listeners)
        if said is None:
            said = await self._made_of(batch, start)
            batch.share(listeners, said)
        return said

    async def _made_of(self, batch: Batch, start: Snapshot) -> tuple[bytes, int]:
        lines: list[bytes] = []
        breaths = Breaths()
        for change in batch.changes:
            await breaths.take()
            line = None if start.sees(change.position) else await self._line(change)
            if line is not None:
                lines.append(line)
        return b"".join(lines), len(lines)

    def _told_alike(self) -> Hashable | None:
        selection, form = self._selection, self._lines.form
        if form is None or selection.can_objects_enter or self._on_shown or not selection.reach.is_everything:
            return None
        return (selection.kind.api_version, selection.kind.kind, selection.namespace, selection.fields, form)

    async def _line(self, change: LoggedChange) -> bytes | None:
        """Raises Unavailable if the change cannot be decrypted now."""
        while True:
            try:
                return self._line_or_error(change)
            except DataKeyNeeded as needed:
                await self._hub.provide(needed)

    def _line_or_error(self, change: LoggedChange) -> bytes | None:
        """A change that cannot be shown is passed over: it must not keep all that comes after it from the client."""
        selection = self._selection
        if change.kind != selection.kind.kind or selection.namespace not in (None, change.namespace):
            return None
        if not selection.shows(change.namespace, change.name):
            return None
        try:
            return self._line_for(change)
        except DataKeyNeeded:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the watch goes on
            self._membership.note_unsure([(change.namespace, change.name)])
            self._hub.views.note_unreadable(change, error)
            return self._lines.error(UnreadableChange(change.kind, change.name, change.position))

    def _line_for(self, change: LoggedChange) -> bytes | None:
        selection = self._selection
        view = self._hub.views.of(selection.kind, change)
        verb = self._membership.follow(change, uid=view.wire["metadata"]["uid"], is_match=selection.matches(view.wire))
        # Of the version that the client named it knows, though smaller ones may come yet.
        is_known = not self._options.sends_initial and change.position == self._options.version
        return None if verb is None or is_known else self._notice(verb, view)

    def _notice(self, verb: ChangeVerb, view: ChangeView) -> bytes:
        if self._on_shown is not None:
            self._shown.extend(uids_shown(view.wire))
        return self._lines.notice(verb, view)

    def _joined(self, lines: Sequence[bytes]) -> bytes:
        self._hub.counts.events[self._selection.kind.plural] += len(lines)
        return b"".join(lines)

    async def _account(self) -> None:
        """Have it on record what the next lines show. Raises Unavailable if it must not be shown without."""
        if self._on_shown is not None and self._shown:
            shown, self._shown = self._shown, []
            await self._on_shown(shown)
