"""The transactions behind the API's writes: object, command and change are committed together or not at all.

What comes in is what a request asks for; `ObjectAdmission` says whether it may be, and what is stored is what comes
out. `object_writer` runs these, and begins them again if a race is lost.
"""

from collections.abc import Sequence
from typing import TypeVar

from chandlery.contracts.messages import UNRESOLVED_LANE, LaneOpened
from chandlery.contracts.topology import WORK_QUEUES
from chandlery.engine.batches import Part
from chandlery.model.faults import Fault, NotFound
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import ClusterServiceBroker, ServiceBroker
from chandlery.model.objects.core import Namespace
from chandlery.model.objects.instances import ServiceInstance, UserInfo
from chandlery.model.objects.kinds import AnyObject, kind_of
from chandlery.reconcile.deletion import marked_deleted, with_policy
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.external_ids import ExternalId
from chandlery.store.objects.pending_writes import Overtaken
from chandlery_gateway.admission.catalog.object_admission import AdmittedChange, NamesUnknown, ObjectAdmission, new_id
from chandlery_gateway.write.affected_work import is_told_to_broker
from chandlery_gateway.write.mutations import NotPrepared, settled
from chandlery_gateway.write.write_requests import (
    Change,
    Deletion,
    Mutation,
    Stored,
    WriteRequest,
    check_identity,
    check_preconditions,
    may_go,
)


class WriteTransactions:
    """One transaction for each kind of write."""

    def __init__(self, admission: ObjectAdmission) -> None:
        self._admission = admission

    async def insert_all(self, unit: UnitOfWork, parts: Sequence[Part[AnyObject]]) -> Sequence[AnyObject]:
        """`insert` for each, within what its request has bound to its context."""
        await self._admission.prefetch(unit, [part.item for part in parts])
        return [await part.run(self.insert(unit, part.item)) for part in parts]

    async def insert(self, unit: UnitOfWork, prepared: AnyObject) -> AnyObject:
        """A new object with its work row, its command and what it wakes; written when the transaction ends."""
        admitted = await self._admission.admit_create(unit, prepared)
        document, lane = admitted.document, admitted.lane
        metadata = document.metadata.model_copy(
            update={
                "uid": new_id(),
                "creation_timestamp": unit.now,
                "generation": 1 if "spec" in kind_of(document).body_fields else None,
                "deletion_timestamp": None,
                "deletion_grace_period_seconds": None,
            }
        )
        stored = await unit.objects.insert_later(document.model_copy(update={"metadata": metadata}))
        if isinstance(stored, ServiceInstance | ServiceBinding) and lane != UNRESOLVED_LANE:
            # Where the broker is not known yet, the worker has the id taken.
            unit.external_ids.claim_later(ExternalId(lane, stored.kind, stored.spec.external_id), metadata.uid or "")
        if stored.kind in WORK_QUEUES:
            unit.outbox.add(unit.work_queue.add_later(stored.kind, metadata.uid or "", lane=lane))
        if isinstance(stored, ClusterServiceBroker | ServiceBroker):
            unit.outbox.add(LaneOpened(lane=lane))
        return stored

    async def update_all(self, unit: UnitOfWork, parts: Sequence[Part[Change]]) -> Sequence[Stored | Exception]:
        """Everything but the status. Another desired state, or a requested action, makes an object due.

        Removes the object if its last finalizer went. Why one cannot be changed, or not yet, or not in this transaction
        (Overtaken), is told in its place: the others go on.
        """
        await _hold(unit, [part.item.request for part in parts])
        return [await part.run(self._update(unit, part.item)) for part in parts]

    async def _update(self, unit: UnitOfWork, change: Change) -> Stored | Exception:
        request = change.request
        try:
            old = await _found(unit, request)
            sent, warnings = change.mutation(old)
            await unit.breaths.take()
            check_identity(old, sent)
            admitted = await self._admission.admit_update(
                unit, old, sent, user=request.user, readable=request.readable, grantable=request.grantable
            )
        except (Fault, NotPrepared) as fault:
            return _own(unit, fault)
        unknown = self._admission.named_places(admitted.document, old=old) - request.looked_up
        if unknown:
            return NamesUnknown(unknown)
        warnings = (*warnings, *admitted.warnings)
        try:
            if may_go(admitted.document):
                return await _remove(unit, admitted.document, warnings)
            return Stored(await self._written(unit, request, old=old, sent=sent, admitted=admitted), warnings)
        except Overtaken as fault:
            # Nothing has been done for it yet.
            return fault

    async def _written(
        self, unit: UnitOfWork, request: WriteRequest, *, old: AnyObject, sent: AnyObject, admitted: AdmittedChange
    ) -> AnyObject:
        """Write the object, and make due whoever has to act on the change."""
        new, is_due = await self._noticed(unit, old, admitted, user=request.user)
        await unit.breaths.take()
        stored = await _stored(unit, request, old=old, new=settled(old, sent, new))
        if is_due:
            await _make_due(unit, old, is_new_generation=admitted.spec_changed)
        return stored

    async def _noticed(
        self, unit: UnitOfWork, old: AnyObject, admitted: AdmittedChange, *, user: UserInfo
    ) -> tuple[AnyObject, bool]:
        """What is to be written, and whether it makes anybody due. Only a new specification is a new generation."""
        new = admitted.document
        if admitted.spec_changed:
            generation = {"generation": (old.metadata.generation or 0) + 1}
            new = new.model_copy(update={"metadata": new.metadata.model_copy(update=generation)})
        elif admitted.actions_changed or await is_told_to_broker(unit, old, new):
            # The broker is told who took this action.
            new = self._admission.entry_of(new).rules.acted_on(new, user)
        else:
            return new, False
        return new, True

    async def write_status(self, unit: UnitOfWork, request: WriteRequest, mutation: Mutation) -> Stored:
        """Change the status alone; everything else of what the client sent is passed over."""
        old = await _existing(unit, request)
        sent, warnings = mutation(old)
        check_identity(old, sent)
        new = self._admission.admit_status(old, sent)
        return Stored(await _stored(unit, request, old=old, new=settled(old, sent, new)), warnings)

    async def delete_all(self, unit: UnitOfWork, parts: Sequence[Part[Deletion]]) -> Sequence[Stored | Fault]:
        """Remove each object, or mark it so that its worker, or the garbage collector, lets it go.

        What may not be deleted, or not in this transaction (Overtaken), is told in its place: the others go on.
        """
        await _hold(unit, [part.item.request for part in parts])
        return [await part.run(self._delete(unit, part.item)) for part in parts]

    async def _delete(self, unit: UnitOfWork, deletion: Deletion) -> Stored | Fault:
        try:
            old = await _found(unit, deletion.request)
            check_preconditions(old, deletion.preconditions)
            self._admission.admit_delete(old)
        except Fault as fault:
            return _own(unit, fault)
        try:
            return await self._let_go(unit, old, deletion)
        except Overtaken as fault:
            return fault

    async def _let_go(self, unit: UnitOfWork, old: AnyObject, deletion: Deletion) -> Stored:
        meant = with_policy(old, deletion.policy)
        if old.metadata.deletion_timestamp is not None:
            # The policy is the last word on it, as in Kubernetes.
            return (
                await _remove(unit, old, ())
                if may_go(meant)
                else Stored(await unit.objects.update_later(old, meant), self._admission.parting_warnings(old))
            )
        if not meant.metadata.finalizers and not isinstance(meant, Namespace):
            return await _remove(unit, old, ())
        # The broker is told who deletes, not who created.
        marked = self._admission.entry_of(old).rules.departing(marked_deleted(meant, unit.now), deletion.request.user)
        stored = await unit.objects.update_later(old, marked)
        await _make_due(unit, old)
        return Stored(stored, self._admission.parting_warnings(stored))


