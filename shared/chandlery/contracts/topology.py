"""Routing as data: which queue a command goes to, how many are worked on at a time.

Each worker kind has one queue per lane. A lane is one service broker: a slow one can only fill its own queue. Each
worker kind has one queue of dead letters besides.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from chandlery.contracts.messages import Message, Reconcile

COMMANDS_EXCHANGE = "chandlery.commands"
EVENTS_EXCHANGE = "chandlery.events"
DEAD_LETTER_EXCHANGE = "chandlery.dead"

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

DEAD_LETTER_QUEUES: Mapping[str, str] = MappingProxyType(
    {origin: f"{origin}.dead" for origin in (*sorted(set(WORK_QUEUES.values())), EVENTS_EXCHANGE)}
)
"""Where a message was given up on, without its lane -> the queue of its dead letters. The keys are routing keys too."""

_LONGEST_LANE = 160
"""AMQP 0-9-1 allows names of 255 bytes; the rest is left to the prefix of an installation."""
_DIGEST = 16
_SOUND_LANE = re.compile(r"[-A-Za-z0-9._:@/]+")
"""What RabbitMQ's client takes as part of a queue's name, `#` apart: that marks a digest."""


@dataclass(frozen=True)
class Route:
    """Where a message goes."""

    exchange: str
    routing_key: str


def work_queue(kind: str, lane: str) -> str:
    """`provisioner.instance.reconcile.<lane>`: queue and routing key at once, at most 200 bytes long."""
    name = WORK_QUEUES[kind]
    return f"{name}.{SINGLE_LANE if name in UNSHARDED_QUEUES else _shortened(lane)}"


def event_queue(subscriber: str, tag: str) -> str:
    """`chandlery.events.<subscriber>.<tag>`: the queue of one subscriber, at most 200 bytes long."""
    return f"{EVENTS_EXCHANGE}.{_shortened(subscriber)}.{tag}"


def origin_of(queue: str) -> str:
    """The key in DEAD_LETTER_QUEUES for a work queue or for a subscriber's queue."""
    found = (name for name in WORK_QUEUES.values() if queue == name or queue.startswith(f"{name}."))
    return next(found, EVENTS_EXCHANGE)


def _shortened(lane: str) -> str:
    # Whatever a lane is called, its queue has a name that can be declared: one that cannot would hold up all others.
    is_sound = _SOUND_LANE.fullmatch(lane) is not None
    if is_sound and len(lane) <= _LONGEST_LANE:
        return lane
    # A namespace and the name of a service broker in it may take 317 characters together.
    encoded = lane.encode(errors="replace")
    beginning = re.sub(r"[^-A-Za-z0-9._:@/]", "", lane)[: _LONGEST_LANE - _DIGEST - 1]
    return f"{beginning}#{hashlib.sha256(encoded).hexdigest()[:_DIGEST]}"


def route(message: Message) -> Route:
    """Commands go to their owner's queue, events to the topic exchange under their type and kind."""
    if isinstance(message, Reconcile):
        return Route(COMMANDS_EXCHANGE, work_queue(message.kind, message.lane))
    subject = getattr(message, "kind", "all")
    return Route(EVENTS_EXCHANGE, f"{message.type}.{subject}")
