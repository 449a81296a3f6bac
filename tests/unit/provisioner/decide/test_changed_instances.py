"""What makes an instance at rest ask for an update by itself, what holds a request back, and whom it names."""

from datetime import timedelta
from typing import Any

import pytest

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.conditions import ConditionType
from chandlery.model.objects.instances import InstancePropertiesState, ParametersFromSource, SecretKeyReference
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.operation.context import context_of
from chandlery.reconcile.parameters.parameters import Parameters, merge_parameters
from chandlery.reconcile.reconcile_result import Idle, Wait
from chandlery_provisioner.absorb import instance_outcomes as outcomes
from chandlery_provisioner.absorb.instance_draft import InstanceResult
from chandlery_provisioner.absorb.instance_outcomes import absorb
from chandlery_provisioner.decide.instance_machine import decide
from chandlery_provisioner.decide.planned_calls import note_of
from chandlery_provisioner.facts.instance_checksums import context_digest, namespace_digest
from chandlery_provisioner.facts.instance_notes import InstancePurpose, RequestDigest
from chandlery_provisioner.facts.instance_snapshot import AlreadyApplied, InstanceSnapshot, Provision, Update
from tests.unit.provisioner.builders import (
    FAILED,
    NO_SECRET,
    NOT_READY,
    NOW,
    READY,
    SERVICE,
    SMALL,
    make_instance,
    make_offering,
    make_snapshot,
    mitigating,
    notes,
    pause,
    provisioned,
    remembering,
    reply,
    sent,
    told,
    told_message,
    working,
)

UPDATE, PROVISION = InstancePurpose.UPDATE, InstancePurpose.PROVISION
RED, BLUE = Parameters({"colour": "red"}, {}, "red"), Parameters({"colour": "blue"}, {}, "blue")
HERE = {"platform": "kubernetes", "namespace": "ns", "clusterid": "c", "instance_name": "rope"}
TOLD = {**HERE, "instance_annotations": {"acme.com/cost": "1"}, "namespace_annotations": {}}
LISTENING = make_offering(class_fields={"allow_context_updates": True})
SOURCES = [ParametersFromSource(secret_key_ref=SecretKeyReference(name=name, key="json")) for name in ("b", "a", "b")]


# Context.


def test_the_context_says_where_the_instance_is() -> None:
    meta = ObjectMeta(name="rope", namespace="ns", annotations={"acme.com/cost": "1", "other": "2"})

    assert context_of(meta, None, cluster_id="c", prefixes=()) == HERE
    assert context_of(meta, None, cluster_id="c", prefixes=("acme.com/",)) == TOLD
    assert context_of(
        meta, ObjectMeta(annotations={"acme.com/team": "x"}), cluster_id="c", prefixes=("acme.com/",)
    ) == {
        **TOLD,
        "namespace_annotations": {"acme.com/team": "x"},
    }


def test_a_broker_of_old_hears_nothing_of_annotations() -> None:
    other = {**TOLD, "instance_annotations": {"acme.com/cost": "2"}}

    assert context_digest(TOLD, "2.15") == context_digest(other, "2.15")
    assert context_digest(TOLD, None) != context_digest(other, None)


def hearing(context: dict[str, Any], **fields: Any) -> InstanceSnapshot:
    """An instance at rest whose broker was told of TOLD, in this context."""
    told_then = RequestDigest(context=context_digest(TOLD, None), namespace=namespace_digest(TOLD, None))
    plain: dict[str, Any] = {"memory": remembering(last_applied=told_then), "offering": LISTENING, "context": context}
    return make_snapshot(fields.pop("instance", provisioned()), **{**plain, **fields})


CHANGED = {**TOLD, "instance_annotations": {"acme.com/cost": "2"}}


def test_a_broker_that_wants_to_hear_is_told_of_another_context_alone() -> None:
    assert decide(hearing(CHANGED)) == Update(SERVICE, SMALL, None, None)


