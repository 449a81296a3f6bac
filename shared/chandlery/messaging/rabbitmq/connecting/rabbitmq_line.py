"""What a connection to RabbitMQ writes to, to be cut where closing it would take too long.

A server with an alarm of memory or disk reads nothing more, not even that the client takes leave. What is left unsent
then keeps a line with TLS open, and uvloop waits for it when it is closed: a process would never end.
"""

import asyncio
from typing import Any

from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from yarl import URL


class Line(TransportFactory):
    """Of one connection."""

    def __init__(self) -> None:
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """As the client does it."""
        usual: TransportFactory = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        reader, self._writer = await usual.create(url, **options)
        return reader, self._writer

    def cut(self) -> None:
        """Without a word to the server. Does nothing to a line that is closed."""
        if self._writer is not None:
            self._writer.transport.abort()
