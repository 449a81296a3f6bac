"""Counts messages, the same on both buses: how many were published and handled, what came of it, how long it took."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

from chandlery.contracts.messages import GARBAGE, Message
from chandlery.model.objects.kinds import KINDS
from chandlery.telemetry.catalog.message_flow import (
    HANDLE_SECONDS,
    MESSAGES_HANDLED,
    MESSAGES_PUBLISHED,
    PUBLISH_SECONDS,
)
from chandlery.telemetry.current_trace import sampled_trace_id
from chandlery.telemetry.metrics import Metrics

_UNREADABLE: Final = "unreadable"
"""Stands for the type of what is no message of ours."""
_NO_KIND: Final = ""


class Published(StrEnum):
    """What came of a message that was given to the bus."""

    CONFIRMED = "confirmed"
    FAILED = "failed"
    """It stays where it was, such as the outbox."""


class Handled(StrEnum):
    """What came of a message that a handler was given."""

    DONE = "done"
    GIVEN_BACK = "given back"
    """It comes again."""
    GIVEN_UP = "given up"
    """It is with the dead letters."""


class MessageCounting:
    """The messages of one bus."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    @contextmanager
    def publishing(self, messages: Sequence[Message]) -> Iterator[None]:
        """Around the publishing of a batch, which is confirmed as a whole or fails."""
        began, outcome = time.perf_counter(), Published.FAILED
        try:
            yield
            outcome = Published.CONFIRMED
        finally:
            seconds = time.perf_counter() - began
            self._metrics.observe(PUBLISH_SECONDS, value=seconds, trace_id=sampled_trace_id())
            for kind, number in Counter(message.type for message in messages).items():
                self._metrics.count(MESSAGES_PUBLISHED, kind, outcome, by=number)

    @contextmanager
    def handling(self, message: Message) -> Iterator[None]:
        """Around a handler; what came of it is told by `handled`."""
        began = time.perf_counter()
        try:
            yield
        except asyncio.CancelledError:
            self.handled(message, Handled.GIVEN_BACK)
            raise
        finally:
            seconds = time.perf_counter() - began
            self._metrics.observe(
                HANDLE_SECONDS, message.type, _kind_of(message), value=seconds, trace_id=sampled_trace_id()
            )

    def handled(self, message: Message | None, outcome: Handled) -> None:
        """Count a message once it is done with, or comes again; None for one that cannot be read."""
        if message is None:
            self._metrics.count(MESSAGES_HANDLED, _UNREADABLE, _NO_KIND, outcome)
            return
        self._metrics.count(MESSAGES_HANDLED, message.type, _kind_of(message), outcome)


def _kind_of(message: Message) -> str:
    """Of those that there are: whoever may write to the bus could name any number of others."""
    kind = getattr(message, "kind", _NO_KIND)
    return kind if kind in KINDS or kind == GARBAGE else _NO_KIND
