"""The database or RabbitMQ is away for a while and comes back: nothing is lost, nothing crashes, and it is told."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import pytest

from tests.conformance.scripted.scripted_templates import PROVISION
from tests.e2e.stacks.api_client import ApiClient, is_ready
from tests.e2e.stacks.brokers import ScriptedPeer, scripted_peer
from tests.e2e.stacks.manifests import cluster_broker, instance
from tests.e2e.stacks.programs import LOOPBACK
from tests.e2e.stacks.servers import remove_queues, server_share
from tests.e2e.stacks.stacks import SERVICES, WORKERS, SplitStack
from tests.e2e.stacks.tcp_relay import TcpRelay
from tests.support.waiting import wait_for

_LONG: Final = 60.0


class Servers:
    """The ways to both servers, which a test may cut."""

    def __init__(self, database: TcpRelay, bus: TcpRelay) -> None:
        self.database = database
        self.bus = bus


@pytest.fixture(scope="module")
def servers_and_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Servers, SplitStack]]:
    with (
        server_share() as share,
        TcpRelay(share.database_url) as database,
        TcpRelay(share.amqp_url) as bus,
    ):
        database.open()
        bus.open()
        seen = replace(share, database_url=database.url, amqp_url=bus.url)
        stack = SplitStack(tmp_path_factory.mktemp("split"), seen)
        try:
            stack.migrate()
            stack.start()
            yield Servers(database, bus), stack
        finally:
            database.open()
            bus.open()
            stack.stop()
            remove_queues(share, stack.lanes())


@pytest.fixture(scope="module")
def servers(servers_and_stack: tuple[Servers, SplitStack]) -> Servers:
    return servers_and_stack[0]


@pytest.fixture(scope="module")
def split(servers_and_stack: tuple[Servers, SplitStack]) -> SplitStack:
    return servers_and_stack[1]


@pytest.fixture
def api(split: SplitStack) -> ApiClient:
    return split.api


@pytest.fixture(scope="module")
def peer(split: SplitStack) -> Iterator[ScriptedPeer]:
    with scripted_peer() as found:
        assert split.api.create(cluster_broker("scripted", found.url)).status == 201
        split.api.await_ready("clusterservicebrokers", "scripted")
        yield found


@pytest.fixture(autouse=True)
def nothing_crashes(split: SplitStack, servers: Servers) -> Iterator[None]:
    yield
    servers.database.open()
    servers.bus.open()
    for name in SERVICES:
        assert split.programs[name].is_running
        assert "Traceback" not in split.programs[name].log_text()


def test_database_that_was_away_has_lost_nothing(
    split: SplitStack, servers: Servers, api: ApiClient, peer: ScriptedPeer
) -> None:
    gate = peer.hold(PROVISION)
    assert api.create(instance("under-way", "test-service")).status == 201
    peer.wait_for(PROVISION)
    with api.watch("serviceinstances") as watched:
        wait_for(lambda: watched, what="the watch to begin")
        servers.database.cut()
        refused = api.create(instance("later", "test-service"))
        assert (refused.status, refused.body["reason"]) == (503, "ServiceUnavailable")
        assert "database" in refused.body["message"]
        assert refused.headers["retry-after"] == "1"
        assert LOOPBACK not in refused.body["message"]
        for name in SERVICES:
            status, said = split.probe(name, "/readyz")
            assert (status, "database" in said) == (503, True), (name, said)
            assert split.probe(name, "/livez")[0] == 200
        # The broker has done its part; whoever called it keeps the answer until it can be recorded.
        gate.open()
        wait_for(lambda: peer.seen_of(PROVISION)[0].answered_at, what="the answer of the broker")
        servers.database.open()
        _await_ready_again(split, SERVICES)
        assert _eventually_created(api, "later")
        for name in ("under-way", "later"):
            api.await_ready("serviceinstances", name, seconds=_LONG)
        wait_for(
            lambda: {one["metadata"]["name"] for one in list(watched) if is_ready(one)},
            lambda seen: seen >= {"under-way", "later"},
            what="the watch to tell of both",
        )
    assert _provisioned(peer) == {"under-way": 1, "later": 1}


def test_bus_that_was_away_has_lost_nothing(
    split: SplitStack, servers: Servers, api: ApiClient, peer: ScriptedPeer
) -> None:
    servers.bus.cut()
    for name in WORKERS:
        status, said = wait_for(
            lambda name=name: split.probe(name, "/readyz"),  # type: ignore[misc]
            lambda seen: seen[0] == 503,
            what=f"{name} not to be ready",
        )
        assert "RabbitMQ" in said, (status, said)
    # Wishes are accepted all the same: they wait in the outbox.
    assert split.probe("gateway", "/readyz")[0] == 200
    assert api.create(instance("patient", "test-service")).status == 201
    servers.bus.open()
    _await_ready_again(split, SERVICES)
    api.await_ready("serviceinstances", "patient", seconds=_LONG)


def _await_ready_again(split: SplitStack, names: tuple[str, ...]) -> None:
    for name in names:
        probe: Callable[[], tuple[int, str]] = lambda name=name: split.probe(name, "/readyz")  # type: ignore[misc] # noqa: E731
        wait_for(probe, lambda seen: seen[0] == 200, what=f"{name} to be ready again", seconds=_LONG)


def _eventually_created(api: ApiClient, name: str) -> bool:
    answer = wait_for(
        lambda: api.create(instance(name, "test-service")), lambda seen: seen.status in (201, 409), what="a creation"
    )
    return answer.status == 201


def _provisioned(peer: ScriptedPeer) -> dict[str, int]:
    """How many requests the broker got, by the names of the instances."""
    counts: dict[str, int] = {}
    for request in peer.seen_of(PROVISION):
        name = request.body["context"]["instance_name"]
        counts[name] = counts.get(name, 0) + 1
    return counts
