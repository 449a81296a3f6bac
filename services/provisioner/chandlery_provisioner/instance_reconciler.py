"""The effects around the state machine of an instance: what is read before, what is sent, what is written after."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.model import kinds
from chandlery.model.brokers import AnyBroker
from chandlery.model.faults import ParametersFault
from chandlery.model.instances import ServiceInstance
from chandlery.model.reasons import InstanceReason
from chandlery.osb import requests
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.instance_requests import DeprovisionRequest, PollInstanceRequest, ProvisionRequest, UpdateRequest
from chandlery.osb.originating_identity import OriginatingIdentity
from chandlery.reconcile.answers import Answer
from chandlery.reconcile.change import Change, broker_key
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.parameters import Parameters, merge_parameters
from chandlery.runtime.broker_access import find_endpoint
from chandlery.runtime.offering_lookup import find_offering
from chandlery.runtime.parameter_lookup import secret_parameters
from chandlery.runtime.resources import Resources
from chandlery.runtime.rounds import Planned
from chandlery.store.database import UnitOfWork
from chandlery.store.objects import Listing
from chandlery.store.reconciliations import Claim
from chandlery_provisioner import instance_outcomes as outcomes
from chandlery_provisioner.instance_machine import decide
from chandlery_provisioner.instance_snapshot import (
    Call,
    Deprovision,
    Finish,
    Idle,
    InFlight,
    InstanceMemory,
    InstanceSnapshot,
    Poll,
    Provision,
    Purpose,
    Refuse,
    Repeat,
    Update,
    Wait,
    started,
)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The snapshot for the machine, and beside it what only the effects need."""

    snapshot: InstanceSnapshot
    endpoint: BrokerEndpoint | None
    namespace_uid: str


@dataclass(frozen=True)
class Sending:
    """A request with the note about it."""

    note: InFlight
    request: requests.OsbRequest


