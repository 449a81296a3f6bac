"""Every early return of `decide`, one row each: what the instance is like, and what is done about it."""

from typing import Any

import pytest

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.instances import InstancePropertiesState, ServiceInstance
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.parameters.parameters import Parameters
from chandlery.reconcile.reconcile_result import Finish, Idle, Refuse, Wait
from chandlery_provisioner.decide.instance_machine import decide
from chandlery_provisioner.decide.planned_calls import note_of
from chandlery_provisioner.facts.instance_notes import (
    InstanceMemory,
    InstancePurpose,
    OpenInstanceRequest,
    RequestDigest,
)
from chandlery_provisioner.facts.instance_snapshot import (
    Action,
    AlreadyApplied,
    Deprovision,
    InstanceSnapshot,
    PollInstance,
    Provision,
    Update,
)
from tests.unit.provisioner.builders import (
    FAILED,
    LANE,
    LARGE,
    NO_CLASS,
    NO_SECRET,
    NOT_READY,
    NOW,
    SERVICE,
    SMALL,
    make_instance,
    make_namespaced_offering,
    make_offering,
    make_snapshot,
    mitigating,
    provisioned,
    remembering,
    sent,
    working,
)

COLOUR = Parameters({"colour": "red"}, {"colour": "red"}, "c0ffee")
BROKEN_PARAMETERS = ParametersFault("the Secret is missing")
OPEN = sent(InstancePurpose.PROVISION)
NO_SECRET_WAIT = Wait(NO_SECRET.reason, NO_SECRET.message, NO_SECRET.waiting_for)
NO_CLASS_WAIT = Wait(NO_CLASS.reason, NO_CLASS.message, NO_CLASS.waiting_for)
DELETE = Deprovision(SERVICE, SMALL, is_mitigation=False)
MITIGATE = Deprovision(SERVICE, SMALL, is_mitigation=True)
POLL = PollInstance(SERVICE, SMALL, "key-1")
ASKED_ONCE = RequestDigest(update_requests=1)
CHANGED = provisioned(generation=2)
WITH_COLOUR = provisioned(generation=2, external_properties=InstancePropertiesState(parameter_checksum="c0ffee"))

