"""Begins the rounds of one lane that this process has put off itself: many together, with no message for each of them.

Comes in: commands whose time has come, from `requeue_timers`.
Goes out: each to the handler of its kind, beside those that messages have brought and within the same slots, so that
the service broker gets no more calls at a time than before.
Called by: `worker.py`, which makes one for each lane that it listens on.

So many are under way as the lane gets through in two seconds: with those that wait for a slot the lease is taken
already. What this process does not get to goes to the bus, where every process of the service may take it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from chandlery.contracts.messages import Reconcile
from chandlery.messaging.bus import Handler, Subscription
from chandlery.messaging.handler_slots import most_taken

log = structlog.get_logger(__name__)

TOGETHER: Final = 128
"""Rounds that begin together, at most."""
_MOST_WAITING: Final = 1_000
_SOON_SECONDS: Final = 2.0


@dataclass
class _Batch:
    """What has begun together, and is not over."""

    began: float
    left: int
    size: int


class RemindedRounds:
    """Of one lane, for as long as its subscription lasts."""

    def __init__(self, subscription: Subscription, handlers: Mapping[str, Handler], *, concurrency: int) -> None:
        """`handlers` are those of the subscription, by kind."""
        self._run = subscription.run_beside
        self._handlers = handlers
        self._least = most_taken(concurrency)
        self._at_a_time = self._least
        self._under_way = 0
        self._waiting: deque[Reconcile] = deque()

    def take(self, commands: Sequence[Reconcile]) -> Sequence[Reconcile]:
        """See to what is due now; returns what is more than this process gets to soon."""
        room = max(0, _MOST_WAITING - len(self._waiting))
        self._waiting.extend(commands[:room])
        self._begin()
        return commands[room:]

    def close(self) -> Sequence[Reconcile]:
        """Begin no more; returns what has not begun."""
        left = list(self._waiting)
        self._waiting.clear()
        return left

    def _begin(self) -> None:
        # Few at a time would be many transactions: those that are due meanwhile begin with the next ones.
        if not self._waiting or self._under_way > self._at_a_time // 2:
            return
        size = min(len(self._waiting), self._at_a_time - self._under_way)
        batch = _Batch(time.monotonic(), left=size, size=size)
        for _ in range(size):
            command = self._waiting.popleft()
            task = self._run(partial(self._handle, command))
            if task is None:
                # The lane is being closed: the sweep finds it.
                continue
            self._under_way += 1
            task.add_done_callback(partial(self._ended, batch))

    async def _handle(self, command: Reconcile) -> None:
        try:
            await self._handlers[command.kind](command)
        except Exception as error:  # noqa: BLE001 - the lease is given back; the sweep sends a message, which is counted
            log.error(  # noqa: TRY400 - texts of exceptions can quote data
                f"a round that was due again failed: {type(error).__name__}",
                action="remind",
                kind=command.kind,
                uid=command.uid,
                error_type=type(error).__name__,
            )

    def _ended(self, batch: _Batch, _task: "asyncio.Task[None]") -> None:
        self._under_way -= 1
        batch.left -= 1
        if not batch.left:
            self._learn(batch, time.monotonic() - batch.began)
        self._begin()

    def _learn(self, batch: _Batch, seconds: float) -> None:
        if seconds > _SOON_SECONDS:
            self._at_a_time = max(self._least, self._at_a_time // 2)
        elif batch.size > self._at_a_time // 2:
            self._at_a_time = min(max(TOGETHER, self._least), 2 * self._at_a_time)
