"""The transactions behind the API's writes: object, command and change are committed together or not at all.

Called by `object_writer`, which runs them; `wishes` has the pure parts.
"""

import uuid

from chandlery.contracts.messages import LaneOpened
from chandlery.contracts.topology import WORK_QUEUES
from chandlery.model.faults import FieldProblem, Forbidden, Invalid, NotFound
from chandlery.model.objects.brokers import ClusterServiceBroker, ServiceBroker
from chandlery.model.objects.core import Namespace
from chandlery.model.objects.instances import ServiceInstance, UserInfo
from chandlery.model.objects.kinds import AnyObject, kind_of
from chandlery.reconcile.deletion import marked_deleted, with_policy
from chandlery.reconcile.offering import wanted_plan
from chandlery.reconcile.policies.broker_policy import ShortestPauses
from chandlery.store.database import UnitOfWork
from chandlery_gateway.admission import rules
from chandlery_gateway.admission.brokers.broker_policy_admission import pause_problems
from chandlery_gateway.admission.catalog import catalog_rules
from chandlery_gateway.admission.catalog.parameter_checks import check_changed_parameters, check_new_parameters
from chandlery_gateway.admission.catalog.plan_changes import check_plan_change
from chandlery_gateway.admission.requested_action_admission import orders_changed, parting_warnings
from chandlery_gateway.admission.secrets.secret_references import newly_sent
from chandlery_gateway.admission.spec_equality import spec_changed
from chandlery_gateway.write.annotations_for_brokers import broker_is_to_hear, wake_by_name, wake_instances
from chandlery_gateway.write.mutations import settled
from chandlery_gateway.write.secret_access import require_access
from chandlery_gateway.write.write_requests import (
    Mutation,
    Preconditions,
    Request,
    Stored,
    acted_on,
    check_identity,
    check_preconditions,
    may_go,
    server_owned,
    stamped,
    unstorable,
)


async def insert(unit: UnitOfWork, admitted: AnyObject) -> AnyObject:
    """A new object with its work row, its command and what it wakes; written when the transaction ends."""
    await catalog_rules.check_namespace(unit, admitted)
    document, lane = await catalog_rules.complete(unit, admitted)
    await check_new_parameters(unit, document)
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
    catalog_rules.claim_external_id(unit, stored, lane=lane)
    if stored.kind in WORK_QUEUES:
        unit.outbox.add(unit.reconciliations.add_later(stored.kind, metadata.uid or "", lane=lane))
    if isinstance(stored, ClusterServiceBroker | ServiceBroker):
        unit.outbox.add(LaneOpened(lane=lane))
    return stored


async def update(unit: UnitOfWork, request: Request, change: Mutation, *, shortest: ShortestPauses) -> Stored:
    """Everything but the status; a new wish or order makes the object due. Removes it if its last finalizer went."""
    old = await _existing(unit, request)
    wanted, warnings = change(old)
    await unit.breaths.take()
    check_identity(old, wanted)
    warnings = (*warnings, *rules.warnings_on_update(old, wanted))
    await unit.breaths.take()
    new = server_owned(old, rules.default_on_update(old, wanted, user=request.user))
    await unit.breaths.take()
    refuse((*rules.problems_on_update(old, new), *pause_problems(new, shortest, old=old), *unstorable(new)))
    await unit.breaths.take()
    require_access(request, newly_sent(old, new))
    if isinstance(old, ServiceInstance) and isinstance(new, ServiceInstance):
        new = await _with_plan(unit, old, new, user=request.user)
    if may_go(new):
        return await _remove(unit, new, warnings)
    new = await _noticed(unit, old, new, user=request.user)
    if new.metadata.deletion_timestamp is not None and orders_changed(old, new):
        warnings = (*warnings, *parting_warnings(new))
    await unit.breaths.take()
    stored = await _stored(unit, request, old=old, new=settled(old, wanted, new))
    return Stored(stored, warnings)


