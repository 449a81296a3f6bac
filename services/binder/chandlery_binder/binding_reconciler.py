"""The effects around the state machine of a binding: what is read before, what is sent, what is written after.

The Secret of a binding that is to go is deleted when a round begins, before anything is decided: nobody is left with
credentials that are being revoked, and whatever happens to the worker or the broker afterwards, the next round
finds the Secret gone and unbinds. No later round writes it again, because a deletion is never taken back.
"""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.engine.reconciler import Guarded, Planned, SecretPlace
from chandlery.engine.resources import Resources
from chandlery.lookup.broker_access import claims_id
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.wire import JsonObject
from chandlery.osb.operations.originating_identity import OriginatingIdentity
from chandlery.osb.operations.requests import OsbRequest, encode
from chandlery.platform.protocol import PlatformSession, PlatformView
from chandlery.reconcile.answers import Answer, Verb, Verdict
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.reconcile_result import ReconcileResult
from chandlery.store.audit.credential_trail import DELIVER, secret_entry
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_claims import Claim
from chandlery_binder.absorb import binding_outcomes as outcomes
from chandlery_binder.absorb.binding_ends import defer
from chandlery_binder.binding_loading import LoadedBinding, load_binding, prefetch_bindings
from chandlery_binder.decide import binding_machine
from chandlery_binder.decide.planned_calls import note_of, request_of, secrets_of
from chandlery_binder.facts.binding_actions import (
    Bind,
    Call,
    FetchCredentials,
    Inject,
    PollBackgroundOperation,
    PollBinding,
    Recover,
    Restore,
    Retire,
    Rotate,
    Unbind,
)
from chandlery_binder.facts.binding_notes import BindingPurpose, OpenBindingRequest, presumed
from chandlery_binder.facts.binding_snapshot import BindingSnapshot, InjectionProblem
from chandlery_binder.facts.sealed_binding_notes import SealedNotes
from chandlery_binder.secret.secret_projection import secret_of
from chandlery_binder.secret_delivery import eject, inject, secret_place


@dataclass(frozen=True)
class PreparedBindingCall:
    """A request with the note about it; no request where only the Secret is to be written."""

    note: OpenBindingRequest
    request: OsbRequest | None
    credentials: JsonObject | None = field(default=None, repr=False)
    """What is to be written, where nothing is sent."""


