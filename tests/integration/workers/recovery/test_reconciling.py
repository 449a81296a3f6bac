"""`chandlery reconcile` after a loss: found, listed, taken back or deleted on the operator's word, and not before."""

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding, ServiceBindingSpec
from chandlery.model.objects.brokers import LocalObjectReference
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceSpec
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.process.commands.reconciling.reconcile_run import Wish, surveyed
from chandlery.process.commands.reconciling.reconcile_views import finding_json
from chandlery.process.commands.reconciling.surveys.external_things import Difference
from chandlery.process.commands.reconciling.surveys.records import read_records
from chandlery.process.commands.reconciling.surveys.survey import Survey
from chandlery.process.commands.reconciling.taking_back import ADOPT, MITIGATE, Done
from chandlery.store.database import UnitOfWork
from tests.integration.workers.fleet import BINDING, INSTANCE, NS, SECRET, Fleet, broker
from tests.support.keeping_broker import KeepingBroker
from tests.support.waiting import eventually

KINDS = ("ClusterServiceBroker", "ServiceInstance", "ServiceBinding")


class Reconciling:
    """What the commands do, on the database of a fleet."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.fleet = fleet
        self.file = folder / "record.jsonl"
        self.file.touch()

    def write(self, *lines: dict[str, Any]) -> None:
        """The record."""
        self.file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    async def look(self) -> Survey:
        """`brokers`."""
        survey, _ = await self._run(None)
        return survey

    async def found(self) -> dict[str, Difference]:
        """By external id."""
        return {each.thing.external_id: each.difference for each in (await self.look()).findings}

    async def do(self, verb: str, *items: str, applies: bool = True) -> list[Done]:
        """`adopt` and `mitigate`; without items, with `--all`."""
        _, done = await self._run(Wish(verb=verb, items=items, applies=applies))
        return done

    async def _run(self, wish: Wish | None) -> tuple[Survey, list[Done]]:
        front = self.fleet.front
        settings = front.resources.settings.model_copy(update={"broker_trusted_networks": "127.0.0.0/8"})
        async with AsyncExitStack() as stack:
            applies = wish is not None and wish.applies
            record = read_records([self.file])
            survey, taking = await surveyed(stack, front.database, settings, record, _ignored, applies=applies)
            if wish is None:
                return survey, []
            return survey, await taking.run(wish.verb, wish.chosen(survey.findings), tell=_ignored)


def _ignored(_: str) -> None:
    """Nobody is told."""


@pytest.fixture
def reconciling(fleet: Fleet, tmp_path: Path) -> Reconciling:
    return Reconciling(fleet, tmp_path)


def listed(external_id: str, name: str, *, of: str = "", service: str = "open", **more: str) -> dict[str, Any]:
    """A line as `-o json` has it."""
    ids = {"externalID": external_id, "instanceExternalID": of or external_id, "broker": "keeper"}
    offered = {"serviceID": f"{service}-id", "planID": f"{service}-small-id"}
    kind = "ServiceBinding" if of else "ServiceInstance"
    return {"kind": kind, "namespace": NS, "name": name, **ids, **offered, **more}


def called(verb: str, verdict: str, instance_id: str, *, binding_id: str = "", **more: str) -> dict[str, Any]:
    """A line of a worker's log."""
    ids = {"chandlery.instance_id": instance_id, **({"chandlery.binding_id": binding_id} if binding_id else {})}
    said = {"event.action": "call_broker", "chandlery.operation": verb, "chandlery.verdict": verdict}
    return {**said, **ids, "chandlery.broker": "keeper", **more}


def instance_of(name: str, service: str = "open", plan: str = "small") -> ServiceInstance:
    spec = ServiceInstanceSpec(cluster_service_class_external_name=service, cluster_service_plan_external_name=plan)
    return ServiceInstance(metadata=ObjectMeta(name=name, namespace=NS), spec=spec)


def binding_of(name: str, to: str) -> ServiceBinding:
    spec = ServiceBindingSpec(instance_ref=LocalObjectReference(name=to))
    return ServiceBinding(metadata=ObjectMeta(name=name, namespace=NS), spec=spec)


async def begin(fleet: Fleet, keeper: KeepingBroker) -> Any:
    """A broker with its catalog, an instance `kept` with a binding `login`, both ready; returns the worker."""
    worker = await fleet.worker(*KINDS)
    await fleet.create(broker("keeper", keeper.url))
    await fleet.until_condition(kinds.CLUSTER_SERVICE_BROKER, "keeper", ("True", "FetchedCatalog"))
    await fleet.create(instance_of("kept"))
    await fleet.until_ready(INSTANCE, "kept")
    await fleet.create(binding_of("login", "kept"))
    await fleet.until_ready(BINDING, "login")
    return worker


async def hold(unit: UnitOfWork) -> None:
    await unit.restored.hold.begin()


async def release(fleet: Fleet, worker: Any) -> None:
    await fleet.front.database.run(lambda unit: unit.restored.go_on())
    await worker.sweep().once()


