"""Every early return of `decide`, one row each: what the binding is like, and what is done about it."""

from typing import Any

import pytest

from chandlery.model.faults import ParametersFault
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.parameters.parameters import Parameters
from chandlery.reconcile.reconcile_result import Finish, Idle, Refuse, Wait
from chandlery_binder.decide.binding_machine import decide
from chandlery_binder.facts.binding_actions import Action, Bind, FetchCredentials, Inject, PollBinding, Unbind
from chandlery_binder.facts.binding_notes import BindingMemory, BindingPurpose, InstanceNotes
from chandlery_binder.facts.binding_snapshot import BindingSnapshot
from chandlery_binder.facts.rotation_notes import Placement
from chandlery_binder.facts.sealed_binding_notes import SealedNotes
from tests.unit.binder.binding_builders import (
    FAILED,
    HERE,
    MEMORY,
    NO_CLASS,
    NO_SECRET,
    NOT_READY,
    NOW,
    bound,
    make_binding,
    make_instance,
    make_offering,
    make_snapshot,
    mitigating,
    sent,
    working,
)

INSTANCE_KEY = "instance:ns/rope"
BIND = Bind(HERE, None, accepts_incomplete=False)
UNBIND = Unbind(HERE, is_mitigation=False)
POLL = PollBinding(HERE, "key-1")
NO_SECRET_WAIT = Wait(NO_SECRET.reason, NO_SECRET.message, NO_SECRET.waiting_for)
OPEN, FETCHING = sent(BindingPurpose.BIND), sent(BindingPurpose.FETCH)
ANSWERED, ROTATED = (sent(each, granted={}) for each in (BindingPurpose.BIND, BindingPurpose.ROTATE))
UNDELIVERED = SealedNotes(undelivered={"uri": "tcp://rope"})
COLOUR = Parameters({"colour": "red"}, {"colour": "red"}, "c0ffee")
FETCH_DUE = MEMORY.model_copy(update={"is_fetch_due": True})
DEFERRED = MEMORY.model_copy(update={"unbind_deferred": True})
MOVED = InstanceNotes(service_id="service-1", plan_id="plan-large")
LARGE = HERE.model_copy(update={"plan_id": "plan-large"})

