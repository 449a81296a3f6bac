"""`--check`: what the service brokers say of what an import takes over, or has taken. GET requests, and no others.

Comes in: the shelf, and where Secrets are. Goes out: findings, one sentence each, and how many objects were compared.
Catalogs are read for every broker; instances and bindings are asked for one by one where their catalog allows it
(OSB v2.17, `instances_retrievable` and `bindings_retrievable`). Called by `import_run.py`.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.conditions import ConditionType, is_true
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject, Kind, kind_of
from chandlery.osb.client import OsbClient
from chandlery.osb.operations.binding_calls import GetBindingRequest
from chandlery.osb.operations.instance_calls import GetInstanceRequest
from chandlery.process.commands.imports.import_entries import Place
from chandlery.process.commands.imports.known.offering_index import Meant, OfferingIndex
from chandlery.process.commands.imports.sources.broker_ways import (
    CALLS,
    NOT_THERE,
    OpenBroker,
    by_id,
    open_broker,
    some_at_a_time,
)
from chandlery.process.commands.imports.sources.dump_shelf import DumpShelf
from chandlery.process.commands.imports.sources.homes import Home
from chandlery.process.takeover import Reads
from chandlery.reconcile.answers import Answer, Verdict, call_failure
from chandlery.reconcile.reconcile_result import broker_key
from chandlery.store.database import Database

_PROVISIONED: Final = "Provisioned"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Where a broker and the dump differ."""

    kind: Kind
    place: Place
    message: str


@dataclass
class Comparison:
    """What has come of it."""

    findings: list[Finding] = field(default_factory=list)
    agreed: int = 0
    unasked: int = 0
    """Whose broker does not allow the question."""


class BrokerComparison:
    """Compares one dump."""

    def __init__(
        self, shelf: DumpShelf, reads: Reads, home: Home, database: Database, osb: OsbClient, *, timeout_seconds: float
    ) -> None:
        self._shelf = shelf
        self._reads = reads
        self._home = home
        self._database = database
        self._osb = osb
        self._timeout_seconds = timeout_seconds
        self._offerings = OfferingIndex()
        self._brokers: dict[str, OpenBroker | None] = {}
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._found = Comparison()

    async def run(self) -> Comparison:
        """Ask all brokers."""
        for kind in (*kinds.CLASS_KINDS, *kinds.PLAN_KINDS):
            for document in self._every(kind):
                self._offerings.add(document)
        await self._each(self._read_catalog(broker) for kind in kinds.BROKER_KINDS for broker in self._every(kind))
        await self._each(map(self._compare_instance, self._every(kinds.SERVICE_INSTANCE)))
        await self._each(map(self._compare_binding, self._every(kinds.SERVICE_BINDING)))
        return self._found

    def _every(self, kind: Kind) -> Iterator[Any]:
        for _, document in self._shelf.every(kind):
            found = self._reads(kind, document).document
            if found is not None:
                yield found

    async def _read_catalog(self, broker: AnyBroker) -> None:
        lane = broker_key(broker.metadata.namespace, broker.metadata.name)
        self._brokers[lane] = None
        self._turns[lane] = asyncio.Semaphore(CALLS)
        opened = await open_broker(self._database, self._home, self._osb, broker, timeout_seconds=self._timeout_seconds)
        if isinstance(opened, str):
            self._tell(broker, opened)
            return
        self._found.agreed += 1
        self._brokers[lane] = opened

    async def _each(self, work: Iterable[Awaitable[None]]) -> None:
        await some_at_a_time(work, most=CALLS * CALLS)

    async def _compare_instance(self, instance: ServiceInstance) -> None:
        meant = self._offerings.meant_by(instance)
        asked = self._brokers.get(meant.lane)
        if asked is None or meant.service_class is None or instance.status.provision_status != _PROVISIONED:
            return
        plan_id = plan_of(instance, meant)
        service = asked.services.get(meant.service_class.external_id)
        if service is None or plan_id not in by_id(service.get("plans")):
            self._tell(instance, "its class or its plan is not in the catalog of its service broker any more")
        if service is None or service.get("instances_retrievable") is not True:
            self._found.unasked += 1
            return
        request = GetInstanceRequest(
            instance_id=instance.spec.external_id, service_id=meant.service_class.external_id, plan_id=plan_id
        )
        async with self._turns[meant.lane]:
            answer = await self._osb.send(asked.endpoint, request, identity=None)
        problem = _problem(answer) or _other_plan(answer, plan_id)
        self._settle(instance, problem)

    async def _compare_binding(self, binding: ServiceBinding) -> None:
        place = (binding.metadata.namespace or "", binding.spec.instance_ref.name)
        document = self._shelf.find(kinds.SERVICE_INSTANCE, place)
        instance = self._reads(kinds.SERVICE_INSTANCE, document).document if document else None
        if not isinstance(instance, ServiceInstance) or not is_true(binding.status.conditions, ConditionType.READY):
            return
        meant = self._offerings.meant_by(instance)
        asked = self._brokers.get(meant.lane)
        if asked is None or meant.service_class is None:
            return
        service = asked.services.get(meant.service_class.external_id)
        if service is None or service.get("bindings_retrievable") is not True:
            self._found.unasked += 1
            return
        request = GetBindingRequest(
            instance_id=instance.spec.external_id,
            binding_id=binding.spec.external_id,
            service_id=meant.service_class.external_id,
            plan_id=plan_of(instance, meant),
        )
        async with self._turns[meant.lane]:
            answer = await self._osb.send(asked.endpoint, request, identity=None)
        self._settle(binding, _problem(answer))

    def _settle(self, document: AnyObject, problem: str) -> None:
        if problem:
            self._tell(document, problem)
        else:
            self._found.agreed += 1

    def _tell(self, document: AnyObject, message: str) -> None:
        place = (document.metadata.namespace or "", document.metadata.name)
        self._found.findings.append(Finding(kind=kind_of(document), place=place, message=message))


def plan_of(instance: ServiceInstance, meant: Meant) -> str:
    """The id of the plan that the broker has, as far as the dump tells."""
    has = instance.status.external_properties
    told = (has.cluster_service_plan_external_id or has.service_plan_external_id) if has else ""
    return told or (meant.plan.external_id if meant.plan else "")


def _problem(answer: Answer) -> str:
    if answer.verdict == Verdict.SUCCEEDED:
        return ""
    if answer.status in NOT_THERE:
        return "its service broker does not have it"
    return call_failure("question to the broker", answer)


def _other_plan(answer: Answer, plan_id: str) -> str:
    told = answer.body.get("plan_id")
    if not isinstance(told, str) or told in ("", plan_id):
        return ""
    return f'its service broker has it on the plan "{told[:64]}", and not on "{plan_id}"'
