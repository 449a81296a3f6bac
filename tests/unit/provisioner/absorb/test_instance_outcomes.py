"""The reaction matrix row by row: what an answer makes of an instance (OSB v2.17, "Orphan Mitigation")."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from chandlery.model.objects.conditions import ConditionType
from chandlery.model.objects.instances import InstancePropertiesState
from chandlery.model.objects.metadata import to_timestamp
from chandlery.reconcile.answers import Answer
from chandlery.reconcile.operation.mitigation import Cause
from chandlery.reconcile.wake_keys import woken_by
from chandlery_provisioner.absorb.instance_draft import InstanceResult
from chandlery_provisioner.absorb.instance_outcomes import absorb
from chandlery_provisioner.decide.instance_machine import decide
from chandlery_provisioner.facts.instance_notes import InstancePurpose
from chandlery_provisioner.facts.instance_snapshot import AlreadyApplied, InstanceSnapshot, Update
from tests.unit.provisioner.builders import (
    LARGE,
    NOW,
    ORPHAN,
    SERVICE,
    SMALL,
    fact_reasons,
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
    timed_out,
    told,
    told_message,
    unreachable,
    working,
)

FAILED, ORPHAN_MITIGATION = ConditionType.FAILED, ConditionType.ORPHAN_MITIGATION
RECONCILING = ConditionType.RECONCILING
PROVISION, UPDATE, DEPROVISION, MITIGATE = (
    InstancePurpose.PROVISION,
    InstancePurpose.UPDATE,
    InstancePurpose.DEPROVISION,
    InstancePurpose.MITIGATE,
)
BUSY = {"error": "ConcurrencyError"}
MALFORMED = b"<html>"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the instance looks like afterwards."""

    ready: tuple[str, str] | None
    failed: str | None = None
    orphan: str | None = None
    reconciling: str | None = None
    operation: str | None = None
    is_polled: bool = False
    deprovision: str = "Required"
    due: float | None = None
    """Seconds, give or take the jitter."""
    attempt: int = 0
    facts: tuple[str, ...] = ()


def check(change: InstanceResult, expected: Expected) -> None:
    """Compare all that other parts of the system go by."""
    status = change.document.status
    assert told(change) == expected.ready
    assert told(change, FAILED) == (("True", expected.failed) if expected.failed else None)
    assert told(change, ORPHAN_MITIGATION) == (("True", expected.orphan) if expected.orphan else None)
    assert told(change, RECONCILING) == (("True", expected.reconciling) if expected.reconciling else None)
    assert status.orphan_mitigation_in_progress == (expected.orphan is not None)
    assert status.current_operation == expected.operation
    assert (status.operation_start_time is not None) == (expected.operation is not None)
    assert status.async_op_in_progress == expected.is_polled
    assert (status.last_operation is not None) == expected.is_polled
    assert (notes(change).poll_until is not None) == expected.is_polled
    assert status.deprovision_status == expected.deprovision
    assert change.next.attempt == expected.attempt
    assert tuple(fact_reasons(change)) == expected.facts
    if expected.due is None:
        assert change.next.due_at is None
    else:
        assert pause(change) == pytest.approx(expected.due, rel=0.11)


def of_http(purpose: InstancePurpose, status: int | str, body: Any = None) -> Answer:
    """An HTTP status, or how the call went wrong."""
    if isinstance(status, int):
        return reply(purpose, status, body)
    return {"timeout": timed_out, "unreachable": unreachable}[status](purpose)


