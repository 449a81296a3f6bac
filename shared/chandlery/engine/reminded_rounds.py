"""Begins the rounds of one lane that this process has put off itself: many together, with no message for each of them.

Comes in: commands whose time has come, from `requeue_timers`.
Goes out: each to the handler of its kind, beside those that messages have brought and within the same slots, so that
the service broker gets no more calls at a time than before.
Called by: `worker.py`, which makes one for each lane that it listens on.

So many are under way as the lane gets through in two seconds: with those that wait for a slot the lease is taken
already. What this process does not get to goes to the bus, where every process of the service may take it; what has
waited for so long that the sweep has sent it there is forgotten.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, takewhile
from typing import Final, NamedTuple

import structlog

from chandlery.contracts.messages import Reconcile
from chandlery.messaging.bus import Handler, Subscription
from chandlery.messaging.handler_slots import has_used_slot, most_taken
from chandlery.store.work.work_releases import REMINDER

log = structlog.get_logger(__name__)

TOGETHER: Final = 128
"""Rounds that begin together, at most."""
_MOST_WAITING: Final = 1_000
_SOON_SECONDS: Final = 2.0


class _Waiting(NamedTuple):
    """What is due and has not begun."""

    command: Reconcile
    since: float


@dataclass
class _Batch:
    """What has begun together, and is not over."""

    began: float
    left: int
    called: int = 0
    """Who has held a slot for a call: the others say nothing of how quick the lane is."""
    called_at: float = 0.0
    """When the last of those was over."""


class RemindedRounds:
    """Of one lane, for as long as its subscription lasts."""

    def __init__(
        self,
        subscription: Subscription,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`handlers` are those of the subscription, by kind; the clock tells seconds."""
        self._clock = clock
        self._run = subscription.run_beside
        self._handlers = handlers
        self._least = most_taken(concurrency)
        self._at_a_time = self._least
        self._under_way = 0
        self._waiting: dict[str, _Waiting] = {}

    def take(self, commands: Sequence[Reconcile]) -> Sequence[Reconcile]:
        """See to what is due now; returns what is more than this process gets to soon."""
        for command in commands:
            # Who is due anew has had a round meanwhile, by a message.
            self._waiting.pop(command.uid, None)
        self._forget_late()
        room, now = max(0, _MOST_WAITING - len(self._waiting)), self._clock()
        self._waiting.update((command.uid, _Waiting(command, now)) for command in commands[:room])
        self._begin()
        return commands[room:]

    def close(self) -> Sequence[Reconcile]:
        """Begin no more; returns what has not begun."""
        self._forget_late()
        left = [each.command for each in self._waiting.values()]
        self._waiting.clear()
        return left

    def _forget_late(self) -> None:
        """Leave to the sweep what it has sent by now: begun here, too, it would be claimed in vain."""
        latest = self._clock() - REMINDER.total_seconds()
        late = list(takewhile(lambda uid: self._waiting[uid].since < latest, self._waiting))
        for uid in late:
            del self._waiting[uid]

    def _begin(self) -> None:
        # Few at a time would be many transactions: those that are due meanwhile begin with the next ones.
        if self._under_way > self._at_a_time // 2:
            return
        self._forget_late()
        beginning = list(islice(self._waiting, self._at_a_time - self._under_way))
        batch = _Batch(self._clock(), left=len(beginning))
        for uid in beginning:
            command = self._waiting.pop(uid).command
            task = self._run(partial(self._handle, command, batch))
            if task is None:
                # The lane is being closed: the sweep finds it.
                continue
            self._under_way += 1
            task.add_done_callback(partial(self._ended, batch))

    async def _handle(self, command: Reconcile, batch: _Batch) -> None:
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
        finally:
            if has_used_slot():
                batch.called, batch.called_at = batch.called + 1, self._clock()

    def _ended(self, batch: _Batch, _task: "asyncio.Task[None]") -> None:
        self._under_way -= 1
        batch.left -= 1
        if not batch.left:
            self._learn(batch)
        self._begin()

    def _learn(self, batch: _Batch) -> None:
        if not batch.called:
            return
        if batch.called_at - batch.began > _SOON_SECONDS:
            self._at_a_time = max(self._least, self._at_a_time // 2)
        elif batch.called > self._at_a_time // 2:
            self._at_a_time = min(max(TOGETHER, self._least), 2 * self._at_a_time)
