"""Metrics of the outbox and the bus."""

from typing import Final

from chandlery.telemetry.metric import SHORT_SECONDS, Counter, Gauge, Histogram

MESSAGES_PUBLISHED: Final = Counter(
    name="chandlery_messages_published_total",
    labels=("type", "outcome"),
    meaning="Messages given to the bus: confirmed, or failed and left in the outbox.",
    question="Does the bus take messages?",
)
PUBLISH_SECONDS: Final = Histogram(
    name="chandlery_publish_duration_seconds",
    meaning="Seconds until the bus had confirmed a batch of messages.",
    question="Is the bus slow?",
    bounds=SHORT_SECONDS,
)
MESSAGES_HANDLED: Final = Counter(
    name="chandlery_messages_handled_total",
    labels=("type", "kind", "outcome"),
    meaning="Messages that a handler was given: done, given back to its queue, or given up on.",
    question="Do handlers fail?",
)
HANDLE_SECONDS: Final = Histogram(
    name="chandlery_message_handle_duration_seconds",
    labels=("type", "kind"),
    meaning="Seconds that a handler had a message.",
    question="What keeps a queue waiting?",
)
OUTBOX: Final = Gauge(
    name="chandlery_outbox_messages",
    meaning="Messages that are committed and not confirmed by the bus, counted in the database by one process for all.",
    question="Does the outbox grow?",
)
OUTBOX_AGE_SECONDS: Final = Gauge(
    name="chandlery_outbox_oldest_seconds",
    meaning="Age of the oldest message in the outbox; 0 if there is none.",
    question="Is the outbox stuck?",
)
DEAD_LETTERS: Final = Gauge(
    name="chandlery_dead_letters",
    labels=("queue",),
    meaning="Messages that were given up on, as the bus counts them for one process for all.",
    question="Is there anything for `chandlery deadletters`?",
)
BUS_CONNECTED: Final = Gauge(
    name="chandlery_bus_connected",
    meaning="1 while this process is connected to the bus, else 0.",
    question="Is RabbitMQ there?",
)
BUS_CONNECTIONS_LOST: Final = Counter(
    name="chandlery_bus_connections_lost_total",
    meaning="How often the connection to the bus broke.",
    question="Does the connection to RabbitMQ break again and again?",
)
EVERY: Final = (
    MESSAGES_PUBLISHED,
    PUBLISH_SECONDS,
    MESSAGES_HANDLED,
    HANDLE_SECONDS,
    OUTBOX,
    OUTBOX_AGE_SECONDS,
    DEAD_LETTERS,
    BUS_CONNECTED,
    BUS_CONNECTIONS_LOST,
)
