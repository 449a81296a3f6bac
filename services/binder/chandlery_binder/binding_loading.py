"""Reads all that a decision about a binding needs, in the transaction that claims a round."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from chandlery.engine.resources import Resources
from chandlery.lookup.broker_access import (
    claims_id,
    find_broker_of_lane,
    find_endpoint_or,
    is_held_by_other,
    policy_for,
)
from chandlery.lookup.missing_offerings import why_no_instance
from chandlery.lookup.offering_lookup import find_offering
from chandlery.lookup.parameter_lookup import find_parameters
from chandlery.model.faults import ParametersFault
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.reasons import BindingReason
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.platform.protocol import PlatformView
from chandlery.reconcile.history.open_operations import read_open
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.parameters.parameters import NO_PARAMETERS, Parameters, hidden_values
from chandlery.reconcile.reconcile_result import broker_key
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.object_reads import Listing
from chandlery.store.work.work_claims import Claim
from chandlery_binder.facts.binding_notes import BindingMemory, InstanceNotes
from chandlery_binder.facts.binding_snapshot import BindingSnapshot
from chandlery_binder.facts.sealed_binding_notes import SealedNotes
from chandlery_binder.secret_delivery import secret_place, secret_state


@dataclass(frozen=True, kw_only=True)
class LoadedBinding:
    """The snapshot for the machine, and beside it what only the effects need."""

    snapshot: BindingSnapshot
    endpoint: BrokerEndpoint | None
    namespace: ObjectMeta | None


async def prefetch_bindings(unit: UnitOfWork, bindings: Sequence[ServiceBinding], *, reads_secrets: bool) -> None:
    """Read in a few statements what `load_binding` asks for, for each of them."""
    places = {(each.metadata.namespace or "", each.spec.instance_ref.name) for each in bindings}
    instances = await unit.objects.prefetch(kinds.SERVICE_INSTANCE, places)
    of_instances = [each.metadata.uid or "" for each in instances]
    if of_instances:
        await unit.work_queue.prefetch_memories(of_instances)
    await unit.external_ids.prefetch([*of_instances, *(each.metadata.uid or "" for each in bindings)])
    delivered = [each for each in bindings if each.status.unbind_status == "Required"]
    if reads_secrets and delivered:
        await unit.objects.prefetch(kinds.SECRET, {secret_place(each) for each in delivered})


async def load_binding(
    unit: UnitOfWork,
    resources: Resources,
    *,
    platform: PlatformView,
    binding: ServiceBinding,
    claim: Claim,
    eject_problem: str | None,
) -> LoadedBinding:
    """The binding with its instance, its offering, its parameters and the way to its broker."""
    namespace = binding.metadata.namespace or ""
    instance, its_name = await _instance(unit, binding), binding.spec.instance_ref.name
    notes = await _notes(unit, instance)
    offering = await _offering(unit, instance, notes)
    memory = _with_lane(BindingMemory.model_validate(claim.memory), binding, claim, offering=offering)
    is_id_own = await claims_id(unit, binding, lane=memory.lane, noted=memory.id_lane)
    memory = _with_own_ids(memory, is_id_own=is_id_own)
    broker = await _broker(unit, memory, offering)
    seconds = resources.settings.osb_timeout_seconds
    endpoint = await find_endpoint_or(
        unit, platform, broker, missing=_missing_broker(memory.lane), timeout_seconds=seconds
    )
    home = await platform.namespace(namespace)
    parameters, checksums = await _parameters(unit, platform, binding), unit.checksums.of(binding)
    states = {
        "external_properties": checksums.renewed_in(binding.status.external_properties, parameters),
        "in_progress_properties": checksums.renewed_in(binding.status.in_progress_properties, parameters),
    }
    snapshot = BindingSnapshot(
        binding=binding.model_copy(update={"status": binding.status.model_copy(update=states)}),
        instance=instance,
        why_no_instance=await why_no_instance(unit, namespace, its_name) if instance is None else "",
        instance_notes=notes,
        offering=offering,
        parameters=parameters,
        hidden=await _hidden(unit, platform, (binding, instance)),
        memory=memory,
        sealed=SealedNotes.from_stored(claim.sealed),
        access=endpoint if isinstance(endpoint, Unresolved) else None,
        # Credentials that were rotated go by an id of their own.
        is_id_foreign=not is_id_own and not memory.placement.binding_id,
        is_instance_foreign=await _is_instance_foreign(unit, instance, notes, lane=memory.lane),
        eject_problem=eject_problem,
        attempt=claim.attempt,
        rotation_grace=timedelta(seconds=resources.settings.rotation_grace_seconds),
        policy=policy_for(broker, resources.settings),
        is_namespace_deleted=home is not None and home.metadata.deletion_timestamp is not None,
        open_operations=read_open(claim.open_operations),
    )
    if _may_be_bound(snapshot):
        snapshot = replace(snapshot, busy_sibling=await _busy_sibling(unit, binding))
    if _is_reconciled(snapshot):
        is_shared = not resources.platform.joins_transactions
        state = await secret_state(platform, binding, snapshot.sealed.delivered, is_shared=is_shared)
        snapshot = replace(snapshot, secret=state)
    return LoadedBinding(
        snapshot=snapshot,
        endpoint=endpoint if isinstance(endpoint, BrokerEndpoint) else None,
        namespace=home.metadata if home else None,
    )


def _is_reconciled(snapshot: BindingSnapshot) -> bool:
    return snapshot.is_ready and not snapshot.is_deleted and not snapshot.has_open_end


def _may_be_bound(snapshot: BindingSnapshot) -> bool:
    # Only where brokers may work asynchronously: everybody else's binds are spared the look.
    offering = snapshot.offering
    is_open = not (snapshot.is_ready or snapshot.is_failed or snapshot.is_deleted or snapshot.has_open_end)
    return is_open and isinstance(offering, Offering) and offering.service_class.spec.binding_retrievable


async def _busy_sibling(unit: UnitOfWork, binding: ServiceBinding) -> str | None:
    where = (("instance_name", binding.spec.instance_ref.name),)
    siblings = await unit.objects.list(
        kinds.SERVICE_BINDING, Listing(namespace=binding.metadata.namespace or "", where=where)
    )
    others = (
        each for each in siblings if isinstance(each, ServiceBinding) and each.metadata.uid != binding.metadata.uid
    )
    keyless = (each for each in others if each.status.async_op_in_progress and not each.status.last_operation)
    return next((each.metadata.name for each in keyless), None)


async def _instance(unit: UnitOfWork, binding: ServiceBinding) -> ServiceInstance | None:
    name = binding.spec.instance_ref.name
    found = await unit.objects.get_cached(kinds.SERVICE_INSTANCE, binding.metadata.namespace or "", name)
    return found if isinstance(found, ServiceInstance) else None


def _has_found_class(instance: ServiceInstance) -> bool:
    return bool(instance.spec.cluster_service_class_ref or instance.spec.service_class_ref)


async def _notes(unit: UnitOfWork, instance: ServiceInstance | None) -> InstanceNotes:
    if instance is None:
        return InstanceNotes()
    return InstanceNotes.model_validate(await unit.work_queue.memory_of(instance.metadata.uid or ""))


async def _offering(
    unit: UnitOfWork, instance: ServiceInstance | None, notes: InstanceNotes
) -> Offering | Unresolved | None:
    # Another plan may be asked for in vain, or for one that does not exist; what is bound is what the broker has.
    if instance is None or not _has_found_class(instance):
        return None
    return await find_offering(unit, instance, delivered_plan_id=notes.plan_id)


def _with_lane(
    memory: BindingMemory, binding: ServiceBinding, claim: Claim, *, offering: Offering | Unresolved | None
) -> BindingMemory:
    # Once something may exist at a broker, that broker it is, whatever an instance of the same name refers to by now.
    may_exist = claim.sealed is not None or binding.status.unbind_status == "Required"
    if not isinstance(offering, Offering) or (may_exist and memory.lane):
        return memory
    broker = offering.broker.metadata
    return memory.model_copy(update={"lane": broker_key(broker.namespace, broker.name)})


def _with_own_ids(memory: BindingMemory, *, is_id_own: bool) -> BindingMemory:
    if is_id_own:
        return memory.model_copy(update={"id_lane": memory.lane})
    retired = tuple(each for each in memory.retired if each.placement.binding_id)
    return memory.model_copy(update={"id_lane": "", "retired": retired})


async def _is_instance_foreign(
    unit: UnitOfWork, instance: ServiceInstance | None, notes: InstanceNotes, *, lane: str
) -> bool:
    if instance is None or not lane or notes.id_lane == lane:
        return False
    return await is_held_by_other(unit, instance, lane=lane)


async def _broker(unit: UnitOfWork, memory: BindingMemory, offering: Offering | Unresolved | None) -> AnyBroker | None:
    broker = await find_broker_of_lane(unit, memory.lane)
    if broker is None and isinstance(offering, Offering):
        # The broker has been registered again under another name.
        return offering.broker
    return broker


def _missing_broker(lane: str) -> Unresolved:
    _, _, name = lane.partition("/")
    message = (
        f'The binding\'s service broker "{name}" is not registered. Register it again under that name '
        "and work on the binding resumes"
    )
    return Unresolved(BindingReason.NO_SUCH_BROKER, message, lane)


async def _parameters(
    unit: UnitOfWork, platform: PlatformView, binding: ServiceBinding
) -> Parameters | ParametersFault:
    if binding.metadata.deletion_timestamp is not None:
        return NO_PARAMETERS
    return await find_parameters(unit, platform, owner=binding)


async def _hidden(
    unit: UnitOfWork, platform: PlatformView, objects: Iterable[ServiceBinding | ServiceInstance | None]
) -> tuple[object, ...]:
    owners = [each for each in objects if each is not None and each.spec.parameters_from]
    found = [await find_parameters(unit, platform, owner=each) for each in owners]
    known = [each for each in found if isinstance(each, Parameters)]
    return tuple(value for each in known for value in hidden_values(each.sent, each.shown))
