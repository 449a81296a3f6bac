"""The topology as RabbitMQ objects: exchanges that are always there, work queues when they are needed first.

An optional prefix in front of every name lets several installations share one virtual host.
"""

from dataclasses import dataclass
from datetime import timedelta

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue

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

    async def declare_exchanges(self, connection: AbstractConnection) -> None:
        """What is always there: three exchanges and the queue of the dead letters."""
        channel = await open_channel(connection)
        await channel.declare_exchange(self.commands, ExchangeType.DIRECT, durable=True)
        await channel.declare_exchange(self.events, ExchangeType.TOPIC, durable=True)
        dead_letters = await channel.declare_exchange(self.dead_letters, ExchangeType.FANOUT, durable=True)
        queue = await channel.declare_queue(
            self.prefix + topology.DEAD_LETTER_QUEUE, durable=True, arguments={"x-max-length": MOST_DEAD_LETTERS}
        )
        await queue.bind(dead_letters)
        await close_channel(channel)

    async def declare_work_queue(self, channel: AbstractChannel, work_queue: str) -> AbstractQueue:
        """The durable queue of one worker kind and lane, its routing key being the same."""
        queue = await channel.declare_queue(
            self.prefix + work_queue,
            durable=True,
            arguments={
                "x-dead-letter-exchange": self.dead_letters,
                "x-expires": int(UNUSED_QUEUE_LIFE.total_seconds() * 1000),
            },
        )
        await queue.bind(self.commands, work_queue)
        return queue

    async def declare_event_queue(self, channel: AbstractChannel, pattern: str) -> AbstractQueue:
        """A queue for one subscriber, named by the server, that goes when its connection goes."""
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)
        await queue.bind(self.events, pattern)
        return queue
