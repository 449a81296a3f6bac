"""The one way of every request, whether it is about objects, a review or a document; only probes are let by.

1. authenticate: who sends it, asked once (`identity/authentication.py`); the answer stays in its ASGI scope
2. impersonate: whom it counts as, if it asks to be somebody else (`kubectl --as`)
3. seat: served now, or in its turn, or told to come back (`seats.py`); fair between senders, whomever they act as
   - here the router looks for the route, and what has none is answered 404 or 405 -
4. authorize: may this user do this? The authorizer that `kubectl auth can-i` asks
5. handle: the handler that the route is registered with makes the answer
6. render: a fault becomes a `Status`, an unexpected exception is logged and becomes a bare one, a long answer is
   compressed (`rendering.py`)
7. audit: what was decided and done is recorded, before the answer is sent (`audited_answers.py`); also of requests that
   come to no handler
8. count: at its very end (`request_metrics.py`)

`app.py` puts `around` the router, which is steps 1 to 3, and has each route lead to an `endpoint`, which is the rest.
The request log lies around all of it and takes from the scope who it was.

Comes in: every request, as ASGI gives it. Goes out: its answer, and one event for the auditor.
Called by: `app.py`, which puts it round the router and gives it each handler.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chandlery.model.faults import Fault
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import Kind
from chandlery.process.http.connection_shares import share_of
from chandlery_gateway.http.audited_answers import AuditedSend
from chandlery_gateway.http.rendering import bug_response, compressed, fault_response
from chandlery_gateway.http.request_bodies import PatientReceive
from chandlery_gateway.http.request_classes import Demand, RequestClass, demand_of
from chandlery_gateway.http.seats import GUESSERS, STRANGERS, SeatedSend, Seats
from chandlery_gateway.identity.audit.audit_event import AuditEvent, begin_event, current_event
from chandlery_gateway.identity.audit.auditor import Auditor
from chandlery_gateway.identity.authentication import (
    IDENTITY,
    Authenticator,
    Identity,
    LoginFailure,
    forwarded_for,
    login_failure,
)
from chandlery_gateway.identity.authorization import Access, Authorizer, check_allowed
from chandlery_gateway.identity.failed_logins import FailedLogins
from chandlery_gateway.identity.impersonation import HEADER_PREFIX, acting_user
from chandlery_gateway.kube.printing.status_objects import TooManyRequests, Unauthorized, reason_of

log = structlog.get_logger(__name__)

_GIVEN_UP = 499
"""No answer was sent: as others note it, too."""
_FAILED = 500
_USER_AGENT = b"user-agent"

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]
Handler = Callable[[Request, UserInfo], Awaitable[Response]]
"""Answers a request of a user who may make it. Raises faults."""
OpenHandler = Callable[[Request], Awaitable[Response]]
AccessOf = Callable[[Request, UserInfo], Access | None]
"""What the authorizer is to be asked; None where it is enough to be a user. May raise faults."""

WATCH_HAS_BEGUN = "chandlery.watch_has_begun"
"""In the ASGI scope of a watch: what to call as soon as it has told what there is."""
STILL_KNOWN = "chandlery.still_known"
"""In the ASGI scope of a watch: raises a fault unless its credentials still make it a request of the same user."""

WATCH_SHOWS = "chandlery.watch_shows"
"""In the ASGI scope: what a watch of Secrets calls with the uids that it is about to show."""


class Pipeline:
    """All steps around a handler. Whoever makes it says who is known, who may do what, and who keeps account."""

    def __init__(  # noqa: PLR0913 - everybody that is asked on the way
        self,
        *,
        authenticator: Authenticator,
        authorizer: Authorizer,
        auditor: Auditor,
        seats: Seats,
        body_seconds: float,
        is_ending: Callable[[], bool],
        unknown: type[Unauthorized] = Unauthorized,
    ) -> None:
        """While `is_ending`, every answer asks its client to come back on another connection.

        `unknown` tells those whom nobody knows what to do about it.
        """
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._auditor = auditor
        self._seats = seats
        self._body_seconds = body_seconds
        self._is_ending = is_ending
        self._unknown = unknown
        self.failed_logins = FailedLogins()

    def around(self, app: ASGIApp, *, answered: Callable[[AuditEvent], None] = lambda _event: None) -> ASGIApp:
        """ASGI middleware: the steps before the router. `answered` is told of each request at its end."""
        return partial(self._enter, app, answered)

    def endpoint(self, handle: Handler, *, access: AccessOf, kind: Kind | None, route: str) -> Endpoint:
        """What a route leads to: the steps after the router. Faults are told as those of a kind, if there is one.

        `route` is what metrics call it: the resource, or what kind of page it is.
        """

        async def work(request: Request, event: AuditEvent) -> Response:
            user = event.user
            if user is None:
                raise request.scope[IDENTITY].fault or self._unknown()
            event.access = access(request, user)
            if event.access is not None:
                check_allowed(event.access, await self._authorizer.decide(event.access))
            await self._auditor.admit(event)
            return await handle(request, user)

        return self._endpoint(work, kind, route)

    def open_endpoint(self, handle: OpenHandler, *, route: str) -> Endpoint:
        """The same for what everybody is answered, also without a token."""

        async def work(request: Request, _event: AuditEvent) -> Response:
            return await handle(request)

        return self._endpoint(work, None, route)

    def _endpoint(
        self, work: Callable[[Request, AuditEvent], Awaitable[Response]], kind: Kind | None, route: str
    ) -> Endpoint:
        async def serve(request: Request) -> Response:
            event = current_event()
            event.route = route
            try:
                response = await compressed(request, await work(request, event))
            except Fault as fault:
                event.reason = reason_of(fault)
                _say_refused(request, fault, event.reason)
                response = fault_response(fault, kind=kind, name=_object_name(request))
            except Exception as error:  # noqa: BLE001 - further up it would be logged with what was sent
                event.reason = reason_of(error)
                response = await bug_response(request, error)
            event.object_name = event.object_name or _object_name(request)
            return response

        return serve

    async def _enter(
        self, app: ASGIApp, answered: Callable[[AuditEvent], None], scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        demand = demand_of(scope["method"], scope["path"], scope["query_string"], scope["headers"])
        if demand.request_class is RequestClass.EXEMPT:
            await app(scope, receive, send)
            return
        event = _event_of(scope, is_stream=demand.request_class is RequestClass.WATCH)
        begin_event(event)
        scope[WATCH_SHOWS] = partial(self._auditor.shown, event)
        audited = AuditedSend(send, self._auditor, event)
        event.status = _FAILED
        try:
            await self._seated(app, scope, receive, SeatedSend(audited, closes=self._is_ending), demand)
        except asyncio.CancelledError:
            # At a forced end. What it has stored by now stays, so it is told of.
            event.status = _GIVEN_UP if not audited.is_recorded else event.status
            raise
        finally:
            if event.is_stream or not audited.is_recorded:
                event.is_over = True
                await asyncio.shield(self._auditor.record(event))
            answered(event)

    async def _seated(self, app: ASGIApp, scope: Scope, receive: Receive, send: SeatedSend, demand: Demand) -> None:
        identity = scope[IDENTITY] = await self._identified(scope)
        event = current_event()
        event.sender, event.user, event.forwarded = identity.sender, identity.user, forwarded_for(scope)
        flow = _flow(scope, identity)
        held_back = self._held_back(scope) if flow == GUESSERS else 0.0
        try:
            seating = await self._seats.take(flow, demand)
        except TooManyRequests as fault:
            event.reason = reason_of(fault)
            await fault_response(fault)(scope, receive, send)
            return
        try:
            if demand.request_class is RequestClass.WATCH:
                scope[WATCH_HAS_BEGUN] = seating.begun
                scope[STILL_KNOWN] = partial(self._check_still_known, scope, identity)
            if demand.request_class is RequestClass.MUTATING:
                receive = PatientReceive(receive, seconds=self._body_seconds)
            if held_back:
                # In its seat, so that only so many wait for that, and neither users nor other strangers for them.
                await asyncio.sleep(held_back)
            await app(scope, receive, send)
        finally:
            seating.leave()

    async def _check_still_known(self, scope: Scope, identity: Identity) -> None:
        """Raises Unauthorized, or why else nobody is known by them now; Unavailable if that cannot be asked."""
        decisions = current_event().decisions
        known = len(decisions)
        # Of a copy: what is found out now is not what the request was let in by.
        found = await self._identified({**scope})
        if found.user != identity.user:
            raise found.fault or self._unknown()
        # The same again is no news for the audit log, which would grow by it for as long as the watch lasts.
        del decisions[known:]

    def _held_back(self, scope: Scope) -> float:
        reason = login_failure(scope) or LoginFailure.UNKNOWN_TOKEN
        return self.failed_logins.note(_address(scope), now=time.monotonic(), reason=reason)

    async def _identified(self, scope: Scope) -> Identity:
        sender = None
        try:
            sender = await self._authenticator.authenticate(scope)
            if sender is None or not any(name.startswith(HEADER_PREFIX) for name, _ in scope["headers"]):
                return Identity(sender, sender)
            return Identity(sender, await acting_user(sender, Headers(scope=scope), self._authorizer))
        except Fault as fault:
            return Identity(sender, None, fault)


def _say_refused(request: Request, fault: Fault, reason: str) -> None:
    # Its message may quote what was sent.
    log.debug(
        f"{request.method} {request.url.path} is refused: {reason}",
        action="refuse_request",
        method=request.method,
        path=request.url.path,
        reason=reason,
        error_type=type(fault).__name__,
    )


def _event_of(scope: Scope, *, is_stream: bool) -> AuditEvent:
    client = scope.get("client")
    return AuditEvent(
        scope["method"],
        scope["path"],
        query=scope["query_string"],
        address=client[0] if client else "",
        user_agent=next((value for name, value in scope["headers"] if name == _USER_AGENT), b"").decode("latin-1"),
        is_stream=is_stream,
    )


def _flow(scope: Scope, identity: Identity) -> str:
    """Whose queue the request stands in."""
    if identity.sender is not None:
        return identity.sender.username
    return GUESSERS if identity.fault is None and login_failure(scope) is not None else STRANGERS


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return share_of(client[0]) if client else "unknown"


def _object_name(request: Request) -> str:
    """The object that a request is about; of a creation once its body has been read."""
    return str(request.path_params.get("name") or getattr(request.state, "object_name", ""))
