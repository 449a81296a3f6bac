"""The lines of a watch: notices, bookmarks and errors, in the form that the client asked for."""

from datetime import UTC, datetime
from typing import Final

from chandlery.model.json.json_text import write_json
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.store.objects.changes import ChangeVerb
from chandlery_gateway.kube.printing.status_objects import status_of
from chandlery_gateway.kube.printing.tables import IncludeObject, partial_metadata, table
from chandlery_gateway.kube.query.negotiation import Form, Representation
from chandlery_gateway.watch.change_views import ChangeView

_INITIAL_EVENTS_END: Final = {"k8s.io/initial-events-end": "true"}


class WatchLines:
    """Makes the lines of one watch."""

    def __init__(self, kind: Kind, representation: Representation, include: IncludeObject) -> None:
        self._kind = kind
        self._representation = representation
        self._include = include
        self._has_columns = True

    def notice(self, verb: ChangeVerb, view: ChangeView) -> bytes:
        """What has become of an object."""
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
