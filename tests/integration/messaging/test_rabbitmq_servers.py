"""What operators set up: several nodes, TLS, virtual hosts, queues of another type, and a server short of memory."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiormq
import pytest
from pamqp.commands import Connection as Method
from structlog.testing import capture_logs
from yarl import URL

from chandlery.contracts import topology
from chandlery.messaging.rabbitmq.connecting.rabbitmq_servers import parse_servers
from chandlery.messaging.rabbitmq.connecting.rabbitmq_urls import TlsFiles
from chandlery.messaging.rabbitmq.rabbitmq_bus import RabbitBus
from chandlery.messaging.rabbitmq.rabbitmq_dead_letters import open_dead_letters
from chandlery.messaging.rabbitmq.rabbitmq_errors import BLOCKED
from chandlery.messaging.rabbitmq.rabbitmq_topology import QueueSpec, RabbitTopology, topology_for
from chandlery.model.faults import ConfigurationFault, Refused, Unavailable
from chandlery.process.http.tls_files import self_signed
from tests.integration.messaging.conftest import Cable, RabbitRig, Recorder, command, laid_cable
from tests.support.waiting import SOON, eventually

INSTANCES = ("ServiceInstance",)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A server's certificate for 127.0.0.1, with its key beside it."""
    pem, key = self_signed("127.0.0.1")
    (tmp_path / "server.key").write_text(key)
    path = tmp_path / "server.crt"
    path.write_text(pem)
    return path


