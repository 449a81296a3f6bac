"""Secrets that somebody changes or deletes are mended; a cluster that is away for a while costs nobody anything."""

import base64
from collections.abc import Iterator

import pytest

from tests.cluster.stage.installed import InstalledChandlery
from tests.cluster.stage.real_cluster import RealCluster
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_templates import BIND, PROVISION, UNBIND
from tests.e2e.stacks.brokers import ScriptedPeer, scripted_peer
from tests.e2e.stacks.manifests import binding, cluster_broker, instance
from tests.support.waiting import wait_for

CREDENTIALS = {"uri": "tcp://rope", "password": "knot"}


@pytest.fixture(scope="module")
def peer(chandlery: InstalledChandlery) -> Iterator[ScriptedPeer]:
    """A broker that shows credentials once, and never returns them: whoever loses them cannot have them again."""
    with scripted_peer() as made:
        made.always(BIND, Reply(201, {"credentials": CREDENTIALS}))
        chandlery.kubectl().create(cluster_broker("once", made.url))
        chandlery.api.await_ready("clusterservicebrokers", "once")
        yield made


class Order:
    """An instance in a namespace, perhaps with a binding, and what its broker has been asked for it."""

    def __init__(self, chandlery: InstalledChandlery, peer: ScriptedPeer, namespace: str) -> None:
        self.chandlery, self.peer, self.namespace = chandlery, peer, namespace
        self.cluster: RealCluster = chandlery.cluster
        self._before = {template: len(peer.seen_of(template)) for template in (PROVISION, BIND, UNBIND)}

    def create(self, *documents: dict[str, object]) -> None:
        self.chandlery.kubectl().create(*({**each, "metadata": self._metadata(each)} for each in documents))

    def await_ready(self, *plurals: str) -> None:
        for plural in plurals:
            self.chandlery.api.await_ready(plural, "one", namespace=self.namespace)

    def await_secret(self, wanted: dict[str, str]) -> None:
        wait_for(self.secret, lambda seen: seen == wanted, what="the Secret")

    def secret(self) -> dict[str, str] | None:
        return self.cluster.secret(self.namespace, "one")

    def kubectl(self, *arguments: str) -> str:
        return self.chandlery.kubectl().ok(*arguments, "--namespace", self.namespace)

    def asked(self, template: str) -> int:
        """How often the broker has been asked since the beginning of the test."""
        return len(self.peer.seen_of(template)) - self._before[template]

    def until_asked(self, template: str) -> None:
        self.peer.wait_for(template, self._before[template] + 1)

    def _metadata(self, document: dict[str, object]) -> dict[str, object]:
        metadata = document["metadata"]
        assert isinstance(metadata, dict)
        return {**metadata, "namespace": self.namespace}


@pytest.fixture
def order(chandlery: InstalledChandlery, peer: ScriptedPeer, namespace: str) -> Order:
    return Order(chandlery, peer, namespace)


@pytest.fixture
def bound(order: Order) -> Order:
    order.create(instance("one", "test-service"), binding("one", "one"))
    order.await_ready("serviceinstances", "servicebindings")
    assert order.secret() == CREDENTIALS
    return order


def test_secret_that_somebody_has_changed_is_put_right(bound: Order) -> None:
    bound.kubectl("patch", "secret", "one", "-p", '{"data":{"uri":null,"password":"YmFk","more":"YQ=="}}')
    # The key that somebody has added is theirs, as server-side apply has it.
    bound.await_secret({**CREDENTIALS, "more": "a"})
    bound.kubectl("patch", "secret", "one", "--type=json", "-p", '[{"op":"remove","path":"/data/uri"}]')
    bound.await_secret({**CREDENTIALS, "more": "a"})
    assert bound.asked(BIND) == 1


def test_secret_that_somebody_has_deleted_is_written_again(bound: Order) -> None:
    bound.kubectl("delete", "secret", "one")
    bound.await_secret(CREDENTIALS)
    assert bound.asked(BIND) == 1


def test_secret_that_was_deleted_while_nobody_looked_is_written_again(bound: Order) -> None:
    bound.chandlery.kill("binder")
    bound.kubectl("delete", "secret", "one")
    bound.chandlery.start("binder")
    bound.await_secret(CREDENTIALS)
    assert bound.asked(BIND) == 1


def test_parameters_that_come_are_seen_at_once(order: Order) -> None:
    source = {"secretKeyRef": {"name": "words", "key": "json"}}
    order.create(instance("one", "test-service", parametersFrom=[source]))
    order.chandlery.api.await_reason("serviceinstances", "one", "ErrorWithParameters", namespace=order.namespace)
    order.kubectl("create", "secret", "generic", "words", '--from-literal=json={"word":"mellon"}')
    order.await_ready("serviceinstances")
    order.until_asked(PROVISION)
    assert order.asked(PROVISION) == 1


def test_apiserver_that_dies_in_mid_provision_costs_no_second_one(order: Order) -> None:
    gate = order.peer.hold(PROVISION)
    order.create(instance("one", "test-service"))
    order.until_asked(PROVISION)
    order.cluster.kill_apiserver()
    try:
        gate.open()
    finally:
        order.cluster.start_apiserver()
    order.await_ready("serviceinstances")
    assert order.asked(PROVISION) == 1


def test_apiserver_that_dies_in_mid_bind_costs_no_credentials(order: Order) -> None:
    order.create(instance("one", "test-service"))
    order.await_ready("serviceinstances")
    gate = order.peer.hold(BIND, Reply(201, {"credentials": CREDENTIALS}))
    order.create(binding("one", "one"))
    order.until_asked(BIND)
    order.cluster.kill_apiserver()
    try:
        gate.open()
        # The binder has them, and nowhere to put them.
        order.chandlery.programs["binder"].await_log("cannot be reached")
    finally:
        order.cluster.start_apiserver()
    order.await_secret(CREDENTIALS)
    order.await_ready("servicebindings")
    assert (order.asked(BIND), order.asked(UNBIND)) == (1, 0)


def test_values_are_as_the_broker_has_given_them(bound: Order) -> None:
    found = bound.cluster.api().find("secrets", "one", namespace=bound.namespace)
    assert found is not None
    assert base64.b64decode(found["data"]["uri"]).decode() == CREDENTIALS["uri"]
    assert found["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "chandlery"}
    assert [entry["manager"] for entry in found["metadata"]["managedFields"]] == ["chandlery"]
