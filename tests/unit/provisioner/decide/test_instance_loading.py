"""What the provisioner reads before it decides, from a real database: the plan that an instance has, its parameters."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from chandlery.engine.relay import Relay
from chandlery.engine.resources import Resources
from chandlery.messaging.inprocess.inprocess_bus import InProcessBus
from chandlery.model.faults import ParametersFault
from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import ClusterServiceBroker, LocalObjectReference
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ParametersFromSource, SecretKeyReference, ServiceInstance
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.offerings import (
    ClusterServiceClass,
    ClusterServiceClassSpec,
    ClusterServicePlan,
    ClusterServicePlanSpec,
)
from chandlery.osb.client import OsbClient
from chandlery.osb.transport.egress import TRUSTING_LOOPBACK
from chandlery.platform.standalone.standalone_platform import StandalonePlatform, StandaloneSession
from chandlery.reconcile.parameters.parameters import Parameters
from chandlery.settings.settings import Settings
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.sealing.sealing import Keyring, new_key
from chandlery.store.work.work_claims import Claim
from chandlery_provisioner.facts.instance_snapshot import InstanceSnapshot
from chandlery_provisioner.instance_loading import load_instance
from tests.unit.migrated_file import migrated_file
from tests.unit.provisioner.builders import LANE, SERVICE, SMALL, make_instance, provisioned, remembering

BEGINNING = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
LARGE_WANTED = {"cluster_service_plan_external_name": "large"}


class Catalog:
    """A database with a broker, its class and two plans."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def add(self, *documents: AnyObject) -> None:
        async def insert(unit: UnitOfWork) -> None:
            for document in documents:
                metadata = document.metadata.model_copy(
                    update={"creation_timestamp": unit.now, "uid": f"{document.kind}-{document.metadata.name}"}
                )
                await unit.objects.insert(document.model_copy(update={"metadata": metadata}))

        await self._resources.database.run(insert)

    async def sets_defaults(self, *, of_class: dict[str, Any], of_plan: dict[str, Any]) -> None:
        """What an operator does who edits class and plan."""

        async def edit(unit: UnitOfWork) -> None:
            for kind, name, defaults in (
                (kinds.CLUSTER_SERVICE_CLASS, "ropes", of_class),
                (kinds.CLUSTER_SERVICE_PLAN, "small", of_plan),
            ):
                found: Any = await unit.objects.get(kind, "", name)
                spec = found.spec.model_copy(update={"default_provision_parameters": defaults})
                await unit.objects.update(found, found.model_copy(update={"spec": spec}))

        await self._resources.database.run(edit)

    async def load(self, instance: ServiceInstance, **memory: Any) -> InstanceSnapshot:
        claim = Claim(
            uid="uid-1",
            kind="ServiceInstance",
            lane=LANE,
            attempt=0,
            revision=0,
            fence=1,
            owner="test",
            sealed=None,
            memory=remembering(**memory).to_wire(),
        )
        loaded = await self._resources.database.run(
            lambda unit: load_instance(
                unit, self._resources, platform=StandaloneSession(unit), instance=instance, claim=claim
            )
        )
        return loaded.snapshot


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    engine = open_engine(await migrated_file(tmp_path), application_name="test")
    database = Database(engine, Keyring.parse(new_key("k")), clock=lambda: BEGINNING)
    bus, client = InProcessBus(), OsbClient(TRUSTING_LOOPBACK)
    world = Catalog(
        Resources(
            settings=Settings(database_url=SecretStr("sqlite://")),
            database=database,
            bus=bus,
            relay=Relay(database, bus),
            platform=StandalonePlatform(),
            osb=client,
            cluster_id="cluster-1",
            owner="test",
        )
    )
    await world.add(
        ClusterServiceBroker(metadata=ObjectMeta(name="harbour")),
        _class("ropes", SERVICE),
        _plan("small"),
        _plan("large"),
    )
    yield world
    await client.close()
    await database.close()


async def test_the_plan_that_an_instance_has_is_found_in_its_class_when_another_is_wanted(catalog: Catalog) -> None:
    await catalog.add(_class("sails", "service-2"), _plan("other", service_class="sails", external_id=SMALL))

    snapshot = await catalog.load(make_instance(spec=LARGE_WANTED), plan=SMALL)

    assert snapshot.current_plan is not None
    assert snapshot.current_plan.metadata.name == "small"


async def test_the_plan_that_an_instance_has_may_be_the_wanted_one(catalog: Catalog) -> None:
    snapshot = await catalog.load(make_instance(), plan=SMALL)

    assert snapshot.current_plan is not None
    assert snapshot.current_plan.metadata.name == "small"


@pytest.mark.parametrize("plan", ["", "plan-of-old"])
async def test_no_plan_is_known_for_a_new_instance_or_after_the_catalog_lost_it(catalog: Catalog, plan: str) -> None:
    snapshot = await catalog.load(make_instance(), plan=plan)

    assert snapshot.current_plan is None