@pytest.mark.parametrize(
    "snapshot",
    [
        pytest.param(hearing(TOLD), id="nothing has changed"),
        pytest.param(hearing(CHANGED, offering=make_offering()), id="the broker does not want to hear"),
        pytest.param(hearing(CHANGED, memory=remembering()), id="nobody knows what it was told"),
        pytest.param(hearing(CHANGED, instance=provisioned(conditions=(READY, FAILED))), id="an update has failed"),
        pytest.param(
            hearing(CHANGED, instance=make_instance(observed_generation=1, conditions=(NOT_READY, FAILED))),
            id="it was never created",
        ),
    ],
)
def test_nothing_is_told_without_need(snapshot: InstanceSnapshot) -> None:
    assert decide(snapshot) == Idle()


def test_a_context_is_on_record_when_the_broker_has_taken_it() -> None:
    snapshot = hearing(CHANGED)
    note = note_of(snapshot, Update(SERVICE, SMALL, None, None), NOW)

    failed = absorb(snapshot, note, reply(UPDATE, 409), NOW)
    change = absorb(snapshot, note, reply(UPDATE, 200), NOW)

    assert isinstance(decide(hearing(CHANGED, instance=failed.document, memory=notes(failed))), Update)
    assert decide(hearing(CHANGED, instance=change.document, memory=notes(change))) == Idle()


def test_a_context_that_is_refused_is_not_told_again_and_again() -> None:
    snapshot = hearing(CHANGED)
    note = note_of(snapshot, Update(SERVICE, SMALL, None, None), NOW)

    change = absorb(snapshot, note, reply(UPDATE, 400), NOW)

    assert told(change, ConditionType.FAILED) == ("True", "UpdateInstanceCallFailed")
    assert decide(hearing(CHANGED, instance=change.document, memory=notes(change))) == Idle()


# Secrets that are watched.


def watching(has: str = "red", *, watches: bool = True, **fields: Any) -> Any:
    """An instance whose broker has the parameters with this checksum."""
    properties = InstancePropertiesState(
        cluster_service_plan_external_name="small", cluster_service_plan_external_id=SMALL, parameter_checksum=has
    )
    spec = {"parameters_from": SOURCES, "watch_parameters_from": watches or None}
    return provisioned(**{"external_properties": properties, "spec": spec, **fields})


def test_a_secret_that_changes_is_an_update_when_it_is_watched() -> None:
    memory = remembering(last_attempted=RequestDigest(checksum="red"))

    assert decide(make_snapshot(watching(), memory=memory, parameters=BLUE)) == (
        Update(SERVICE, SMALL, None, {"colour": "blue"})
    )
    assert decide(make_snapshot(watching(), memory=memory, parameters=RED)) == Idle()
    assert decide(make_snapshot(watching(watches=False), memory=memory, parameters=BLUE)) == Idle()


def test_a_secret_that_becomes_unreadable_is_waited_for_if_it_is_watched() -> None:
    fault = ParametersFault("no JSON", waiting_for="secret:ns/settings")
    action = decide(make_snapshot(watching(), memory=remembering(), parameters=fault))
    assert isinstance(action, Wait)
    assert (action.reason, action.waiting_for) == (InstanceReason.ERROR_WITH_PARAMETERS, "secret:ns/settings")
    assert "no JSON. The instance keeps its current parameters" in action.message


def test_a_secret_that_becomes_unreadable_is_nothing_to_an_instance_that_does_not_watch_it() -> None:
    assert decide(make_snapshot(provisioned(), memory=remembering(), parameters=ParametersFault("no JSON"))) == Idle()


def test_a_secret_that_was_refused_is_tried_again_when_it_changes() -> None:
    snapshot = make_snapshot(watching(), memory=remembering(), parameters=BLUE)
    note = note_of(snapshot, Update(SERVICE, SMALL, None, BLUE.sent), NOW)
    failed = absorb(snapshot, note, reply(UPDATE, 400), NOW)
    memory = notes(failed)
    green = Parameters({"colour": "green"}, {}, "green")

    assert decide(make_snapshot(failed.document, memory=memory, parameters=BLUE)) == Idle()
    assert isinstance(decide(make_snapshot(failed.document, memory=memory, parameters=green)), Update)