ROWS: list[Any] = [
    pytest.param(make_snapshot(make_instance(finalizers=("someone/else",))), Idle(), id="idle without our finalizer"),
    pytest.param(make_snapshot(make_instance(finalizers=()), request=OPEN), Idle(), id="idle without any finalizer"),
    pytest.param(make_snapshot(request=OPEN), Repeat(OPEN), id="repeat what a dead worker sent"),
    pytest.param(make_snapshot(make_instance(deleted=True), request=OPEN), Repeat(OPEN), id="repeat even when deleted"),
    pytest.param(make_snapshot(working("Update"), request=OPEN), Repeat(OPEN), id="repeat before polling"),
    pytest.param(
        make_snapshot(request=OPEN, access=NO_SECRET), NO_SECRET_WAIT, id="wait with a repeat for credentials"
    ),
    pytest.param(make_snapshot(working("Provision"), memory=remembering()), POLL, id="poll a creation"),
    pytest.param(make_snapshot(working("Update"), memory=remembering()), POLL, id="poll an update with the old plan"),
    pytest.param(
        make_snapshot(working("Update"), memory=remembering(), offering=NO_CLASS), POLL, id="poll without a class"
    ),
    pytest.param(make_snapshot(working("Deprovision", deleted=True), memory=remembering()), POLL, id="poll a deletion"),
    pytest.param(
        make_snapshot(working("Provision", generation=2), memory=remembering()), POLL, id="poll before a newer spec"
    ),
    pytest.param(
        make_snapshot(working("Provision"), memory=remembering(), access=NO_SECRET), NO_SECRET_WAIT, id="poll waits"
    ),
    pytest.param(
        make_snapshot(working("Provision", orphan_mitigation_in_progress=True, deleted=True), memory=remembering()),
        POLL,
        id="poll a mitigation although deleted",
    ),
    pytest.param(
        make_snapshot(working("Provision", deleted=True), memory=remembering()),
        DELETE,
        id="delete interrupts a creation",
    ),
    pytest.param(
        make_snapshot(working("Update", deleted=True), memory=remembering()), DELETE, id="delete interrupts an update"
    ),
    pytest.param(
        make_snapshot(working("Update", deleted=True), memory=remembering(), bindings=1),
        POLL,
        id="poll an update while bindings hold the deletion",
    ),
    pytest.param(
        make_snapshot(working("Provision", deleted=True), memory=remembering(delete_deferred=True)),
        POLL,
        id="poll what the broker would not interrupt",
    ),
    pytest.param(make_snapshot(mitigating(), memory=remembering()), MITIGATE, id="mitigate"),
    pytest.param(
        make_snapshot(mitigating(), memory=remembering(), offering=NO_CLASS), MITIGATE, id="mitigate without a class"
    ),
    pytest.param(
        make_snapshot(mitigating(generation=2), memory=remembering()), MITIGATE, id="mitigate before a newer spec"
    ),
    pytest.param(
        make_snapshot(mitigating(), memory=remembering(), access=NO_SECRET), NO_SECRET_WAIT, id="mitigation waits"
    ),
    pytest.param(
        make_snapshot(mitigating(deleted=True), memory=remembering()), DELETE, id="delete takes over a mitigation"
    ),
    pytest.param(make_snapshot(make_instance(deleted=True)), Finish(), id="finish what was never sent"),
    pytest.param(
        make_snapshot(make_instance(deleted=True), access=NO_SECRET, offering=NO_CLASS),
        Finish(),
        id="finish in the dark",
    ),
    pytest.param(
        make_snapshot(make_instance(deleted=True, deprovision_status="Succeeded")), Finish(), id="finish what is gone"
    ),
    pytest.param(make_snapshot(provisioned(deleted=True), memory=remembering()), DELETE, id="delete"),
    pytest.param(
        make_snapshot(provisioned(deleted=True), memory=remembering(), offering=NO_CLASS),
        DELETE,
        id="delete without a class",
    ),
    pytest.param(
        make_snapshot(provisioned(deleted=True), memory=remembering(), offering=make_offering("large")),
        DELETE,
        id="delete with the plan that the broker has",
    ),
    pytest.param(
        make_snapshot(provisioned(deleted=True), memory=remembering(), access=NO_SECRET),
        NO_SECRET_WAIT,
        id="delete waits",
    ),
    pytest.param(make_snapshot(provisioned(), memory=remembering()), Idle(), id="idle when ready"),
    pytest.param(
        make_snapshot(make_instance(observed_generation=1, conditions=(NOT_READY, FAILED))),
        Idle(),
        id="idle when failed",
    ),
    pytest.param(make_snapshot(offering=NO_CLASS), NO_CLASS_WAIT, id="wait for the class"),
    pytest.param(make_snapshot(access=NO_SECRET), NO_SECRET_WAIT, id="wait for credentials"),
    pytest.param(make_snapshot(), Provision(SERVICE, SMALL, None), id="provision"),
    pytest.param(
        make_snapshot(parameters=COLOUR), Provision(SERVICE, SMALL, {"colour": "red"}), id="provision parameters"
    ),
    pytest.param(
        make_snapshot(offering=make_namespaced_offering()),
        Provision(SERVICE, SMALL, None),
        id="provision in a namespace",
    ),
    pytest.param(
        make_snapshot(make_instance(observed_generation=1, conditions=(NOT_READY,))),
        Provision(SERVICE, SMALL, None),
        id="provision again after a failure that passes",
    ),
    pytest.param(
        make_snapshot(make_instance(generation=2, observed_generation=1, conditions=(NOT_READY, FAILED))),
        Provision(SERVICE, SMALL, None),
        id="provision again after a failure when the spec is new",
    ),
    pytest.param(
        make_snapshot(provisioned(generation=2, spec={"update_requests": 1}), memory=remembering()),
        Update(SERVICE, SMALL, None, None),
        id="update by request alone",
    ),
    pytest.param(make_snapshot(CHANGED, memory=remembering()), AlreadyApplied(), id="keep what the broker has already"),
    pytest.param(
        make_snapshot(CHANGED, memory=remembering(), access=NO_SECRET),
        AlreadyApplied(),
        id="keep without asking the broker",
    ),
    pytest.param(
        make_snapshot(CHANGED, memory=remembering(is_unusable=True)),
        Update(SERVICE, SMALL, None, None),
        id="update to repair",
    ),
    pytest.param(
        make_snapshot(
            provisioned(generation=2, spec={"update_requests": 1}), memory=remembering(last_applied=ASKED_ONCE)
        ),
        AlreadyApplied(),
        id="keep what was updated by request",
    ),
    pytest.param(
        make_snapshot(CHANGED, memory=remembering(), parameters=COLOUR),
        Update(SERVICE, SMALL, None, {"colour": "red"}),
        id="update parameters",
    ),
    pytest.param(
        make_snapshot(WITH_COLOUR, memory=remembering(), parameters=COLOUR, offering=make_offering("large")),
        Update(SERVICE, SMALL, LARGE, None),
        id="update leaves out equal parameters",
    ),
    pytest.param(
        make_snapshot(WITH_COLOUR, memory=remembering()),
        Update(SERVICE, SMALL, None, {}),
        id="update removes parameters",
    ),
    pytest.param(
        make_snapshot(CHANGED, memory=remembering(), offering=make_offering("large")),
        Update(SERVICE, SMALL, LARGE, None),
        id="update the plan",
    ),
    pytest.param(
        make_snapshot(
            CHANGED,
            memory=remembering(),
            offering=make_offering("large", updatable=False),
            current_plan=make_offering(plan_updatable=True).plan,
        ),
        Update(SERVICE, SMALL, LARGE, None),
        id="update the plan by the plan's own word",
    ),
    pytest.param(
        make_snapshot(
            CHANGED,
            memory=remembering(),
            offering=make_offering("large", plan_updatable=False),
            current_plan=make_offering().plan,
        ),
        Update(SERVICE, SMALL, LARGE, None),
        id="update to a plan that cannot be left again",
    ),
    pytest.param(
        make_snapshot(
            CHANGED,
            memory=remembering(),
            offering=make_offering(plan_updatable=False),
            current_plan=make_offering(plan_updatable=False).plan,
            parameters=COLOUR,
        ),
        Update(SERVICE, SMALL, None, {"colour": "red"}),
        id="update parameters on a plan that cannot be left",
    ),
    pytest.param(
        make_snapshot(CHANGED, memory=remembering(), offering=make_offering(updatable=False), parameters=COLOUR),
        Update(SERVICE, SMALL, None, {"colour": "red"}),
        id="update parameters of a fixed plan",
    ),
    pytest.param(
        make_snapshot(CHANGED, memory=remembering(), offering=make_offering(removed="plan"), parameters=COLOUR),
        Update(SERVICE, SMALL, None, {"colour": "red"}),
        id="update on a removed plan",
    ),
    pytest.param(
        make_snapshot(provisioned(conditions=(NOT_READY,)), memory=remembering(), parameters=COLOUR),
        Update(SERVICE, SMALL, None, {"colour": "red"}),
        id="update again after a failure that passes",
    ),
]


