"""Follows a collection of a cluster for ever: lists it, watches it from there, and lists it anew when it has to.

Comes in: what the cluster serves. Goes out: news, as an iterator: pages of a list, changes, and how far it has got.
Called by: `cluster_namespaces` in the gateway, `engine/following` in the binder.

Nothing is kept here, so it needs no more memory than a page. Whoever keeps the version that is told, and begins with
it, sees what has happened meanwhile, deletions included, for as long as the cluster knows of it (five minutes and
more); after that there is a list, and what is not in it is gone.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from chandlery.model.faults import Expired, Fault, Forbidden
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.kubernetes.cluster_client import METADATA, METADATA_LIST, ClusterClient
from chandlery.platform.kubernetes.cluster_watch import BOOKMARK
from chandlery.platform.kubernetes.faults import TooManyRequests

log = structlog.get_logger(__name__)

PAGE_SIZE: Final = 500
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_PATIENCE: Final = 4
"""So many failures in a row, and what was seen is worth nothing."""
_MOST_DOUBLINGS: Final = 10
_SHORT_SECONDS: Final = 1.0
"""A watch that ends within so long has not worked, whatever it says: or it would be begun a thousand times a second."""


@dataclass(frozen=True)
class ListBegins:
    """A list comes, page by page: what is in none of its pages is gone."""


@dataclass(frozen=True)
class ListPage:
    """Some of the objects that there are; `version` is the moment that they show."""

    objects: Sequence[JsonObject]
    version: str


@dataclass(frozen=True)
class ListEnds:
    """That was all; `version` is the moment that all its pages show."""

    version: str


@dataclass(frozen=True)
class Change:
    """An object has come, changed (`is_gone` False), or gone."""

    object: JsonObject
    is_gone: bool
    version: str


@dataclass(frozen=True)
class Progress:
    """Nothing has changed up to this version."""

    version: str


@dataclass(frozen=True)
class Trouble:
    """The cluster does not let us follow at the moment; it is tried again."""

    fault: Fault


News = ListBegins | ListPage | ListEnds | Change | Progress | Trouble


@dataclass
class _Place:
    """How far one follower has got."""

    version: str
    failures: int = 0

    def fail(self, fault: Fault | None) -> None:
        self.failures += 1
        # With a right comes what has been there without us. And of a version of another life of the cluster, say, the
        # cluster waits in vain to get so far: a list tells as much.
        if isinstance(fault, Forbidden) or self.failures >= _PATIENCE:
            self.version = ""


class ClusterReflector:
    """One collection. `sleep` and `chance` are for tests."""

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        client: ClusterClient,
        path: str,
        *,
        what: str,
        metadata_only: bool = True,
        is_told: bool = True,
        page_size: int = PAGE_SIZE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`path` is the collection's; `what` names it for people, as in `the namespaces of the cluster`.

        `is_told` is False where nobody is to wonder that it cannot be followed: the log does not say so then.
        """
        self._client = client
        self._path = path
        self._what = what
        self._metadata_only = metadata_only
        self._is_told = is_told
        self._page_size = page_size
        self._sleep = sleep
        self._chance = chance
        self._is_in_trouble = False

    async def follow(self, since: str = "") -> AsyncGenerator[News]:
        """News for ever, from after the version `since`, or else from a list on. Close it to end it."""
        place = _Place(since)
        while True:
            begun, fault = time.monotonic(), None
            try:
                async for news in self._once(place):
                    yield news
            except Expired:
                # What has happened since is not known any more.
                place.version = ""
            except Fault as refused:
                fault = refused
                self._fails(fault)
                yield Trouble(fault)
            if fault is None and time.monotonic() - begun >= _SHORT_SECONDS:
                place.failures = 0
                continue
            place.fail(fault)
            await self._sleep(self._pause(place.failures, fault))

    async def _once(self, place: "_Place") -> AsyncGenerator[News]:
        """A list, if need be, and a watch to its end."""
        if not place.version:
            async for page in self.list():
                yield page
                if isinstance(page, ListEnds):
                    place.version = page.version
        self._works()
        async for news in self._watched(place.version):
            place.version, place.failures = news.version, 0
            yield news

    async def list(self) -> AsyncGenerator[News]:
        """All that there is now. Raises Forbidden, NotFound, Unavailable; Expired if the list takes too long."""
        yield ListBegins()
        following = ""
        while True:
            query = {"limit": str(self._page_size)}
            if following:
                query["continue"] = following
            accept = {"accept": METADATA_LIST} if self._metadata_only else {}
            page = await self._client.get(self._path, **accept, **query)
            metadata = page.get("metadata") or {}
            yield ListPage(page.get("items") or [], str(metadata.get("resourceVersion") or ""))
            following = metadata.get("continue") or ""
            if not following:
                yield ListEnds(str(metadata.get("resourceVersion") or ""))
                return

    async def _watched(self, version: str) -> AsyncGenerator[Change | Progress]:
        accept = {"accept": METADATA} if self._metadata_only else {}
        events = self._client.watch(self._path, resourceVersion=version, **accept)
        async for type_, document in events:
            seen = str((document.get("metadata") or {}).get("resourceVersion") or version)
            if type_ == BOOKMARK:
                yield Progress(seen)
            else:
                yield Change(document, is_gone=type_ == "DELETED", version=seen)

    def _pause(self, failures: int, fault: Fault | None) -> float:
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * float(1 << min(failures - 1, _MOST_DOUBLINGS)))
        asked = fault.retry_after_seconds if isinstance(fault, TooManyRequests) else 0.0
        # Half of it by chance, so that not all come back at once when the cluster does.
        return max(asked, longest * (0.5 + self._chance() / 2))

    def _fails(self, fault: Fault) -> None:
        if self._is_told and not self._is_in_trouble:
            log.warning(f"{self._what} cannot be followed: {fault.message}", action="follow_cluster")
        self._is_in_trouble = True

    def _works(self) -> None:
        if self._is_told and self._is_in_trouble:
            log.info(f"{self._what} are followed again", action="follow_cluster")
        self._is_in_trouble = False
