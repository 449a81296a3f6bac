"""Who may be served now, who waits for a moment, who is told to come back later; `pipeline` asks for each request.

A thin layer around the decisions of `fair_queue` and `request_classes`. It keeps what one process holds in memory at a
time within bounds, and refuses before it drowns.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import structlog
from starlette.types import Message, Send

from chandlery.process.logs.tally import Tally
from chandlery.settings.settings import Settings
from chandlery.telemetry.catalog import api_requests as told
from chandlery.telemetry.metrics import NO_METRICS, Metrics, Sample
from chandlery_gateway.http.fair_queue import FairQueue, QueuedRequest
from chandlery_gateway.http.request_classes import Demand, RequestClass
from chandlery_gateway.kube.printing.status_objects import TooManyRequests

log = structlog.get_logger(__name__)

STRANGERS: Final = ""
"""Requests without a token share one queue."""
GUESSERS: Final = "\0"
"""And so do those with a token that nobody has; no user is called so."""
_PIECE_BYTES = 256 * 1024
_NAMES = {STRANGERS: "clients without a token", GUESSERS: "clients with an invalid token"}
_MANY = "too many requests, please try again later"
_TOO_MANY = {
    RequestClass.READING: _MANY,
    RequestClass.MUTATING: _MANY,
    RequestClass.WATCH: "too many watches, please end some of yours or try again later",
}
_CLASSES: Final = {each: each.name.lower() for each in RequestClass}
"""What metrics call them."""
_CLOSING = ((b"connection", b"close"),)


class Seats:
    """The seats of all classes of requests, and those who wait for one."""

    def __init__(self, settings: Settings, metrics: Metrics = NO_METRICS) -> None:
        self._wait_seconds = settings.request_wait_seconds
        queues = {"waiting": settings.max_waiting_requests, "waiting_per_user": -(-settings.max_waiting_requests // 2)}
        self._queues = {
            RequestClass.READING: FairQueue(seats=settings.max_reading_requests, **queues),
            RequestClass.MUTATING: FairQueue(seats=settings.max_mutating_requests, **queues),
            RequestClass.WATCH: FairQueue(seats=settings.max_watches, waiting=0, waiting_per_user=0),
        }
        self._waiting: dict[QueuedRequest, asyncio.Future[None]] = {}
        self._turned_away = Tally(_say_who_was_turned_away)
        self._refused: Counter[RequestClass] = Counter()
        self._metrics = metrics
        metrics.collect(told.SEATS, lambda: self._each(lambda queue: queue.seats))
        metrics.collect(told.SEATS_TAKEN, lambda: self._each(lambda queue: queue.taken))
        metrics.collect(told.REQUESTS_WAITING, lambda: self._each(lambda queue: queue.waiting))
        metrics.collect(told.REQUESTS_REFUSED, self._refusals)

    async def take(self, user: str, demand: Demand) -> "Seating":
        """Seat a request of this user, now or later; raises TooManyRequests."""
        seating = Seating(self._call_up)
        try:
            for request_class, width in _wanted(demand):
                queue, queued = self._queues[request_class], QueuedRequest(user, width)
                began = time.monotonic()
                is_seated = await self._is_seated(queue, queued)
                seconds = time.monotonic() - began
                self._metrics.observe(told.REQUEST_WAIT_SECONDS, _CLASSES[request_class], value=seconds)
                if not is_seated:
                    self._refused[request_class] += 1
                    self._turned_away.add(user)
                    raise TooManyRequests(_TOO_MANY[request_class])
                seating.add(queue, queued)
        except BaseException:
            seating.leave()
            raise
        return seating

    async def _is_seated(self, queue: FairQueue, queued: QueuedRequest) -> bool:
        refused = queue.arrive(queued)
        if queued.is_seated:
            return True
        if refused is queued:
            return False
        if refused is not None:
            self._waiting[refused].cancel()
        called = self._waiting[queued] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait((called,), timeout=self._wait_seconds)
        except asyncio.CancelledError:
            if not called.cancelled():
                self._call_up(queue.leave(queued))
            raise
        finally:
            del self._waiting[queued]
        if called.cancelled():
            return False
        if not queued.is_seated:
            self._call_up(queue.leave(queued))
        return queued.is_seated

    def _each(self, number: Callable[[FairQueue], int]) -> Iterator[Sample]:
        return (Sample((_CLASSES[each],), number(queue)) for each, queue in self._queues.items())

    def _refusals(self) -> Iterator[Sample]:
        return (Sample((_CLASSES[each],), self._refused[each]) for each in self._queues)

    def _call_up(self, seated: list[QueuedRequest]) -> None:
        """These have waited and are seated now."""
        for queued in seated:
            self._waiting[queued].set_result(None)


class Seating:
    """The seats of one request."""

    __slots__ = ("_call_up", "_held")

    def __init__(self, call_up: Callable[[list[QueuedRequest]], None]) -> None:
        self._call_up = call_up
        self._held: list[tuple[FairQueue, QueuedRequest]] = []

    def add(self, queue: FairQueue, queued: QueuedRequest) -> None:
        """It has been seated here too."""
        self._held.append((queue, queued))

    def begun(self) -> None:
        """Of a watch: give back what was for its beginning. A second time does no harm."""
        if len(self._held) > 1:
            self._give_back()

    def leave(self) -> None:
        """Give all of them back."""
        while self._held:
            self._give_back()

    def _give_back(self) -> None:
        queue, queued = self._held.pop()
        self._call_up(queue.leave(queued))


def _wanted(demand: Demand) -> Iterator[tuple[RequestClass, int]]:
    """The seats of a request. A watch sits among readers too until it has begun, which costs as much as a list."""
    yield demand.request_class, demand.width
    if demand.beginning:
        yield RequestClass.READING, demand.beginning


def _say_who_was_turned_away(user: str, count: int) -> None:
    # Such a request is answered 429: its client comes back, so nothing is lost, but somebody waits.
    log.warning(
        f"too many requests of {_NAMES.get(user, user)}: {count} answered 429",
        action="shed_load",
        user=_NAMES.get(user, user),
        count=count,
    )


class SeatedSend:
    """Sends large bodies in pieces, so that a request holds its seat until its client has taken nearly all of it."""

    __slots__ = ("_closes", "_send")

    def __init__(self, send: Send, *, closes: Callable[[], bool]) -> None:
        """While `closes`, the client is asked to come back on another connection."""
        self._send = send
        self._closes = closes

    def __call__(self, message: Message) -> Awaitable[None]:
        if len(message.get("body", b"")) > _PIECE_BYTES:
            return self._send_in_pieces(message)
        if message["type"] == "http.response.start" and self._closes():
            message["headers"] = [*message["headers"], *_CLOSING]
        return self._send(message)

    async def _send_in_pieces(self, message: Message) -> None:
        body = message["body"]
        for start in range(0, len(body), _PIECE_BYTES):
            is_last = start + _PIECE_BYTES >= len(body)
            more = message.get("more_body", False) if is_last else True
            await self._send({**message, "body": body[start : start + _PIECE_BYTES], "more_body": more})