PROVISIONED = Expected(ready=("True", "ProvisionedSuccessfully"), facts=("ProvisionedSuccessfully",))
PROVISIONING = Expected(
    ready=("False", "Provisioning"), operation="Provision", is_polled=True, due=1, facts=("Provisioning",)
)
ORPHANED = Expected(
    ready=("False", "StartingInstanceOrphanMitigation"),
    orphan="ProvisionCallFailed",
    operation="Provision",
    due=0,
    facts=("ProvisionCallFailed", "StartingInstanceOrphanMitigation"),
)
ORPHANED_BY_TIMEOUT = Expected(
    ready=("False", "StartingInstanceOrphanMitigation"),
    orphan="ErrorCallingProvision",
    operation="Provision",
    due=0,
    facts=("ErrorCallingProvision", "StartingInstanceOrphanMitigation"),
)
REJECTED = Expected(
    ready=("False", "ProvisionCallFailed"),
    operation="Provision",
    deprovision="NotRequired",
    due=1,
    attempt=1,
    facts=("ProvisionCallFailed",),
)
DOUBTFUL = Expected(
    ready=("False", "ProvisionCallFailed"), operation="Provision", due=1, attempt=1, facts=("ProvisionCallFailed",)
)
REFUSED = Expected(
    ready=("False", "ProvisionCallFailed"),
    failed="ClusterServiceBrokerReturnedFailure",
    deprovision="NotRequired",
    facts=("ClusterServiceBrokerReturnedFailure",),
)
NOT_REACHED = Expected(
    ready=("False", "ErrorCallingProvision"),
    operation="Provision",
    deprovision="NotRequired",
    due=1,
    attempt=1,
    facts=("ErrorCallingProvision",),
)

PROVISION_ROWS: list[Any] = [
    pytest.param(200, {}, PROVISIONED, id="200"),
    pytest.param(201, {"dashboard_url": None}, PROVISIONED, id="201"),
    pytest.param(202, {"operation": "key-1"}, PROVISIONING, id="202"),
    pytest.param(200, MALFORMED, DOUBTFUL, id="200 malformed"),
    pytest.param(200, b"", DOUBTFUL, id="200 empty"),
    pytest.param(201, MALFORMED, ORPHANED, id="201 malformed"),
    pytest.param(202, MALFORMED, ORPHANED, id="202 malformed"),
    pytest.param(202, {"operation": 7}, ORPHANED, id="202 with a number as operation"),
    pytest.param(202, {"operation": "x" * 10_001}, ORPHANED, id="202 with an endless operation"),
    *(pytest.param(code, {}, ORPHANED, id=f"{code}") for code in (203, 204, 206, 226)),
    *(pytest.param(code, {}, REJECTED, id=f"{code}") for code in (301, 302, 304, 307)),
    pytest.param(400, {"description": "no"}, REFUSED, id="400"),
    *(
        pytest.param(c, {}, REJECTED, id=f"{c}")
        for c in (401, 403, 404, 408, 409, 410, 412, 413, 415, 418, 422, 429, 451)
    ),
    pytest.param(422, {"error": "AsyncRequired"}, REJECTED, id="422 AsyncRequired"),
    pytest.param(422, BUSY, REJECTED, id="422 ConcurrencyError"),
    pytest.param(422, {"error": "MaintenanceInfoConflict"}, REJECTED, id="422 MaintenanceInfoConflict"),
    pytest.param(422, {"error": "RequiresApp"}, REJECTED, id="422 RequiresApp"),
    *(pytest.param(code, {}, ORPHANED, id=f"{code}") for code in (500, 501, 502, 503, 504, 599)),
    pytest.param(
        500, {"instance_usable": False, "update_repeatable": False}, ORPHANED, id="500 with an update's flags"
    ),
    pytest.param("timeout", None, ORPHANED_BY_TIMEOUT, id="timeout"),
    pytest.param("unreachable", None, NOT_REACHED, id="unreachable"),
]


@pytest.mark.parametrize(("status", "body", "expected"), PROVISION_ROWS)
def test_a_creation_reacts_to_each_answer_as_the_matrix_says(status: int | str, body: Any, expected: Expected) -> None:
    change = absorb(make_snapshot(), sent(PROVISION), of_http(PROVISION, status, body), NOW)

    check(change, expected)
    assert change.document.status.observed_generation == 1
    assert not change.is_finished
    assert not notes(change).is_unusable


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 410, 422, 429, 400])
def test_a_rejection_of_a_repeat_leaves_open_whether_the_first_request_was_heard(status: int) -> None:
    snapshot = make_snapshot(request=sent(PROVISION))

    change = absorb(snapshot, sent(PROVISION), reply(PROVISION, status), NOW)

    assert change.document.status.deprovision_status == "Required"


def test_a_repeat_that_does_not_reach_the_broker_is_repeated_as_it_is() -> None:
    note = sent(PROVISION)

    change = absorb(make_snapshot(request=note), note, unreachable(PROVISION), NOW)

    assert change.sealed == note.to_wire()
    assert told(change) == ("False", "ErrorCallingProvision")
    assert pause(change) == pytest.approx(1, rel=0.11)