@pytest.mark.parametrize(("snapshot", "expected"), ROWS)
def test_an_instance_gets_the_action_that_its_state_asks_for(snapshot: InstanceSnapshot, expected: Action) -> None:
    assert decide(snapshot) == expected


WAITING: list[Any] = [
    pytest.param(
        {"offering": make_offering(removed="class")}, "ReferencesDeletedServiceClass", id="new on a removed class"
    ),
    pytest.param(
        {"offering": make_offering(removed="plan")}, "ReferencesDeletedServicePlan", id="new on a removed plan"
    ),
    pytest.param(
        {"instance": CHANGED, "memory": remembering(), "offering": make_offering("large", removed="plan")},
        "ReferencesDeletedServicePlan",
        id="change to a removed plan",
    ),
    pytest.param(
        {"instance": CHANGED, "memory": remembering(), "offering": make_offering("large", removed="class")},
        "ReferencesDeletedServiceClass",
        id="change within a removed class",
    ),
    pytest.param(
        {"memory": remembering(), "offering": make_offering(removed="plan")},
        "ReferencesDeletedServicePlan",
        id="anew after a mitigation on a removed plan",
    ),
    pytest.param({"parameters": BROKEN_PARAMETERS}, "ErrorWithParameters", id="new without its parameters"),
    pytest.param(
        {"instance": CHANGED, "memory": remembering(), "parameters": BROKEN_PARAMETERS, "access": NO_SECRET},
        "ErrorWithParameters",
        id="change without its parameters",
    ),
    pytest.param(
        {"instance": provisioned(deleted=True), "memory": remembering(), "bindings": 2},
        "DeprovisionBlockedByExistingCredentials",
        id="delete with bindings",
    ),
    pytest.param(
        {"instance": make_instance(deleted=True), "bindings": 1},
        "DeprovisionBlockedByExistingCredentials",
        id="delete what was never sent, with bindings",
    ),
]


