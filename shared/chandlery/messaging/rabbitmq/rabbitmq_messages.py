"""Messages as AMQP carries them: properties and headers, and what is read back from them."""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from chandlery.contracts.dead_letters import TRACE_HEADER, DeadLetter

NATIVE_COUNT_HEADER = "x-delivery-count"
"""How often a quorum queue has delivered a message before. Classic queues have a flag only."""


def letter(
    body: bytes, kind: str, *, headers: Mapping[str, Any] | None = None, message_id: str = ""
) -> aio_pika.Message:
    """Persistent JSON. `kind` is the message's own type, so that a queue can be read by people."""
    return aio_pika.Message(
        body,
        headers=dict(headers) if headers else None,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=message_id or uuid.uuid4().hex,
        timestamp=datetime.now(UTC),
        type=kind,
    )


def dead_letter(given_up: DeadLetter) -> aio_pika.Message:
    """As it lies in its queue."""
    message = given_up.message
    kind = message.type if message else "unreadable"
    return letter(given_up.body, kind, headers=given_up.headers(), message_id=given_up.id)


def replayed(given_up: DeadLetter) -> aio_pika.Message:
    """As it was published first: its history is forgotten, its id and its trace are not."""
    message = given_up.message
    headers = {TRACE_HEADER: given_up.trace} if given_up.trace else None
    return letter(given_up.body, message.type if message else "unreadable", headers=headers, message_id=given_up.id)


def read_dead_letter(received: AbstractIncomingMessage, *, origin: str, prefix: str) -> DeadLetter:
    """A letter from the queue for this origin. One without an id is known by the place of its content."""
    found = DeadLetter.of(received.headers, id=message_id_of(received), body=received.body, origin=origin)
    return replace(found, queue=found.queue.removeprefix(prefix))


def message_id_of(received: AbstractIncomingMessage) -> str:
    """The id that its publisher gave it, or one made of its content."""
    return received.message_id or hashlib.sha256(received.body).hexdigest()[:32]