def test_a_repeat_that_is_answered_leaves_nothing_in_flight() -> None:
    note = sent(PROVISION)

    for answer in (reply(PROVISION, 201), reply(PROVISION, 500), reply(PROVISION, 422), timed_out(PROVISION)):
        assert absorb(make_snapshot(request=note), note, answer, NOW).sealed is None


@pytest.mark.parametrize("status", [401, 409, 422, 400])
def test_a_rejection_does_not_clear_an_earlier_doubt(status: int) -> None:
    first = absorb(make_snapshot(), sent(PROVISION), reply(PROVISION, 200, MALFORMED), NOW)

    second = absorb(make_snapshot(first.document, memory=notes(first)), sent(PROVISION), reply(PROVISION, status), NOW)

    assert second.document.status.deprovision_status == "Required"


def test_a_rejection_on_another_plan_keeps_the_plan_of_an_earlier_doubt() -> None:
    first = absorb(make_snapshot(), sent(PROVISION), reply(PROVISION, 200, MALFORMED), NOW)
    snapshot = make_snapshot(first.document, memory=notes(first), offering=make_offering("large"))

    second = absorb(snapshot, sent(PROVISION, generation=2, wanted_plan_id=LARGE), reply(PROVISION, 409), NOW)

    assert notes(second).plan_id == SMALL


def test_a_rejection_after_a_finished_mitigation_needs_no_deletion() -> None:
    mitigated = make_instance(
        observed_generation=1, current_operation="Provision", operation_start_time=NOW, deprovision_status="Succeeded"
    )

    change = absorb(make_snapshot(mitigated, memory=remembering()), sent(PROVISION), reply(PROVISION, 403), NOW)

    assert change.document.status.deprovision_status in ("NotRequired", "Succeeded")


def test_a_creation_records_what_was_created() -> None:
    note = sent(PROVISION, properties=InstancePropertiesState(parameter_checksum="c0ffee"))

    change = absorb(make_snapshot(), note, reply(PROVISION, 201), NOW)

    status = change.document.status
    assert status.provision_status == "Provisioned"
    assert status.external_properties == note.properties
    assert status.in_progress_properties is None
    assert (status.reconciled_generation, status.observed_generation) == (1, 1)
    assert (status.user_specified_class_name, status.user_specified_plan_name) == ("ClusterServiceClass/ropes", "small")
    assert status.last_condition_state == "Ready"
    assert (notes(change).service_id, notes(change).plan_id) == ("service-1", SMALL)
    assert woken_by(make_snapshot().instance, change.document) == ("instance:ns/rope",)


def test_a_creation_writes_down_which_class_and_plan_were_found() -> None:
    spec = absorb(make_snapshot(), sent(PROVISION), reply(PROVISION, 201), NOW).document.spec

    assert spec.cluster_service_class_ref is not None
    assert spec.cluster_service_plan_ref is not None
    assert (spec.cluster_service_class_ref.name, spec.cluster_service_plan_ref.name) == ("class-object", "small-object")


def test_a_creation_shows_what_is_being_created_while_it_is_under_way() -> None:
    note = sent(PROVISION)

    status = absorb(make_snapshot(), note, reply(PROVISION, 202), NOW).document.status

    assert status.in_progress_properties == note.properties
    assert status.external_properties is None
    assert status.provision_status is None
    assert status.operation_start_time == NOW


UPDATED = Expected(ready=("True", "InstanceUpdatedSuccessfully"), facts=("InstanceUpdatedSuccessfully",))
AS_BEFORE = ("True", "ProvisionedSuccessfully")
UPDATING = Expected(
    ready=AS_BEFORE,
    reconciling="UpdatingInstance",
    operation="Update",
    is_polled=True,
    due=1,
    facts=("UpdatingInstance",),
)
UPDATE_AGAIN = Expected(
    ready=AS_BEFORE,
    reconciling="UpdateInstanceCallFailed",
    operation="Update",
    due=1,
    attempt=1,
    facts=("UpdateInstanceCallFailed",),
)
UPDATE_NOT_SENT = Expected(
    ready=AS_BEFORE,
    reconciling="ErrorCallingUpdateInstance",
    operation="Update",
    due=1,
    attempt=1,
    facts=("ErrorCallingUpdateInstance",),
)
UPDATE_REFUSED = Expected(ready=AS_BEFORE, failed="UpdateInstanceCallFailed", facts=("UpdateInstanceCallFailed",))

