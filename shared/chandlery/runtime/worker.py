"""Runs the loops of a worker service: listens on every lane, and on new ones as service brokers are registered."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

import structlog

from chandlery.contracts.messages import LaneOpened, Message
from chandlery.contracts.topology import SINGLE_LANE, UNSHARDED_QUEUES, WORK_QUEUES
from chandlery.messaging.bus import Handler, Subscription
from chandlery.model.faults import Fault
from chandlery.runtime.lane_shares import Lanes, find_lanes, stop_sharing
from chandlery.runtime.resources import Resources

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
        self._lanes = Lanes()
        self._concurrency: dict[tuple[str, str], int] = {}
        self._resizing: set[asyncio.Task[None]] = set()
        sharded = sorted({WORK_QUEUES[kind] for kind in handlers} - UNSHARDED_QUEUES)
        self._name = f"{resources.owner}/{'+'.join(sharded)}" if sharded else None

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """See Running."""
        # First the events, then the list: a broker that is registered in between is seen twice rather than never.
        events = await self._resources.bus.subscribe("LaneOpened.#", self._open_announced)
        for lane in await self._look():
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
                lanes = {*await self._look(), SINGLE_LANE}
                for lane in lanes - {SINGLE_LANE}:
                    await self._open(lane)
                for queue, lane in [queue for queue in self._subscriptions if queue[1] not in lanes]:
                    await self._retire(queue, lane)
                self._resize()
            except Fault as fault:
                log.warning(f"lanes could not be looked up: {fault.message}", action="look_for_lanes")

    async def _look(self) -> Sequence[str]:
        lease = timedelta(seconds=3 * self._look_every_seconds)
        owner = self._resources.owner
        self._lanes = await self._resources.database.run(
            lambda unit: find_lanes(unit, worker=self._name, owner=owner, lease=lease)
        )
        return self._lanes.names

    def _share(self, lane: str) -> int:
        return self._lanes.share(lane, self._resources.settings.broker_concurrency)

    def _resize(self) -> None:
        """Listen anew where a service broker, or the number of workers, gives this one another share."""
        busy = {task.get_name() for task in self._resizing}
        for (queue, lane), concurrency in self._concurrency.items():
            name = f"{queue} {lane}"
            if concurrency == self._share(lane) or name in busy:
                continue
            # Beside the look: it takes as long as the calls that are under way.
            task = asyncio.create_task(self._listen_anew(queue, lane), name=name)
            self._resizing.add(task)
            task.add_done_callback(self._resizing.discard)

    async def _listen_anew(self, queue: str, lane: str) -> None:
        subscription = self._subscriptions.get((queue, lane))
        if subscription is None:
            return
        await subscription.close()
        async with self._opening:
            if self._subscriptions.get((queue, lane)) is subscription:
                del self._subscriptions[queue, lane]
                # What fails now is made good by the next look.
                with suppress(Fault):
                    await self._listen(lane)

    async def _retire(self, queue: str, lane: str) -> None:
        self._concurrency.pop((queue, lane), None)
        await self._subscriptions.pop((queue, lane)).close()
        log.info(f"no longer listening on {queue} for {lane}", action="close_lane", lane=lane)
        if not await self._resources.bus.retire(self._kinds_on(queue), lane):
            # Commands are left in it, for objects that have gone elsewhere or are gone: they are worked off first.
            await self._open(lane)

    async def _open_announced(self, message: Message) -> None:
        if not isinstance(message, LaneOpened):
            return
        if message.lane not in self._lanes.names:
            # What its broker says of concurrency counts from the first call.
            with suppress(Fault):
                await self._look()
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
            concurrency = self._concurrency[queue] = self._share(actual)
            self._subscriptions[queue] = await self._resources.bus.consume(
                self._kinds_on(WORK_QUEUES[kind]), actual, handler, concurrency=concurrency
            )
            log.info(f"listening on {queue[0]} for {actual}", action="open_lane", lane=actual)

    def _kinds_on(self, queue: str) -> Sequence[str]:
        return [kind for kind in self._handlers if WORK_QUEUES[kind] == queue]

    async def _finish(self) -> None:
        for task in self._resizing:
            task.cancel()
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
        if (name := self._name) is not None:
            owner = self._resources.owner
            with suppress(Fault):
                await self._resources.database.run(lambda unit: stop_sharing(unit, worker=name, owner=owner))

    def _tracked(self, handler: Handler) -> Handler:
        async def run(message: Message) -> None:
            task = asyncio.current_task()
            if task is not None:
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            await handler(message)

        return run