async def _noticed(unit: UnitOfWork, old: AnyObject, new: AnyObject, *, user: UserInfo) -> AnyObject:
    """Make due whoever has to act on the change. Only a new specification is a new generation."""
    await wake_instances(unit, old, new)
    await wake_by_name(unit, old, new)
    if spec_changed(old, new):
        generation = {"generation": (old.metadata.generation or 0) + 1}
        new = new.model_copy(update={"metadata": new.metadata.model_copy(update=generation)})
    elif orders_changed(old, new) or await broker_is_to_hear(unit, old, new):
        new = acted_on(new, user)
    else:
        return new
    unit.outbox.add(await unit.reconciliations.touch(old.metadata.uid or ""))
    return new


async def write_status(unit: UnitOfWork, request: Request, change: Mutation) -> Stored:
    """Change the status alone; everything else of what the client sent is passed over."""
    old = await _existing(unit, request)
    wanted, warnings = change(old)
    check_identity(old, wanted)
    metadata = old.metadata.model_copy(update={"managed_fields": wanted.metadata.managed_fields})
    new = old.model_copy(update={"status": getattr(wanted, "status", None), "metadata": metadata})
    refuse(rules.problems_on_status_update(new, old=old))
    return Stored(await _stored(unit, request, old=old, new=settled(old, wanted, new)), warnings)


async def _stored(unit: UnitOfWork, request: Request, *, old: AnyObject, new: AnyObject) -> AnyObject:
    # A dry run keeps its resource version: `kubectl diff` would show another one as a difference.
    return new if request.dry_run else await unit.objects.update(old, new)


async def delete(
    unit: UnitOfWork, request: Request, preconditions: Preconditions, *, policy: str | None = None
) -> Stored:
    """Remove the object, or mark it so that its worker, or the garbage collector, lets it go.

    `policy` says what becomes of its dependents; None is what the object says itself, or else `Background`.
    """
    old = await _existing(unit, request)
    check_preconditions(old, preconditions)
    if isinstance(old, Namespace) and old.metadata.name == "default":
        raise Forbidden("this namespace may not be deleted")
    meant = with_policy(old, policy)
    if old.metadata.deletion_timestamp is not None:
        # The policy is the last word on it, as in Kubernetes.
        return (
            await _remove(unit, old, ())
            if may_go(meant)
            else Stored(await unit.objects.update(old, meant), parting_warnings(old))
        )
    if not meant.metadata.finalizers and not isinstance(meant, Namespace):
        return await _remove(unit, old, ())
    marked = stamped(marked_deleted(meant, unit.now), request.user)
    stored = await unit.objects.update(old, marked)
    unit.outbox.add(await unit.reconciliations.touch(old.metadata.uid or ""))
    return Stored(stored, parting_warnings(stored))


async def _existing(unit: UnitOfWork, request: Request) -> AnyObject:
    if request.kind.kind in WORK_QUEUES:
        # Workers lock the work row before the object; the other way round the two would wait for each other.
        uid = await unit.objects.uid_of(request.kind, request.namespace, request.name)
        if uid is not None:
            await unit.reconciliations.lock(uid)
    found = await unit.objects.get(request.kind, request.namespace, request.name, lock=True)
    if found is None:
        raise NotFound
    return found


async def _with_plan(
    unit: UnitOfWork, old: ServiceInstance, new: ServiceInstance, *, user: UserInfo
) -> ServiceInstance:
    if not wanted_plan(new.spec).value:
        completed, _ = await catalog_rules.complete(unit, new)
        # Again, for the defaults of an update depend on whether the plan is another one.
        defaulted = server_owned(old, rules.default_on_update(old, completed, user=user))
        new = defaulted if isinstance(defaulted, ServiceInstance) else new
    await check_plan_change(unit, old, new)
    await check_changed_parameters(unit, old, new)
    return new


async def _remove(unit: UnitOfWork, old: AnyObject, warnings: tuple[str, ...]) -> Stored:
    removed = await unit.objects.remove(old)
    await unit.reconciliations.remove(old.metadata.uid or "")
    return Stored(removed, warnings, is_gone=True)


def refuse(problems: tuple[FieldProblem, ...]) -> None:
    """Raises Invalid if there are problems."""
    if problems:
        raise Invalid(problems=problems)


def new_id() -> str:
    """A random id."""
    return str(uuid.uuid4())
