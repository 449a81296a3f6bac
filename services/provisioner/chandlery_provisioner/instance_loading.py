"""Reads all that a decision about an instance needs, in the transaction that claims a round."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chandlery.engine.resources import Resources
from chandlery.lookup.broker_access import claims_id, find_broker_of_lane, find_endpoint_or, policy_for
from chandlery.lookup.offering_lookup import find_delivered_plan, find_offering
from chandlery.lookup.parameter_lookup import find_parameters
from chandlery.model.faults import ParametersFault
from chandlery.model.objects import kinds
from chandlery.model.objects.annotations import ABANDON, requested_actions_of
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.offerings import AnyPlan
from chandlery.model.objects.reasons import InstanceReason
from chandlery.model.objects.wire import JsonObject
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.platform.protocol import PlatformView
from chandlery.reconcile.history.open_operations import read_open
from chandlery.reconcile.kubectl_commands import INSTANCE, annotate
from chandlery.reconcile.offering import Offering, Unresolved, default_parameters
from chandlery.reconcile.operation.context import context_of
from chandlery.reconcile.parameters.parameters import Parameters, what_differs
from chandlery.reconcile.reconcile_result import broker_key
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_claims import Claim
from chandlery_provisioner.facts.instance_checksums import with_renewed_checksums
from chandlery_provisioner.facts.instance_notes import InstanceMemory, OpenInstanceRequest
from chandlery_provisioner.facts.instance_snapshot import InstanceSnapshot
from chandlery_provisioner.instance_cascade import find_bindings, is_loose

_OF_INSTANCE: Final = "instance_name"


@dataclass(frozen=True, kw_only=True)
class LoadedInstance:
    """The snapshot for the machine, and beside it what only the effects need."""

    snapshot: InstanceSnapshot
    endpoint: BrokerEndpoint | None
    namespace_uid: str


async def prefetch_instances(unit: UnitOfWork, instances: Sequence[ServiceInstance]) -> None:
    """Read in a few statements what `load_instance` asks for, for each of them; offerings are read once anyway."""
    await unit.external_ids.prefetch([each.metadata.uid or "" for each in instances])
    deleted = {_place(each) for each in instances if each.metadata.deletion_timestamp is not None}
    await unit.objects.prefetch_counts(kinds.SERVICE_BINDING, _OF_INSTANCE, deleted)


async def load_instance(
    unit: UnitOfWork, resources: Resources, *, platform: PlatformView, instance: ServiceInstance, claim: Claim
) -> LoadedInstance:
    """The instance with its offering, its parameters and the way to its broker."""
    offering = await find_offering(unit, instance)
    memory = _with_lane(InstanceMemory.model_validate(claim.memory), offering)
    is_id_own = await claims_id(unit, instance, lane=memory.lane, noted=memory.id_lane)
    memory = memory.model_copy(update={"id_lane": memory.lane if is_id_own else ""})
    broker = offering.broker if isinstance(offering, Offering) else await find_broker_of_lane(unit, memory.lane)
    endpoint = await find_endpoint_or(
        unit,
        platform,
        broker,
        missing=_missing_broker(memory.lane, instance.metadata),
        timeout_seconds=resources.settings.osb_timeout_seconds,
    )
    home = await platform.namespace(instance.metadata.namespace or "")
    defaults = _defaults(instance, offering)
    parameters = await find_parameters(unit, platform, owner=instance, defaults=defaults)
    request = OpenInstanceRequest.model_validate(claim.sealed) if claim.sealed else None
    checksums = unit.checksums.of(instance)
    instance, memory, request = with_renewed_checksums(instance, memory, request, parameters, checksums)
    policy = policy_for(broker, resources.settings)
    snapshot = InstanceSnapshot(
        instance=instance,
        offering=offering,
        current_plan=await _current_plan(unit, memory, offering),
        parameters=parameters,
        defaults=defaults,
        differing=_differing(unit, instance, parameters),
        memory=memory,
        request=request,
        access=endpoint if isinstance(endpoint, Unresolved) else None,
        is_id_foreign=not is_id_own,
        bindings=await _count_bindings(unit, instance),
        loose_bindings=await _count_loose_bindings(unit, instance),
        attempt=claim.attempt,
        policy=policy,
        context=context_of(
            instance.metadata,
            home.metadata if home else None,
            cluster_id=resources.cluster_id,
            prefixes=policy.context_annotations,
        ),
        is_namespace_deleted=home is not None and home.metadata.deletion_timestamp is not None,
        open_operations=read_open(claim.open_operations),
    )
    return LoadedInstance(
        snapshot=snapshot,
        endpoint=endpoint if isinstance(endpoint, BrokerEndpoint) else None,
        namespace_uid=(home.metadata.uid if home else None) or "",
    )


def _place(instance: ServiceInstance) -> tuple[str, str]:
    return (instance.metadata.namespace or "", instance.metadata.name)


def _defaults(instance: ServiceInstance, offering: Offering | Unresolved) -> JsonObject | None:
    # Once, when it is made: what the catalog says later changes no instance that is there.
    if instance.status.provision_status == "Provisioned" or isinstance(offering, Unresolved):
        return instance.status.default_provision_parameters
    return default_parameters(offering.service_class, offering.plan) or None


def _differing(unit: UnitOfWork, instance: ServiceInstance, parameters: Parameters | ParametersFault) -> JsonObject:
    if isinstance(parameters, ParametersFault):
        return {}
    return what_differs(parameters, instance.status.external_properties, forms_of=unit.checksums.of(instance).forms_of)


def _with_lane(memory: InstanceMemory, offering: Offering | Unresolved) -> InstanceMemory:
    if isinstance(offering, Unresolved):
        return memory
    broker = offering.broker.metadata
    return memory.model_copy(update={"lane": broker_key(broker.namespace, broker.name)})


def _missing_broker(lane: str, meta: ObjectMeta) -> Unresolved:
    name = lane.rpartition("/")[2]
    message = (
        f'The instance references a broker "{name}" that does not exist. Register it again under the '
        "same name, or delete the instance without calling the broker, which may still hold it: "
        f"{annotate(INSTANCE, meta, f'{ABANDON}=true')}"
    )
    return Unresolved(InstanceReason.NO_SUCH_BROKER, message, lane)


async def _current_plan(unit: UnitOfWork, memory: InstanceMemory, offering: Offering | Unresolved) -> AnyPlan | None:
    if isinstance(offering, Unresolved) or not memory.plan_id:
        return None
    if offering.plan.spec.external_id == memory.plan_id:
        return offering.plan
    return await find_delivered_plan(unit, offering.service_class, memory.plan_id)


async def _count_bindings(unit: UnitOfWork, instance: ServiceInstance) -> int:
    if instance.metadata.deletion_timestamp is None:
        return 0
    return await unit.objects.count_cached(kinds.SERVICE_BINDING, _OF_INSTANCE, *_place(instance))


async def _count_loose_bindings(unit: UnitOfWork, instance: ServiceInstance) -> int:
    if instance.metadata.deletion_timestamp is None or not requested_actions_of(instance.metadata).forces_deletion:
        return 0
    return sum(is_loose(each) for each in await find_bindings(unit, instance))
