"""In front of every route: who may be served now, who waits for a moment, who is told to come back later.

A thin layer around the decisions of `fair_seats` and `request_classes`. It keeps what one process holds in memory at a
time within bounds, and answers 429 before it drowns.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chandlery.process.http.connection_shares import share_of
from chandlery.process.logs.logs import Tally
from chandlery.settings.settings import Settings
from chandlery_gateway.http.fair_queue import FairQueue, QueuedRequest
from chandlery_gateway.http.rendering import fault_response
from chandlery_gateway.http.request_bodies import PatientReceive
from chandlery_gateway.http.request_classes import Demand, RequestClass, demand_of
from chandlery_gateway.identity.authentication import Authenticator
from chandlery_gateway.identity.failed_logins import FailedLogins
from chandlery_gateway.kube.printing.status_objects import TooManyRequests, Unauthorized

WATCH_HAS_BEGUN: Final = "chandlery.watch_has_begun"
"""In the ASGI scope of a watch: what to call as soon as it has told what there is."""

log = structlog.get_logger()

_STRANGERS = ""
"""Requests without a token share one queue."""
_GUESSERS = "\0"
"""And so do those with a token that nobody has; no user is called so."""
_PIECE_BYTES = 256 * 1024
_NAMES = {_STRANGERS: "clients without a token", _GUESSERS: "clients with an invalid token"}
_MANY = "too many requests, please try again later"
_TOO_MANY = {
    RequestClass.READING: _MANY,
    RequestClass.MUTATING: _MANY,
    RequestClass.WATCH: "too many watches, please end some of yours or try again later",
}
_CLOSING = ((b"connection", b"close"),)
_NO_GUESSING = ((b"x-content-type-options", b"nosniff"),)


class OverloadGuard:
    """ASGI middleware."""

    def __init__(
        self, app: ASGIApp, *, authenticator: Authenticator, settings: Settings, is_ending: Callable[[], bool]
    ) -> None:
        """While `is_ending`, every answer asks its client to come back on another connection."""
        self._app = app
        self._authenticator = authenticator
        self._is_ending = is_ending
        self._wait_seconds = settings.request_wait_seconds
        self._body_seconds = settings.slow_client_seconds
        queues = {"waiting": settings.max_waiting_requests, "waiting_per_user": -(-settings.max_waiting_requests // 2)}
        self._seats = {
            RequestClass.READING: FairQueue(seats=settings.max_reading_requests, **queues),
            RequestClass.MUTATING: FairQueue(seats=settings.max_mutating_requests, **queues),
            RequestClass.WATCH: FairQueue(seats=settings.max_watches, waiting=0, waiting_per_user=0),
        }
        self._waiting: dict[QueuedRequest, asyncio.Future[None]] = {}
        self._failed_logins = FailedLogins()
        self._turned_away = Tally(_say_who_was_turned_away)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, now or later, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        demand = demand_of(scope["method"], scope["path"], scope["query_string"], scope["headers"])
        if demand.request_class is RequestClass.EXEMPT:
            await self._app(scope, receive, send)
            return
        sending, user = _Sending(send, closes=self._is_ending), self._name(scope)
        held_back = self._failed_logins.note(_address(scope), now=time.monotonic()) if user == _GUESSERS else 0.0
        stays: list[_Stay] = []
        try:
            for request_class, width in _wanted(demand):
                stay = _Stay(self._seats[request_class], QueuedRequest(user, width), self._welcome)
                if not await self._is_seated(stay.seats, stay.guest):
                    self._turned_away.add(user)
                    await fault_response(TooManyRequests(_TOO_MANY[request_class]))(scope, receive, sending)
                    return
                stays.append(stay)
            if demand.request_class is RequestClass.WATCH:
                scope[WATCH_HAS_BEGUN] = stays[-1].end
            if demand.request_class is RequestClass.MUTATING:
                receive = PatientReceive(receive, seconds=self._body_seconds)
            if held_back:
                # In its seat, so that only so many wait for that, and neither users nor other strangers for them.
                await asyncio.sleep(held_back)
            await self._app(scope, receive, sending)
        finally:
            for stay in stays:
                stay.end()

    def _name(self, scope: Scope) -> str:
        try:
            return self._authenticator.sender(scope).username
        except Unauthorized:
            return _GUESSERS if any(name == b"authorization" for name, _ in scope["headers"]) else _STRANGERS

    async def _is_seated(self, seats: FairQueue, guest: QueuedRequest) -> bool:
        refused = seats.arrive(guest)
        if guest.is_seated:
            return True
        if refused is guest:
            return False
        if refused is not None:
            self._waiting[refused].cancel()
        called = self._waiting[guest] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait((called,), timeout=self._wait_seconds)
        except asyncio.CancelledError:
            if not called.cancelled():
                self._welcome(seats.leave(guest))
            raise
        finally:
            del self._waiting[guest]
        if called.cancelled():
            return False
        if not guest.is_seated:
            self._welcome(seats.leave(guest))
        return guest.is_seated

    def _welcome(self, guests: list[QueuedRequest]) -> None:
        for guest in guests:
            self._waiting[guest].set_result(None)


def _wanted(demand: Demand) -> Iterator[tuple[RequestClass, int]]:
    """The seats of a request. A watch sits among readers too until it has begun, which costs as much as a list."""
    yield demand.request_class, demand.width
    if demand.beginning:
        yield RequestClass.READING, demand.beginning


@dataclass(frozen=True, slots=True)
class _Stay:
    """A guest on its seats."""

    seats: FairQueue
    guest: QueuedRequest
    welcome: Callable[[list[QueuedRequest]], None]

    def end(self) -> None:
        """Leave; a second time does no harm."""
        if self.guest.is_seated:
            self.welcome(self.seats.leave(self.guest))


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return share_of(client[0]) if client else "unknown"


def _say_who_was_turned_away(user: str, count: int) -> None:
    # Such a request is answered 429: its client comes back, so nothing is lost, but somebody waits.
    log.warning(
        f"too many requests of {_NAMES.get(user, user)}: {count} answered 429",
        action="shed_load",
        user=_NAMES.get(user, user),
        count=count,
    )


class _Sending:
    """Sends large bodies in pieces, so that a request holds its seat until its client has taken nearly all of it."""

    __slots__ = ("_closes", "_send")

    def __init__(self, send: Send, *, closes: Callable[[], bool]) -> None:
        self._send = send
        self._closes = closes

    def __call__(self, message: Message) -> Awaitable[None]:
        if len(message.get("body", b"")) > _PIECE_BYTES:
            return self._send_in_pieces(message)
        if message["type"] == "http.response.start":
            # What users have written is in there: no browser shall guess that it is a page.
            message["headers"] = [*message["headers"], *_NO_GUESSING, *(_CLOSING if self._closes() else ())]
        return self._send(message)

    async def _send_in_pieces(self, message: Message) -> None:
        body = message["body"]
        for start in range(0, len(body), _PIECE_BYTES):
            is_last = start + _PIECE_BYTES >= len(body)
            more = message.get("more_body", False) if is_last else True
            await self._send({**message, "body": body[start : start + _PIECE_BYTES], "more_body": more})