async def test_what_agrees_is_no_finding(fleet: Fleet, reconciling: Reconciling) -> None:
    with KeepingBroker() as keeper:
        await begin(fleet, keeper)
        survey = await reconciling.look()
        assert survey.findings == []
        assert survey.agreed == 2


async def test_what_is_not_here_is_adopted_without_a_call_that_changes_anything(
    fleet: Fleet, reconciling: Reconciling
) -> None:
    with KeepingBroker() as keeper:
        worker = await begin(fleet, keeper)
        await fleet.front.database.run(hold)
        asked = {"service_id": "open-id", "plan_id": "open-large-id", "parameters": {"size": 3}}
        keeper.instances["i-new"] = asked
        keeper.bindings["b-new"] = {"instance": "i-new", "credentials": {"password": "of new"}}
        reconciling.write(
            called("ProvisionInstance", "succeeded", "i-new", **_whose("new", "open")),
            called("Bind", "succeeded", "i-new", binding_id="b-new", **_whose("new-login", "open")),
            called("ProvisionInstance", "rejected", "i-refused", **_whose("refused", "open")),
            called("ProvisionInstance", "timed out", "i-never-came", **_whose("never-came", "open")),
        )
        before = keeper.changes()
        assert await reconciling.found() == {"i-new": Difference.NOT_HERE, "b-new": Difference.NOT_HERE}

        assert [each.problem for each in await reconciling.do(ADOPT, applies=False)] == ["", ""]
        assert await fleet.find(INSTANCE, "new") is None
        done = await reconciling.do(ADOPT)
        assert [each.problem for each in done] == ["", ""]
        assert await reconciling.found() == {}
        assert await fleet.find(SECRET, "new-login") is None

        await release(fleet, worker)
        await eventually(lambda: fleet.find(SECRET, "new-login"), what="the Secret to be written")
        await fleet.until_ready(INSTANCE, "new")
        await fleet.until_ready(BINDING, "new-login")
        found = await fleet.find(INSTANCE, "new")
        assert found.spec.external_id == "i-new"
        assert found.spec.cluster_service_plan_external_name == "large"
        assert found.spec.parameters == {"size": 3}
        assert found.metadata.uid == "uid-new"
        assert keeper.changes() == before
        verbs = [row["verb"] for row in await fleet.rows("audit_events")]
        assert verbs.count("adopt") == 2


async def test_what_is_not_here_is_deleted_at_its_broker_when_it_is_mitigated(
    fleet: Fleet, reconciling: Reconciling
) -> None:
    with KeepingBroker() as keeper:
        worker = await begin(fleet, keeper)
        await fleet.front.database.run(hold)
        # One has the name of an object that is here, and is another.
        keeper.instances["i-orphan"] = {"service_id": "open-id", "plan_id": "open-small-id"}
        keeper.bindings["b-orphan"] = {"instance": "i-orphan", "credentials": {"password": "x"}}
        reconciling.write(listed("i-orphan", "kept"), listed("b-orphan", "login", of="i-orphan"))
        before = keeper.changes()
        done = await reconciling.do(MITIGATE, "i-orphan", "b-orphan")
        assert [(each.problem, each.place[1]) for each in done] == [
            ("", "kept-orphan-i-orphan"),
            ("", "login-orphan-b-orphan"),
        ]
        assert keeper.changes() == before

        await release(fleet, worker)
        for kind, name in ((BINDING, "login-orphan-b-orphan"), (INSTANCE, "kept-orphan-i-orphan")):
            await fleet.until_gone(kind, name)
        assert set(keeper.instances) == {(await fleet.find(INSTANCE, "kept")).spec.external_id}
        assert set(keeper.bindings) == {(await fleet.find(BINDING, "login")).spec.external_id}
        assert (await fleet.ready(BINDING, "login") or ("",))[0] == "True"


async def test_what_is_not_there_is_deleted_here(fleet: Fleet, reconciling: Reconciling) -> None:
    with KeepingBroker() as keeper:
        worker = await begin(fleet, keeper)
        await fleet.create(instance_of("muted", "mute"))
        await fleet.until_ready(INSTANCE, "muted")
        muted, kept = await fleet.find(INSTANCE, "muted"), await fleet.find(INSTANCE, "kept")
        login = await fleet.find(BINDING, "login")
        keeper.instances.clear()
        keeper.bindings.clear()
        reconciling.write(called("DeprovisionInstance", "accepted", muted.spec.external_id))
        expected = {each.spec.external_id: Difference.NOT_THERE for each in (kept, login)}
        assert await reconciling.found() == expected, "a deletion that was begun may have failed"
        reconciling.write(
            called("DeprovisionInstance", "accepted", muted.spec.external_id),
            called("PollLastOperation", "gone", muted.spec.external_id),
        )
        expected[muted.spec.external_id] = Difference.NOT_THERE
        assert await reconciling.found() == expected
        assert {each.problem for each in await reconciling.do(MITIGATE)} == {""}
        await worker.sweep().once()
        for kind, name in ((BINDING, "login"), (INSTANCE, "kept"), (INSTANCE, "muted")):
            await fleet.until_gone(kind, name)
        assert await reconciling.found() == {}


