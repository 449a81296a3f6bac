"""Which message bus a process uses, by its settings: RabbitMQ, or the one within the process.

Apart from `composition.py`, so that a command that only looks at the bus starts without database and service brokers.
What speaks AMQP is imported where it is asked for: it is an extra, it takes 5 MB, and `chandlery up` does without.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from chandlery.messaging.bus import Bus, DeadLetters
from chandlery.messaging.inprocess.inprocess_bus import InProcessBus
from chandlery.model.faults import ConfigurationFault
from chandlery.settings.checks.extras import extra
from chandlery.settings.settings import Settings, require
from chandlery.telemetry.metrics import NO_METRICS, Metrics
from chandlery.telemetry.tracing.tracing import IDS_ONLY, Tracing

if TYPE_CHECKING:
    from chandlery.messaging.rabbitmq.connecting.rabbitmq_urls import TlsFiles
    from chandlery.messaging.rabbitmq.rabbitmq_inspection import RabbitInspection

IN_PROCESS_BUS: Final = "memory:"
_ASKED_BY: Final = "CHANDLERY_AMQP_URL names RabbitMQ"


def make_bus(settings: Settings, owner: str, *, metrics: Metrics = NO_METRICS, tracing: Tracing = IDS_ONLY) -> Bus:
    """The bus, not yet started; `owner` names its connection to people."""
    url = settings.amqp_url.get_secret_value()
    if url == IN_PROCESS_BUS:
        return InProcessBus(metrics=metrics, tracing=tracing)
    with extra("rabbitmq", asked_by=_ASKED_BY):
        from chandlery.messaging.rabbitmq.rabbitmq_bus import RabbitBus  # noqa: PLC0415 - see above

    return RabbitBus(
        url,
        connection_name=owner,
        prefix=settings.amqp_prefix,
        queue_type=settings.amqp_queue_type,
        tls=tls_files(settings),
        metrics=metrics,
        tracing=tracing,
    )


@asynccontextmanager
async def open_letters(settings: Settings) -> AsyncIterator[DeadLetters]:
    """The dead letters on the message bus, which has to be there now. Raises ConfigurationFault and Unavailable."""
    require(settings, "amqp_url")
    url = settings.amqp_url.get_secret_value()
    if url == IN_PROCESS_BUS:
        raise ConfigurationFault("the message bus is memory:, which keeps dead letters only in the log of its process")
    with extra("rabbitmq", asked_by=_ASKED_BY):
        from chandlery.messaging.rabbitmq.rabbitmq_dead_letters import open_dead_letters  # noqa: PLC0415 - see above

    async with open_dead_letters(
        url, prefix=settings.amqp_prefix, queue_type=settings.amqp_queue_type, tls=tls_files(settings)
    ) as letters:
        yield letters


def make_inspection(settings: Settings) -> "RabbitInspection":
    """Who looks at RabbitMQ and declares nothing; not yet connected. Raises ConfigurationFault."""
    with extra("rabbitmq", asked_by=_ASKED_BY):
        from chandlery.messaging.rabbitmq.rabbitmq_inspection import RabbitInspection  # noqa: PLC0415 - see above

    return RabbitInspection(
        settings.amqp_url.get_secret_value(),
        prefix=settings.amqp_prefix,
        queue_type=settings.amqp_queue_type,
        tls=tls_files(settings),
    )


def tls_files(settings: Settings) -> "TlsFiles":
    """What the settings name of TLS to RabbitMQ."""
    from chandlery.messaging.rabbitmq.connecting.rabbitmq_urls import TlsFiles  # noqa: PLC0415 - see above

    return TlsFiles(ca=settings.amqp_ca_file, certificate=settings.amqp_cert_file, key=settings.amqp_key_file)
