"""The binder in a cluster: beside its work, one of its processes follows the cluster's Secrets."""

import asyncio
from collections.abc import Callable

from chandlery.engine.following.secret_watch import SecretWatch
from chandlery.engine.worker import Worker


class ClusterBinder:
    """A worker with a watch."""

    def __init__(self, worker: Worker, watch: SecretWatch) -> None:
        self._worker = worker
        self._watch = watch

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """See Running."""
        watching = asyncio.create_task(self._watch.run())
        try:
            await self._worker.serve(stop, ready)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