UPDATE_ROWS: list[Any] = [
    pytest.param(200, {}, UPDATED, id="200"),
    pytest.param(202, {"operation": "key-1"}, UPDATING, id="202"),
    pytest.param(200, MALFORMED, UPDATE_AGAIN, id="200 malformed"),
    pytest.param(201, {}, UPDATE_AGAIN, id="201"),
    pytest.param(202, MALFORMED, UPDATE_AGAIN, id="202 malformed"),
    *(pytest.param(code, {}, UPDATE_AGAIN, id=f"{code}") for code in (204, 302)),
    pytest.param(400, {}, UPDATE_REFUSED, id="400"),
    *(pytest.param(code, {}, UPDATE_AGAIN, id=f"{code}") for code in (401, 403, 404, 408, 409, 410, 412, 422, 429)),
    pytest.param(422, BUSY, UPDATE_AGAIN, id="422 ConcurrencyError"),
    pytest.param(422, {"update_repeatable": True}, UPDATE_AGAIN, id="422 repeatable"),
    pytest.param(422, {"update_repeatable": "false"}, UPDATE_AGAIN, id="422 with a word that is no boolean"),
    pytest.param(422, {"update_repeatable": False}, UPDATE_REFUSED, id="422 not repeatable"),
    pytest.param(500, {"update_repeatable": False}, UPDATE_REFUSED, id="500 not repeatable"),
    *(pytest.param(code, {}, UPDATE_AGAIN, id=f"{code}") for code in (500, 502, 503, 504)),
    pytest.param("timeout", None, UPDATE_NOT_SENT, id="timeout"),
    pytest.param("unreachable", None, UPDATE_NOT_SENT, id="unreachable"),
]


@pytest.mark.parametrize(("status", "body", "expected"), UPDATE_ROWS)
def test_an_update_reacts_to_each_answer_as_the_matrix_says(status: int | str, body: Any, expected: Expected) -> None:
    before = provisioned(generation=2)

    change = absorb(
        make_snapshot(before, memory=remembering()), sent(UPDATE, generation=2), of_http(UPDATE, status, body), NOW
    )

    check(change, expected)
    assert change.document.status.provision_status == "Provisioned"
    assert change.document.status.observed_generation == 2


DEPROVISIONING = Expected(
    ready=("False", "Deprovisioning"), operation="Deprovision", is_polled=True, due=1, facts=("Deprovisioning",)
)
DELETE_AGAIN = Expected(
    ready=("Unknown", "DeprovisionCallFailed"),
    operation="Deprovision",
    due=1,
    attempt=1,
    facts=("DeprovisionCallFailed",),
)

DEPROVISION_ROWS: list[Any] = [
    pytest.param(202, {"operation": "key-1"}, DEPROVISIONING, id="202"),
    pytest.param(201, {}, DELETE_AGAIN, id="201"),
    pytest.param(202, MALFORMED, DELETE_AGAIN, id="202 malformed"),
    *(pytest.param(code, {}, DELETE_AGAIN, id=f"{code}") for code in (204, 302)),
    *(pytest.param(code, {}, DELETE_AGAIN, id=f"{code}") for code in (400, 401, 403, 404, 408, 409, 412, 422, 429)),
    pytest.param(200, MALFORMED, DELETE_AGAIN, id="200 malformed"),
    pytest.param(422, BUSY, DELETE_AGAIN, id="422 ConcurrencyError"),
    pytest.param(422, {"error": "AsyncRequired"}, DELETE_AGAIN, id="422 AsyncRequired"),
    *(pytest.param(code, {}, DELETE_AGAIN, id=f"{code}") for code in (500, 502, 503, 504)),
    pytest.param("timeout", None, DELETE_AGAIN, id="timeout"),
    pytest.param("unreachable", None, DELETE_AGAIN, id="unreachable"),
]
GONE_ROWS: list[Any] = [
    pytest.param(200, {}, id="200"),
    pytest.param(200, b"", id="200 empty"),
    pytest.param(410, {}, id="410"),
    pytest.param(410, b"", id="410 empty"),
]


