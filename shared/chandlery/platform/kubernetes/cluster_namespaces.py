"""The cluster's namespaces, as the gateway follows them: what may be created where.

kube-apiserver does the same for its own kinds (its plugin NamespaceLifecycle), and refuses in the same words. What is
not known here is looked up, since it may just have been made.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final

from chandlery.model.faults import FieldProblem, Forbidden, NamespaceNotFound, NotFound, Refused
from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.clean_text import clean_text
from chandlery.model.text.names import label_problem
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.platform.kubernetes.cluster_reflector import (
    Change,
    ClusterReflector,
    ListBegins,
    ListEnds,
    ListPage,
    News,
    Trouble,
)
from chandlery.platform.kubernetes.faults import NAMESPACE_TERMINATING

PATH: Final = "/api/v1/namespaces"
MOST_KNOWN: Final = 50_000
"""Of more than these the others are looked up each time."""
_BLIND_SECONDS: Final = 30.0
"""So long after following has broken off, what was seen last still counts."""

_LONGEST_NAME: Final = 253
_APART: Final = timedelta(seconds=2)
"""How far our clock may be behind the cluster's, which tells whole seconds."""


class ClusterNamespaces:
    """One of these for each gateway; `run` goes on beside it."""

    def __init__(self, client: ClusterClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is monotonic seconds."""
        self._client = client
        self._clock = clock
        self._is_leaving: dict[str, bool] = {}
        self._listed: dict[str, bool] | None = None
        self._blind_since: float | None = clock() - _BLIND_SECONDS

    async def run(self) -> None:
        """Follow them for ever; ends by cancellation."""
        # Metadata alone would do, but for what the phase says before a deletion shows there.
        reflector = ClusterReflector(
            self._client, PATH, what="the namespaces of the cluster", metadata_only=False, page_size=200
        )
        async with aclosing(reflector.follow()) as following:
            await self._learn(following)

    async def check_open(self, name: str) -> None:
        """Whether something may be created there.

        Raises:
            NamespaceNotFound, Forbidden: it may not, in kube-apiserver's words.
            Unavailable: the cluster is away, and the namespace not known.
        """
        is_leaving = self._is_leaving.get(name) if self._sees else None
        if is_leaving is None:
            try:
                is_leaving = _leaves(await read_namespace(self._client, name))
            except NotFound as fault:
                raise NamespaceNotFound(name, fault.message) from fault
        if is_leaving:
            problem = FieldProblem("metadata.namespace", NAMESPACE_TERMINATING, f"namespace {name} is being terminated")
            message = f"unable to create new content in namespace {name} because it is being terminated"
            raise Forbidden(message, problems=(problem,))

    async def begun_at(self, name: str) -> datetime | None:
        """See NamespaceGate; a little earlier, since two clocks are compared."""
        try:
            found = await read_namespace(self._client, name)
        except NotFound:
            return None
        return datetime.fromisoformat(found["metadata"]["creationTimestamp"]) - _APART

    @property
    def _sees(self) -> bool:
        return self._blind_since is None or self._clock() - self._blind_since < _BLIND_SECONDS

    async def _learn(self, following: AsyncIterator[News]) -> None:
        async for news in following:
            match news:
                case Trouble():
                    self._blind_since = self._clock() if self._blind_since is None else self._blind_since
                    continue
                case ListBegins():
                    self._listed = {}
                    continue
                case ListPage() if self._listed is not None:
                    for each in news.objects[: MOST_KNOWN - len(self._listed)]:
                        self._listed[each["metadata"]["name"]] = _leaves(each)
                    continue
                case ListEnds() if self._listed is not None:
                    self._is_leaving, self._listed = self._listed, None
                case Change():
                    self._change(news)
            self._blind_since = None

    def _change(self, news: Change) -> None:
        name = news.object["metadata"]["name"]
        if news.is_gone:
            self._is_leaving.pop(name, None)
        elif name in self._is_leaving or len(self._is_leaving) < MOST_KNOWN:
            self._is_leaving[name] = _leaves(news.object)


def _leaves(namespace: JsonObject) -> bool:
    phase = (namespace.get("status") or {}).get("phase")
    return phase == "Terminating" or bool(namespace["metadata"].get("deletionTimestamp"))


async def read_namespace(client: ClusterClient, name: str) -> JsonObject:
    """The namespace as it is now. Raises NotFound, Unavailable; Refused if we may not look.

    The name may be whatever stands in the path of a request: what can be none is not made a path of ours.
    """
    if label_problem(name) is not None:
        raise NotFound(f'namespaces "{clean_text(name, longest=_LONGEST_NAME)}" not found')
    try:
        return await client.get(f"{PATH}/{name}")
    except Forbidden as fault:
        # Nobody's who asks us, but ours: nothing goes on before that is put right.
        message = f"the cluster does not let us look at its namespaces, as our ClusterRole should: {fault.message}"
        raise Refused(message) from fault
