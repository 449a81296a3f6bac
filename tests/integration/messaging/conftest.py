"""Both buses behind one rig; a TCP relay in front of RabbitMQ whose cable can be pulled."""

import asyncio
import os
import ssl
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

import aio_pika
import pamqp.base
import pamqp.frame
import pytest
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity
from yarl import URL

from chandlery.contracts import topology
from chandlery.contracts.dead_letters import DeadLetter
from chandlery.contracts.messages import Message, Reconcile
from chandlery.messaging.bus import Bus, DeadLetters
from chandlery.messaging.inprocess.inprocess_bus import InProcessBus
from chandlery.messaging.rabbitmq.rabbitmq_bus import RabbitBus
from chandlery.messaging.rabbitmq.rabbitmq_dead_letters import RabbitDeadLetters
from chandlery.messaging.rabbitmq.rabbitmq_declarer import RabbitDeclarer
from chandlery.messaging.rabbitmq.rabbitmq_topology import QueueType, RabbitTopology
from chandlery.telemetry.metrics import NO_METRICS, Metrics
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics
from tests.integration.messaging.private_rabbitmq import PrivateRabbitmq, private_rabbitmq
from tests.support.selection import on_servers
from tests.support.waiting import SOON, eventually

"""Seconds that a test waits for what should happen within milliseconds."""