@pytest.mark.parametrize(("status", "body", "expected"), DEPROVISION_ROWS)
def test_a_deletion_reacts_to_each_answer_as_the_matrix_says(status: int | str, body: Any, expected: Expected) -> None:
    before = make_snapshot(provisioned(deleted=True), memory=remembering())

    change = absorb(before, sent(DEPROVISION), of_http(DEPROVISION, status, body), NOW)

    check(change, expected)
    assert not change.is_finished
    assert change.document.status.provision_status == "Provisioned"
    assert change.document.metadata.finalizers == before.instance.metadata.finalizers


@pytest.mark.parametrize(("status", "body"), GONE_ROWS)
def test_a_deletion_is_finished_when_the_broker_says_so(status: int, body: Any) -> None:
    before = provisioned(deleted=True, finalizers=("kubernetes-incubator/service-catalog", "someone/else"))

    change = absorb(
        make_snapshot(before, memory=remembering()), sent(DEPROVISION), reply(DEPROVISION, status, body), NOW
    )

    assert change.is_finished
    assert change.document.metadata.finalizers == ["someone/else"]
    assert told(change) == ("False", "DeprovisionedSuccessfully")
    assert fact_reasons(change) == ["DeprovisionedSuccessfully"]
    assert change.wakes == ()
    assert change.next.due_at is None
    status_after = change.document.status
    assert (status_after.provision_status, status_after.deprovision_status) == ("NotProvisioned", "Succeeded")
    assert status_after.current_operation is None


MITIGATION_AGAIN = Expected(
    ready=("Unknown", "DeprovisionCallFailed"),
    orphan="ProvisionCallFailed",
    operation="Provision",
    due=4,
    attempt=3,
    facts=("DeprovisionCallFailed",),
)
MITIGATION_POLLED = Expected(
    ready=("False", "Deprovisioning"),
    orphan="ProvisionCallFailed",
    operation="Provision",
    is_polled=True,
    due=1,
    attempt=2,
    facts=("Deprovisioning",),
)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(202, {"operation": "key-1"}, MITIGATION_POLLED, id="202"),
        *(pytest.param(code, {}, MITIGATION_AGAIN, id=f"{code}") for code in (204, 302, 400, 404, 422, 429, 500, 503)),
        pytest.param(422, BUSY, MITIGATION_AGAIN, id="422 ConcurrencyError"),
        pytest.param("timeout", None, MITIGATION_AGAIN, id="timeout"),
        pytest.param("unreachable", None, MITIGATION_AGAIN, id="unreachable"),
    ],
)
def test_a_mitigation_goes_on_until_the_broker_confirms_it(status: int | str, body: Any, expected: Expected) -> None:
    snapshot = make_snapshot(mitigating(), memory=remembering(), attempt=2)

    check(absorb(snapshot, sent(MITIGATE), of_http(MITIGATE, status, body), NOW), expected)


@pytest.mark.parametrize(("status", "body"), GONE_ROWS)
def test_a_mitigation_that_succeeds_leads_to_a_new_creation_after_a_pause(status: int, body: Any) -> None:
    before = mitigating(dashboard_url="https://gone.example.com")

    cause = Cause(reason="ProvisionCallFailed", message="The provision call failed: disk on fire")
    memory = remembering(cause=cause, creation_attempts=2)

    change = absorb(make_snapshot(before, memory=memory, attempt=7), sent(MITIGATE), reply(MITIGATE, status, body), NOW)

    check(
        change,
        Expected(
            ready=("False", "ProvisionCallFailed"),
            operation="Provision",
            deprovision="Succeeded",
            due=2,
            attempt=2,
            facts=("OrphanMitigationSuccessful",),
        ),
    )
    message = told_message(change)
    assert message.startswith("The provision call failed: disk on fire. Anything it may have left")
    assert "has been deleted" in message
    assert change.next.due_at is not None
    assert to_timestamp(change.next.due_at) in message
    assert "kubectl annotate serviceinstance rope -n ns --overwrite chandlery.io/retry-requested-at" in message
    assert change.document.status.provision_status == "NotProvisioned"
    assert change.document.status.dashboard_url is None
    assert not change.is_finished


