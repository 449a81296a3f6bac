"""Builders for what the state machine of a binding reads: snapshots, notes and answers. Everything has a default."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from chandlery.model.objects.bindings import ServiceBinding, ServiceBindingSpec, ServiceBindingStatus
from chandlery.model.objects.brokers import ClusterServiceBroker, LocalObjectReference
from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType, find_condition
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceSpec, ServiceInstanceStatus
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.offerings import (
    ClusterServiceClass,
    ClusterServiceClassSpec,
    ClusterServicePlan,
    ClusterServicePlanSpec,
)
from chandlery.model.text.names import FINALIZER
from chandlery.osb.answers.answers_reading import read_answer
from chandlery.osb.transport.http_call import HttpCall, HttpReply
from chandlery.reconcile.answers import Answer, Verb, Verdict
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.parameters.parameters import NO_PARAMETERS
from chandlery_binder.absorb.binding_draft import BindingResult
from chandlery_binder.facts.binding_notes import BindingMemory, BindingPurpose, InstanceNotes, OpenBindingRequest
from chandlery_binder.facts.binding_snapshot import BindingSnapshot
from chandlery_binder.facts.rotation_notes import Placement
from chandlery_binder.facts.sealed_binding_notes import NOTHING_SEALED

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
HERE = Placement(instance_id="instance-1", service_id="service-1", plan_id="plan-small")
LANE = "broker:/harbour"
NO_SECRET = Unresolved("ErrorGettingAuthCredentials", "the Secret is missing", "secret:ns/broker-auth")
NO_CLASS = Unresolved("ReferencesNonexistentServiceClass", "there is no such class", "offering:/ropes")
READY = Condition(type=ConditionType.READY, status=ConditionStatus.TRUE, reason="InjectedBindResult")
NOT_READY = Condition(type=ConditionType.READY, status=ConditionStatus.FALSE, reason="Provisioning")
FAILED = Condition(type=ConditionType.FAILED, status=ConditionStatus.TRUE, reason="ServiceBindingReturnedFailure")
MEMORY = BindingMemory(lane=LANE, placement=HERE)
VERBS = {
    BindingPurpose.BIND: Verb.BIND,
    BindingPurpose.UNBIND: Verb.UNBIND,
    BindingPurpose.MITIGATE: Verb.UNBIND,
    BindingPurpose.POLL: Verb.POLL_BINDING,
    BindingPurpose.FETCH: Verb.GET_BINDING,
    BindingPurpose.INJECT: Verb.BIND,
}


def make_offering(*, bindable: bool = True, retrievable: bool = False, **plan_fields: Any) -> Offering:
    """A cluster-wide offering."""
    return Offering(
        ClusterServiceClass(
            spec=ClusterServiceClassSpec(
                external_name="ropes", external_id="service-1", bindable=bindable, binding_retrievable=retrievable
            )
        ),
        ClusterServicePlan(spec=ClusterServicePlanSpec(external_name="small", external_id="plan-small", **plan_fields)),
        ClusterServiceBroker(metadata=ObjectMeta(name="harbour")),
    )


def make_instance(*, ready: Condition | None = READY, deleted: bool = False) -> ServiceInstance:
    """An instance that is ready to be bound, unless said otherwise."""
    return ServiceInstance(
        metadata=ObjectMeta(name="rope", namespace="ns", uid="i-uid", deletion_timestamp=NOW if deleted else None),
        spec=ServiceInstanceSpec(
            external_id="instance-1", cluster_service_class_ref=LocalObjectReference(name="class-object")
        ),
        status=ServiceInstanceStatus(conditions=(ready,) if ready else ()),
    )


def make_binding(
    *, deleted: bool = False, finalizers: tuple[str, ...] = (FINALIZER,), spec: Any = None, **status: Any
) -> ServiceBinding:
    """A new binding to the instance `rope`."""
    return ServiceBinding(
        metadata=ObjectMeta(
            name="knot",
            namespace="ns",
            uid="b-uid",
            generation=1,
            finalizers=list(finalizers),
            deletion_timestamp=NOW if deleted else None,
        ),
        spec=ServiceBindingSpec(
            instance_ref=LocalObjectReference(name="rope"), external_id="binding-1", **(spec or {})
        ),
        status=ServiceBindingStatus(**status),
    )


def bound(*, deleted: bool = False) -> ServiceBinding:
    """A binding whose Secret is there."""
    return make_binding(deleted=deleted, conditions=(READY,), unbind_status="Required", reconciled_generation=1)


def working(operation: str, *, deleted: bool = False, **status: Any) -> ServiceBinding:
    """A binding that its broker works on."""
    fields = {"unbind_status": "Required", "operation_start_time": NOW - timedelta(minutes=1), **status}
    return make_binding(
        deleted=deleted, async_op_in_progress=True, current_operation=operation, last_operation="key-1", **fields
    )


def mitigating(*, deleted: bool = False, **status: Any) -> ServiceBinding:
    """A binding of which something may be left at the broker."""
    fields = {"operation_start_time": NOW - timedelta(minutes=1), **status}
    return make_binding(
        deleted=deleted,
        orphan_mitigation_in_progress=True,
        unbind_status="Required",
        current_operation="Bind",
        **fields,
    )


def make_snapshot(binding: ServiceBinding | None = None, **fields: Any) -> BindingSnapshot:
    """A snapshot in which nothing is missing."""
    defaults: dict[str, Any] = {
        "instance": make_instance(),
        "instance_notes": InstanceNotes(service_id="service-1", plan_id="plan-small"),
        "offering": make_offering(),
        "parameters": NO_PARAMETERS,
        "memory": MEMORY,
    }
    kept = {name: fields.pop(name) for name in ("request", "undelivered", "delivered") if name in fields}
    sealed = fields.pop("sealed", NOTHING_SEALED)
    return BindingSnapshot(binding=binding or make_binding(), sealed=replace(sealed, **kept), **{**defaults, **fields})


def sent(purpose: BindingPurpose, **fields: Any) -> OpenBindingRequest:
    """The note about a request that was sent a moment ago."""
    return OpenBindingRequest(purpose=purpose, started_at=NOW.timestamp() - 1, placement=HERE, **fields)


def answered(
    purpose: BindingPurpose, status: int, body: Any = None, *, asked_async: bool = True, retry_after: str | None = None
) -> Answer:
    """What the client makes of an HTTP reply; `body` is JSON, or bytes that are sent as they are."""
    may_be_async = asked_async and purpose in (BindingPurpose.BIND, BindingPurpose.UNBIND, BindingPurpose.MITIGATE)
    call = HttpCall(verb=VERBS[purpose], method="PUT", target="/", asked_async=may_be_async)
    text = body if isinstance(body, bytes) else orjson.dumps({} if body is None else body)
    return read_answer(call, HttpReply(status=status, body=text, retry_after=retry_after), now=NOW)


def unanswered(purpose: BindingPurpose, verdict: Verdict) -> Answer:
    """A call that got no answer: TIMED_OUT or UNREACHABLE."""
    return Answer(verb=VERBS[purpose], verdict=verdict, description="no answer")


def ready_reason(change: BindingResult) -> tuple[str, str]:
    """Status and reason of the Ready condition."""
    found = find_condition(change.document.status.conditions, ConditionType.READY)
    return (str(found.status), found.reason) if found else ("", "")


def reaction(change: BindingResult) -> str:
    """What a change amounts to, in the words of the tables of this folder."""
    status = change.document.status
    failed = find_condition(status.conditions, ConditionType.FAILED)
    if change.is_finished:
        return "gone"
    if status.async_op_in_progress:
        return "poll"
    if status.orphan_mitigation_in_progress and not ready_reason(change)[1].startswith("OrphanMitigationFailed"):
        return "fail and mitigate" if failed else "mitigate"
    if failed:
        return "fail"
    if ready_reason(change)[0] == "True":
        return "ready"
    if change.memory.get("isFetchDue"):
        return "fetch"
    return "unbind again" if ready_reason(change)[0] == "Unknown" else "bind again"


def pause(change: BindingResult) -> float:
    """Seconds until the next look."""
    assert change.next.due_at is not None
    return (change.next.due_at - NOW).total_seconds()