@pytest.mark.parametrize(
    ("data", "message", "command"),
    [
        pytest.param(
            None, "does not exist", "kubectl create secret generic words -n ns --from-file=json=FILE", id="no Secret"
        ),
        pytest.param({"other": b"{}"}, 'has no key "json"', "kubectl edit secret words -n ns", id="no key"),
        pytest.param(
            {"json": b"sesame"}, "does not hold a JSON object", "kubectl edit secret words -n ns", id="no JSON"
        ),
    ],
)
async def test_parameters_that_cannot_be_read_are_waited_for_at_their_secret_with_the_command_that_mends_it(
    catalog: Catalog, data: dict[str, bytes] | None, message: str, command: str
) -> None:
    if data is not None:
        await catalog.add(_secret(data))

    snapshot = await catalog.load(_with_secret())

    assert isinstance(snapshot.parameters, ParametersFault)
    assert message in snapshot.parameters.message
    assert snapshot.parameters.message.endswith(f": {command}")
    assert "sesame" not in snapshot.parameters.message
    assert snapshot.parameters.waiting_for == "secret:ns/words"


async def test_parameters_given_twice_wait_for_nobody_but_the_user(catalog: Catalog) -> None:
    await catalog.add(_secret({"json": b'{"word": "sesame"}'}))

    snapshot = await catalog.load(_with_secret(parameters={"word": "mellon"}))

    assert isinstance(snapshot.parameters, ParametersFault)
    assert snapshot.parameters.waiting_for is None


async def test_parameters_from_more_than_a_secret_may_hold_wait_for_a_smaller_one(catalog: Catalog) -> None:
    halves = {f"half{number}": json.dumps({f"h{number}": "x" * 600_000}).encode() for number in range(2)}
    await catalog.add(_secret({"json": b"{}", **halves}))
    sources = tuple(
        ParametersFromSource(secret_key_ref=SecretKeyReference(name="words", key=key)) for key in ("half0", "half1")
    )

    snapshot = await catalog.load(_with_secret(parameters_from=sources))

    assert isinstance(snapshot.parameters, ParametersFault)
    assert "hold more than 1048576 bytes" in snapshot.parameters.message
    assert snapshot.parameters.waiting_for == "secret:ns/words"


async def test_secret_is_read_once_for_all_its_keys(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    await catalog.add(_secret({f"k{number}": json.dumps({f"p{number}": number}).encode() for number in range(50)}))
    reads: list[str] = []
    read_secret = StandaloneSession.read_secret

    async def counted(self: StandaloneSession, namespace: str, name: str) -> Secret | None:
        reads.append(name)
        return await read_secret(self, namespace, name)

    monkeypatch.setattr(StandaloneSession, "read_secret", counted)
    sources = tuple(
        ParametersFromSource(secret_key_ref=SecretKeyReference(name="words", key=f"k{number}")) for number in range(50)
    )

    snapshot = await catalog.load(_with_secret(parameters_from=sources))

    assert isinstance(snapshot.parameters, Parameters)
    assert len(snapshot.parameters.sent) == 50
    assert reads == ["words"]


async def test_parameters_of_the_specification_and_of_a_secret_are_merged(catalog: Catalog) -> None:
    await catalog.add(_secret({"json": b'{"word": "sesame"}'}))

    snapshot = await catalog.load(_with_secret(parameters={"size": 3}))

    assert isinstance(snapshot.parameters, Parameters)
    assert snapshot.parameters.sent == {"word": "sesame", "size": 3}


def _class(name: str, external_id: str) -> ClusterServiceClass:
    spec = ClusterServiceClassSpec(external_name=name, external_id=external_id, cluster_service_broker_name="harbour")
    return ClusterServiceClass(metadata=ObjectMeta(name=name), spec=spec)


def _plan(name: str, *, service_class: str = "ropes", external_id: str = "") -> ClusterServicePlan:
    spec = ClusterServicePlanSpec(
        external_name=name,
        external_id=external_id or f"plan-{name}",
        cluster_service_broker_name="harbour",
        cluster_service_class_ref=LocalObjectReference(name=service_class),
    )
    return ClusterServicePlan(metadata=ObjectMeta(name=name), spec=spec)


def _secret(data: dict[str, bytes]) -> Secret:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return Secret(metadata=ObjectMeta(name="words", namespace="ns"), data=encoded)


def _with_secret(**spec: Any) -> ServiceInstance:
    source = ParametersFromSource(secret_key_ref=SecretKeyReference(name="words", key="json"))
    return make_instance(spec={"parameters_from": [source], **spec})


async def test_defaults_of_class_and_plan_are_merged_when_an_instance_is_made(catalog: Catalog) -> None:
    await catalog.sets_defaults(of_class={"size": 1, "net": {"zone": "a"}}, of_plan={"size": 2})
    await catalog.add(_secret({"json": b'{"word": "sesame"}'}))

    snapshot = await catalog.load(_with_secret(parameters={"net": {"public": True}}))

    merged = {"size": 2, "net": {"zone": "a", "public": True}}
    assert isinstance(snapshot.parameters, Parameters)
    assert snapshot.parameters.sent == {**merged, "word": "sesame"}
    assert snapshot.parameters.shown == {**merged, "word": "<redacted>"}
    assert snapshot.defaults == {"size": 2, "net": {"zone": "a"}}


@pytest.mark.parametrize("remembered", [None, {"size": 1}])
async def test_defaults_that_the_catalog_gets_later_change_no_instance_that_is_there(
    catalog: Catalog, remembered: dict[str, Any] | None
) -> None:
    await catalog.sets_defaults(of_class={"size": 5}, of_plan={})

    snapshot = await catalog.load(
        provisioned(spec={"parameters": {"word": "x"}}, default_provision_parameters=remembered)
    )

    assert isinstance(snapshot.parameters, Parameters)
    assert snapshot.parameters.sent == {**(remembered or {}), "word": "x"}