class BindingReconciler:
    """One of these serves all bindings; it keeps nothing between rounds."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def prefetch(self, unit: UnitOfWork, documents: Sequence[ServiceBinding]) -> None:
        """See Reconciler."""
        await prefetch_bindings(unit, documents, reads_secrets=self._resources.platform.joins_transactions)

    def delivers_to(self, snapshot: LoadedBinding) -> SecretPlace:
        """See Reconciler."""
        return secret_place(snapshot.snapshot.binding)

    async def load(
        self, unit: UnitOfWork, document: ServiceBinding, claim: Claim, platform: PlatformView
    ) -> LoadedBinding:
        """See Reconciler. Takes the Secret away first if the binding is to go."""
        is_deleted = document.metadata.deletion_timestamp is not None
        problem = await eject(platform, document) if is_deleted else None
        loaded = await load_binding(
            unit, self._resources, platform=platform, binding=document, claim=claim, eject_problem=problem
        )
        if loaded.snapshot.has_schema:
            # What takes its time in a decision is a broker's schema. Found out here, it is known when it is asked for.
            await asyncio.to_thread(binding_machine.decide, loaded.snapshot, unit.now)
        return loaded

    def decide(
        self, snapshot: LoadedBinding, unit: UnitOfWork
    ) -> Planned[PreparedBindingCall] | ReconcileResult[ServiceBinding]:
        """See Reconciler."""
        inner, now = snapshot.snapshot, unit.now
        action = binding_machine.decide(inner, now)
        match action:
            case (
                Bind()
                | Unbind()
                | PollBinding()
                | FetchCredentials()
                | Inject()
                | Repeat()
                | Restore()
                | Recover()
                | Rotate()
                | Retire()
                | PollBackgroundOperation()
            ):
                return self._planned(snapshot, action, unit)
            case _:
                return outcomes.uncalled(inner, action, now).of(action)

    def guard(self, snapshot: LoadedBinding, planned: Planned[PreparedBindingCall]) -> Guarded | None:
        """See Reconciler. A deletion by force and a request to try again are carried out at once."""
        if planned.call.request is None:
            return None
        inner, requested_actions = snapshot.snapshot, snapshot.snapshot.requested_actions
        is_forced = inner.is_deleted and requested_actions.forces_deletion
        return Guarded(policy=inner.policy, is_urgent=is_forced or inner.is_retry_requested)

    def defer(
        self, snapshot: LoadedBinding, deferral: Deferral, *, planned: Planned[PreparedBindingCall], unit: UnitOfWork
    ) -> ReconcileResult[ServiceBinding]:
        """See Reconciler."""
        return defer(snapshot.snapshot, deferral, now=unit.now)

    async def call(self, snapshot: LoadedBinding, planned: Planned[PreparedBindingCall]) -> Answer:
        """See Reconciler."""
        note, request = planned.call.note, planned.call.request
        if request is None:
            body = {"credentials": planned.call.credentials or {}} if note.granted is None else note.granted
            return Answer(verb=Verb.BIND, verdict=Verdict.SUCCEEDED, body=body)
        if snapshot.endpoint is None:
            raise LookupError("a call was planned for a service broker that cannot be reached")
        user = snapshot.snapshot.binding.spec.user_info
        identity = OriginatingIdentity.of(user) if user and _is_of_a_user(snapshot.snapshot, note) else None
        return await self._resources.osb.send(
            snapshot.endpoint,
            request,
            identity=identity,
            secrets=secrets_of(snapshot.snapshot, request, note.purpose),
        )

    def announce(
        self, snapshot: LoadedBinding, planned: Planned[PreparedBindingCall], unit: UnitOfWork
    ) -> ReconcileResult[ServiceBinding] | None:
        """See Reconciler."""
        return outcomes.announce(snapshot.snapshot, planned.call.note, unit.now)

    def delivery(
        self, snapshot: LoadedBinding, planned: Planned[PreparedBindingCall], answer: Answer
    ) -> JsonObject | None:
        """See Reconciler. These are credentials."""
        return outcomes.credentials_of(snapshot.snapshot, planned.call.note, answer)

    def answered_note(
        self, snapshot: LoadedBinding, planned: Planned[PreparedBindingCall], answer: Answer
    ) -> JsonObject | None:
        """See Reconciler. What is not repeated is looked at anew, and shows the same then."""
        note = planned.call.note
        if planned.call.request is None or not note.purpose.traits.is_repeated:
            return None
        answered = note.model_copy(update={"granted": answer.body})
        return SealedNotes(request=answered, delivered=snapshot.snapshot.sealed.delivered).stored()

    async def deliver(
        self, platform: PlatformSession, snapshot: LoadedBinding, content: JsonObject
    ) -> InjectionProblem | None:
        """See Reconciler."""
        return await inject(platform, snapshot.snapshot.binding, content)

    async def absorb(
        self,
        unit: UnitOfWork,
        snapshot: LoadedBinding,
        planned: Planned[PreparedBindingCall],
        answer: Answer,
        *,
        undelivered: InjectionProblem | None,
    ) -> ReconcileResult[ServiceBinding]:
        """See Reconciler."""
        inner, note = snapshot.snapshot, planned.call.note
        result = outcomes.absorb(inner, note, answer=answer, now=unit.now, problem=undelivered)
        rotated = result.document.status.external_id
        if rotated and rotated != inner.binding.status.external_id:
            # From now on everybody who may read the binding knows it.
            await claims_id(unit, inner.binding, lane=inner.memory.lane, noted="", value=rotated)
        is_distant = not self._resources.platform.joins_transactions
        if is_distant and undelivered is None and self.delivery(snapshot, planned, answer) is not None:
            # Whoever writes within the transaction notes it there.
            unit.audit.note(secret_entry(secret_of(inner.binding, {}), DELIVER))
        return result

    def lane(self, snapshot: LoadedBinding, claim: Claim) -> str:
        """See Reconciler."""
        return snapshot.snapshot.memory.lane or claim.lane or UNRESOLVED_LANE

    def _planned(self, loaded: LoadedBinding, call: Call, unit: UnitOfWork) -> Planned[PreparedBindingCall]:
        snapshot = loaded.snapshot
        note = note_of(snapshot, call, unit.now, new_id=str(uuid.uuid4()))
        cluster_id = self._resources.cluster_id
        request = request_of(snapshot, call, note, home=loaded.namespace, cluster_id=cluster_id)
        if not isinstance(call, Repeat):
            request = self._resources.context_signer.signed(request, loaded.endpoint)
        if request is not None:
            note = note.model_copy(update={"encoded": encode(request)})
        memory = snapshot.memory
        # Before the call: whatever becomes of it, a later unbind knows what to ask for.
        if isinstance(call, Bind):
            memory = memory.model_copy(update={"placement": call.placement})
        if isinstance(call, Rotate):
            memory = presumed(memory, note)
        credentials = call.credentials if isinstance(call, Inject | Restore) else None
        return Planned(
            call=PreparedBindingCall(note, request, credentials),
            sealed=_kept(snapshot, call, note),
            memory=memory.to_wire(),
            action=note.purpose.value,
            traits=note.purpose.traits,
        )


def _kept(snapshot: BindingSnapshot, call: Call, note: OpenBindingRequest) -> JsonObject | None:
    # After all others a dead worker leaves nothing that has to be repeated, and what is sealed stays as it is.
    if not note.purpose.traits.is_repeated:
        return None
    is_copy_kept = isinstance(call, Repeat) or not snapshot.is_deleted
    return SealedNotes(request=note, delivered=snapshot.sealed.delivered if is_copy_kept else None).stored()


def _is_of_a_user(snapshot: BindingSnapshot, note: OpenBindingRequest) -> bool:
    # Nobody asked for a mitigation or a renewal, and an annotation does not say who wrote it.
    if note.purpose == BindingPurpose.POLL:
        return snapshot.is_deleted or not snapshot.binding.status.orphan_mitigation_in_progress
    return note.purpose.traits.names_user
