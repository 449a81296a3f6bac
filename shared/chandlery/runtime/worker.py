"""Runs the loops of a worker service: listens on every lane, and on new ones as service brokers are registered."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from chandlery.contracts.messages import UNRESOLVED_LANE, LaneOpened, Message
from chandlery.contracts.topology import SINGLE_LANE, UNSHARDED_QUEUES, WORK_QUEUES
from chandlery.messaging.bus import Handler, Subscription
from chandlery.model import kinds
from chandlery.model.faults import Fault
from chandlery.reconcile.change import broker_key
from chandlery.runtime.resources import Resources
from chandlery.store.database import UnitOfWork
from chandlery.store.objects import Listing

log = structlog.get_logger()

_LOOK_EVERY_SECONDS = 15.0


class Worker:
    """One worker service in one process."""

    def __init__(
        self,
        resources: Resources,
        handlers: Mapping[str, Handler],
        *,
        look_every_seconds: float = _LOOK_EVERY_SECONDS,
    ) -> None:
        """`handlers` maps kinds to what handles commands for them; lanes are looked up each `look_every_seconds`."""
        self._resources = resources
        self._handlers = {kind: self._tracked(handler) for kind, handler in handlers.items()}
        self._subscriptions: dict[tuple[str, str], Subscription] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._look_every_seconds = look_every_seconds
        self._opening = asyncio.Lock()

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """See Running."""
        # First the events, then the list: a broker that is registered in between is seen twice rather than never.
        events = await self._resources.bus.subscribe("LaneOpened.#", self._open_announced)
        for lane in await self._resources.database.run(_lanes):
            await self._open(lane)
        ready()
        looking = asyncio.create_task(self._keep_looking())
        await stop.wait()
        looking.cancel()
        await events.close()
        await self._finish()

    async def _keep_looking(self) -> None:
        """Find lanes whose announcement was missed, and let go of those whose service broker is gone."""
        while True:
            await asyncio.sleep(self._look_every_seconds)
            try:
                lanes = {*await self._resources.database.run(_lanes), SINGLE_LANE}
                for lane in lanes - {SINGLE_LANE}:
                    await self._open(lane)
                for queue, lane in [queue for queue in self._subscriptions if queue[1] not in lanes]:
                    await self._retire(queue, lane)
            except Fault as fault:
                log.warning(f"lanes could not be looked up: {fault.message}", action="look_for_lanes")

    async def _retire(self, queue: str, lane: str) -> None:
        await self._subscriptions.pop((queue, lane)).close()
        log.info(f"no longer listening on {queue} for {lane}", action="close_lane", lane=lane)
        if not await self._resources.bus.retire(self._kinds_on(queue), lane):
            # Commands are left in it, for objects that have gone elsewhere or are gone: they are worked off first.
            await self._open(lane)

    async def _open_announced(self, message: Message) -> None:
        if isinstance(message, LaneOpened):
            await self._open(message.lane)

    async def _open(self, lane: str) -> None:
        # An announcement may come while the same lane is being opened: nobody would ever close the second subscription.
        async with self._opening:
            await self._listen(lane)

    async def _listen(self, lane: str) -> None:
        for kind, handler in self._handlers.items():
            actual = SINGLE_LANE if WORK_QUEUES[kind] in UNSHARDED_QUEUES else lane
            queue = (WORK_QUEUES[kind], actual)
            if queue in self._subscriptions:
                continue
            concurrency = self._resources.settings.broker_concurrency
            self._subscriptions[queue] = await self._resources.bus.consume(
                self._kinds_on(WORK_QUEUES[kind]), actual, handler, concurrency=concurrency
            )
            log.info(f"listening on {queue[0]} for {actual}", action="open_lane", lane=actual)

    def _kinds_on(self, queue: str) -> Sequence[str]:
        return [kind for kind in self._handlers if WORK_QUEUES[kind] == queue]

    async def _finish(self) -> None:
        closing = asyncio.gather(*(subscription.close() for subscription in self._subscriptions.values()))
        try:
            async with asyncio.timeout(self._resources.settings.shutdown_seconds):
                await asyncio.shield(closing)
        except TimeoutError:
            # Their leases are given back as they are cancelled; another process repeats what was in flight.
            log.warning(f"giving back {len(self._running)} unfinished rounds", action="give_back")
            for task in self._running:
                task.cancel()
            await asyncio.gather(closing, return_exceptions=True)

    def _tracked(self, handler: Handler) -> Handler:
        async def run(message: Message) -> None:
            task = asyncio.current_task()
            if task is not None:
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            await handler(message)

        return run


async def _lanes(unit: UnitOfWork) -> Sequence[str]:
    brokers = [broker for kind in kinds.BROKER_KINDS for broker in await unit.objects.list(kind, Listing())]
    known = {broker_key(broker.metadata.namespace, broker.metadata.name) for broker in brokers}
    return sorted(known | set(await unit.reconciliations.lanes()) | {UNRESOLVED_LANE})