FaultT = TypeVar("FaultT", bound=Exception)


def _own(unit: UnitOfWork, fault: FaultT) -> FaultT:
    """The fault, as the answer to one request; raises it if what another one had put off could not be written."""
    if unit.objects.has_failed:
        raise fault
    return fault


async def _make_due(unit: UnitOfWork, document: AnyObject, *, is_new_generation: bool = False) -> None:
    uid = document.metadata.uid or ""
    command = unit.work_queue.enqueue_changed_later(uid, is_new_generation=is_new_generation)
    # It may have been created anew since work rows were locked; of many kinds there are none.
    unit.outbox.add(command or await unit.work_queue.enqueue_changed(uid, is_new_generation=is_new_generation))


async def _existing(unit: UnitOfWork, request: WriteRequest) -> AnyObject:
    await _hold(unit, [request])
    return await _found(unit, request)


async def _found(unit: UnitOfWork, request: WriteRequest) -> AnyObject:
    found = await unit.objects.get_cached(request.kind, request.namespace, request.name)
    if found is None:
        raise NotFound
    return found


async def _hold(unit: UnitOfWork, requests: Sequence[WriteRequest]) -> None:
    """Keep everybody else from what these requests are about until the transaction ends."""
    places: dict[str, set[tuple[str, str]]] = {}
    for request in requests:
        places.setdefault(request.kind.kind, set()).add((request.namespace, request.name))
    by_kind = {request.kind.kind: request.kind for request in requests}
    # Workers lock the work row before the object; the other way round the two would wait for each other.
    looked_after = [name for name in sorted(places) if name in WORK_QUEUES]
    uids = [uid for name in looked_after for uid in await unit.objects.uids_of(by_kind[name], places[name])]
    if uids:
        await unit.work_queue.lock_all(uids)
    if kinds.CLUSTER_ROLE.kind in places:
        # As whoever writes another one does: their turn first, then the rows.
        await unit.aggregated_roles.lock()
    for name in sorted(places):
        await unit.objects.prefetch(by_kind[name], places[name], lock=True)


async def _stored(unit: UnitOfWork, request: WriteRequest, *, old: AnyObject, new: AnyObject) -> AnyObject:
    # A dry run keeps its resource version: `kubectl diff` would show another one as a difference.
    return new if request.dry_run else await unit.objects.update_later(old, new)


async def _remove(unit: UnitOfWork, old: AnyObject, warnings: tuple[str, ...]) -> Stored:
    removed = await unit.objects.remove_later(old)
    unit.work_queue.remove_later(old.metadata.uid or "")
    return Stored(removed, warnings, is_gone=True)
