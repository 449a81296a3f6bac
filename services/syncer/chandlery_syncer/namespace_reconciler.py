"""The effects around the state machine of a namespace that is to go."""

from typing import assert_never

from chandlery.contracts.messages import ObjectChanged
from chandlery.engine.deletions import delete
from chandlery.engine.reconciler import DeliversNothing, NeverDeferred, Planned, PrefetchesNothing
from chandlery.engine.resources import Resources
from chandlery.model.objects import kinds
from chandlery.model.objects.core import Namespace
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.platform.protocol import PlatformView
from chandlery.reconcile.reconcile_result import Finish, Idle, action_name
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.object_reads import Listing
from chandlery.store.work.work_claims import Claim
from chandlery_syncer.decide import namespace_machine as machine
from chandlery_syncer.decide.namespace_machine import (
    BATCH,
    STAGES,
    AwaitContents,
    DeleteContents,
    NamespaceResult,
    NamespaceSnapshot,
)


class NamespaceReconciler(NeverDeferred, DeliversNothing, PrefetchesNothing):
    """One of these serves all namespaces; it calls nobody and keeps nothing."""

    def __init__(self, _resources: Resources) -> None:
        """Built like the others; it needs nothing but the transaction it is given."""

    async def load(
        self, unit: UnitOfWork, document: Namespace, claim: Claim, platform: PlatformView
    ) -> NamespaceSnapshot:
        """See Reconciler."""
        if document.metadata.deletion_timestamp is None:
            return NamespaceSnapshot(namespace=document)
        contents, is_history_left = await _first_stage(unit, document.metadata.name), False
        if not contents:
            # Whoever makes a namespace of this name again must not read what happened in this one.
            is_history_left = await unit.operations.forget_namespace(document.metadata.name, limit=BATCH) >= BATCH
        is_waiting = contents and not any(map(machine.is_untouched, contents))
        return NamespaceSnapshot(
            namespace=document,
            contents=contents,
            remaining=await _remaining(unit, document.metadata.name) if is_waiting else {},
            is_history_left=is_history_left,
            attempt=claim.attempt,
        )

    def decide(self, snapshot: NamespaceSnapshot, unit: UnitOfWork) -> Planned[DeleteContents] | NamespaceResult:
        """See Reconciler."""
        action = machine.decide(snapshot)
        match action:
            case Idle():
                return machine.idle(snapshot).of(action)
            case AwaitContents():
                return machine.wait(snapshot, action, unit.now).of(action)
            case Finish():
                return machine.finish(snapshot).of(action)
            case DeleteContents():
                return Planned(call=action, sealed=None, memory={}, action=action_name(action))
            case _:
                assert_never(action)

    async def call(self, snapshot: NamespaceSnapshot, planned: Planned[DeleteContents]) -> None:
        """See Reconciler. There is nobody to call."""

    def announce(
        self,
        snapshot: NamespaceSnapshot,
        planned: Planned[DeleteContents],
        unit: UnitOfWork,
    ) -> NamespaceResult | None:
        """See Reconciler."""
        return None

    async def absorb(
        self,
        unit: UnitOfWork,
        snapshot: NamespaceSnapshot,
        planned: Planned[DeleteContents],
        answer: None,
        *,
        undelivered: None,
    ) -> NamespaceResult:
        """See Reconciler."""
        for each in planned.call.objects:
            await delete(unit, each)
        for kind in sorted({each.kind for each in planned.call.objects}):
            unit.outbox.add(ObjectChanged(kind=kind, uid=snapshot.namespace.metadata.uid or "", reason="Deleted"))
        return machine.deleted(snapshot, unit.now)

    def lane(self, snapshot: NamespaceSnapshot, claim: Claim) -> str:
        """See Reconciler."""
        return claim.lane


async def _first_stage(unit: UnitOfWork, namespace: str) -> tuple[AnyObject, ...]:
    for stage in STAGES:
        found: list[AnyObject] = []
        for kind in stage:
            limit = BATCH if kind is kinds.EVENT else None
            found += await unit.objects.list(kind, Listing(namespace=namespace, limit=limit))
        if found:
            return tuple(found)
    return ()


async def _remaining(unit: UnitOfWork, namespace: str) -> dict[Kind, int]:
    listing = Listing(namespace=namespace)
    return {kind: await unit.objects.count(kind, listing) for stage in STAGES for kind in stage}