async def test_a_binding_that_was_rotated_since_gets_its_new_credentials(
    fleet: Fleet, reconciling: Reconciling
) -> None:
    with KeepingBroker() as keeper:
        worker = await begin(fleet, keeper)
        await fleet.front.database.run(hold)
        login, kept = await fleet.find(BINDING, "login"), await fleet.find(INSTANCE, "kept")
        keeper.bindings["b-2"] = {"instance": kept.spec.external_id, "credentials": {"password": "rotated"}}
        reconciling.write(listed("b-2", "login", of=kept.spec.external_id, uid=login.metadata.uid))
        assert await reconciling.found() == {"b-2": Difference.OTHER_CREDENTIALS}
        assert [each.problem for each in await reconciling.do(ADOPT)] == [""]
        assert await reconciling.found() == {}
        await release(fleet, worker)

        async def is_new() -> bool:
            secret = await fleet.find(SECRET, "login")
            return secret is not None and secret.data == {"password": "cm90YXRlZA=="}

        await eventually(is_new, what="the Secret to have the new credentials")
        assert set(keeper.bindings) == {"b-2", login.spec.external_id}, "whoever uses them has had no time"
        fleet.clock.advance(301)
        await worker.sweep().once()
        await eventually(lambda: set(keeper.bindings) == {"b-2"}, what="the old credentials to be revoked")


async def test_what_was_created_since_by_the_audit_log_alone_is_told_without_an_id(
    fleet: Fleet, reconciling: Reconciling
) -> None:
    with KeepingBroker() as keeper:
        await begin(fleet, keeper)
        reconciling.write(_audited("create", "lost"), _audited("create", "brief"), _audited("delete", "brief"))
        survey = await reconciling.look()
        assert [(each.difference, each.thing.place) for each in survey.findings] == [(Difference.NO_ID, (NS, "lost"))]
        assert "workers' log" in survey.findings[0].note


async def test_a_broker_that_cannot_be_asked_is_told_and_nothing_is_taken_for_gone(
    fleet: Fleet, reconciling: Reconciling
) -> None:
    with KeepingBroker() as keeper:
        await begin(fleet, keeper)
    survey = await reconciling.look()
    assert {each.difference for each in survey.findings} == {Difference.UNANSWERED}
    assert await reconciling.do(MITIGATE) == []


async def test_an_export_by_kubectl_gives_the_specification_back(fleet: Fleet, reconciling: Reconciling) -> None:
    with KeepingBroker() as keeper:
        await begin(fleet, keeper)
        keeper.instances["i-x"] = {"service_id": "open-id", "plan_id": "open-small-id"}
        spec = {"clusterServiceClassExternalName": "open", "clusterServicePlanExternalName": "small"}
        document = {
            "apiVersion": "servicecatalog.k8s.io/v1beta1",
            "kind": "ServiceInstance",
            "metadata": {"name": "exported", "namespace": NS, "uid": "uid-x", "labels": {"team": "red"}},
            "spec": {**spec, "externalID": "i-x"},
        }
        reconciling.file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [document]}, indent=1))
        assert [each.problem for each in await reconciling.do(ADOPT)] == [""]
        found = await fleet.find(INSTANCE, "exported")
        assert found.metadata.labels == {"team": "red"}
        assert found.spec.external_id == "i-x"


async def test_its_own_json_is_a_record(fleet: Fleet, reconciling: Reconciling) -> None:
    with KeepingBroker() as keeper:
        await begin(fleet, keeper)
        keeper.instances["i-y"] = {"service_id": "open-id", "plan_id": "open-small-id"}
        reconciling.write(listed("i-y", "y"))
        lines = [finding_json(each) for each in (await reconciling.look()).findings]
        reconciling.write(*lines)
        assert [finding_json(each) for each in (await reconciling.look()).findings] == lines


async def test_what_cannot_be_made_again_is_told_with_what_is_missing(fleet: Fleet, reconciling: Reconciling) -> None:
    with KeepingBroker() as keeper:
        await begin(fleet, keeper)
        reconciling.write(
            listed("i-1", "one", service="other"),
            listed("b-1", "two", of="i-1", service="mute"),
            listed("i-2", "", service="mute"),
            listed("b-2", "three", of="i-elsewhere", service="mute"),
        )
        problems = {each.thing.external_id: each.problem for each in await reconciling.do(ADOPT)}
        assert 'the class "other-id" of the service broker "keeper" is not here' in problems["i-1"]
        assert "its ServiceInstance is not known" in problems["b-1"]
        assert "its ServiceInstance (i-elsewhere at keeper) is not here" in problems["b-2"]
        assert "nobody knows the namespace and the name" in problems["i-2"]


def _whose(name: str, service: str) -> dict[str, str]:
    return {
        "orchestrator.namespace": NS,
        "orchestrator.resource.name": name,
        "orchestrator.resource.id": f"uid-{name}",
        "chandlery.service_id": f"{service}-id",
        "chandlery.plan_id": f"{service}-small-id",
    }


def _audited(verb: str, name: str) -> dict[str, Any]:
    reference = {"resource": "serviceinstances", "namespace": NS, "name": name}
    return {"kind": "Event", "verb": verb, "objectRef": reference, "responseStatus": {"code": 201}}