def test_a_secret_that_is_corrected_lets_a_refused_creation_go_on() -> None:
    spec = {"parameters_from": SOURCES, "watch_parameters_from": True}
    instance = make_instance(observed_generation=1, conditions=(NOT_READY, FAILED), spec=spec)
    memory = remembering(last_attempted=RequestDigest(checksum="red"))

    assert decide(make_snapshot(instance, memory=memory, parameters=RED)) == Idle()
    assert decide(make_snapshot(instance, memory=memory, parameters=BLUE)) == (
        Provision(SERVICE, SMALL, {"colour": "blue"})
    )


def test_an_update_for_a_secret_succeeds_without_a_new_generation() -> None:
    snapshot = make_snapshot(watching(), memory=remembering(), parameters=BLUE)
    note = note_of(snapshot, Update(SERVICE, SMALL, None, BLUE.sent), NOW)

    change = absorb(snapshot, note, reply(UPDATE, 200), NOW)

    assert told(change) == ("True", "InstanceUpdatedSuccessfully")
    assert change.document.status.observed_generation == 1
    assert decide(make_snapshot(change.document, memory=notes(change), parameters=BLUE)) == Idle()


def test_watched_secrets_wake_the_instance_and_are_looked_at_once_more_when_the_watch_begins() -> None:
    first = outcomes.idle(make_snapshot(watching(), memory=remembering(), parameters=RED), NOW)
    second = outcomes.idle(make_snapshot(first.document, memory=notes(first), parameters=RED), NOW)

    assert first.next.interests == ("secret:ns/a", "secret:ns/b")
    assert pause(first) == 0
    assert second.next.interests is None
    assert second.next.due_at is None


def test_secrets_that_are_not_watched_any_more_wake_nobody() -> None:
    memory = remembering(interests=("secret:ns/a", "secret:ns/b"))

    change = outcomes.idle(make_snapshot(watching(watches=False), memory=memory, parameters=RED), NOW)

    assert change.next.interests == ()
    assert change.next.due_at is None


# Who is named as the user.


@pytest.mark.parametrize(
    ("snapshot", "call", "expected"),
    [
        pytest.param(make_snapshot(), Provision(SERVICE, SMALL, None), False, id="a creation"),
        pytest.param(
            make_snapshot(provisioned(generation=2), memory=remembering()),
            Update(SERVICE, SMALL, None, {}),
            False,
            id="a new spec",
        ),
        pytest.param(
            make_snapshot(watching(), memory=remembering(last_applied=RequestDigest(checksum="red")), parameters=BLUE),
            Update(SERVICE, SMALL, None, {}),
            True,
            id="another Secret",
        ),
        pytest.param(hearing(CHANGED), Update(SERVICE, SMALL, None, None), False, id="another annotation"),
        pytest.param(
            hearing({**TOLD, "namespace_annotations": {"acme.com/team": "x"}}),
            Update(SERVICE, SMALL, None, None),
            True,
            id="another annotation of the namespace",
        ),
        pytest.param(
            hearing(TOLD, instance=provisioned(generation=2, observed_generation=2)),
            Update(SERVICE, SMALL, None, {}),
            False,
            id="a failed spec once more",
        ),
    ],
)
def test_a_user_is_named_only_for_what_a_user_did(
    snapshot: InstanceSnapshot, call: Update | Provision, *, expected: bool
) -> None:
    assert note_of(snapshot, call, NOW).is_own is expected


@pytest.mark.parametrize(
    ("instance", "expected"),
    [
        pytest.param(working("Provision"), False, id="a creation"),
        pytest.param(working("Provision", orphan_mitigation_in_progress=True), True, id="a mitigation"),
        pytest.param(working("Provision", orphan_mitigation_in_progress=True, deleted=True), False, id="a deletion"),
        pytest.param(
            working("Update", generation=2, observed_generation=2, reconciled_generation=1), False, id="a spec"
        ),
        pytest.param(working("Update", reconciled_generation=1), True, id="an update of our own"),
    ],
)
def test_polls_name_the_user_of_their_operation(instance: Any, *, expected: bool) -> None:
    snapshot = make_snapshot(instance, memory=remembering())
    call = decide(snapshot)
    assert not isinstance(call, Idle | Wait | AlreadyApplied)

    assert note_of(snapshot, call, NOW).is_own is expected  # type: ignore[arg-type]


