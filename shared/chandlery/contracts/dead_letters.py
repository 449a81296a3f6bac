"""When a message is given up on, and what is kept of it: the same for both buses, as headers on the one of them.

Nothing here quotes an exception's text: that could hold data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from chandlery.contracts.messages import Message, Reconcile, UnreadableMessage, decode, sound_trace
from chandlery.contracts.topology import COMMANDS_EXCHANGE, EVENTS_EXCHANGE, WORK_QUEUES, Route, origin_of, route

MOST_FAILURES = 3
"""A handler that has raised so often for one message is not asked again."""
MOST_DELIVERIES = 20
"""Deliveries that ended without an answer count too: their process died, or its connection broke. More of these are
allowed, as a shaky network is not the message's fault."""

_PREFIX = "x-chandlery-"
DELIVERIES_HEADER = f"{_PREFIX}deliveries"
FAILURES_HEADER = f"{_PREFIX}failures"
ERROR_HEADER = f"{_PREFIX}error"
FIRST_HEADER = f"{_PREFIX}first-at"
LAST_HEADER = f"{_PREFIX}last-at"
REASON_HEADER = f"{_PREFIX}reason"
QUEUE_HEADER = f"{_PREFIX}queue"
ROUTING_KEY_HEADER = f"{_PREFIX}routing-key"
TRACE_HEADER = "traceparent"
"""W3C Trace Context, 3.2. Whoever publishes may set it; it stays with the message. Another form counts as none."""


class Reason(StrEnum):
    """Why a message was given up on."""

    UNREADABLE = "Unreadable"
    HANDLER_FAILED = "HandlerFailed"
    DELIVERED_TOO_OFTEN = "DeliveredTooOften"
    REFUSED_BY_SERVER = "RefusedByServer"
    """A policy of the server's operator took it out of its queue: a length or a time limit."""


@dataclass(frozen=True, kw_only=True)
class History:
    """The deliveries of a message that came to nothing."""

    deliveries: int = 0
    failures: int = 0
    """Those of them in which the handler raised."""
    error: str = ""
    """The class of what was raised last."""
    first_at: datetime | None = None

    @property
    def verdict(self) -> Reason | None:
        """Why the message is given up on now; None while it may come again."""
        if self.failures >= MOST_FAILURES:
            return Reason.HANDLER_FAILED
        return Reason.DELIVERED_TOO_OFTEN if self.deliveries >= MOST_DELIVERIES else None

    def lost(self, now: datetime, *, times: int = 1) -> "History":
        """So many deliveries more were not answered."""
        return replace(self, deliveries=self.deliveries + times, first_at=self.first_at or now)

    def failed(self, error: BaseException, now: datetime) -> "History":
        """In one delivery more the handler raised, or the message could not be read."""
        return replace(self.lost(now), failures=self.failures + 1, error=type(error).__name__)

    def headers(self) -> dict[str, Any]:
        """As a message carries it from one delivery to the next."""
        given = {
            DELIVERIES_HEADER: self.deliveries,
            FAILURES_HEADER: self.failures,
            ERROR_HEADER: self.error,
            FIRST_HEADER: self.first_at.isoformat() if self.first_at else "",
        }
        return {name: value for name, value in given.items() if value}

    @classmethod
    def of(cls, headers: Mapping[str, Any]) -> "History":
        """Read it back; foreign values count as none."""
        return cls(
            deliveries=_number(headers.get(DELIVERIES_HEADER)),
            failures=_number(headers.get(FAILURES_HEADER)),
            error=_text(headers.get(ERROR_HEADER)),
            first_at=_moment(headers.get(FIRST_HEADER)),
        )


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A message that was given up on."""

    id: str
    """The message's own, as in the log lines of its handler."""
    queue: str
    """Where it was delivered last."""
    routing_key: str
    """Under which it was published."""
    body: bytes = field(repr=False)
    reason: str
    """One of Reason, or of a later release."""
    history: History
    last_at: datetime | None
    trace: str = ""

    @property
    def message(self) -> Message | None:
        """What it said; None if it cannot be read."""
        try:
            return decode(self.body)
        except UnreadableMessage:
            return None

    @property
    def origin(self) -> str:
        """The key of its queue in DEAD_LETTER_QUEUES."""
        return origin_of(self.queue)

    @property
    def way_back(self) -> Route | None:
        """Where a replay publishes it: by what it says, else by how it came. None if that is not known."""
        message = self.message
        if message is not None and not (isinstance(message, Reconcile) and message.kind not in WORK_QUEUES):
            return route(message)
        if not self.routing_key:
            return None
        return Route(EVENTS_EXCHANGE if self.origin == EVENTS_EXCHANGE else COMMANDS_EXCHANGE, self.routing_key)

    def headers(self) -> dict[str, Any]:
        """As it lies in its queue."""
        given = {
            REASON_HEADER: str(self.reason),
            QUEUE_HEADER: self.queue,
            ROUTING_KEY_HEADER: self.routing_key,
            LAST_HEADER: self.last_at.isoformat() if self.last_at else "",
            TRACE_HEADER: self.trace,
        }
        return {name: value for name, value in given.items() if value} | self.history.headers()

    @classmethod
    def of(cls, headers: Mapping[str, Any], *, id: str, body: bytes, origin: str) -> "DeadLetter":  # noqa: A002
        """Read it back. What the server itself put there has its own account of that (`x-death`)."""
        death = _death(headers)
        return cls(
            id=id,
            queue=_text(headers.get(QUEUE_HEADER)) or _text(death.get("queue")) or origin,
            routing_key=_text(headers.get(ROUTING_KEY_HEADER)) or _first(death.get("routing-keys")),
            body=body,
            reason=_text(headers.get(REASON_HEADER)) or Reason.REFUSED_BY_SERVER,
            history=History.of(headers),
            last_at=_moment(headers.get(LAST_HEADER)) or _moment(death.get("time")),
            trace=trace_in(headers),
        )


def trace_in(headers: Mapping[str, Any]) -> str:
    """The trace that a message bears; empty if it is part of none."""
    return sound_trace(_text(headers.get(TRACE_HEADER))) or ""


def _death(headers: Mapping[str, Any]) -> Mapping[str, Any]:
    deaths = headers.get("x-death")
    latest = deaths[0] if isinstance(deaths, list) and deaths else None
    return latest if isinstance(latest, Mapping) else {}


def _first(values: object) -> str:
    return _text(values[0]) if isinstance(values, list) and values else ""


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    return max(value, 0) if isinstance(value, int) and not isinstance(value, bool) else 0


def _moment(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo else None
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
