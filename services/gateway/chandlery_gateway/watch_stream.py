"""One watch: the changes that concern it, as lines of JSON in the form that the client asked for."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic_core import to_json

from chandlery.model.faults import Fault
from chandlery.model.kinds import AnyObject
from chandlery.model.wire import JsonObject
from chandlery.store.changes import ChangeVerb, LoggedChange
from chandlery.store.rows import RowCodec
from chandlery_gateway.kube.negotiation import Form, Representation
from chandlery_gateway.kube.status_objects import status_of
from chandlery_gateway.kube.tables import IncludeObject, partial_metadata, table
from chandlery_gateway.readings import Readings, Selection, to_client
from chandlery_gateway.watch_hub import WatchHub

_BOOKMARK_SECONDS = 60.0
_FIXED_FIELDS = frozenset({"metadata.name", "metadata.namespace"})
_INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}


@dataclass(frozen=True, kw_only=True)
class WatchRequest:
    """What a client wants to watch, and how."""

    selection: Selection
    after: int | None
    """Resource version to go on from; None begins with what is there now."""
    representation: Representation
    include_object: IncludeObject
    wants_bookmarks: bool
    timeout_seconds: float
    marks_initial_end: bool = False
    """Say by a bookmark that all that was there has been sent (`sendInitialEvents`)."""

    @property
    def can_objects_enter(self) -> bool:
        """Whether a change can make an object match that did not before, or the other way round."""
        return bool(self.selection.labels.requirements) or not _FIXED_FIELDS.issuperset(self.selection.fields.keys)


class WatchStream:
    """Makes the lines of one watch."""

    def __init__(self, request: WatchRequest, hub: WatchHub, readings: Readings, codec: RowCodec) -> None:
        self._request = request
        self._hub = hub
        self._readings = readings
        self._codec = codec
        self._has_columns = True
        self._matching: dict[str, int] = {}
        """Uids of what the client has, as far as is known, and the version it was listed with."""
        self._learned_at: int | None = None
        """Of a watch that was resumed: after this position `_matching` is exact."""

    async def lines(self, start: int) -> AsyncIterator[bytes]:
        """Lines until the time is up. A fault becomes an ERROR line, as Kubernetes does once a stream has begun."""
        until = asyncio.Event()
        timer = asyncio.get_running_loop().call_later(self._request.timeout_seconds, until.set)
        try:
            if self._request.after is None:
                async for line in self._initial():
                    yield line
                if self._request.marks_initial_end:
                    yield self._bookmark(start, annotations=_INITIAL_EVENTS_END)
            elif self._request.can_objects_enter:
                await self._learn()
            async for line in self._following(start, until):
                yield line
        except Fault as fault:
            yield _line("ERROR", status_of(fault)[1])
        finally:
            timer.cancel()

    async def _initial(self) -> AsyncIterator[bytes]:
        async for wire in self._listed():
            metadata = wire["metadata"]
            self._matching[metadata["uid"]] = int(metadata["resourceVersion"])
            yield self._notice(ChangeVerb.ADDED, wire)

    async def _learn(self) -> None:
        """Find out what matches by now: only of changes before that it stays open whether they were departures."""
        async for wire in self._listed():
            self._matching[wire["metadata"]["uid"]] = 0
        self._learned_at = await self._readings.newest_possible()

    async def _listed(self) -> AsyncIterator[JsonObject]:
        token: str | None = ""
        while token is not None:
            page = await self._readings.list(self._request.selection, limit=500, token=token)
            for wire in page.items:
                yield wire
            token = page.continue_token

    async def _following(self, start: int, until: asyncio.Event) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        last_word, position = loop.time(), start
        async for batch in self._hub.follow(start, until=until):
            for change in batch:
                position = change.position
                line = self._line_for(change)
                if line is not None:
                    last_word = loop.time()
                    yield line
            if self._request.wants_bookmarks and loop.time() - last_word > _BOOKMARK_SECONDS:
                last_word = loop.time()
                yield self._bookmark(position)

    def _line_for(self, change: LoggedChange) -> bytes | None:
        selection = self._request.selection
        if change.kind != selection.kind.kind or selection.namespace not in (None, change.namespace):
            return None
        uid = str(change.stored["metadata"]["uid"])
        if change.position <= self._matching.get(uid, 0):
            # The list at the beginning was read after this and had it already.
            return None
        document: AnyObject = self._codec.from_stored(selection.kind, change.stored)
        wire = to_client(selection.kind, document)
        is_match = selection.matches(document, wire)
        # With a selector an object can enter or leave without being created or deleted.
        was_match = self._matching.pop(uid, None) is not None
        is_initial = self._request.after is None
        if change.verb == ChangeVerb.DELETED:
            return self._notice(ChangeVerb.DELETED, wire) if was_match or (is_match and not is_initial) else None
        if is_match:
            self._matching[uid] = 0
            # A resumed watch does not know at first what its client has: only a creation is surely an addition.
            is_sure = is_initial or (self._learned_at is not None and change.position > self._learned_at)
            is_added = change.verb == ChangeVerb.ADDED or (is_sure and not was_match)
            return self._notice(ChangeVerb.ADDED if is_added else ChangeVerb.MODIFIED, wire)
        # To tell of a departure that was none does no harm, to keep one back does.
        has_left = was_match or (self._learned_at is not None and change.position <= self._learned_at)
        return self._notice(ChangeVerb.DELETED, wire) if has_left else None

    def _notice(self, verb: ChangeVerb, wire: JsonObject) -> bytes:
        return _line(verb, self._formed(wire))

    def _formed(self, wire: JsonObject) -> JsonObject:
        representation = self._request.representation
        if representation.form is Form.TABLE:
            first, self._has_columns = self._has_columns, False
            return table(
                self._request.selection.kind,
                [wire],
                now=datetime.now(UTC),
                api_version=representation.api_version,
                include_object=self._request.include_object,
                list_metadata={"resourceVersion": wire["metadata"]["resourceVersion"]},
                with_columns=first,
            )
        if representation.form in (Form.METADATA, Form.METADATA_LIST):
            return partial_metadata(wire, api_version=representation.api_version)
        return wire

    def _bookmark(self, position: int, *, annotations: JsonObject | None = None) -> bytes:
        kind, representation = self._request.selection.kind, self._request.representation
        metadata: JsonObject = {"resourceVersion": str(position)}
        if annotations:
            metadata["annotations"] = annotations
        mark = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
        if representation.form is Form.TABLE:
            mark = table(kind, (), now=datetime.now(UTC), list_metadata=metadata, with_columns=False)
        elif representation.form is not Form.PLAIN:
            mark = partial_metadata(mark, api_version=representation.api_version)
        return _line("BOOKMARK", mark)


def _line(verb: str, document: JsonObject) -> bytes:
    return to_json({"type": str(verb), "object": document}) + b"\n"