def test_a_mitigation_names_nobody() -> None:
    snapshot = make_snapshot(mitigating(), memory=remembering())

    assert note_of(snapshot, decide(snapshot), NOW).is_own  # type: ignore[arg-type]


# Parameters that the plan's schemas do not take.

COUNT = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"size": {"type": "integer"}},
    "required": ["size"],
}
CHOOSY = make_offering(instance_create_parameter_schema=COUNT, instance_update_parameter_schema=COUNT)
WRONG = Parameters({"size": "sesame", "colour": "mellon"}, {}, "wrong")


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [
        pytest.param(make_snapshot(offering=CHOOSY, parameters=WRONG), ["parameters.size"], id="a creation"),
        pytest.param(make_snapshot(offering=CHOOSY), ["size"], id="a creation without parameters"),
        pytest.param(
            make_snapshot(watching(generation=2), memory=remembering(), offering=CHOOSY, parameters=WRONG),
            ["parameters.size"],
            id="an update",
        ),
        pytest.param(
            make_snapshot(offering=CHOOSY, parameters=WRONG, access=NO_SECRET), ["parameters.size"], id="out of reach"
        ),
    ],
)
def test_parameters_that_break_the_schema_are_not_sent(snapshot: InstanceSnapshot, words: list[str]) -> None:
    action = decide(snapshot)

    assert isinstance(action, Wait)
    assert action.reason == "ErrorWithParameters"
    assert all(word in action.message for word in words)
    assert "sesame" not in action.message
    assert "mellon" not in action.message
    assert action.waiting_for == "offering:/small-object"


@pytest.mark.parametrize(
    "snapshot",
    [
        pytest.param(make_snapshot(offering=make_offering(), parameters=WRONG), id="no schema"),
        pytest.param(
            make_snapshot(offering=make_offering(instance_update_parameter_schema=COUNT), parameters=WRONG),
            id="a schema for updates only",
        ),
        pytest.param(
            make_snapshot(watching("wrong", generation=2), memory=remembering(), offering=CHOOSY, parameters=WRONG),
            id="parameters that the broker has already",
        ),
        pytest.param(make_snapshot(offering=CHOOSY, parameters=Parameters({"size": 3}, {}, "3")), id="the right ones"),
    ],
)
def test_parameters_are_held_back_for_their_own_schema_only(snapshot: InstanceSnapshot) -> None:
    assert not isinstance(decide(snapshot), Wait)


def test_update_sends_what_differs_where_the_update_schema_takes_no_more() -> None:
    closed = {**COUNT, "additionalProperties": False}
    before, desired = merge_parameters({"dbname": "a", "size": 1}, ()), merge_parameters({"dbname": "a", "size": 2}, ())
    has = InstancePropertiesState(
        cluster_service_plan_external_id=SMALL, parameters=before.shown, parameter_checksum=before.checksum
    )
    snapshot = make_snapshot(
        provisioned(generation=2, external_properties=has),
        memory=remembering(),
        offering=make_offering(instance_update_parameter_schema=closed),
        parameters=desired,
        differing={"size": 2},
    )

    action = decide(snapshot)

    assert isinstance(action, Update)
    assert action.parameters == {"size": 2}
    note = note_of(snapshot, action, NOW)
    assert note.properties is not None
    assert (note.properties.parameters, note.properties.parameter_checksum) == (desired.shown, desired.checksum)


def test_parameters_that_do_not_fit_are_told_with_the_schema_that_is_meant() -> None:
    creation = decide(make_snapshot(offering=CHOOSY, parameters=WRONG))
    update = decide(
        make_snapshot(watching(generation=2), memory=remembering(), offering=CHOOSY, parameters=WRONG),
    )

    assert isinstance(creation, Wait)
    assert isinstance(update, Wait)
    assert creation.message.startswith("The parameters do not fit the create schema of the plan 'small': ")
    assert update.message.startswith("The parameters do not fit the update schema of the plan 'small': ")


