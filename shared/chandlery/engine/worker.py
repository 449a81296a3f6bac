"""Runs the loops of a worker service: listens on every lane, and on new ones as service brokers are registered.

Comes in: commands from the bus, one consumer for each queue and lane; lanes, from a look every few seconds and from
announcements (`LaneOpened`).
Goes out: each command to the handler of its kind, which is `ReconcileLoop.handle`.
Called by: each worker service's `main`, through `composition`.

A lane is a service broker, so that one that hangs keeps nobody else waiting. Those of brokers that are gone are closed,
and their queues removed once the commands in them are worked off. How many commands a lane takes at a time follows from
what its broker says and how many workers there are (`lane_shares`). What this process has put off itself is begun
beside them, without a message (`reminded_rounds`). At the end, rounds are waited for, and then cancelled: they give
back their leases.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from chandlery.contracts.messages import LaneOpened, Message, Reconcile
from chandlery.contracts.topology import SINGLE_LANE, UNSHARDED_QUEUES, WORK_QUEUES
from chandlery.engine.circuits.lane_shares import Lanes, WorkerName, find_lanes, stop_sharing
from chandlery.engine.reminded_rounds import RemindedRounds
from chandlery.engine.resources import Resources
from chandlery.messaging.bus import Handler, Subscription
from chandlery.model.faults import Fault
from chandlery.reconcile.reconcile_result import broker_label

log = structlog.get_logger(__name__)

_LOOK_EVERY_SECONDS = 15.0
_OPEN_SECONDS = 10.0
"""A lane that cannot be listened to for so long is left to open when it can: nobody waits for it."""


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
        self._reminded: dict[tuple[str, str], RemindedRounds] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._look_every_seconds = look_every_seconds
        self._opening: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._opening_since: dict[tuple[str, str], float] = {}
        self._lanes = Lanes()
        self._concurrency: dict[tuple[str, str], int] = {}
        self._resizing: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        queues = {WORK_QUEUES[kind] for kind in handlers}
        sharded = queues - UNSHARDED_QUEUES
        self._name = WorkerName(owner=resources.owner, queues=sorted(sharded or queues), calls_brokers=bool(sharded))

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """See Running."""
        # First the events, then the list: a broker that is registered in between is seen twice rather than never.
        events = await self._resources.bus.subscribe("LaneOpened.#", self._open_announced)
        await _begun(self._open(*await self._look()))
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
                self._open(*sorted(lanes - {SINGLE_LANE}))
                self._give_up_opening(lanes)
                for key in [key for key in self._subscriptions if key[1] not in lanes]:
                    # Beside the look, as below: a call that hangs at the service broker that goes delays no other lane.
                    task = asyncio.create_task(self._close_lane(*key, self._subscriptions.pop(key)))
                    self._closing.add(task)
                    task.add_done_callback(self._closing.discard)
                self._resize()
            except Fault as fault:
                log.warning(f"the lanes of service brokers could not be read: {fault.message}", action="look_for_lanes")

    async def _look(self) -> Sequence[str]:
        lease = timedelta(seconds=3 * self._look_every_seconds)
        before = self._lanes
        self._lanes = await self._resources.database.run(
            lambda unit: find_lanes(unit, worker=self._name, lease=lease, before=before)
        )
        for lane in set(before.names) - set(self._lanes.names):
            self._resources.metrics.forget("broker", broker_label(lane))
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
        self._remind_no_more(queue, lane)
        await subscription.close()
        if self._subscriptions.get((queue, lane)) is subscription:
            del self._subscriptions[queue, lane]
            self._open(lane)

    async def _close_lane(self, queue: str, lane: str, subscription: Subscription) -> None:
        self._concurrency.pop((queue, lane), None)
        self._remind_no_more(queue, lane)
        await subscription.close()
        if (queue, lane) in self._subscriptions or (queue, lane) in self._opening:
            # Its service broker is back.
            return
        log.info(f"no longer listening on {queue} for {lane}", action="close_lane", lane=lane)
        try:
            is_gone = await self._resources.bus.remove_queues(self._kinds_on(queue), lane)
        except Fault as fault:
            log.warning(f"{queue} for {lane} could not be removed: {fault.message}", action="close_lane", lane=lane)
            return
        if not is_gone:
            # Commands are left in it, for objects that have gone elsewhere or are gone: they are worked off first.
            self._open(lane)

    async def _open_announced(self, message: Message) -> None:
        if not isinstance(message, LaneOpened):
            return
        if message.lane not in self._lanes.names:
            # What its broker says of concurrency counts from the first call. What cannot be read now is found later.
            with suppress(Fault):
                await self._look()
        if message.lane not in self._lanes.names:
            log.info(
                "a message announced a lane that belongs to no service broker", action="ignore_lane", lane=message.lane
            )
            return
        self._open(message.lane)

    def _open(self, *lanes: str) -> set[asyncio.Task[None]]:
        """Begin to listen on these, each for itself: one that the bus does not let us listen on holds up no other."""
        keys = [
            (WORK_QUEUES[kind], SINGLE_LANE if WORK_QUEUES[kind] in UNSHARDED_QUEUES else lane)
            for lane in lanes
            for kind in self._handlers
        ]
        # An announcement may come while the lane is being opened: nobody would ever close a second subscription.
        for key in dict.fromkeys(keys):
            if key not in self._subscriptions and key not in self._opening:
                task = self._opening[key] = asyncio.create_task(self._listen(*key), name=" for ".join(key))
                self._opening_since[key] = time.monotonic()
                task.add_done_callback(partial(self._opened, key))
        return {self._opening[key] for key in keys if key in self._opening}

    def _give_up_opening(self, lanes: Collection[str]) -> None:
        """Lanes of brokers that are gone, if the bus refuses them: others are only opened to work off what is left."""
        latest = time.monotonic() - _OPEN_SECONDS
        for key, task in list(self._opening.items()):
            if key[1] not in lanes and self._opening_since[key] < latest:
                task.cancel()

    def _opened(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        if self._opening.get(key) is task:
            del self._opening[key], self._opening_since[key]

    async def _listen(self, queue: str, lane: str) -> None:
        concurrency = self._concurrency[queue, lane] = self._share(lane)
        try:
            subscription = self._subscriptions[queue, lane] = await self._resources.bus.consume(
                self._kinds_on(queue), lane, self._handler_of(queue), concurrency=concurrency
            )
        except Fault as fault:
            # Made good by the next look.
            log.warning(f"cannot listen on {queue} for {lane}: {fault.message}", action="open_lane", lane=lane)
            return
        if queue not in UNSHARDED_QUEUES:
            # On a lane for all, one broker that hangs would hold what is claimed with it: that goes by the bus.
            self._remind(queue, lane, RemindedRounds(subscription, self._handlers, concurrency=concurrency))
        log.info(f"listening on {queue} for {lane}", action="open_lane", lane=lane)

    def _remind(self, queue: str, lane: str, rounds: RemindedRounds) -> None:
        self._reminded[queue, lane] = rounds
        for kind in self._kinds_on(queue):
            self._resources.requeue_timers.hand_to(kind, lane, rounds.take)

    def _remind_no_more(self, queue: str, lane: str) -> None:
        """Leave what is due to whoever listens."""
        for kind in self._kinds_on(queue):
            self._resources.requeue_timers.hand_to(kind, lane, None)
        if (rounds := self._reminded.pop((queue, lane), None)) is not None:
            self._resources.requeue_timers.send(rounds.close())

    def _handler_of(self, queue: str) -> Handler:
        handlers = {kind: self._handlers[kind] for kind in self._kinds_on(queue)}

        async def handle(message: Message) -> None:
            handler = handlers.get(message.kind) if isinstance(message, Reconcile) else None
            if handler is None:
                log.warning(
                    f"a {message.type} was dropped, because it does not belong on {queue}", action="drop_message"
                )
                return
            await handler(message)

        return handle

    def _kinds_on(self, queue: str) -> Sequence[str]:
        return [kind for kind in self._handlers if WORK_QUEUES[kind] == queue]

    async def _finish(self) -> None:
        for task in (*self._resizing, *self._opening.values()):
            task.cancel()
        await asyncio.gather(*self._resizing, *self._opening.values(), return_exceptions=True)
        for key in list(self._reminded):
            self._remind_no_more(*key)
        listening = self._subscriptions.values()
        closing = asyncio.gather(*(subscription.close() for subscription in listening), *self._closing)
        hurrying = asyncio.ensure_future(self._resources.hurry.wait())
        both: set[asyncio.Future[Any]] = {closing, hurrying}
        patience = self._resources.settings.shutdown_seconds
        await asyncio.wait(both, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        hurrying.cancel()
        if closing.done():
            closing.result()
        else:
            # Their leases are given back as they are cancelled; another process repeats what was in flight.
            log.warning(f"releasing {len(self._running)} unfinished rounds", action="give_back")
            for task in self._running:
                task.cancel()
            await asyncio.gather(closing, return_exceptions=True)
        with suppress(Fault):
            await self._resources.database.run(lambda unit: stop_sharing(unit, worker=self._name))

    def _tracked(self, handler: Handler) -> Handler:
        async def run(message: Message) -> None:
            task = asyncio.current_task()
            if task is not None:
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            await handler(message)

        return run


async def _begun(opening: set[asyncio.Task[None]]) -> None:
    """Return when all of these are listened on, but for what takes too long."""
    if not opening:
        return
    done, late = await asyncio.wait(opening, timeout=_OPEN_SECONDS)
    for task in done:
        task.result()
    for task in late:
        log.warning(f"cannot listen on {task.get_name()} yet; the other queues are served", action="open_lane")
