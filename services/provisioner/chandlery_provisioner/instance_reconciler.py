"""The effects around the state machine of an instance: what is read before, what is sent, what is written after.

Comes in: a claimed instance, from the loop of `reconcile_loop.py`, which asks in this order: `load` reads the
snapshot, `decide` answers with a call or a result, `guard` and `defer` say what becomes of a call that has to wait,
`call` makes it with no transaction open, `announce` tells of a slow one, `absorb` makes a result of its answer.
Goes out: results, which the loop records, and requests to service brokers, through `osb`.

Nothing is decided here: `instance_machine.py` decides, and `instance_outcomes.py` says what becomes of the instance.
A request is noted, sealed, before it is sent (`open_request.py`), so that whoever takes over repeats exactly that.

Called by: `main.py` gives it to the loop; there is one for all instances.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.engine.reconciler import DeliversNothing, Guarded, Planned
from chandlery.engine.resources import Resources
from chandlery.model.objects.instances import ServiceInstance
from chandlery.osb.operations.originating_identity import OriginatingIdentity
from chandlery.osb.operations.requests import OsbRequest, encode
from chandlery.platform.protocol import PlatformView
from chandlery.reconcile.answers import Answer
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.reconcile_result import ReconcileResult, action_name
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_claims import Claim
from chandlery_provisioner.absorb import instance_outcomes as outcomes
from chandlery_provisioner.absorb.instance_ends import defer
from chandlery_provisioner.decide import instance_machine
from chandlery_provisioner.decide.planned_calls import kept_of, note_of, request_of, secrets_of
from chandlery_provisioner.facts.instance_notes import OpenInstanceRequest
from chandlery_provisioner.facts.instance_snapshot import (
    Call,
    Cascade,
    Deprovision,
    FetchInstance,
    PollInstance,
    Provision,
    Update,
)
from chandlery_provisioner.instance_cascade import cascade
from chandlery_provisioner.instance_loading import LoadedInstance, load_instance, prefetch_instances


@dataclass(frozen=True)
class PreparedInstanceCall:
    """A request with the note about it."""

    note: OpenInstanceRequest
    request: OsbRequest


Task = PreparedInstanceCall | Cascade


class InstanceReconciler(DeliversNothing):
    """One of these serves all instances; it keeps nothing between rounds."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def prefetch(self, unit: UnitOfWork, documents: Sequence[ServiceInstance]) -> None:
        """See Reconciler."""
        await prefetch_instances(unit, documents)

    async def load(
        self, unit: UnitOfWork, document: ServiceInstance, claim: Claim, platform: PlatformView
    ) -> LoadedInstance:
        """See Reconciler."""
        loaded = await load_instance(unit, self._resources, platform=platform, instance=document, claim=claim)
        if loaded.snapshot.has_schema:
            # What takes its time in a decision is a broker's schema. Found out here, it is known when it is asked for.
            await asyncio.to_thread(instance_machine.decide, loaded.snapshot)
        return loaded

    def decide(self, snapshot: LoadedInstance, unit: UnitOfWork) -> Planned[Task] | ReconcileResult[ServiceInstance]:
        """See Reconciler."""
        action = instance_machine.decide(snapshot.snapshot)
        match action:
            case Provision() | Update() | Deprovision() | PollInstance() | FetchInstance() | Repeat():
                return self._planned(snapshot, action, unit)
            case Cascade():
                memory = snapshot.snapshot.memory.to_wire()
                return Planned(call=action, sealed=None, memory=memory, action=action_name(action))
            case _:
                return outcomes.uncalled(snapshot.snapshot, action, unit.now).of(action)

    def guard(self, snapshot: LoadedInstance, planned: Planned[Task]) -> Guarded | None:
        """See Reconciler. A deletion by force and a request to try again are carried out at once."""
        if isinstance(planned.call, Cascade):
            return None
        inner = snapshot.snapshot
        return Guarded(policy=inner.policy, is_urgent=inner.is_forced or inner.is_retry_requested)

    def defer(
        self, snapshot: LoadedInstance, deferral: Deferral, *, planned: Planned[Task], unit: UnitOfWork
    ) -> ReconcileResult[ServiceInstance]:
        """See Reconciler."""
        if isinstance(planned.call, Cascade):
            raise TypeError("only calls to a service broker are held back")
        return defer(snapshot.snapshot, planned.call.note, deferral=deferral, now=unit.now)

    async def call(self, snapshot: LoadedInstance, planned: Planned[Task]) -> Answer | None:
        """See Reconciler."""
        sending = planned.call
        if isinstance(sending, Cascade):
            return None
        if snapshot.endpoint is None:
            raise LookupError("a call was planned for a broker that cannot be reached")
        user = snapshot.snapshot.instance.spec.user_info
        identity = OriginatingIdentity.of(user) if user and not sending.note.is_own else None
        return await self._resources.osb.send(
            snapshot.endpoint,
            sending.request,
            identity=identity,
            secrets=secrets_of(snapshot.snapshot, sending.request),
        )

    def announce(
        self, snapshot: LoadedInstance, planned: Planned[Task], unit: UnitOfWork
    ) -> ReconcileResult[ServiceInstance] | None:
        """See Reconciler."""
        if isinstance(planned.call, Cascade) or planned.call.note.purpose.traits.only_asks:
            # It changes nothing in what an instance shows while it takes its time.
            return None
        return outcomes.announce(snapshot.snapshot, planned.call.note, unit.now)

    async def absorb(
        self,
        unit: UnitOfWork,
        snapshot: LoadedInstance,
        planned: Planned[Task],
        answer: Answer | None,
        *,
        undelivered: None,
    ) -> ReconcileResult[ServiceInstance]:
        """See Reconciler."""
        if isinstance(planned.call, Cascade) or answer is None:
            await cascade(unit, snapshot.snapshot.instance)
            return outcomes.cascaded(snapshot.snapshot, unit.now)
        return outcomes.absorb(snapshot.snapshot, planned.call.note, answer, unit.now)

    def lane(self, snapshot: LoadedInstance, claim: Claim) -> str:
        """See Reconciler."""
        return snapshot.snapshot.memory.lane or claim.lane or UNRESOLVED_LANE

    def _planned(self, loaded: LoadedInstance, call: Call, unit: UnitOfWork) -> Planned[Task]:
        snapshot = loaded.snapshot
        request = request_of(snapshot, call, space_guid=loaded.namespace_uid, cluster_id=self._resources.cluster_id)
        if not isinstance(call, Repeat):
            request = self._resources.context_signer.signed(request, loaded.endpoint)
        note = note_of(snapshot, call, unit.now).model_copy(update={"encoded": encode(request)})
        memory = snapshot.memory
        if isinstance(call, Provision):
            # Before the call: whatever becomes of it, a later delete knows what to ask for.
            memory = memory.model_copy(update={"service_id": call.service_id, "plan_id": call.plan_id})
        kept = kept_of(note).to_wire() if note.purpose.traits.is_repeated else None
        return Planned(
            call=PreparedInstanceCall(note, request),
            sealed=kept,
            memory=memory.to_wire(),
            action=note.purpose.value,
            traits=note.purpose.traits,
        )
