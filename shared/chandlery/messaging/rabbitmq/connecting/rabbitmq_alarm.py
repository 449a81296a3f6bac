"""Whether a server takes messages, or has an alarm of memory or disk: tried out, as no question over AMQP tells it.

A server with an alarm takes the first message on a connection, and then reads nothing more from it, not even a request
to close it. So the connection is one of its own, whose line is cut in the end.
"""

import asyncio
import uuid
from contextlib import suppress
from typing import Any, Final

import aiormq
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from yarl import URL

from chandlery.messaging.rabbitmq.rabbitmq_errors import foreign_errors_translated

CONFIRM_SECONDS: Final = 3.0
"""For two messages, which cost a server without an alarm some milliseconds."""
_CLOSE_SECONDS: Final = 1.0


class _Line(TransportFactory):
    """What the client writes to, to be cut."""

    def __init__(self) -> None:
        self.writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        usual: TransportFactory = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        reader, self.writer = await usual.create(url, **options)
        return reader, self.writer

    def cut(self) -> None:
        if self.writer is not None:
            self.writer.transport.abort()


async def takes_messages(url: URL, *, name: str) -> bool:
    """Send two messages to nobody, which the server throws away, and see whether it confirms them.

    Raises Unavailable. `name` is what an operator sees on the server.
    """
    line = _Line()
    with foreign_errors_translated():
        connection = await aiormq.connect(url.extend_query({"name": name}), transport_factory=line)
        is_confirmed = False
        try:
            channel = await connection.channel(publisher_confirms=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(CONFIRM_SECONDS):
                    for _ in range(2):
                        await channel.basic_publish(b"", routing_key=f"{name}.{uuid.uuid4().hex}", mandatory=False)
                    is_confirmed = True
        finally:
            if not is_confirmed:
                line.cut()
            with suppress(Exception):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await connection.close()
            line.cut()
    return is_confirmed
