"""The stream of a watch: lines of JSON, one event each, cut out of whatever pieces arrive."""

from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

from chandlery.model.faults import Unavailable
from chandlery.model.json.json_text import NotJson, read_json
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.kubernetes.faults import fault_of_status

LONGEST_LINE: Final = 4 << 20
"""An object has at most 1.5 MiB in etcd; its JSON is somewhat longer."""
ADDED: Final = "ADDED"
MODIFIED: Final = "MODIFIED"
DELETED: Final = "DELETED"
BOOKMARK: Final = "BOOKMARK"
_ERROR: Final = "ERROR"


class WatchEvent(NamedTuple):
    """ADDED, MODIFIED, DELETED or BOOKMARK, and the object; of a bookmark only its `metadata.resourceVersion`."""

    type: str
    object: JsonObject


async def watch_events(pieces: AsyncIterator[bytes]) -> AsyncIterator[WatchEvent]:
    """The events in the stream.

    Raises:
        Expired, or another fault: the cluster says so within the stream.
        Unavailable: what comes is no event, or does not end.
    """
    rest = bytearray()
    async for piece in pieces:
        rest += piece
        if len(rest) > LONGEST_LINE:
            raise Unavailable(f"an event of a watch is longer than {LONGEST_LINE >> 20} MiB")
        if b"\n" not in piece:
            continue
        *lines, last = bytes(rest).split(b"\n")
        rest = bytearray(last)
        for line in lines:
            if line.strip():
                yield _event(line)


def _event(line: bytes) -> WatchEvent:
    try:
        read: Any = read_json(line)
        event = WatchEvent(str(read["type"]), read["object"])
    except (NotJson, KeyError, TypeError):
        raise Unavailable("what comes by a watch of the cluster is no event") from None
    if not isinstance(event.object, dict):
        raise Unavailable("what comes by a watch of the cluster is no event")
    if event.type == _ERROR:
        raise fault_of_status(event.object)
    return event
