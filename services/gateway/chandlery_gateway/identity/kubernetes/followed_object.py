"""One object of the cluster, read and then watched by its name: all that a right to `get` and `watch` that name allows.

Called by: `followed_trust`, and `trust/serving_certificates.py`.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Protocol

from chandlery.model.faults import Fault, NotFound
from chandlery.model.objects.wire import JsonObject

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_WATCHED_SECONDS: Final = 300
_WENT_WELL_SECONDS: Final = 60.0
_GONE: Final = "DELETED"
_SAYS_WHAT: Final = ("ADDED", "MODIFIED")


class Reads(Protocol):
    """What this needs of the cluster's client."""

    async def get(self, path: str, /, **query: str) -> JsonObject:
        """An object. Raises faults."""

    def watch(self, path: str, /, **query: str) -> AsyncIterator[tuple[str, JsonObject]]:
        """Types of changes, and objects. Raises faults."""


async def follow_object(
    cluster: Reads,
    collection: str,
    name: str,
    *,
    seen: Callable[[JsonObject | None], None],
    failed: Callable[[Fault], None],
) -> None:
    """Call `seen` with the object, or None if there is none, and again whenever it changes; ends by cancellation.

    `failed` is told when it cannot be read or watched, once until it is another fault or watching has gone well for a
    while; then it is tried again, ever more rarely.
    """
    pause, told = _FIRST_PAUSE, ""
    while True:
        began = time.monotonic()
        try:
            version = await read_object(cluster, collection, name, seen=seen)
            await _watch(cluster, collection, name, version=version, seen=seen)
        except Fault as fault:
            # A right to read and none to watch shows after each reading: that is no news, and no reason to hurry.
            if time.monotonic() - began >= _WENT_WELL_SECONDS:
                pause, told = _FIRST_PAUSE, ""
            if fault.message != told:
                failed(fault)
            pause, told = min(2 * pause, _LONGEST_PAUSE), fault.message
        else:
            pause, told = _FIRST_PAUSE, ""
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that not all come at once


async def read_object(cluster: Reads, collection: str, name: str, *, seen: Callable[[JsonObject | None], None]) -> str:
    """Call `seen` with the object, or None if there is none, once. Returns its version. Raises faults."""
    try:
        found = await cluster.get(f"{collection}/{name}")
    except NotFound:
        seen(None)
        return ""
    seen(found)
    return _version(found)


async def _watch(
    cluster: Reads, collection: str, name: str, *, version: str, seen: Callable[[JsonObject | None], None]
) -> None:
    """For some minutes, or until the cluster ends it. Without a version it begins with what there is then."""
    query = {"resourceVersion": version} if version else {}
    selector = f"metadata.name={name}"
    changes = cluster.watch(collection, fieldSelector=selector, timeoutSeconds=str(_WATCHED_SECONDS), **query)
    async for change, found in changes:
        if change in _SAYS_WHAT:
            seen(found)
        elif change == _GONE:
            seen(None)


def _version(found: JsonObject) -> str:
    metadata: Any = found.get("metadata")
    return str(metadata.get("resourceVersion") or "") if isinstance(metadata, dict) else ""
