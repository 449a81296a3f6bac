"""The topology as RabbitMQ objects: exchanges that are always there, work queues when they are needed first.

An optional prefix in front of every name lets several installations share one virtual host.
"""

from dataclasses import dataclass
from datetime import timedelta

from aiormq import Channel, Connection
from pamqp.common import Arguments

from chandlery.contracts import topology
from chandlery.messaging.rabbitmq_link import close_channel, open_channel

UNUSED_QUEUE_LIFE = timedelta(hours=6)
"""A work queue without consumer for so long vanishes, as the lane of a service broker that is gone must. Nothing is
lost with its messages: the sweep enqueues again whatever the database says is due."""
MOST_DEAD_LETTERS = 10_000
"""The oldest are dropped beyond: dead letters are for people to look at, the truth is in the database."""


@dataclass(frozen=True)
class RabbitTopology:
    """Names on the server, and how each thing is declared. Declaring twice is harmless."""

    prefix: str = ""

    @property
    def commands(self) -> str:
        return self.prefix + topology.COMMANDS_EXCHANGE

    @property
    def events(self) -> str:
        return self.prefix + topology.EVENTS_EXCHANGE

    @property
    def dead_letters(self) -> str:
        """Exchange and queue of that name."""
        return self.prefix + topology.DEAD_LETTER_EXCHANGE

    def exchange(self, name: str) -> str:
        """The server's name for an exchange of the contract."""
        return self.prefix + name

    async def declare_exchanges(self, connection: Connection) -> None:
        """What is always there: three exchanges and the queue of the dead letters."""
        channel = await open_channel(connection)
        await channel.exchange_declare(self.commands, exchange_type="direct", durable=True)
        await channel.exchange_declare(self.events, exchange_type="topic", durable=True)
        await channel.exchange_declare(self.dead_letters, exchange_type="fanout", durable=True)
        bound: Arguments = {"x-max-length": MOST_DEAD_LETTERS}
        queue = self.prefix + topology.DEAD_LETTER_QUEUE
        await channel.queue_declare(queue, durable=True, arguments=bound)
        await channel.queue_bind(queue, self.dead_letters)
        await close_channel(channel)

    async def declare_work_queue(self, channel: Channel, work_queue: str) -> str:
        """The durable queue of one worker kind and lane, its routing key being the same. Answers the server's name."""
        name = self.prefix + work_queue
        arguments: Arguments = {
            "x-dead-letter-exchange": self.dead_letters,
            "x-expires": int(UNUSED_QUEUE_LIFE.total_seconds() * 1000),
        }
        await channel.queue_declare(name, durable=True, arguments=arguments)
        await channel.queue_bind(name, self.commands, work_queue)
        return name

    async def declare_event_queue(self, channel: Channel, pattern: str) -> str:
        """A queue for one subscriber that goes when its connection goes; answers the name the server chose."""
        declared = await channel.queue_declare("", exclusive=True, auto_delete=True)
        name = declared.queue or ""
        await channel.queue_bind(name, self.events, pattern)
        return name
