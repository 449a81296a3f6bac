"""Builders for what the state machine of an instance reads: snapshots, notes and answers. Everything has a default."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from chandlery.model.objects.brokers import ClusterServiceBroker, ClusterServiceBrokerSpec, ServiceBroker
from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType, find_condition
from chandlery.model.objects.instances import InstancePropertiesState, ServiceInstance, ServiceInstanceSpec
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.offerings import (
    ClusterServiceClass,
    ClusterServiceClassSpec,
    ClusterServicePlan,
    ClusterServicePlanSpec,
    OfferingStatus,
    ServiceClass,
    ServiceClassSpec,
    ServicePlan,
    ServicePlanSpec,
)
from chandlery.model.text.names import FINALIZER
from chandlery.osb.answers.answers_reading import read_answer
from chandlery.osb.transport.http_call import HttpCall, HttpReply
from chandlery.reconcile.answers import Answer, Verb, Verdict
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.parameters.parameters import NO_PARAMETERS
from chandlery_provisioner.absorb.instance_draft import InstanceResult
from chandlery_provisioner.facts.instance_notes import InstanceMemory, InstancePurpose, OpenInstanceRequest
from chandlery_provisioner.facts.instance_snapshot import InstanceSnapshot

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SERVICE, SMALL, LARGE = "service-1", "plan-small", "plan-large"
LANE = "broker:/harbour"
NO_SECRET = Unresolved("ErrorGettingAuthCredentials", "the Secret is missing", "secret:ns/broker-auth")
NO_CLASS = Unresolved("ReferencesNonexistentServiceClass", "there is no such class", "offering:/ropes")
VERBS = {
    InstancePurpose.PROVISION: Verb.PROVISION,
    InstancePurpose.UPDATE: Verb.UPDATE,
    InstancePurpose.DEPROVISION: Verb.DEPROVISION,
    InstancePurpose.MITIGATE: Verb.DEPROVISION,
    InstancePurpose.POLL: Verb.POLL_INSTANCE,
    InstancePurpose.FETCH: Verb.GET_INSTANCE,
}


def make_offering(
    plan: str = "small",
    *,
    updatable: bool = True,
    removed: str = "",
    class_fields: dict[str, Any] | None = None,
    broker_fields: dict[str, Any] | None = None,
    **plan_fields: Any,
) -> Offering:
    """A cluster-wide offering; `removed` names what has left the catalog: "class" or "plan"."""
    return Offering(
        ClusterServiceClass(
            metadata=ObjectMeta(name="class-object"),
            spec=ClusterServiceClassSpec(
                external_name="ropes", external_id=SERVICE, plan_updatable=updatable, **(class_fields or {})
            ),
            status=OfferingStatus(removed_from_broker_catalog=removed == "class"),
        ),
        ClusterServicePlan(
            metadata=ObjectMeta(name=f"{plan}-object"),
            spec=ClusterServicePlanSpec(external_name=plan, external_id=f"plan-{plan}", **plan_fields),
            status=OfferingStatus(removed_from_broker_catalog=removed == "plan"),
        ),
        ClusterServiceBroker(
            metadata=ObjectMeta(name="harbour"), spec=ClusterServiceBrokerSpec(**(broker_fields or {}))
        ),
    )


def make_namespaced_offering(plan: str = "small") -> Offering:
    """The same in a namespace."""
    return Offering(
        ServiceClass(
            metadata=ObjectMeta(name="class-object", namespace="ns"),
            spec=ServiceClassSpec(external_name="ropes", external_id=SERVICE, plan_updatable=True),
        ),
        ServicePlan(
            metadata=ObjectMeta(name=f"{plan}-object", namespace="ns"),
            spec=ServicePlanSpec(external_name=plan, external_id=f"plan-{plan}"),
        ),
        ServiceBroker(metadata=ObjectMeta(name="harbour", namespace="ns")),
    )


def make_instance(
    *,
    generation: int = 1,
    deleted: bool = False,
    finalizers: tuple[str, ...] = (FINALIZER,),
    spec: dict[str, Any] | None = None,
    orders: dict[str, str] | None = None,
    **status: Any,
) -> ServiceInstance:
    """An instance as the gateway stores it; `orders` are annotations, further arguments are fields of its status."""
    desired = {"cluster_service_class_external_name": "ropes", "cluster_service_plan_external_name": "small"}
    instance = ServiceInstance(
        metadata=ObjectMeta(
            name="rope",
            namespace="ns",
            uid="uid-1",
            generation=generation,
            finalizers=list(finalizers) or None,
            deletion_timestamp=NOW if deleted else None,
            annotations={f"chandlery.io/{name}": value for name, value in (orders or {}).items()} or None,
        ),
        spec=ServiceInstanceSpec(**{**desired, "external_id": "instance-1", **(spec or {})}),
    )
    return instance.model_copy(update={"status": instance.status.model_copy(update=status)})


def make_snapshot(instance: ServiceInstance | None = None, **fields: Any) -> InstanceSnapshot:
    """A snapshot of a new instance whose offering, parameters and broker are all there."""
    plain: dict[str, Any] = {
        "offering": make_offering(),
        "parameters": NO_PARAMETERS,
        "memory": InstanceMemory(lane=LANE),
    }
    return InstanceSnapshot(instance=instance or make_instance(), **{**plain, **fields})


def remembering(plan: str = SMALL, **fields: Any) -> InstanceMemory:
    """The notes on an instance that the broker has been told of."""
    return InstanceMemory(**{"lane": LANE, "service_id": SERVICE, "plan_id": plan, **fields})


def condition(kind: ConditionType, status: ConditionStatus, reason: str = "Because", message: str = "") -> Condition:
    """A condition that has held for an hour."""
    since = NOW - timedelta(hours=1)
    return Condition(type=kind, status=status, reason=reason, message=message, last_transition_time=since)


READY = condition(ConditionType.READY, ConditionStatus.TRUE, "ProvisionedSuccessfully")
NOT_READY = condition(ConditionType.READY, ConditionStatus.FALSE, "Provisioning")
FAILED = condition(ConditionType.FAILED, ConditionStatus.TRUE, "ProvisionCallFailed")
ORPHAN = condition(ConditionType.ORPHAN_MITIGATION, ConditionStatus.TRUE, "ProvisionCallFailed")


def provisioned(**fields: Any) -> ServiceInstance:
    """An instance that the broker has, on the small plan and without parameters."""
    has = InstancePropertiesState(cluster_service_plan_external_name="small", cluster_service_plan_external_id=SMALL)
    plain: dict[str, Any] = {
        "observed_generation": 1,
        "reconciled_generation": 1,
        "provision_status": "Provisioned",
        "deprovision_status": "Required",
        "external_properties": has,
        "conditions": (READY,),
    }
    return make_instance(**{**plain, **fields})


def working(operation: str, *, since: datetime = NOW, **fields: Any) -> ServiceInstance:
    """An instance that the broker works on asynchronously."""
    plain: dict[str, Any] = {
        "observed_generation": 1,
        "current_operation": operation,
        "operation_start_time": since,
        "async_op_in_progress": True,
        "last_operation": "key-1",
        "deprovision_status": "Required",
        "conditions": (READY if operation == "Update" else NOT_READY,),
    }
    if operation != "Provision":
        plain["provision_status"] = "Provisioned"
    return make_instance(**{**plain, **fields})


def mitigating(**fields: Any) -> ServiceInstance:
    """An instance whose creation may have left something behind."""
    plain: dict[str, Any] = {
        "observed_generation": 1,
        "current_operation": "Provision",
        "operation_start_time": NOW,
        "orphan_mitigation_in_progress": True,
        "deprovision_status": "Required",
        "conditions": (NOT_READY, ORPHAN),
    }
    return make_instance(**{**plain, **fields})


def sent(purpose: InstancePurpose, **fields: Any) -> OpenInstanceRequest:
    """The note on a request."""
    plain: dict[str, Any] = {"generation": 1, "started_at": NOW.timestamp(), "wanted_plan_id": SMALL}
    if purpose in (InstancePurpose.PROVISION, InstancePurpose.UPDATE):
        plain["properties"] = InstancePropertiesState(cluster_service_plan_external_id=SMALL)
    return OpenInstanceRequest(purpose=purpose, **{**plain, **fields})


def reply(purpose: InstancePurpose, status: int, body: Any = None, *, retry_after: str | None = None) -> Answer:
    """What the real reader makes of an HTTP reply to a request that allowed asynchrony. `bytes` go as they are."""
    is_reading = purpose in (InstancePurpose.POLL, InstancePurpose.FETCH)
    call = HttpCall(verb=VERBS[purpose], method="X", target="/", asked_async=not is_reading)
    text = body if isinstance(body, bytes) else orjson.dumps({} if body is None else body)
    return read_answer(call, HttpReply(status=status, body=text, retry_after=retry_after), now=NOW)


def timed_out(purpose: InstancePurpose) -> Answer:
    """No complete answer."""
    return Answer(verb=VERBS[purpose], verdict=Verdict.TIMED_OUT, description="no answer within 60 s")


def unreachable(purpose: InstancePurpose) -> Answer:
    """Nothing was sent."""
    return Answer(verb=VERBS[purpose], verdict=Verdict.UNREACHABLE, description="connection refused")


def told(change: InstanceResult, kind: ConditionType = ConditionType.READY) -> tuple[str, str] | None:
    """Status and reason of a condition, None without it."""
    found = find_condition(change.document.status.conditions, kind)
    return (str(found.status), found.reason) if found else None


def told_message(change: InstanceResult, kind: ConditionType = ConditionType.READY) -> str:
    """What a condition says to people."""
    found = find_condition(change.document.status.conditions, kind)
    return found.message if found else ""


def fact_reasons(change: InstanceResult) -> list[str]:
    """The reasons of the recorded events, in order."""
    return [str(fact.reason) for fact in change.facts]


def notes(change: InstanceResult) -> InstanceMemory:
    """What the provisioner remembers."""
    return InstanceMemory.model_validate(change.memory)


def pause(change: InstanceResult, now: datetime = NOW) -> float | None:
    """Seconds until the next look; None if nothing is due."""
    return None if change.next.due_at is None else (change.next.due_at - now).total_seconds()