class Recorder:
    """A handler that keeps what it is given; tests wait for a number of messages, never for an amount of time."""

    def __init__(self, *, fails: Callable[[int], bool] = lambda _: False) -> None:
        """`fails` is asked with the number of the call, from 1."""
        self.seen: list[Message] = []
        self.running = 0
        self.most_running = 0
        self.finished = 0
        self.may_finish = asyncio.Event()
        self.may_finish.set()
        self._fails = fails
        self._changed = asyncio.Condition()

    async def __call__(self, message: Message) -> None:
        self.seen.append(message)
        number = len(self.seen)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await self._tell()
        try:
            await self.may_finish.wait()
            if self._fails(number):
                raise LookupError("password=hunter2")
            self.finished += 1
        finally:
            self.running -= 1
        await self._tell()

    @property
    def uids(self) -> list[str]:
        return [getattr(message, "uid", "") for message in self.seen]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds, looking whenever a handler starts or ends; fails after ten seconds."""
        async with asyncio.timeout(SOON), self._changed:
            await self._changed.wait_for(condition)

    async def until_seen(self, count: int) -> None:
        await self.until(lambda: len(self.seen) >= count)

    async def until_finished(self, count: int) -> None:
        await self.until(lambda: self.finished >= count)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class Rig(Protocol):
    """A started bus and a look behind it."""

    lane: str
    metrics: PrometheusMetrics

    @property
    def bus(self) -> Bus: ...

    @property
    def letters(self) -> DeadLetters: ...

    async def work_queues(self) -> set[str]:
        """Those of instances and bindings that exist on this rig's lanes, by the contract's names."""
        ...


@dataclass
class InProcessRig:
    bus: InProcessBus
    metrics: PrometheusMetrics
    lane: str = "lane-1"

    @property
    def letters(self) -> DeadLetters:
        return self.bus.dead_letters

    async def work_queues(self) -> set[str]:
        return set(self.bus._work_queues)


@dataclass
class RabbitRig:
    bus: RabbitBus
    channel: AbstractChannel
    connection: AbstractConnection
    url: str
    prefix: str
    metrics: PrometheusMetrics
    queue_type: QueueType = "classic"
    lane: str = "lane-1"
    exit_stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def letters(self) -> DeadLetters:
        names = RabbitTopology(self.prefix, self.queue_type)
        return RabbitDeadLetters(self.connection, names, RabbitDeclarer(names))

    async def work_queues(self) -> set[str]:
        candidates = (
            topology.work_queue(kind, lane)
            for kind in ("ServiceInstance", "ServiceBinding")
            for lane in (self.lane, "other")
        )
        return {name for name in candidates if await self.exists(self.prefix + name)}

    async def exists(self, queue: str) -> bool:
        """Whether there is a queue of that name."""
        channel = await self.connection.channel()
        try:
            await channel.declare_queue(queue, passive=True)
        except ChannelNotFoundEntity:
            return False
        await channel.close()
        return True

    async def depth(self, queue: str) -> int:
        """Messages ready in the queue of that name."""
        declared = await self.channel.declare_queue(queue, passive=True)
        return declared.declaration_result.message_count or 0

    def work_queue(self, kind: str = "ServiceInstance") -> str:
        """The server's name of the work queue on this rig's lane."""
        return self.prefix + topology.work_queue(kind, self.lane)

    async def publish_raw(self, body: bytes, kind: str = "ServiceInstance") -> None:
        """Put foreign bytes on the work queue."""
        commands = await self.channel.get_exchange(self.prefix + topology.COMMANDS_EXCHANGE)
        await commands.publish(aio_pika.Message(body), topology.work_queue(kind, self.lane))

    async def another_bus(
        self, url: str = "", *, patience_seconds: float = SOON, start: bool = True, metrics: Metrics = NO_METRICS
    ) -> RabbitBus:
        """A second process on the same server, or the same through another address."""
        bus = RabbitBus(
            url or self.url,
            connection_name="test",
            prefix=self.prefix,
            patience_seconds=patience_seconds,
            queue_type=self.queue_type,
            metrics=metrics,
        )
        self.exit_stack.push_async_callback(bus.close)
        if start:
            async with asyncio.timeout(SOON):
                await bus.start()
        return bus


class Cable:
    """A TCP relay to RabbitMQ. Cut it, and both ends see a broken connection; mend it, and new ones come through."""

    def __init__(self, server: URL, *, tls: ssl.SSLContext | None = None) -> None:
        """With `tls` the near end speaks that, as a server that has a certificate."""
        self._tls = tls
        self._near: set[asyncio.StreamWriter] = set()
        self._target = (server.host or "", server.port or 5672)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self.url = ""
        self._template = server

    async def lay(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0, ssl=self._tls)
        url = self._template.with_host("127.0.0.1").with_port(self._server.sockets[0].getsockname()[1])
        self.url = str(url.with_scheme("amqps") if self._tls else url)

    @property
    def connections(self) -> int:
        """Those that are open now."""
        return len(self._near)

    def say(self, *methods: pamqp.base.Frame) -> None:
        """Let every client hear these from the server, in a moment in which that says nothing else."""
        for writer in self._near:
            writer.write(b"".join(pamqp.frame.marshal(method, 0) for method in methods))

    def jam(self) -> None:
        """Let no byte through, without any end noticing."""
        self._flows.clear()

    def cut(self) -> None:
        self._is_cut = True
        self._flows.set()
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self._is_cut = False

    async def remove(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, far_writer}
        self._near.add(writer)
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._near.discard(writer)
        self._writers -= {writer, far_writer}

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await source.read(65536):
                await self._flows.wait()
                sink.write(chunk)
                await sink.drain()
        sink.close()


async def letters_in(rig: Rig, count: int) -> list[DeadLetter]:
    """Wait until there are so many dead letters; they stay."""
    letters = await eventually(rig.letters.all, lambda seen: len(seen) >= count, what=f"{count} dead letters")
    assert len(letters) == count
    return list(letters)


async def next_letter(rig: Rig) -> DeadLetter:
    """Wait for the dead letter and take it out."""
    [letter] = await letters_in(rig, 1)
    await rig.letters.drop({letter.id})
    return letter


def command(number: int, *, kind: str = "ServiceInstance", lane: str = "lane-1") -> Reconcile:
    return Reconcile(kind=kind, uid=f"uid-{number}", lane=lane)


@pytest.fixture
async def rabbit() -> AsyncIterator[RabbitRig]:
    """A bus on RabbitMQ whose names nobody else uses; they are removed afterwards."""
    async with _rabbit_rig() as rig:
        yield rig


@pytest.fixture
async def neighbour() -> AsyncIterator[RabbitRig]:
    """Another installation on the same virtual host."""
    async with _rabbit_rig() as rig:
        yield rig


@pytest.fixture
async def cable() -> AsyncIterator[Cable]:
    """A way to RabbitMQ that can be cut."""
    async with laid_cable() as cable:
        yield cable


@asynccontextmanager
async def laid_cable(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[Cable]:
    """One more way to RabbitMQ."""
    cable = Cable(URL(_amqp_url()), tls=tls)
    await cable.lay()
    try:
        yield cable
    finally:
        await cable.remove()


@pytest.fixture
async def quorum() -> AsyncIterator[RabbitRig]:
    """The same with quorum queues. One node is enough for them to be what they are."""
    async with _rabbit_rig("quorum") as rig:
        yield rig


@pytest.fixture(scope="session")
def alarmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRabbitmq]:
    """One that speaks TLS, too, and takes no messages, for want of memory."""
    with private_rabbitmq(tmp_path_factory.mktemp("rabbitmq"), "vm_memory_high_watermark.absolute = 1MB") as running:
        yield running


@pytest.fixture(params=["classic", "quorum"])
async def either(request: pytest.FixtureRequest) -> AsyncIterator[RabbitRig]:
    """RabbitMQ with each type of queue in turn."""
    async with _rabbit_rig(request.param) as rig:
        yield rig


@pytest.fixture(params=["inprocess", on_servers("rabbitmq"), on_servers("rabbitmq, quorum queues")])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """Each bus in turn."""
    if request.param != "inprocess":
        async with _rabbit_rig("quorum" if "quorum" in request.param else "classic") as rabbit_rig:
            yield rabbit_rig
        return
    metrics = PrometheusMetrics()
    bus = InProcessBus(metrics=metrics)
    await bus.start()
    yield InProcessRig(bus, metrics)
    async with asyncio.timeout(SOON):
        await bus.close()


def _amqp_url() -> str:
    url = os.environ.get("CHANDLERY_TEST_AMQP_URL", "")
    if not url:
        pytest.fail("CHANDLERY_TEST_AMQP_URL is not set. Start RabbitMQ with `make services`, or point it to a server.")
    return url


@asynccontextmanager
async def _rabbit_rig(queue_type: QueueType = "classic") -> AsyncIterator[RabbitRig]:
    url = _amqp_url()
    connection = await aio_pika.connect(url)
    channel = await connection.channel(on_return_raises=True)
    prefix = f"test-{uuid.uuid4().hex[:8]}-"
    metrics = PrometheusMetrics()
    bus = RabbitBus(url, connection_name="test", prefix=prefix, queue_type=queue_type, metrics=metrics)
    rig = RabbitRig(bus, channel, connection, url, prefix, metrics, queue_type)
    async with asyncio.timeout(SOON):
        await rig.bus.start()
    yield rig
    async with asyncio.timeout(SOON):
        await rig.exit_stack.aclose()
        await rig.bus.close()
        await _remove(await connection.channel(), prefix, rig.lane)
        await connection.close()


async def _remove(channel: AbstractChannel, prefix: str, lane: str) -> None:
    for kind in topology.WORK_QUEUES:
        for each in (lane, "other"):
            await channel.queue_delete(prefix + topology.work_queue(kind, each))
    for queue in topology.DEAD_LETTER_QUEUES.values():
        await channel.queue_delete(prefix + queue)
    for exchange in (topology.COMMANDS_EXCHANGE, topology.EVENTS_EXCHANGE, topology.DEAD_LETTER_EXCHANGE):
        await channel.exchange_delete(prefix + exchange)
