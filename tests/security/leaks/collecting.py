"""Collects what a platform leaves behind: rows as the database shows them, messages, letters, logs, files, answers."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import aio_pika
import pytest
from sqlalchemy import inspect, text

from chandlery.contracts import topology
from chandlery.messaging.inprocess.inprocess_bus import InProcessBus
from chandlery.messaging.rabbitmq.rabbitmq_bus import RabbitBus
from tests.conformance.platform_backends import PlatformBackend
from tests.integration.gateway.api_client import Answer, Api
from tests.security.leaks.planted import Evidence
from tests.support.all_logs import all_logs


@dataclass(frozen=True)
class ListeningApi(Api):
    """Keeps every answer but those that are a Secret, or a token that was asked for."""

    evidence: Evidence = field(default_factory=Evidence)

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """See Api."""
        answer = await super().call(method, path, body, **options)
        is_delivery = answer.status < 300 and ("/secrets" in path or path.endswith("/token") or path == "/session")
        if not is_delivery:
            self.evidence.add(f"answer to {method} {path}", answer.payload.decode(errors="replace"))
        self.evidence.add(f"answer to {method} {path}: head", repr(list(answer.headers.items())))
        return answer


@contextmanager
def collected_logs(evidence: Evidence) -> Iterator[None]:
    """Every line, of ours and of libraries."""
    with all_logs() as (ours, lines):
        yield
    for entry in ours:
        evidence.add("log", repr(entry))
    for line in lines:
        evidence.add("library's log", line)


@contextmanager
def collected_messages(evidence: Evidence) -> Iterator[None]:
    """Everything that any process hands to its bus."""
    with pytest.MonkeyPatch.context() as patch:
        for bus in (InProcessBus, RabbitBus):
            publish = bus.publish

            async def publish_and_tell(self: Any, messages: Any, *, _publish: Any = publish) -> None:
                for message in messages:
                    evidence.add("message", message.model_dump_json())
                await _publish(self, messages)

            patch.setattr(bus, "publish", publish_and_tell)
        yield


async def collect_tables(backend: PlatformBackend, evidence: Evidence) -> None:
    """Every column of every row of every table that the database has, in the form that the database gives it."""
    engine = backend._engine
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda plain: inspect(plain).get_table_names())
        assert len(names) > 15
        for name in names:
            rows = (await connection.execute(text(f'SELECT * FROM "{name}"'))).mappings().all()
            for row in rows:
                for column, value in row.items():
                    evidence.add(f"row of {name}.{column}", _shown(value))


def _shown(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        raw = bytes(value)
        return f"{raw.hex()} {raw.decode('latin-1')} {raw.decode(errors='replace')}"
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


@asynccontextmanager
async def overheard(backend: PlatformBackend, evidence: Evidence, lanes: Sequence[str]) -> AsyncIterator[None]:
    """What goes over RabbitMQ, headers included; over the in-process bus nothing does."""
    settings = backend.processes[0].settings
    if backend.name == "embedded":
        yield
        return
    prefix = settings.amqp_prefix
    async with await aio_pika.connect(settings.amqp_url.get_secret_value()) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        for exchange in (topology.EVENTS_EXCHANGE, topology.DEAD_LETTER_EXCHANGE):
            await queue.bind(prefix + exchange, "#")
        for kind in topology.WORK_QUEUES:
            for lane in ("unresolved", *lanes):
                await queue.bind(prefix + topology.COMMANDS_EXCHANGE, topology.work_queue(kind, lane))
        yield
        while (message := await queue.get(no_ack=True, fail=False)) is not None:
            place = "letter" if (message.exchange or "").endswith(topology.DEAD_LETTER_EXCHANGE) else "message"
            evidence.add(place, message.body.decode(errors="replace") + repr(message.headers) + repr(message.info()))


async def collect_letters(backend: PlatformBackend, evidence: Evidence) -> int:
    """What the in-process bus has given up on; how much that is."""
    resources = backend.processes[0].resources
    assert resources is not None
    bus = resources.bus
    if not isinstance(bus, InProcessBus):
        return 0
    letters = await bus.dead_letters.all()
    for letter in letters:
        evidence.add("letter", repr(letter) + letter.body.decode(errors="replace"))
    return len(letters)
