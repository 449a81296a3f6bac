"""Routing as data: which queue a command goes to, how many are worked on at a time.

Each worker kind has one queue per lane. A lane is one service broker: a slow one can only fill its own queue.
"""

from dataclasses import dataclass

from chandlery.contracts.messages import Message, Reconcile

COMMANDS_EXCHANGE = "chandlery.commands"
EVENTS_EXCHANGE = "chandlery.events"
DEAD_LETTER_EXCHANGE = "chandlery.dead-letters"
DEAD_LETTER_QUEUE = "chandlery.dead-letters"

WORK_QUEUES = {
    "ServiceInstance": "provisioner.instance.reconcile",
    "ServiceBinding": "binder.binding.reconcile",
    "ClusterServiceBroker": "syncer.broker.reconcile",
    "ServiceBroker": "syncer.broker.reconcile",
    "Namespace": "syncer.namespace.reconcile",
}
"""Kind of object -> the work queue of its owner; the lane is appended."""

UNSHARDED_QUEUES = frozenset({"syncer.broker.reconcile", "syncer.namespace.reconcile"})
"""Work queues with a single lane: few messages, and each is about another service broker anyway."""

SINGLE_LANE = "all"


@dataclass(frozen=True)
class Route:
    """Where a message goes."""

    exchange: str
    routing_key: str


def work_queue(kind: str, lane: str) -> str:
    """`provisioner.instance.reconcile.<lane>`: queue and routing key at once."""
    name = WORK_QUEUES[kind]
    return f"{name}.{SINGLE_LANE if name in UNSHARDED_QUEUES else lane}"


def route(message: Message) -> Route:
    """Commands go to their owner's queue, events to the topic exchange under their type and kind."""
    if isinstance(message, Reconcile):
        return Route(COMMANDS_EXCHANGE, work_queue(message.kind, message.lane))
    subject = getattr(message, "kind", "all")
    return Route(EVENTS_EXCHANGE, f"{message.type}.{subject}")
