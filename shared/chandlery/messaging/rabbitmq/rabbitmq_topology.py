"""The topology as RabbitMQ knows it: names, types, arguments. A prefix lets installations share a virtual host."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from aio_pika import ExchangeType

from chandlery.contracts import topology
from chandlery.messaging.rabbitmq.connecting.rabbitmq_servers import RabbitServers

QueueType = Literal["classic", "quorum"]

UNUSED_QUEUE_LIFE = timedelta(hours=6)
"""A work queue without consumer for so long vanishes, should nobody be there to remove it. Nothing is lost with its
messages: the sweep enqueues again whatever the database says is due."""
MOST_DEAD_LETTERS = 10_000
"""In one queue. The oldest are dropped beyond: they are for people to look at, the truth is in the database."""


@dataclass(frozen=True, kw_only=True)
class QueueSpec:
    """A durable queue and the one route that leads to it."""

    name: str
    exchange: str
    routing_key: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_classic(self) -> bool:
        """Whether it is declared as a classic queue."""
        return self.arguments.get("x-queue-type") != "quorum"


@dataclass(frozen=True)
class RabbitTopology:
    """What there is on the server, as values."""

    prefix: str = ""
    queue_type: QueueType = "classic"
    """Of the durable queues. A quorum queue lives on several nodes of a cluster and survives the loss of one."""

    @property
    def commands(self) -> str:
        return self.prefix + topology.COMMANDS_EXCHANGE

    @property
    def events(self) -> str:
        return self.prefix + topology.EVENTS_EXCHANGE

    @property
    def dead_letters(self) -> str:
        return self.prefix + topology.DEAD_LETTER_EXCHANGE

    @property
    def exchanges(self) -> Mapping[str, ExchangeType]:
        """What is always there, by name."""
        return {
            self.commands: ExchangeType.DIRECT,
            self.events: ExchangeType.TOPIC,
            self.dead_letters: ExchangeType.TOPIC,
        }

    @property
    def dead_letter_queues(self) -> Mapping[str, QueueSpec]:
        """One for each worker kind and one for events, by where their letters come from."""
        return {
            origin: QueueSpec(
                name=self.prefix + queue,
                exchange=self.dead_letters,
                routing_key=origin,
                arguments={"x-max-length": MOST_DEAD_LETTERS, **self._type()},
            )
            for origin, queue in topology.DEAD_LETTER_QUEUES.items()
        }

    def exchange(self, name: str) -> str:
        """The server's name for an exchange of the contract."""
        return self.prefix + name

    def work_queue(self, name: str) -> QueueSpec:
        """The queue of one worker kind and lane, its routing key being the contract's name."""
        return QueueSpec(
            name=self.prefix + name,
            exchange=self.commands,
            routing_key=name,
            arguments={
                # For what a policy of the operator takes out; what we give up on is put there with its history.
                "x-dead-letter-exchange": self.dead_letters,
                "x-dead-letter-routing-key": topology.origin_of(name),
                "x-expires": int(UNUSED_QUEUE_LIFE.total_seconds() * 1000),
                **self._type(),
            },
        )

    def _type(self) -> Mapping[str, str]:
        # Said for quorum queues only: a virtual host may have a default type of its own.
        return {"x-queue-type": "quorum"} if self.queue_type == "quorum" else {}


def topology_for(servers: RabbitServers, *, prefix: str, queue_type: QueueType | None) -> RabbitTopology:
    """Quorum queues where several servers are named, unless `queue_type` says otherwise."""
    return RabbitTopology(prefix, queue_type or ("quorum" if servers.is_cluster else "classic"))