class InstanceReconciler:
    """One of these serves all instances; it keeps nothing between rounds."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._timeout = timedelta(hours=resources.settings.operation_timeout_hours)

    async def load(self, unit: UnitOfWork, document: ServiceInstance, claim: Claim) -> Loaded:
        """See Reconciler."""
        memory = InstanceMemory.model_validate(claim.memory)
        offering = await find_offering(unit, document)
        broker = offering.broker if isinstance(offering, Offering) else await self._known_broker(unit, memory)
        endpoint = await self._endpoint(unit, broker, memory)
        if isinstance(offering, Offering):
            memory = memory.model_copy(update={"lane": lane_of(offering.broker)})
        namespace = await self._resources.cluster.namespace(unit, document.metadata.namespace or "")
        snapshot = InstanceSnapshot(
            instance=document,
            offering=offering,
            parameters=await self._parameters(unit, document),
            memory=memory,
            in_flight=InFlight.model_validate(claim.in_flight) if claim.in_flight else None,
            access=endpoint if isinstance(endpoint, Unresolved) else None,
            bindings=await _count_bindings(unit, document),
            attempt=claim.attempt,
            operation_timeout=self._timeout,
        )
        return Loaded(
            snapshot=snapshot,
            endpoint=endpoint if isinstance(endpoint, BrokerEndpoint) else None,
            namespace_uid=(namespace.metadata.uid if namespace else None) or "",
        )

    def plan(self, snapshot: Loaded, unit: UnitOfWork) -> Planned[Sending] | Change[ServiceInstance]:
        """See Reconciler."""
        inner, now = snapshot.snapshot, unit.now
        action = decide(inner, now)
        match action:
            case Idle():
                return outcomes.idle(inner, now)
            case Finish():
                return outcomes.finish(inner, now)
            case Wait():
                return outcomes.wait(inner, action, now)
            case Refuse():
                return outcomes.refuse(inner, action, now)
            case Provision() | Update() | Deprovision() | Poll() | Repeat():
                return self._planned(snapshot, action, unit)
            case _:
                assert_never(action)

    async def perform(self, snapshot: Loaded, planned: Planned[Sending]) -> Answer:
        """See Reconciler."""
        sending = planned.call
        if snapshot.endpoint is None:
            raise LookupError("a call was planned for a broker that cannot be reached")
        user = snapshot.snapshot.instance.spec.user_info
        # An orphan is mitigated on our own account: no user asked for it.
        identity = OriginatingIdentity.of(user) if user and sending.note.purpose != Purpose.MITIGATE else None
        return await self._resources.osb.send(
            snapshot.endpoint, sending.request, identity=identity, request_id=str(uuid.uuid4())
        )

    def announce(self, snapshot: Loaded, planned: Planned[Sending], unit: UnitOfWork) -> Change[ServiceInstance] | None:
        """See Reconciler."""
        if planned.call.note.purpose == Purpose.POLL:
            return None
        return outcomes.announce(snapshot.snapshot, planned.call.note, unit.now)

    async def settle(
        self, unit: UnitOfWork, snapshot: Loaded, planned: Planned[Sending], answer: Answer
    ) -> Change[ServiceInstance]:
        """See Reconciler."""
        return outcomes.absorb(snapshot.snapshot, planned.call.note, answer, unit.now)

    def lane(self, snapshot: Loaded, claim: Claim) -> str:
        """See Reconciler."""
        return snapshot.snapshot.memory.lane or claim.lane or UNRESOLVED_LANE

    def _planned(self, loaded: Loaded, call: Call, unit: UnitOfWork) -> Planned[Sending]:
        snapshot = loaded.snapshot
        note = started(snapshot, call, unit.now)
        if isinstance(call, Repeat):
            request = requests.decode(note.request)
        else:
            request = self._request(loaded, call)
            note = note.model_copy(update={"request": requests.encode(request)})
        memory = snapshot.memory
        if isinstance(call, Provision):
            # Before the call: whatever becomes of it, a later delete knows what to ask for.
            memory = memory.model_copy(update={"service_id": call.service_id, "plan_id": call.plan_id})
        kept = None if isinstance(call, Poll) else note.to_wire()
        return Planned(call=Sending(note, request), in_flight=kept, memory=memory.to_wire())

    def _request(self, loaded: Loaded, call: Provision | Update | Deprovision | Poll) -> requests.OsbRequest:
        instance = loaded.snapshot.instance
        instance_id = instance.spec.external_id
        match call:
            case Provision():
                return ProvisionRequest(
                    instance_id=instance_id,
                    service_id=call.service_id,
                    plan_id=call.plan_id,
                    organization_guid=self._resources.cluster_id,
                    space_guid=loaded.namespace_uid,
                    context=self._context(instance),
                    parameters=call.parameters,
                )
            case Update():
                return UpdateRequest(
                    instance_id=instance_id,
                    service_id=call.service_id,
                    plan_id=call.plan_id,
                    parameters=call.parameters,
                    context=self._context(instance),
                    previous_plan_id=call.previous_plan_id,
                )
            case Deprovision():
                return DeprovisionRequest(instance_id=instance_id, service_id=call.service_id, plan_id=call.plan_id)
            case Poll():
                return PollInstanceRequest(
                    instance_id=instance_id,
                    service_id=call.service_id,
                    plan_id=call.plan_id,
                    operation=call.operation,
                )

    def _context(self, instance: ServiceInstance) -> dict[str, str]:
        return {
            "platform": "kubernetes",
            "namespace": instance.metadata.namespace or "",
            "clusterid": self._resources.cluster_id,
            "instance_name": instance.metadata.name,
        }

    async def _known_broker(self, unit: UnitOfWork, memory: InstanceMemory) -> AnyBroker | None:
        """The broker that has the instance, although its class may be gone."""
        if not memory.lane:
            return None
        namespace, _, name = memory.lane.removeprefix("broker:").partition("/")
        kind = kinds.SERVICE_BROKER if namespace else kinds.CLUSTER_SERVICE_BROKER
        found = await unit.objects.get(kind, namespace, name)
        return found if isinstance(found, AnyBroker) else None

    async def _endpoint(
        self, unit: UnitOfWork, broker: AnyBroker | None, memory: InstanceMemory
    ) -> BrokerEndpoint | Unresolved:
        if broker is None:
            message = "The instance references a broker that does not exist"
            return Unresolved(InstanceReason.NO_SUCH_BROKER, message, memory.lane)
        timeout = self._resources.settings.osb_timeout_seconds
        return await find_endpoint(unit, self._resources.cluster, broker, timeout_seconds=timeout)

    async def _parameters(self, unit: UnitOfWork, instance: ServiceInstance) -> Parameters | ParametersFault:
        spec = instance.spec
        try:
            secrets = await secret_parameters(
                unit, self._resources.cluster, instance.metadata.namespace or "", spec.parameters_from or ()
            )
            return merge_parameters(spec.parameters, secrets)
        except ParametersFault as fault:
            return fault


def lane_of(broker: AnyBroker) -> str:
    """The lane of a service broker's work."""
    return broker_key(broker.metadata.namespace, broker.metadata.name)


async def _count_bindings(unit: UnitOfWork, instance: ServiceInstance) -> int:
    if instance.metadata.deletion_timestamp is None:
        return 0
    where = (("instance_name", instance.metadata.name),)
    return await unit.objects.count(
        kinds.SERVICE_BINDING, Listing(namespace=instance.metadata.namespace or "", where=where)
    )
