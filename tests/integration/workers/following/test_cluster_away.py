"""A cluster that is away at the worst moments: no credentials are lost, no service broker is asked twice."""

import asyncio

import pytest

from chandlery.model.faults import Forbidden
from chandlery.platform.kubernetes.kubernetes_platform import KubernetesPlatform
from chandlery.reconcile.reconcile_result import secret_key
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.integration.workers.fleet import BINDING, INSTANCE, NS, Fleet, binding, instance
from tests.support.clusters.plain_cluster import PlainCluster
from tests.support.waiting import eventually

SECRET = f"/api/v1/namespaces/{NS}/secrets/one"
pytestmark = pytest.mark.parametrize("fleet", ["sqlite, in process"], indirect=True)


def away_at_times(fleet: Fleet) -> PlainCluster:
    cluster = PlainCluster()
    cluster.put(f"/api/v1/namespaces/{NS}", {})
    fleet.platform = KubernetesPlatform(cluster.client)
    return cluster


async def test_cluster_that_goes_in_mid_provision_costs_no_second_one(fleet: Fleet) -> None:
    cluster, gate = away_at_times(fleet), asyncio.Event()
    async with ScriptedBroker() as broker:
        broker.script(osb.PROVISION, Reply(201, {}, gate=gate))
        await fleet.offer("db", broker.url)
        await fleet.worker("ServiceInstance")
        await fleet.create(instance("one", "db"))
        await eventually(lambda: len(broker.seen_of(osb.PROVISION)), what="the request")
        cluster.is_away = True
        gate.set()
        # The database has it all; only the event about it is lost.
        await fleet.until_ready(INSTANCE, "one")
        assert len(broker.seen_of(osb.PROVISION)) == 1


async def test_credentials_that_may_not_be_delivered_yet_wait_for_the_secret_to_be_followed(fleet: Fleet) -> None:
    cluster = away_at_times(fleet)
    cluster.refuses = {f"create {SECRET}": Forbidden("the namespace has not opted in")}
    async with ScriptedBroker() as broker:
        await fleet.offer("db", broker.url)
        await fleet.worker("ServiceInstance", "ServiceBinding")
        await fleet.create(instance("one", "db"))
        await fleet.until_ready(INSTANCE, "one")
        await fleet.create(binding("one"))
        await fleet.until_condition(BINDING, "one", ("False", "ErrorInjectingBindResult"))
        row = await fleet.work_row(BINDING, "one")
        assert row["waiting_for"] == secret_key(NS, "one")


async def test_cluster_that_goes_in_mid_bind_gets_the_credentials_when_it_is_back(fleet: Fleet) -> None:
    cluster, gate = away_at_times(fleet), asyncio.Event()
    async with ScriptedBroker() as broker:
        # They are shown once.
        broker.script(osb.BIND, Reply(201, {"credentials": {"uri": "tcp://rope"}}, gate=gate))
        broker.always(osb.BIND, Reply(200, {}))
        await fleet.offer("db", broker.url)
        await fleet.worker("ServiceInstance", "ServiceBinding")
        await fleet.create(instance("one", "db"))
        await fleet.until_ready(INSTANCE, "one")
        await fleet.create(binding("one"))
        await eventually(lambda: len(broker.seen_of(osb.BIND)), what="the request")
        cluster.is_away = True
        cluster.calls.clear()
        gate.set()
        await eventually(lambda: cluster.calls.count(f"get {SECRET}") > 1, what="the Secret to be tried again")
        cluster.is_away = False
        await fleet.until_ready(BINDING, "one")
        assert cluster.objects[SECRET]["data"] == {"uri": "dGNwOi8vcm9wZQ=="}
        assert len(broker.seen_of(osb.BIND)) == 1
        assert broker.seen_of(osb.UNBIND) == []
        told = [row["verb"] for row in await fleet.rows("audit_events")]
        assert told.count("deliver") == 1
