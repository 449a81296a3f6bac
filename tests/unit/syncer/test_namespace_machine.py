"""How a namespace goes: stage by stage, woken by what it waits for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import ServiceBroker
from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType
from chandlery.model.objects.core import Event, Namespace, NamespaceSpec, Secret
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.offerings import ServiceClass
from chandlery.model.text.names import FINALIZER
from chandlery.reconcile.deletion import is_removed_at_once, marked_deleted
from chandlery.reconcile.reconcile_result import Finish, Idle
from chandlery_syncer.decide import namespace_machine as machine
from chandlery_syncer.decide.namespace_machine import (
    BATCH,
    STAGES,
    AwaitContents,
    DeleteContents,
    NamespaceSnapshot,
    decide,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def namespace(*, deleted: bool = True) -> Namespace:
    metadata = ObjectMeta(name="team", deletion_timestamp=NOW if deleted else None)
    return Namespace(metadata=metadata, spec=NamespaceSpec(finalizers=("kubernetes",)))


def thing(model: Any, name: str = "one", *, held: bool = True, deleted: bool = False, **spec: Any) -> AnyObject:
    """An object of the namespace; `held` gives it a finalizer."""
    metadata = {"name": name, "namespace": "team", "finalizers": [FINALIZER] if held else None}
    document: AnyObject = model.model_validate({"metadata": metadata, **({"spec": spec} if spec else {})})
    return marked_deleted(document, NOW) if deleted else document


FRESH = thing(ServiceBinding, "fresh", instanceRef={"name": "db"})
GOING = thing(ServiceBinding, "going", deleted=True, instanceRef={"name": "db"})
INSTANCE = thing(ServiceInstance, deleted=True)


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        pytest.param((), Finish(), id="empty"),
        pytest.param((FRESH, GOING), DeleteContents((FRESH,)), id="each is asked once"),
        pytest.param((GOING,), AwaitContents("bindings-of:team/db"), id="waits for bindings"),
        pytest.param((INSTANCE,), AwaitContents("instance:team/one"), id="waits for instances"),
        pytest.param((thing(ServiceBroker, deleted=True),), AwaitContents("broker:team/one"), id="waits for brokers"),
        pytest.param((thing(Secret, deleted=True),), AwaitContents("secret:team/one"), id="Secret that somebody holds"),
        pytest.param(
            (thing(ServiceClass, deleted=True, serviceBrokerName="b", externalName="", externalID=""),),
            AwaitContents("offering:team/one"),
            id="class that somebody holds",
        ),
        pytest.param(
            (thing(Event, held=False, deleted=True),),
            DeleteContents((thing(Event, held=False, deleted=True),)),
            id="what nobody holds is removed even if marked",
        ),
    ],
)
def test_decide(contents: tuple[AnyObject, ...], expected: machine.Action) -> None:
    assert decide(NamespaceSnapshot(namespace=namespace(), contents=contents)) == expected


def test_living_namespace_is_left_alone() -> None:
    snapshot = NamespaceSnapshot(namespace=namespace(deleted=False), contents=(FRESH,))
    assert decide(snapshot) == Idle()
    assert machine.idle(snapshot).document == snapshot.namespace


def test_one_transaction_deletes_a_bounded_number() -> None:
    many = tuple(thing(Event, f"event-{number}", held=False) for number in range(BATCH + 1))
    action = decide(NamespaceSnapshot(namespace=namespace(), contents=many))
    assert isinstance(action, DeleteContents)
    assert len(action.objects) == BATCH


def test_stages_go_from_bindings_to_secrets_and_roles() -> None:
    assert [[kind.kind for kind in stage] for stage in STAGES] == [
        ["ServiceBinding"],
        ["ServiceInstance"],
        ["ServiceBroker"],
        ["ServicePlan", "ServiceClass"],
        ["Secret", "Event", "ServiceAccount"],
        ["RoleBinding", "Role"],
    ]


def test_waiting_namespace_is_terminating_and_comes_back_all_the_same() -> None:
    snapshot = NamespaceSnapshot(namespace=namespace(), contents=(GOING,), attempt=2)
    change = machine.wait(snapshot, AwaitContents("bindings-of:team/db"), NOW)
    assert change.document.status.phase == "Terminating"
    assert (change.next.attempt, change.next.waiting_for) == (3, "bindings-of:team/db")
    assert change.next.due_at is not None
    assert timedelta(seconds=15) < change.next.due_at - NOW < timedelta(seconds=25)


def conditions_of(*held: AnyObject, remaining: dict[Kind, int], before: Namespace | None = None) -> Any:
    snapshot = NamespaceSnapshot(namespace=before or namespace(), contents=held, remaining=remaining)
    document = machine.wait(snapshot, AwaitContents(None), NOW).document
    return {each.type: each for each in document.status.conditions or ()}


def test_waiting_namespace_names_what_remains_and_why() -> None:
    ready = Condition(
        type=ConditionType.READY,
        status=ConditionStatus.FALSE,
        reason="UnbindCallFailed",
        message="The broker refused: in use.",
    )
    assert isinstance(GOING, ServiceBinding)
    stuck = GOING.model_copy(update={"status": GOING.status.model_copy(update={"conditions": (ready,)})})
    found = conditions_of(stuck, remaining={kinds.SERVICE_BINDING: 1, kinds.SERVICE_INSTANCE: 2, kinds.SECRET: 0})

    content = found["NamespaceContentRemaining"]
    assert (content.status, content.reason) == ("True", "SomeResourcesRemain")
    assert content.message == (
        "Some resources are remaining: servicebindings.servicecatalog.k8s.io has 1 resource instances, "
        "serviceinstances.servicecatalog.k8s.io has 2 resource instances. Remaining: "
        "servicebindings.servicecatalog.k8s.io going (UnbindCallFailed: The broker refused: in use.). To "
        "see what each of them waits for: kubectl describe servicebindings -n team"
    )
    finalizers = found["NamespaceFinalizersRemaining"]
    assert (finalizers.status, finalizers.reason) == ("True", "SomeFinalizersRemain")
    assert finalizers.message == (
        f"Some content in the namespace has finalizers remaining: {FINALIZER} in 1 resource instances"
    )


def test_what_still_serves_is_no_reason_why_it_has_not_gone() -> None:
    ready = Condition(
        type=ConditionType.READY, status=ConditionStatus.TRUE, reason="Provisioned", message="It is well."
    )
    assert isinstance(INSTANCE, ServiceInstance)
    begun = INSTANCE.model_copy(update={"status": INSTANCE.status.model_copy(update={"conditions": (ready,)})})
    message = conditions_of(begun, remaining={kinds.SERVICE_INSTANCE: 1})["NamespaceContentRemaining"].message
    assert "Remaining: serviceinstances.servicecatalog.k8s.io one. To see" in message


def test_waiting_namespace_names_five_of_many() -> None:
    many = [thing(ServiceInstance, f"db-{number}", deleted=True) for number in range(8)]
    message = conditions_of(*many, remaining={kinds.SERVICE_INSTANCE: 8})["NamespaceContentRemaining"].message
    assert "db-4 and 3 more. " in message
    assert "db-5" not in message


def test_condition_of_a_namespace_keeps_since_when_it_holds() -> None:
    first = machine.wait(NamespaceSnapshot(namespace=namespace(), contents=(GOING,)), AwaitContents(None), NOW).document
    again = machine.wait(
        NamespaceSnapshot(namespace=first, contents=(INSTANCE,)), AwaitContents(None), NOW + timedelta(minutes=5)
    ).document
    assert {each.last_transition_time for each in again.status.conditions or ()} == {NOW}
    later = machine.deleted(NamespaceSnapshot(namespace=again, contents=(FRESH,)), NOW).document
    assert later.status == again.status


def test_deletion_looks_again_at_once() -> None:
    change = machine.deleted(NamespaceSnapshot(namespace=namespace(), contents=(FRESH,)), NOW)
    assert (change.document.status.phase, change.next.due_at, change.is_finished) == ("Terminating", NOW, False)


def test_empty_namespace_loses_its_marker_and_goes() -> None:
    change = machine.finish(NamespaceSnapshot(namespace=namespace()))
    assert change.document.spec.finalizers is None
    assert change.is_finished


def test_marking_sets_the_moment_once() -> None:
    first = marked_deleted(FRESH, NOW)
    assert (first.metadata.deletion_timestamp, first.metadata.deletion_grace_period_seconds) == (NOW, 0)
    assert first.metadata.generation == FRESH.metadata.generation
    assert marked_deleted(first, NOW + timedelta(hours=1)) is first


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(thing(ServiceInstance), False, id="held"),
        pytest.param(thing(ServiceClass, held=False), True, id="not held"),
    ],
)
def test_objects_without_finalizer_go_at_once(document: AnyObject, *, expected: bool) -> None:
    assert is_removed_at_once(document) is expected