@pytest.fixture
async def tls_cable(certificate: Path) -> AsyncIterator[Cable]:
    """RabbitMQ behind TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    async with laid_cable(tls=context) as cable:
        yield cable


async def test_everything_that_is_always_there_is_declared_under_telling_names(either: RabbitRig) -> None:
    for exchange in ("chandlery.commands", "chandlery.events", "chandlery.dead"):
        await either.channel.get_exchange(either.prefix + exchange)
    for queue in (
        "provisioner.instance.reconcile.dead",
        "binder.binding.reconcile.dead",
        "syncer.broker.reconcile.dead",
        "syncer.namespace.reconcile.dead",
        "chandlery.events.dead",
    ):
        assert await either.exists(either.prefix + queue)


async def test_queues_are_of_the_type_that_is_set(quorum: RabbitRig) -> None:
    await quorum.bus.publish([command(1)])

    # Declaring again succeeds only with exactly these properties.
    names = RabbitTopology(quorum.prefix, "quorum")
    for spec in (names.work_queue(topology.work_queue("ServiceInstance", quorum.lane)), *_dead(names)):
        assert spec.arguments["x-queue-type"] == "quorum"
        await quorum.channel.declare_queue(spec.name, durable=True, arguments=dict(spec.arguments))


async def test_queue_of_another_type_is_used_as_it_is(rabbit: RabbitRig) -> None:
    await rabbit.bus.publish([command(1)])
    names = RabbitTopology(rabbit.prefix, "quorum")
    recorder = Recorder()
    with capture_logs() as lines:
        newer = RabbitBus(rabbit.url, connection_name="test", prefix=rabbit.prefix, queue_type="quorum")
        rabbit.exit_stack.push_async_callback(newer.close)
        await newer.start()
        await newer.publish([command(2)])
        subscription = await newer.consume(INSTANCES, rabbit.lane, recorder, concurrency=1)
        await recorder.until_finished(2)

    warned = {line["queue"] for line in lines if line["action"] == "declare_queue"}
    assert warned == {rabbit.work_queue(), *(spec.name for spec in _dead(names))}
    assert recorder.uids == ["uid-1", "uid-2"]
    await subscription.close()
    assert await newer.remove_queues(INSTANCES, rabbit.lane)
    assert not await rabbit.exists(rabbit.work_queue())


async def test_declaration_that_is_refused_harms_no_other_publication(rabbit: RabbitRig) -> None:
    await rabbit.channel.declare_queue(rabbit.work_queue(), durable=False)
    other = RabbitRig.work_queue(rabbit, "ServiceBinding")

    await asyncio.gather(
        *(rabbit.bus.publish([command(number)]) for number in range(5)),
        *(rabbit.bus.publish([command(number, kind="ServiceBinding")]) for number in range(5)),
    )

    assert (await rabbit.depth(rabbit.work_queue()), await rabbit.depth(other)) == (5, 5)


async def test_bus_goes_to_the_next_server_when_one_is_away(rabbit: RabbitRig, cable: Cable) -> None:
    cable.cut()
    for _ in range(3):
        bus = await rabbit.another_bus(f"{cable.url},{rabbit.url}")
        await bus.publish([command(1)])
        await bus.close()

    assert await rabbit.depth(rabbit.work_queue()) == 3


async def test_work_goes_on_through_another_server_when_one_goes_away(rabbit: RabbitRig) -> None:
    recorder = Recorder()
    async with laid_cable() as one, laid_cable() as two:
        bus = await rabbit.another_bus(f"{one.url}, {two.url}")
        await bus.consume(INSTANCES, rabbit.lane, recorder, concurrency=1)
        for number, cable in enumerate((one, two, one)):
            # All connections that went through this one have to come again through the other.
            other = two if cable is one else one
            cable.cut()
            await eventually(lambda other=other: other.connections == 2)  # type: ignore[misc]
            async with asyncio.timeout(SOON):
                await bus.publish([command(number)])
            await recorder.until(lambda number=number: f"uid-{number}" in recorder.uids)  # type: ignore[misc]
            cable.mend()


def test_several_servers_are_a_cluster_with_quorum_queues() -> None:
    one = parse_servers("amqp://u:p@a/shop")
    three = parse_servers("amqp://u:p@a/shop, amqp://u:p@b:5673/shop,amqp://u:p,q@c/shop")

    assert (one.addresses, three.addresses) == ("a:5672", "a:5672, b:5673, c:5672")
    assert topology_for(one, prefix="", queue_type=None).queue_type == "classic"
    assert topology_for(three, prefix="", queue_type=None).queue_type == "quorum"
    assert topology_for(three, prefix="", queue_type="classic").queue_type == "classic"
    assert topology_for(one, prefix="", queue_type="quorum").queue_type == "quorum"
    assert "p,q" not in repr(three) and three.urls[2].password == "p,q"


async def test_bus_speaks_tls_to_a_server_whose_certificate_it_is_told_to_trust(
    rabbit: RabbitRig, tls_cable: Cable, certificate: Path
) -> None:
    assert tls_cable.url.startswith("amqps://")
    bus = RabbitBus(tls_cable.url, connection_name="test", prefix=rabbit.prefix, tls=TlsFiles(ca=certificate))
    rabbit.exit_stack.push_async_callback(bus.close)
    async with asyncio.timeout(SOON):
        await bus.start()
    await bus.publish([command(1)])

    assert await rabbit.depth(rabbit.work_queue()) == 1
    async with open_dead_letters(tls_cable.url, prefix=rabbit.prefix, tls=TlsFiles(ca=certificate)) as letters:
        assert await letters.all() == []


async def test_certificate_of_an_unknown_issuer_is_refused(rabbit: RabbitRig, tls_cable: Cable) -> None:
    bus = await rabbit.another_bus(tls_cable.url, start=False)
    async with asyncio.timeout(SOON):
        with pytest.raises(Refused, match=r"is refused: .*; check CHANDLERY_AMQP_CA_FILE") as refused:
            await bus.start()

    assert refused.value.is_setting


async def test_bus_shows_its_own_certificate_beside_a_private_authority(rabbit: RabbitRig, certificate: Path) -> None:
    key = certificate.with_suffix(".key")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    async with laid_cable(tls=context) as cable:
        url = str(URL(cable.url).update_query({"certfile": str(certificate), "keyfile": str(key)}))
        bus = RabbitBus(url, connection_name="test", prefix=rabbit.prefix, tls=TlsFiles(ca=certificate))
        async with asyncio.timeout(SOON):
            await bus.start()
        await bus.publish([command(1)])
        await bus.close()

    assert await rabbit.depth(rabbit.work_queue()) == 1


def test_ca_file_without_tls_is_refused(certificate: Path) -> None:
    with pytest.raises(ConfigurationFault, match="only with amqps://") as caught:
        RabbitBus("amqps://u:p@h/,amqp://u:hunter2@h/", connection_name="test", tls=TlsFiles(ca=certificate))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "virtual_host"),
    [("", "/"), ("/", "/"), ("/%2F", "/"), ("/%2f", "/"), ("/shop", "shop"), ("/team%2Fshop", "team/shop")],
)
async def test_virtual_host_is_what_the_url_says(path: str, virtual_host: str) -> None:
    [url] = parse_servers(f"amqp://u:p@h{path}").urls
    assert aiormq.Connection(url).vhost == virtual_host


async def test_virtual_host_that_is_not_there_is_said(rabbit: RabbitRig) -> None:
    bus = await rabbit.another_bus(str(URL(rabbit.url).with_path("/nowhere")), start=False)
    with capture_logs() as lines:
        starting = asyncio.create_task(bus.start())
        await eventually(lambda: bool(lines))
    starting.cancel()
    await bus.close()

    assert "the virtual host does not exist, or the user may not access it" in str(lines[0]["event"])


async def test_bus_says_that_it_is_not_ready_while_the_server_takes_no_messages(
    rabbit: RabbitRig, cable: Cable
) -> None:
    bus = await rabbit.another_bus(cable.url, patience_seconds=0.05)
    recorder = Recorder()
    await bus.consume(INSTANCES, rabbit.lane, recorder, concurrency=1)
    await bus.publish([command(1)])
    await recorder.until_finished(1)

    cable.say(Method.Blocked("low on memory"))
    await eventually(lambda: bus._link.is_blocked)
    for refused in (bus.ping(), bus.publish([command(2)])):
        with pytest.raises(Unavailable, match=BLOCKED):
            await refused

    await rabbit.bus.publish([command(3)])
    await recorder.until_finished(2)
    cable.say(Method.Unblocked())
    await eventually(lambda: not bus._link.is_blocked)
    await bus.ping()
    await bus.publish([command(4)])
    await recorder.until_finished(3)
    assert recorder.uids == ["uid-1", "uid-3", "uid-4"], "what was refused was not sent, work went on"


async def test_publish_goes_on_as_soon_as_the_server_takes_messages_again(rabbit: RabbitRig, cable: Cable) -> None:
    bus = await rabbit.another_bus(cable.url)
    cable.say(Method.Blocked("low on disk"))
    await eventually(lambda: bus._link.is_blocked)

    publishing = asyncio.create_task(bus.publish([command(1)]))
    await asyncio.sleep(0)
    assert not publishing.done()
    cable.say(Method.Unblocked())
    async with asyncio.timeout(SOON):
        await publishing

    assert await rabbit.depth(rabbit.work_queue()) == 1


async def test_bus_can_be_closed_while_the_server_takes_no_messages(rabbit: RabbitRig, cable: Cable) -> None:
    bus = await rabbit.another_bus(cable.url)
    cable.say(Method.Blocked("low on memory"))
    await eventually(lambda: bus._link.is_blocked)
    publishing = asyncio.create_task(bus.publish([command(1)]))
    await asyncio.sleep(0)

    async with asyncio.timeout(SOON):
        await bus.close()
        with pytest.raises(Unavailable):
            await publishing


async def test_command_line_is_told_at_once_when_no_server_is_there(rabbit: RabbitRig, cable: Cable) -> None:
    cable.cut()
    with pytest.raises(Unavailable, match=r"^RabbitMQ at 127\.0\.0\.1:\d+ cannot be reached: ") as caught:
        async with open_dead_letters(cable.url):
            pass
    assert str(URL(cable.url).password) not in str(caught.value)

    async with open_dead_letters(f"{cable.url},{rabbit.url}", prefix=rabbit.prefix) as letters:
        assert await letters.all() == []


def _dead(names: RabbitTopology) -> list[QueueSpec]:
    return list(names.dead_letter_queues.values())