def polled(operation: str, **fields: Any) -> InstanceSnapshot:
    """An instance in the middle of an operation, polled twice so far, with an hour left."""
    until = (NOW + timedelta(hours=1)).timestamp()
    memory = remembering(poll_until=until, polls=2, wanted_plan_id=LARGE if operation == "Update" else "")
    if operation == "Mitigation":
        instance = working("Provision", orphan_mitigation_in_progress=True, provision_status=None, **fields)
        conditions = (*instance.status.conditions, ORPHAN)
        instance = instance.model_copy(update={"status": instance.status.model_copy(update={"conditions": conditions})})
    else:
        instance = working(operation, deleted=operation == "Deprovision", **fields)
    return make_snapshot(instance, memory=memory)


def after_poll(
    snapshot: InstanceSnapshot, status: int | str, body: Any = None, *, retry_after: str | None = None
) -> InstanceResult:
    """Absorb an answer of last_operation."""
    answer = of_http(InstancePurpose.POLL, status, body)
    if isinstance(status, int):
        answer = reply(InstancePurpose.POLL, status, body, retry_after=retry_after)
    return absorb(snapshot, sent(InstancePurpose.POLL), answer, NOW)


def shown_of(operation: str, change: InstanceResult) -> str:
    """The reason that is told of an operation: an update has a condition of its own, and leaves Ready as it was."""
    if operation == "Update":
        assert told(change) == AS_BEFORE
        return (told(change, RECONCILING) or ("", ""))[1]
    status, reason = told(change) or ("", "")
    assert status == "False"
    return reason


OPERATIONS = ["Provision", "Update", "Deprovision", "Mitigation"]
NO_ANSWERS: list[Any] = [
    *(pytest.param(code, {}, id=f"{code}") for code in (201, 204, 302, 400, 401, 403, 404, 408, 422, 429, 500, 503)),
    pytest.param(200, MALFORMED, id="200 malformed"),
    pytest.param(200, {}, id="200 without a state"),
    pytest.param(200, {"state": "weird"}, id="200 with an unknown state"),
    pytest.param("timeout", None, id="timeout"),
    pytest.param("unreachable", None, id="unreachable"),
]


