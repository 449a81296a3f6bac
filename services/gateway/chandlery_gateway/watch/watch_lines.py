"""The lines of a watch: notices, bookmarks and errors, in the form that the client asked for."""

import time
from collections.abc import Hashable
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import structlog

from chandlery.model.faults import Fault
from chandlery.model.json.json_text import write_json, write_kept_json
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.parameters.cost_bounded_cache import CostBoundedCache
from chandlery.store.objects.changes import ChangeVerb, LoggedChange
from chandlery.store.rows import RowCodec, plain_form
from chandlery_gateway.kube.printing.status_objects import status_of
from chandlery_gateway.kube.printing.tables import IncludeObject, partial_metadata, table
from chandlery_gateway.kube.query.negotiation import Form, Representation
from chandlery_gateway.read.selection import shown

log = structlog.get_logger(__name__)

_MOST_BYTES: Final = 64 << 20
_MOST_VIEWS: Final = 250
"""Watches advance side by side, 200 changes at a time: what all of them have passed nobody asks for again."""
_BYTES_OF_A_VIEW: Final = _MOST_BYTES // _MOST_VIEWS
_BYTES_PER_BYTE: Final = 12
"""What a byte of JSON takes as a document, as an object and as lines, about."""
_SAME_AGE_SECONDS: Final = 1.0
"""A table says how old its objects are."""


LineForm = tuple[ChangeVerb, Form, str, IncludeObject]
"""What a notice depends on besides its object."""


class ChangeView:
    """The object of one change. Shared: nobody may change what it holds."""

    def __init__(self, kind: Kind, plain: JsonObject) -> None:
        """Of an object in wire form (`plain_form`), which is the view's from now on."""
        self.wire = shown(kind, plain)

        self.lines: dict[LineForm, tuple[bytes, float]] = {}
        """What watches are told of it, and since when they are."""

    @cached_property
    def json(self) -> bytes:
        """The object as it is sent whole."""
        return write_kept_json(self.wire)


class ChangeViews:
    """The newest views that somebody has asked for."""

    def __init__(self, codec: RowCodec) -> None:
        self._codec = codec
        # By group and version too: events are served in two of them.
        self._views = CostBoundedCache[tuple[str, int], ChangeView](_MOST_BYTES)
        self._told_of = 0
        """Up to which position it has been logged what cannot be shown."""

    def of(self, kind: Kind, change: LoggedChange) -> ChangeView:
        """The view of a change of this kind; raises SealBroken."""
        return self._views.of((kind.api_version, change.position), lambda: self._made(kind, change))

    def note_unreadable(self, change: LoggedChange, error: Exception) -> None:
        """Log that a change cannot be shown, once for all watches."""
        if change.position <= self._told_of:
            return
        self._told_of = change.position
        why = error.message if isinstance(error, Fault) else type(error).__name__
        log.error(
            f"a change cannot be shown to watches and was skipped: {why}",
            action="follow_changes",
            kind=change.kind,
            namespace=change.namespace,
            name=change.name,
            position=change.position,
        )

    def _made(self, kind: Kind, change: LoggedChange) -> tuple[ChangeView, int]:
        place = {"namespace": change.namespace, "name": change.name}
        view = ChangeView(kind, plain_form(self._codec.from_stored(kind, change.stored, **place)))
        return view, max(_BYTES_OF_A_VIEW, _BYTES_PER_BYTE * len(view.json))


_INITIAL_EVENTS_END: Final = {"k8s.io/initial-events-end": "true"}


class WatchLines:
    """Makes the lines of one watch."""

    def __init__(self, kind: Kind, representation: Representation, include: IncludeObject) -> None:
        self._kind = kind
        self._representation = representation
        self._include = include
        self._has_columns = True

    @property
    def form(self) -> Hashable | None:
        """What all notices of a watch depend on besides their objects; None if that is the time or what it was told."""
        representation = self._representation
        return None if representation.form is Form.TABLE else (representation.form, representation.version)

    def notice(self, verb: ChangeVerb, view: ChangeView) -> bytes:
        """What has become of an object. Made once for all watches that are told so in the same form."""
        if self._representation.form is Form.TABLE and self._has_columns:
            return _line(verb, self._formed(view.wire))
        form = (verb, self._representation.form, self._representation.version, self._include)
        line, made = view.lines.get(form, (b"", -_SAME_AGE_SECONDS))
        now = time.monotonic()
        if not line or (self._representation.form is Form.TABLE and now - made >= _SAME_AGE_SECONDS):
            line = self._made(verb, view)
            view.lines[form] = (line, now)
        return line

    def _made(self, verb: ChangeVerb, view: ChangeView) -> bytes:
        if self._representation.form is Form.PLAIN:
            return b'{"type":"%s","object":%s}\n' % (verb.value.encode(), view.json)
        return _line(verb, self._formed(view.wire))

    def bookmark(self, position: int, *, ends_initial: bool = False) -> bytes:
        """How far the watch has come; after what was there at the beginning it says so."""
        metadata: JsonObject = {"resourceVersion": str(position)}
        if ends_initial:
            metadata["annotations"] = _INITIAL_EVENTS_END
        mark = {"kind": self._kind.kind, "apiVersion": self._kind.api_version, "metadata": metadata}
        return _line("BOOKMARK", self._formed(mark))

    def error(self, fault: Exception) -> bytes:
        """Why the watch ends, or what it had to pass over."""
        return _line("ERROR", status_of(fault)[1])

    def _formed(self, wire: JsonObject) -> JsonObject:
        """Of a bookmark too: that of a table has a row, since a table's own metadata have no annotations."""
        representation = self._representation
        if representation.form is Form.TABLE:
            first, self._has_columns = self._has_columns, False
            return table(
                self._kind,
                [wire],
                now=datetime.now(UTC),
                api_version=representation.api_version,
                include_object=self._include,
                list_metadata={"resourceVersion": wire["metadata"]["resourceVersion"]},
                with_columns=first,
            )
        if representation.form in (Form.METADATA, Form.METADATA_LIST):
            return partial_metadata(wire, api_version=representation.api_version)
        return wire


def _line(verb: str, document: JsonObject) -> bytes:
    return write_json({"type": str(verb), "object": document}) + b"\n"