ROWS: list[Any] = [
    pytest.param(make_snapshot(make_binding(finalizers=())), Idle(), id="idle without our finalizer"),
    pytest.param(make_snapshot(request=OPEN), Repeat(OPEN), id="repeat what a dead worker sent"),
    pytest.param(
        make_snapshot(make_binding(deleted=True), request=OPEN),
        Repeat(OPEN),
        id="repeat a bind even when deleted",
    ),
    pytest.param(
        make_snapshot(request=OPEN, access=NO_SECRET),
        NO_SECRET_WAIT,
        id="wait with a repeat for a way to the broker",
    ),
    pytest.param(make_snapshot(request=OPEN, instance=None), Repeat(OPEN), id="repeat without the instance"),
    pytest.param(
        make_snapshot(request=ANSWERED, access=NO_SECRET), Repeat(ANSWERED), id="deliver an answer without a broker"
    ),
    pytest.param(
        make_snapshot(bound(), request=ROTATED, access=NO_SECRET),
        Repeat(ROTATED),
        id="deliver replaced credentials without a broker",
    ),
    pytest.param(make_snapshot(bound(), request=FETCHING), Repeat(FETCHING), id="repeat a fetch"),
    pytest.param(
        make_snapshot(bound(deleted=True), request=FETCHING),
        UNBIND,
        id="unbind rather than repeat a fetch",
    ),
    pytest.param(make_snapshot(sealed=UNDELIVERED), Inject({"uri": "tcp://rope"}), id="inject kept credentials"),
    pytest.param(
        make_snapshot(sealed=UNDELIVERED, access=NO_SECRET, instance=None),
        Inject({"uri": "tcp://rope"}),
        id="inject kept credentials without a broker",
    ),
    pytest.param(
        make_snapshot(bound(deleted=True), sealed=UNDELIVERED), UNBIND, id="unbind rather than inject when deleted"
    ),
    pytest.param(make_snapshot(working("Bind")), POLL, id="poll a bind"),
    pytest.param(make_snapshot(working("Bind"), offering=NO_CLASS), POLL, id="poll without a class"),
    pytest.param(make_snapshot(working("Bind"), access=NO_SECRET), NO_SECRET_WAIT, id="wait with a poll"),
    pytest.param(make_snapshot(working("Unbind", deleted=True)), POLL, id="poll an unbind"),
    pytest.param(make_snapshot(working("Bind", deleted=True)), UNBIND, id="interrupt a bind when deleted"),
    pytest.param(
        make_snapshot(working("Bind", deleted=True), memory=DEFERRED), POLL, id="poll a bind that is not interrupted"
    ),
    pytest.param(
        make_snapshot(working("Bind", orphan_mitigation_in_progress=True)), POLL, id="poll an asynchronous mitigation"
    ),
    pytest.param(
        make_snapshot(working("Bind", deleted=True, orphan_mitigation_in_progress=True)),
        POLL,
        id="poll an asynchronous mitigation of a deleted binding",
    ),
    pytest.param(make_snapshot(mitigating()), Unbind(HERE, is_mitigation=True), id="mitigate"),
    pytest.param(
        make_snapshot(mitigating(conditions=(FAILED,))), Unbind(HERE, is_mitigation=True), id="mitigate after a failure"
    ),
    pytest.param(make_snapshot(mitigating(deleted=True)), UNBIND, id="unbind instead of mitigating when deleted"),
    pytest.param(make_snapshot(mitigating(), access=NO_SECRET), NO_SECRET_WAIT, id="wait with a mitigation"),
    pytest.param(make_snapshot(bound(deleted=True)), UNBIND, id="unbind"),
    pytest.param(
        make_snapshot(bound(deleted=True), instance=None, instance_notes=InstanceNotes(), offering=None),
        UNBIND,
        id="unbind from memory without the instance",
    ),
    pytest.param(
        make_snapshot(bound(deleted=True), offering=NO_CLASS), UNBIND, id="unbind from memory without the class"
    ),
    pytest.param(
        make_snapshot(bound(deleted=True), instance_notes=MOVED),
        Unbind(LARGE, is_mitigation=False),
        id="unbind on the plan that the instance has now",
    ),
    pytest.param(
        make_snapshot(
            bound(deleted=True),
            instance_notes=MOVED,
            memory=BindingMemory(placement=HERE.model_copy(update={"instance_id": "older"})),
        ),
        Unbind(HERE.model_copy(update={"instance_id": "older"}), is_mitigation=False),
        id="unbind from an instance that another has replaced",
    ),
    pytest.param(
        make_snapshot(bound(deleted=True), instance=make_instance(ready=NOT_READY)),
        UNBIND,
        id="unbind while the instance is worked on",
    ),
    pytest.param(make_snapshot(bound(deleted=True), access=NO_SECRET), NO_SECRET_WAIT, id="wait with an unbind"),
    pytest.param(make_snapshot(make_binding(deleted=True)), Finish(), id="finish what was never sent"),
    pytest.param(
        make_snapshot(make_binding(deleted=True, conditions=(FAILED,)), access=NO_SECRET),
        Finish(),
        id="finish what was refused without a broker",
    ),
    pytest.param(
        make_snapshot(make_binding(deleted=True, unbind_status="Succeeded")), Finish(), id="finish what was mitigated"
    ),
    pytest.param(
        make_snapshot(bound(deleted=True), eject_problem="not allowed"),
        Wait("ErrorEjectingServiceBinding", "not allowed", None),
        id="wait until the Secret can be deleted",
    ),
    pytest.param(make_snapshot(bound()), Idle(), id="idle when ready"),
    pytest.param(make_snapshot(bound(), instance=None), Idle(), id="idle when ready although the instance is gone"),
    pytest.param(make_snapshot(make_binding(conditions=(FAILED,))), Idle(), id="idle when failed"),
    pytest.param(make_snapshot(memory=FETCH_DUE), FetchCredentials(HERE), id="fetch after an asynchronous bind"),
    pytest.param(make_snapshot(memory=FETCH_DUE, access=NO_SECRET), NO_SECRET_WAIT, id="wait with a fetch"),
    pytest.param(
        make_snapshot(offering=NO_CLASS),
        Wait(NO_CLASS.reason, NO_CLASS.message, NO_CLASS.waiting_for),
        id="wait for the class",
    ),
    pytest.param(make_snapshot(access=NO_SECRET), NO_SECRET_WAIT, id="wait with a bind for a way to the broker"),
    pytest.param(
        make_snapshot(parameters=ParametersFault("no such key")),
        Wait("ErrorWithParameters", "no such key", None),
        id="wait for parameters",
    ),
    pytest.param(make_snapshot(), BIND, id="bind"),
    pytest.param(
        make_snapshot(parameters=COLOUR),
        Bind(HERE, {"colour": "red"}, accepts_incomplete=False),
        id="bind with parameters",
    ),
    pytest.param(
        make_snapshot(offering=make_offering(retrievable=True)),
        Bind(HERE, None, accepts_incomplete=True),
        id="bind asynchronously where bindings can be fetched",
    ),
    pytest.param(
        make_snapshot(instance_notes=MOVED),
        Bind(LARGE, None, accepts_incomplete=False),
        id="bind to the plan that the broker has now",
    ),
    pytest.param(
        make_snapshot(instance_notes=InstanceNotes(), memory=BindingMemory()),
        BIND,
        id="bind from the catalog without notes on the instance",
    ),
    pytest.param(
        make_snapshot(make_binding(unbind_status="Succeeded", current_operation="Bind", conditions=(NOT_READY,))),
        BIND,
        id="bind again after a mitigation",
    ),
]


