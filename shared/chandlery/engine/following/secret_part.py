"""Follows the Secrets of one namespace, or of the whole cluster: what has changed since the last look is told.

A list is compared with the version up to which this part was followed before: what is newer has changed, and what is
waited for and not in the list is gone. Without such a version nothing is known, and all are told but those that are as
we have left them.
"""

from collections.abc import AsyncIterator
from typing import Final

from chandlery.engine.following.secret_signs import number_of, sign_of
from chandlery.engine.following.secret_waker import KEY_PREFIX, SecretWaker
from chandlery.model.faults import Forbidden
from chandlery.platform.kubernetes.cluster_reflector import (
    Change,
    ListBegins,
    ListEnds,
    ListPage,
    News,
    Progress,
    Trouble,
)
from chandlery.platform.kubernetes.cluster_secrets import secrets_path
from chandlery.store.database import Database

_PAGE: Final = 1_000
_MOST_LISTED: Final = 300_000
"""Secrets of one list whose absence can be told; of more, all that are waited for are."""
_MOST_MISSED: Final = 10_000


class SecretPart:
    """One of these for each part; `namespace` is empty for the whole cluster."""

    def __init__(self, namespace: str, waker: SecretWaker, database: Database) -> None:
        self.namespace = namespace
        self.path = secrets_path(namespace)
        self._waker = waker
        self._database = database
        self._missed: set[str] = set()

    @property
    def version(self) -> str:
        """Up to which it has been followed; empty if it has not."""
        return self._waker.versions.get(self.namespace, "")

    async def learn(self, following: AsyncIterator[News]) -> None:
        """Tell what is new, until there is no more. Raises Unavailable if the database cannot be read."""
        # Of this list alone: a watch may begin while another look at the part has not ended.
        listed = set[int]()
        async for news in following:
            match news:
                case ListBegins():
                    listed.clear()
                case ListPage():
                    await self._page(news, listed)
                case ListEnds():
                    await self._tell_missing(listed)
                    listed.clear()
                    self._waker.versions[self.namespace] = news.version
                case Change():
                    await self._change(news)
                    self._waker.versions[self.namespace] = news.version
                case Progress():
                    self._waker.versions[self.namespace] = news.version
                case Trouble() if isinstance(news.fault, Forbidden) and self.namespace:
                    # Once it has opted in again, all that waits there may have waited for that.
                    self.forget()

    def forget(self) -> None:
        """Nothing is known of it any more."""
        self._waker.versions.pop(self.namespace, None)
        self._missed.clear()

    async def _page(self, page: ListPage, listed: set[int]) -> None:
        known, moment = number_of(self.version), number_of(page.version)
        if known is not None and (moment is None or moment < known):
            # The cluster has gone back to an earlier state of its own: what was seen counts for nothing.
            known = None
        for each in page.objects:
            sign = sign_of(each)
            self._missed.discard(sign.key)
            if len(listed) < _MOST_LISTED:
                listed.add(hash(sign.key))
            if known is None or sign.version is None or sign.version > known:
                await self._waker.tell(sign.key, but=sign.left_for)

    async def _change(self, change: Change) -> None:
        sign = sign_of(change.object)
        await self._waker.tell(sign.key, but=None if change.is_gone else sign.left_for)

    async def _tell_missing(self, listed: set[int]) -> None:
        is_all = len(listed) < _MOST_LISTED
        prefix = f"{KEY_PREFIX}{self.namespace}/" if self.namespace else KEY_PREFIX
        after = ""
        while True:
            keys = await self._database.run(
                lambda unit, after=after: unit.inspection.waited_keys.page(prefix, after=after, limit=_PAGE)  # type: ignore[misc]
            )
            for key in keys:
                if is_all and hash(key) in listed:
                    continue
                if key not in self._missed:
                    # Each time would be a round for nothing: it stays missed until it is seen.
                    if len(self._missed) < _MOST_MISSED:
                        self._missed.add(key)
                    await self._waker.tell(key)
            if len(keys) < _PAGE:
                break
            after = keys[-1]