def waited(snapshot: InstanceSnapshot) -> InstanceResult:
    """The change of an instance that waits."""
    action = decide(snapshot)
    assert isinstance(action, Wait)
    return outcomes.wait(snapshot, action, NOW)


def test_parameters_that_break_the_schema_are_looked_at_again_when_a_secret_changes() -> None:
    spec = {"parameters_from": SOURCES}

    change = waited(make_snapshot(make_instance(spec=spec), offering=CHOOSY, parameters=WRONG))

    assert told(change) == ("False", "ErrorWithParameters")
    assert change.next.interests == ("secret:ns/a", "secret:ns/b")
    assert change.document.status.attempts is None


# Attempts.


def test_attempts_are_shown_for_calls_that_failed_and_for_nothing_else() -> None:
    trying = make_instance(current_operation="Provision", observed_generation=1, operation_start_time=NOW)
    failed = absorb(make_snapshot(trying, attempt=2), sent(PROVISION), reply(PROVISION, 429), NOW)
    following = {"memory": notes(failed), "attempt": failed.next.attempt}
    snapshot = make_snapshot(failed.document, **following)
    later = NOW + timedelta(minutes=1)

    succeeded = absorb(snapshot, sent(PROVISION), reply(PROVISION, 201), later)
    accepted = absorb(snapshot, sent(PROVISION), reply(PROVISION, 202), later)
    orphaned = absorb(snapshot, sent(PROVISION), reply(PROVISION, 500), later)
    waiting = waited(make_snapshot(failed.document, access=NO_SECRET, **following))
    polled = absorb(
        make_snapshot(accepted.document, memory=notes(accepted)),
        sent(InstancePurpose.POLL),
        reply(InstancePurpose.POLL, 500),
        later,
    )

    assert failed.document.status.attempts == 3
    assert failed.document.status.next_attempt_time == failed.next.due_at
    for change in (succeeded, accepted, orphaned, waiting, polled):
        assert (change.document.status.attempts, change.document.status.next_attempt_time) == (None, None)


def test_the_next_attempt_is_not_shown_while_it_is_being_made() -> None:
    failed = absorb(make_snapshot(), sent(PROVISION), reply(PROVISION, 429), NOW)

    change = outcomes.announce(make_snapshot(failed.document, attempt=1), sent(PROVISION), NOW)

    assert (change.document.status.attempts, change.document.status.next_attempt_time) == (1, None)


def test_attempts_are_counted_anew_for_a_newer_desired_state() -> None:
    failed = absorb(make_snapshot(attempt=8), sent(PROVISION), reply(PROVISION, 429), NOW)
    metadata = failed.document.metadata.model_copy(update={"generation": 2})
    newer = failed.document.model_copy(update={"metadata": metadata})

    change = outcomes.announce(make_snapshot(newer), sent(PROVISION, generation=2), NOW)

    assert change.document.status.attempts is None


# Errors with a meaning.


@pytest.mark.parametrize("purpose", [PROVISION, UPDATE, InstancePurpose.DEPROVISION])
@pytest.mark.parametrize(
    ("error", "words"),
    [("ConcurrencyError", "still working on another"), ("AsyncRequired", "works only asynchronously")],
)
def test_errors_with_a_meaning_are_explained_and_the_call_is_made_again(
    purpose: InstancePurpose, error: str, words: str
) -> None:
    is_deletion = purpose == InstancePurpose.DEPROVISION
    instance = make_instance() if purpose == PROVISION else provisioned(generation=2, deleted=is_deletion)

    change = absorb(
        make_snapshot(instance, memory=remembering()), sent(purpose), reply(purpose, 422, {"error": error}), NOW
    )

    kind = ConditionType.RECONCILING if purpose == UPDATE else ConditionType.READY
    assert words in told_message(change, kind)
    assert pause(change) == pytest.approx(1, rel=0.11)
    assert told(change, ConditionType.FAILED) is None