@pytest.mark.parametrize(("snapshot", "action"), ROWS)
def test_decide_answers_with_one_action(snapshot: BindingSnapshot, action: Action) -> None:
    assert decide(snapshot, NOW) == action


NOT_READY_ROWS: list[Any] = [
    pytest.param({"instance": None, "offering": None}, "ReferencesNonexistentInstance", "does not exist", id="missing"),
    pytest.param({"offering": None}, "ErrorInstanceRefsUnresolved", "has not found its class", id="unresolved"),
    pytest.param(
        {"instance": make_instance(ready=NOT_READY)}, "ErrorInstanceNotReady", "Provisioning", id="being provisioned"
    ),
    pytest.param({"instance": make_instance(ready=None)}, "ErrorInstanceNotReady", "is not ready", id="brand new"),
    pytest.param(
        {"instance": make_instance(deleted=True)}, "ErrorInstanceNotReady", "is being deleted", id="being deleted"
    ),
    pytest.param(
        {"instance_notes": InstanceNotes(is_unusable=True)}, "ErrorInstanceNotReady", "no new bindings", id="unusable"
    ),
]


@pytest.mark.parametrize(("fields", "reason", "words"), NOT_READY_ROWS)
def test_decide_waits_to_be_woken_by_the_instance(fields: dict[str, Any], reason: str, words: str) -> None:
    action = decide(make_snapshot(**fields), NOW)
    assert isinstance(action, Wait)
    assert (action.reason, action.waiting_for) == (reason, INSTANCE_KEY)
    assert words in action.message


@pytest.mark.parametrize(
    ("by_class", "by_plan", "is_bound"),
    [
        pytest.param(True, None, True, id="class says yes"),
        pytest.param(False, None, False, id="class says no"),
        pytest.param(False, True, True, id="plan says yes against the class"),
        pytest.param(True, False, False, id="plan says no against the class"),
    ],
)
def test_decide_refuses_what_cannot_be_bound(*, by_class: bool, by_plan: bool | None, is_bound: bool) -> None:
    action = decide(make_snapshot(offering=_bindable(by_class=by_class, by_plan=by_plan)), NOW)
    assert isinstance(action, Bind if is_bound else Refuse)
    if isinstance(action, Refuse):
        assert action.reason == "ErrorNonbindableServiceClass"


def test_instance_notes_ignore_what_the_binder_does_not_need() -> None:
    notes = InstanceNotes.model_validate(
        {"lane": "broker:/harbour", "serviceID": "s", "planID": "p", "isUnusable": True, "polls": 3}
    )
    assert notes == InstanceNotes(service_id="s", plan_id="p", is_unusable=True)


def test_notes_show_no_secrets() -> None:
    note = SealedNotes(
        request=sent(BindingPurpose.BIND, encoded={"parameters": {"pin": "4711"}}), undelivered={"password": "hunter2"}
    )
    assert "hunter2" not in repr(note)
    assert "4711" not in repr(note)
    assert "4711" not in repr(Bind(Placement(), {"pin": "4711"}, accepts_incomplete=False))


def _bindable(*, by_class: bool, by_plan: bool | None) -> Any:
    offering = make_offering(bindable=by_class)
    plan = offering.plan.model_copy(update={"spec": offering.plan.spec.model_copy(update={"bindable": by_plan})})
    return type(offering)(offering.service_class, plan, offering.broker)