@pytest.mark.parametrize(("fields", "reason"), WAITING)
def test_an_instance_waits_when_only_others_can_help(fields: dict[str, Any], reason: str) -> None:
    action = decide(make_snapshot(**fields))

    assert isinstance(action, Wait)
    assert action.reason == reason
    assert action.message


def test_an_instance_with_bindings_is_woken_by_their_going() -> None:
    action = decide(make_snapshot(provisioned(deleted=True), memory=remembering(), bindings=2))

    assert isinstance(action, Wait)
    assert action.waiting_for == "bindings-of:ns/rope"
    assert "2 left" in action.message


def test_a_plan_change_is_refused_when_the_class_allows_none() -> None:
    offering = make_offering("large", updatable=False)

    action = decide(make_snapshot(CHANGED, memory=remembering(), offering=offering))

    assert isinstance(action, Refuse)
    assert action.reason == "UpdateInstanceCallFailed"
    assert "'ropes'" in action.message


@pytest.mark.parametrize(
    ("wanted", "current"),
    [
        pytest.param({"plan_updatable": True}, {"plan_updatable": False}, id="the plan that it has forbids it"),
        pytest.param({"updatable": False, "plan_updatable": True}, {}, id="the class forbids it"),
        pytest.param({"updatable": False, "plan_updatable": True}, None, id="the plan that it has is gone"),
    ],
)
def test_a_plan_change_is_not_a_matter_of_the_wanted_plan(
    wanted: dict[str, Any], current: dict[str, Any] | None
) -> None:
    offering = make_offering("large", **wanted)
    plan = None if current is None else make_offering(**current).plan

    action = decide(make_snapshot(CHANGED, memory=remembering(), offering=offering, current_plan=plan))

    assert isinstance(action, Refuse)
    assert action.reason == "UpdateInstanceCallFailed"


@pytest.mark.parametrize("removed", ["class", "plan"])
@pytest.mark.parametrize("instance", [make_instance(), CHANGED])
def test_what_was_removed_from_the_catalog_wakes_the_instance_when_it_returns(
    instance: ServiceInstance, removed: str
) -> None:
    offering = make_offering("large", removed=removed)

    action = decide(make_snapshot(instance, memory=remembering(), offering=offering))

    assert isinstance(action, Wait)
    assert action.waiting_for == "offering:/class-object"


def test_missing_parameters_are_waited_for_at_their_secret() -> None:
    fault = ParametersFault("the Secret is missing", waiting_for="secret:ns/words")

    assert decide(make_snapshot(parameters=fault)) == Wait("ErrorWithParameters", fault.message, "secret:ns/words")


def test_parameters_stay_out_of_the_repr_of_actions() -> None:
    assert "red" not in repr(Provision(SERVICE, SMALL, {"colour": "red"}))
    assert "red" not in repr(Update(SERVICE, SMALL, None, {"colour": "red"}))