@pytest.mark.parametrize(("status", "body"), NO_ANSWERS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_polling_goes_on_when_a_poll_says_nothing(operation: str, status: int | str, body: Any) -> None:
    snapshot = polled(operation)

    change = after_poll(snapshot, status, body)

    assert shown_of(operation, change) == "ErrorPollingLastOperation"
    assert fact_reasons(change) == ["ErrorPollingLastOperation"]
    assert change.document.status.async_op_in_progress
    assert change.document.status.last_operation == "key-1"
    assert change.document.status.current_operation == snapshot.instance.status.current_operation
    assert notes(change).polls == 3
    assert pause(change) == pytest.approx(1.5**2, rel=0.06)


@pytest.mark.parametrize("operation", ["Provision", "Update"])
def test_polling_goes_on_when_a_broker_says_gone_of_what_is_not_being_deleted(operation: str) -> None:
    change = after_poll(polled(operation), 410)

    assert change.document.status.async_op_in_progress
    assert shown_of(operation, change) == "ErrorPollingLastOperation"


IN_PROGRESS_REASONS = [
    ("Provision", "Provisioning"),
    ("Update", "UpdatingInstance"),
    ("Deprovision", "Deprovisioning"),
    ("Mitigation", "Deprovisioning"),
]


@pytest.mark.parametrize(("operation", "reason"), IN_PROGRESS_REASONS)
def test_progress_is_shown_in_the_brokers_words(operation: str, reason: str) -> None:
    change = after_poll(polled(operation), 200, {"state": "in progress", "description": "half way"})

    assert shown_of(operation, change) == reason
    assert change.document.status.conditions[0].message.endswith("(half way)")
    assert change.document.status.async_op_in_progress
    assert change.facts == ()


@pytest.mark.parametrize(("operation", "reason"), IN_PROGRESS_REASONS)
def test_progress_takes_a_failure_of_an_earlier_poll_back(operation: str, reason: str) -> None:
    failed = after_poll(polled(operation), 500)
    snapshot = make_snapshot(failed.document, memory=notes(failed))

    change = after_poll(snapshot, 200, {"state": "in progress"})

    assert shown_of(operation, change) == reason


def test_a_failing_poll_is_recorded_once_while_it_fails_in_the_same_way() -> None:
    first = after_poll(polled("Provision"), 500)

    second = after_poll(make_snapshot(first.document, memory=notes(first)), 500)

    assert fact_reasons(first) == ["ErrorPollingLastOperation"]
    assert second.facts == ()


def test_a_poll_that_succeeds_ends_a_creation() -> None:
    change = after_poll(polled("Provision"), 200, {"state": "succeeded"})

    check(change, PROVISIONED)
    assert change.document.status.provision_status == "Provisioned"
    assert woken_by(polled("Provision").instance, change.document) == ("instance:ns/rope",)
    assert (notes(change).polls, notes(change).poll_until) == (0, None)


def test_a_poll_that_succeeds_ends_an_update_and_makes_its_plan_the_brokers() -> None:
    change = after_poll(polled("Update"), 200, {"state": "succeeded"})

    check(change, UPDATED)
    assert (notes(change).plan_id, notes(change).wanted_plan_id) == (LARGE, "")


@pytest.mark.parametrize(("status", "body"), [(200, {"state": "succeeded"}), (410, {})], ids=["succeeded", "410"])
def test_a_poll_ends_a_deletion(status: int, body: Any) -> None:
    change = after_poll(polled("Deprovision"), status, body)

    assert change.is_finished
    assert change.document.metadata.finalizers is None


@pytest.mark.parametrize(("status", "body"), [(200, {"state": "succeeded"}), (410, {})], ids=["succeeded", "410"])
def test_a_poll_ends_a_mitigation(status: int, body: Any) -> None:
    change = after_poll(polled("Mitigation"), status, body)

    assert not change.is_finished
    assert told(change) == ("False", "ProvisionCallFailed")
    assert told(change, ORPHAN_MITIGATION) is None
    assert change.document.status.deprovision_status == "Succeeded"


FAILED_CREATION = Expected(
    ready=("False", "StartingInstanceOrphanMitigation"),
    failed="ProvisionCallFailed",
    orphan="ProvisionCallFailed",
    operation="Provision",
    due=0,
    facts=("ProvisionCallFailed", "StartingInstanceOrphanMitigation"),
)
FAILURES: list[Any] = [
    pytest.param("Provision", FAILED_CREATION, id="creation"),
    pytest.param("Update", UPDATE_REFUSED, id="update"),
    pytest.param("Deprovision", DELETE_AGAIN, id="deletion"),
    pytest.param(
        "Mitigation",
        Expected(
            ready=("Unknown", "DeprovisionCallFailed"),
            orphan="ProvisionCallFailed",
            operation="Provision",
            due=1,
            attempt=1,
            facts=("DeprovisionCallFailed",),
        ),
        id="mitigation",
    ),
]


@pytest.mark.parametrize(("operation", "expected"), FAILURES)
def test_an_operation_that_fails_is_followed_by_what_the_matrix_says(operation: str, expected: Expected) -> None:
    change = after_poll(polled(operation), 200, {"state": "failed", "description": "no ropes left"})

    check(change, expected)
    assert any("no ropes left" in fact.message for fact in change.facts)


@pytest.mark.parametrize("answer", [(200, {"state": "in progress"}), (500, {}), ("timeout", None)], ids=str)
@pytest.mark.parametrize(("operation", "expected"), FAILURES)
def test_an_operation_that_takes_too_long_has_failed(
    operation: str, expected: Expected, answer: tuple[Any, Any]
) -> None:
    snapshot = polled(operation)
    late = snapshot.memory.model_copy(update={"poll_until": NOW.timestamp()})

    change = after_poll(make_snapshot(snapshot.instance, memory=late), *answer)

    check(change, expected)


def test_an_operation_that_succeeds_at_the_last_moment_has_succeeded() -> None:
    snapshot = polled("Provision")
    late = snapshot.memory.model_copy(update={"poll_until": NOW.timestamp() - 5})

    check(after_poll(make_snapshot(snapshot.instance, memory=late), 200, {"state": "succeeded"}), PROVISIONED)


def test_a_failed_mitigation_is_not_told_as_a_failed_creation() -> None:
    change = after_poll(polled("Mitigation"), 200, {"state": "failed"})

    assert "deprovision" in change.facts[0].message


def test_a_failed_update_keeps_the_plan_for_later_deletes() -> None:
    change = after_poll(polled("Update"), 200, {"state": "failed"})

    assert (notes(change).plan_id, notes(change).wanted_plan_id) == (SMALL, "")


@pytest.mark.parametrize("status", [400, 422, 500, 204, "timeout", "unreachable"])
def test_an_update_that_is_not_applied_leaves_what_the_broker_has_on_record(status: int | str) -> None:
    before = provisioned(generation=2)
    snapshot = make_snapshot(before, memory=remembering(), offering=make_offering("large"))
    note = sent(UPDATE, generation=2, wanted_plan_id=LARGE)

    change = absorb(snapshot, note, of_http(UPDATE, status), NOW)

    assert notes(change).plan_id == SMALL
    assert change.document.status.external_properties == before.status.external_properties
    assert not change.document.status.orphan_mitigation_in_progress


def test_an_update_that_succeeds_makes_its_plan_the_brokers() -> None:
    snapshot = make_snapshot(provisioned(generation=2), memory=remembering(), offering=make_offering("large"))
    asked = InstancePropertiesState(cluster_service_plan_external_id=LARGE, cluster_service_plan_external_name="large")
    note = sent(UPDATE, generation=2, wanted_plan_id=LARGE, properties=asked)

    change = absorb(snapshot, note, reply(UPDATE, 200), NOW)

    assert notes(change).plan_id == LARGE
    assert change.document.status.external_properties == note.properties
    assert change.document.status.reconciled_generation == 2


def test_an_update_under_way_keeps_the_old_plan_and_remembers_the_new_one() -> None:
    snapshot = make_snapshot(provisioned(generation=2), memory=remembering(), offering=make_offering("large"))

    change = absorb(snapshot, sent(UPDATE, generation=2, wanted_plan_id=LARGE), reply(UPDATE, 202), NOW)

    assert (notes(change).plan_id, notes(change).wanted_plan_id) == (SMALL, LARGE)


UNKNOWN_FATES: list[Any] = ["timeout", 500, 503, 204, 201]
NO_EFFECT: list[Any] = [400, 401, 409, 410, 422, 429, 302, "unreachable"]


@pytest.mark.parametrize("status", [*UNKNOWN_FATES, *NO_EFFECT])
def test_going_back_after_an_update_is_said_in_full_when_its_fate_is_unknown(status: int | str) -> None:
    before = provisioned(generation=2)
    asked = InstancePropertiesState(cluster_service_plan_external_id=LARGE, parameter_checksum="c0ffee")
    note = sent(UPDATE, generation=2, wanted_plan_id=LARGE, properties=asked)
    failed = absorb(make_snapshot(before, memory=remembering()), note, of_http(UPDATE, status), NOW)
    metadata = failed.document.metadata.model_copy(update={"generation": 3})
    back = make_snapshot(failed.document.model_copy(update={"metadata": metadata}), memory=notes(failed))

    expected = Update(SERVICE, SMALL, SMALL, {}) if status in UNKNOWN_FATES else AlreadyApplied()
    assert decide(back) == expected


def test_going_back_is_said_in_full_after_an_update_that_never_ended() -> None:
    snapshot = polled("Update")
    late = snapshot.memory.model_copy(update={"poll_until": NOW.timestamp()})

    change = after_poll(make_snapshot(snapshot.instance, memory=late), 200, {"state": "in progress"})

    assert (notes(change).plan_id, notes(change).wanted_plan_id) == (SMALL, LARGE)


def test_an_update_that_asks_for_nothing_is_retried_as_it_was() -> None:
    snapshot = make_snapshot(provisioned(generation=2, spec={"update_requests": 1}), memory=remembering())

    failed = absorb(snapshot, sent(UPDATE, generation=2), reply(UPDATE, 429), NOW)

    assert decide(make_snapshot(failed.document, memory=notes(failed))) == Update(SERVICE, SMALL, None, None)
