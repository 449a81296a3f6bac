"""Publishing with confirms. The relay of the outbox calls this with whatever was committed.

On aiormq's `basic_publish`, because aio_pika's message and exchange objects doubled the processor time per message.
"""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from aiormq import Channel, PublishError
from pamqp import commands as spec

from chandlery.contracts.messages import Message, encode
from chandlery.contracts.topology import COMMANDS_EXCHANGE, Route, route
from chandlery.messaging.rabbitmq_border import foreign_errors_translated
from chandlery.messaging.rabbitmq_link import RabbitLink, open_channel
from chandlery.messaging.rabbitmq_topology import RabbitTopology

PERSISTENT = 2


class RabbitPublisher:
    """One channel for everything this process publishes."""

    def __init__(self, link: RabbitLink, topology: RabbitTopology, *, patience_seconds: float) -> None:
        self._link = link
        self._topology = topology
        self._patience_seconds = patience_seconds
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self._declarations: dict[str, asyncio.Task[str]] = {}

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when all are confirmed; Unavailable when they are not within the patience."""
        # Encoded outside the border, so that a fault of ours is not taken for the server's.
        letters = [(route(message), encode(message), message.type) for message in messages]
        with foreign_errors_translated():
            async with asyncio.timeout(self._patience_seconds):
                channel = await self._ready_channel()
                await self._declare({way.routing_key for way, _, _ in letters if _is_command(way)}, channel)
                sending = [self._send(channel, way, body, kind) for way, body, kind in letters]
                # All are awaited even if one fails, so that none is left behind in the background.
                outcomes = await asyncio.gather(*sending, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _send(self, channel: Channel, way: Route, body: bytes, kind: str) -> None:
        with foreign_errors_translated():
            try:
                await self._send_once(channel, way, body, kind)
            except PublishError:
                # Returned: the queue expired since it was declared here.
                self._declarations.pop(way.routing_key, None)
                await self._declare({way.routing_key}, channel)
                await self._send_once(channel, way, body, kind)

    async def _send_once(self, channel: Channel, way: Route, body: bytes, kind: str) -> None:
        await channel.basic_publish(
            body,
            exchange=self._topology.exchange(way.exchange),
            routing_key=way.routing_key,
            properties=message_properties(kind),
            mandatory=_is_command(way),
            # Not to be flushed one by one; the confirm is what counts.
            wait=False,
        )

    async def _ready_channel(self) -> Channel:
        connection = await self._link.connection()
        async with self._opening:
            if self._channel is None or self._channel.is_closed or self._channel.connection is not connection:
                self._declarations = {}
                self._channel = await open_channel(connection)
            return self._channel

    async def _declare(self, work_queues: set[str], channel: Channel) -> None:
        for name in work_queues:
            declaration = self._declarations.get(name)
            if declaration is None or (declaration.done() and _failed(declaration)):
                declaration = asyncio.create_task(self._topology.declare_work_queue(channel, name))
                self._declarations[name] = declaration
            # Shielded, because the client closes the channel for everybody when a declaration is cancelled.
            await asyncio.shield(declaration)


def message_properties(kind: str, *, headers: dict[str, str] | None = None) -> spec.Basic.Properties:
    """Persistent JSON. `kind` is the message's own type, so that a queue can be read by people."""
    return spec.Basic.Properties(
        content_type="application/json",
        delivery_mode=PERSISTENT,
        headers=dict(headers) if headers else None,
        message_id=uuid.uuid4().hex,
        message_type=kind,
        timestamp=datetime.now(UTC),
    )


def _is_command(way: Route) -> bool:
    return way.exchange == COMMANDS_EXCHANGE


def _failed(declaration: asyncio.Task[str]) -> bool:
    return declaration.cancelled() or declaration.exception() is not None