NOTES: list[Any] = [
    pytest.param(make_snapshot(), InstancePurpose.PROVISION, SMALL, id="provision"),
    pytest.param(
        make_snapshot(CHANGED, memory=remembering(), parameters=COLOUR),
        InstancePurpose.UPDATE,
        SMALL,
        id="update of the same plan",
    ),
    pytest.param(
        make_snapshot(CHANGED, memory=remembering(), offering=make_offering("large")),
        InstancePurpose.UPDATE,
        LARGE,
        id="update to a plan",
    ),
    pytest.param(
        make_snapshot(provisioned(deleted=True), memory=remembering()),
        InstancePurpose.DEPROVISION,
        SMALL,
        id="deprovision",
    ),
    pytest.param(make_snapshot(mitigating(), memory=remembering()), InstancePurpose.MITIGATE, SMALL, id="mitigate"),
    pytest.param(make_snapshot(working("Provision"), memory=remembering()), InstancePurpose.POLL, SMALL, id="poll"),
]


@pytest.mark.parametrize(("snapshot", "purpose", "plan"), NOTES)
def test_the_note_on_a_request_says_what_it_is_for(
    snapshot: InstanceSnapshot, purpose: InstancePurpose, plan: str
) -> None:
    action = decide(snapshot)
    assert isinstance(action, Provision | Update | Deprovision | PollInstance)

    note = note_of(snapshot, action, NOW)

    assert (note.purpose, note.wanted_plan_id) == (purpose, plan)
    assert note.generation == snapshot.instance.metadata.generation
    assert note.started_at == NOW.timestamp()
    assert (note.properties is not None) == (purpose in (InstancePurpose.PROVISION, InstancePurpose.UPDATE))


def test_the_note_on_a_repeat_is_the_note_on_the_first_request() -> None:
    assert note_of(make_snapshot(), Repeat(OPEN), NOW) is OPEN


def test_the_note_shows_parameters_only_as_they_may_be_shown() -> None:
    parameters = Parameters({"word": "sesame"}, {"word": "<redacted>"}, "c0ffee")
    snapshot = make_snapshot(parameters=parameters)

    note = note_of(snapshot, Provision(SERVICE, SMALL, parameters.sent), NOW)

    assert note.properties == InstancePropertiesState(
        cluster_service_plan_external_name="small",
        cluster_service_plan_external_id=SMALL,
        parameters={"word": "<redacted>"},
        parameter_checksum="c0ffee",
    )
    assert "sesame" not in str(note.to_wire())


def test_the_note_names_a_namespaced_plan_as_such() -> None:
    snapshot = make_snapshot(offering=make_namespaced_offering())

    note = note_of(snapshot, Provision(SERVICE, SMALL, None), NOW)

    assert note.properties is not None
    assert note.properties.service_plan_external_id == SMALL
    assert note.properties.cluster_service_plan_external_id == ""


def test_a_ready_instance_is_settled_only_for_the_generation_it_was_ready_in() -> None:
    ready = make_snapshot(provisioned(generation=3, observed_generation=3, reconciled_generation=3))
    newer = make_snapshot(
        provisioned(generation=4, observed_generation=3, reconciled_generation=3), memory=remembering()
    )

    assert decide(ready) == Idle()
    assert decide(newer) == AlreadyApplied()


def test_notes_of_earlier_releases_are_read() -> None:
    digest = {"updateRequests": 2, "checksum": "c", "context": "d", "namespace": "e"}
    memory = InstanceMemory.model_validate({"lane": LANE, "asked": digest, "told": {"checksum": "c"}})
    asked = RequestDigest(update_requests=2, checksum="c", context="d", namespace="e")
    assert (memory.last_attempted, memory.last_applied) == (asked, RequestDigest(checksum="c"))
    assert {"asked", "told"} <= memory.to_wire().keys()
    stored = {"purpose": "update", "generation": 2, "startedAt": 5.0, "asked": digest, "request": {"verb": "Update"}}
    note = OpenInstanceRequest.model_validate(stored)
    assert (note.purpose, note.digest, note.encoded) == (InstancePurpose.UPDATE, asked, {"verb": "Update"})
    assert stored.items() <= note.to_wire().items()
