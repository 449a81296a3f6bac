"""Whether a server takes messages, or has an alarm of memory or disk: tried out, as no question over AMQP tells it.

A server with an alarm takes the first message on a connection, and then reads nothing more from it, not even a request
to close it. So the connection is one of its own, whose line is cut in the end.
"""

import asyncio
import uuid
from contextlib import suppress
from typing import Final

import aiormq
from yarl import URL

from chandlery.messaging.rabbitmq.connecting.rabbitmq_line import Line
from chandlery.messaging.rabbitmq.rabbitmq_errors import foreign_errors_translated

CONFIRM_SECONDS: Final = 3.0
"""For two messages, which cost a server without an alarm some milliseconds."""
_CLOSE_SECONDS: Final = 1.0


async def takes_messages(url: URL, *, name: str, exchange: str = "") -> bool:
    """Send two messages to nobody, which the server throws away, and see whether it confirms them.

    Raises Unavailable. `name` is what an operator sees on the server. `exchange` is there, and one that the user may
    write to, which need not be true of the server's own.
    """
    line = Line()
    with foreign_errors_translated():
        connection = await aiormq.connect(url.extend_query({"name": name}), transport_factory=line)
        is_confirmed = False
        try:
            channel = await connection.channel(publisher_confirms=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(CONFIRM_SECONDS):
                    for _ in range(2):
                        nobody = f"{name}.{uuid.uuid4().hex}"
                        await channel.basic_publish(b"", exchange=exchange, routing_key=nobody, mandatory=False)
                    is_confirmed = True
        finally:
            if not is_confirmed:
                line.cut()
            with suppress(Exception):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await connection.close()
            line.cut()
    return is_confirmed
