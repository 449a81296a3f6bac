"""Whole lives of instances with scripted answers: what is sent, in which order, and where it ends."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.reconcile.answers import Answer
from chandlery_provisioner.facts.instance_notes import InstancePurpose
from tests.unit.provisioner.builders import (
    LARGE,
    NO_CLASS,
    NO_SECRET,
    NOW,
    SMALL,
    make_offering,
    reply,
    timed_out,
    unreachable,
)
from tests.unit.provisioner.instance_histories import InstanceHistory, Request, WorkerDied, is_creation, is_deletion

SUCCEEDED = (200, {"state": "succeeded"})
IN_PROGRESS = (200, {"state": "in progress"})
OPERATION_FAILED = (200, {"state": "failed"})
BUSY = (422, {"error": "ConcurrencyError"})
DIED = "died"
Step = int | str | tuple[int, object]


def live(*script: Step, **fields: object) -> InstanceHistory:
    """A life whose broker gives these answers, in this order, and nothing else."""
    steps: Iterator[Step] = iter(script)

    def answer(request: Request) -> Answer:
        step = next(steps, None)
        assert step is not None, f"nobody expected {request}"
        if step == DIED:
            raise WorkerDied
        if isinstance(step, str):
            return {"timeout": timed_out, "unreachable": unreachable}[step](request.purpose)
        status, body = step if isinstance(step, tuple) else (step, {})
        return reply(request.purpose, status, body)

    return InstanceHistory(broker=answer, **fields)  # type: ignore[arg-type]


def purposes(history: InstanceHistory) -> list[str]:
    """What has been sent so far."""
    return [str(request.purpose) for request in history.sent]


def ready(history: InstanceHistory, kind: ConditionType = ConditionType.READY) -> tuple[str, str]:
    """The Ready condition, or another one."""
    found = find_condition(history.instance.status.conditions, kind)
    assert found is not None
    return str(found.status), found.reason


def test_an_instance_is_created_used_and_deleted() -> None:
    history = live(201, 200)

    history.run()
    assert ready(history) == ("True", "ProvisionedSuccessfully")
    history.delete()
    history.run()

    assert history.is_finished
    assert purposes(history) == ["provision", "deprovision"]


def test_an_instance_is_created_changed_and_deleted_asynchronously() -> None:
    history = live(
        (202, {"operation": "a"}),
        IN_PROGRESS,
        SUCCEEDED,
        (202, {"operation": "b"}),
        SUCCEEDED,
        (202, {"operation": "c"}),
        410,
    )

    history.run()
    history.change_spec(plan="large")
    history.run()
    history.delete()
    history.run()

    assert history.is_finished
    assert purposes(history) == ["provision", "poll", "poll", "update", "poll", "deprovision", "poll"]
    assert [request.operation for request in history.sent if request.purpose == InstancePurpose.POLL] == [
        "a",
        "a",
        "b",
        "c",
    ]
    assert [request.plan for request in history.sent] == [SMALL, SMALL, SMALL, LARGE, SMALL, LARGE, LARGE]


def test_an_orphan_is_deleted_until_the_broker_confirms_and_then_created_anew() -> None:
    history = live(500, 500, 503, 410, 201)

    history.run()

    assert purposes(history) == ["provision", "mitigate", "mitigate", "mitigate", "provision"]
    assert ready(history) == ("True", "ProvisionedSuccessfully")
    assert history.instance.status.deprovision_status == "Required"
    assert history.attempt == 0
    assert timedelta(seconds=3.5) < history.now - NOW < timedelta(minutes=1)
    assert [fact.reason for fact in history.facts] == [
        "ProvisionCallFailed",
        "StartingInstanceOrphanMitigation",
        "DeprovisionCallFailed",
        "DeprovisionCallFailed",
        "OrphanMitigationSuccessful",
        "ProvisionedSuccessfully",
    ]


def test_an_orphan_is_deleted_through_a_failing_asynchronous_deletion() -> None:
    history = live(500, 500, 503, 202, OPERATION_FAILED, 410, 201)

    history.run()

    assert purposes(history) == ["provision", *["mitigate"] * 3, "poll", "mitigate", "provision"]


def test_a_creation_that_always_fails_pauses_longer_and_gives_up_after_a_week() -> None:
    script = [500, 410] * 2000
    history = live(*script)

    history.run(rounds=4000)

    assert ready(history) == ("False", "ErrorReconciliationRetryTimeout")
    assert timedelta(days=7) < history.now - NOW < timedelta(days=7, hours=1)
    assert 500 < len(history.sent) < 1400
    assert is_deletion(history.sent[-1])
    assert history.instance.status.deprovision_status == "Succeeded"


def test_a_failed_asynchronous_creation_is_cleaned_up_once_and_not_tried_again_until_the_desired_state_changes() -> (
    None
):
    history = live(202, OPERATION_FAILED, 200, 201)

    history.run()
    assert purposes(history) == ["provision", "poll", "mitigate"]
    assert find_condition(history.instance.status.conditions, ConditionType.FAILED) is not None
    assert history.due_at is None
    history.change_spec(parameters={"colour": "red"})
    history.run()

    assert purposes(history)[3:] == ["provision"]
    assert ready(history) == ("True", "ProvisionedSuccessfully")
    assert find_condition(history.instance.status.conditions, ConditionType.FAILED) is None


def test_a_deletion_of_a_failed_creation_sends_nothing_when_the_orphan_is_gone() -> None:
    history = live(202, OPERATION_FAILED, 200)

    history.run()
    history.delete()
    history.run()

    assert history.is_finished
    assert purposes(history) == ["provision", "poll", "mitigate"]


def test_a_deletion_takes_over_the_mitigation_of_an_orphan() -> None:
    history = live(500, 500, 200)

    history.run(until=lambda: len(history.sent) == 2)
    history.delete()
    history.run()

    assert history.is_finished
    assert purposes(history) == ["provision", "mitigate", "deprovision"]


def test_a_deletion_halts_a_running_creation() -> None:
    history = live((202, {"operation": "create"}), IN_PROGRESS, (202, {"operation": "delete"}), IN_PROGRESS, SUCCEEDED)

    history.run(until=lambda: len(history.sent) == 2)
    history.delete()
    history.run()

    assert history.is_finished
    assert purposes(history) == ["provision", "poll", "deprovision", "poll", "poll"]
    assert [request.operation for request in history.sent[3:]] == ["delete", "delete"]


def test_a_deletion_waits_for_a_creation_that_the_broker_will_not_halt() -> None:
    history = live((202, {"operation": "create"}), BUSY, IN_PROGRESS, SUCCEEDED, 200)

    history.run(until=lambda: len(history.sent) == 1)
    history.delete()
    history.run()

    assert history.is_finished
    assert purposes(history) == ["provision", "deprovision", "poll", "poll", "deprovision"]
    assert history.sent[2].operation == "create"


def test_a_deletion_cleans_up_after_a_creation_that_could_not_be_halted_and_failed() -> None:
    history = live(202, BUSY, OPERATION_FAILED, 410)

    history.run(until=lambda: len(history.sent) == 1)
    history.delete()
    history.run()

    assert history.is_finished
    assert purposes(history) == ["provision", "deprovision", "poll", "deprovision"]


def test_a_creation_that_takes_too_long_is_cleaned_up() -> None:
    history = live(202, *[IN_PROGRESS] * 12, 200, offering=make_offering(maximum_polling_duration=60))

    history.run(until=lambda: is_deletion(history.sent[-1]) if history.sent else False)

    first_deletion = history.now - NOW
    assert timedelta(seconds=60) <= first_deletion < timedelta(seconds=61)
    history.run()
    assert find_condition(history.instance.status.conditions, ConditionType.FAILED) is not None


def test_polling_outlives_every_kind_of_nonsense() -> None:
    history = live(
        202, 500, 404, (200, b"{"), (200, {"state": "weird"}), (200, {}), "timeout", "unreachable", 410, 204, SUCCEEDED
    )

    history.run()

    assert ready(history) == ("True", "ProvisionedSuccessfully")
    assert purposes(history) == ["provision", *["poll"] * 10]


def test_a_rejected_creation_needs_no_deletion() -> None:
    history = live(403)

    history.run(until=lambda: len(history.sent) == 1)
    history.delete()
    history.run()

    assert history.is_finished
    assert purposes(history) == ["provision"]


def test_an_instance_whose_broker_was_never_reached_can_be_deleted_without_it() -> None:
    history = live("unreachable", "unreachable")

    history.run(until=lambda: len(history.sent) == 2)
    history.delete()
    history.run()

    assert history.is_finished
    assert not any(is_deletion(request) for request in history.sent)


def test_a_creation_with_an_unreadable_success_is_deleted_with_the_object() -> None:
    history = live((200, b"<html>"), 429, 410)

    history.run(until=lambda: len(history.sent) == 2)
    history.delete()
    history.run()

    assert history.is_finished
    assert purposes(history) == ["provision", "provision", "deprovision"]


def test_a_refused_creation_rests_until_it_is_corrected() -> None:
    history = live(400, 201)

    history.run()
    assert ready(history) == ("False", "ProvisionCallFailed")
    assert history.due_at is None
    history.touch()
    history.run()
    assert purposes(history) == ["provision"]
    history.change_spec(parameters={"colour": "red"})
    history.run()

    assert ready(history) == ("True", "ProvisionedSuccessfully")


@pytest.mark.parametrize("answers", [[400], [202, OPERATION_FAILED], [(422, {"update_repeatable": False})]], ids=str)
def test_a_failed_plan_change_deletes_with_the_plan_that_the_broker_has(answers: list[Step]) -> None:
    history = live(201, *answers, 200)

    history.run()
    history.change_spec(plan="large")
    history.run()
    assert ready(history) == ("True", "ProvisionedSuccessfully")
    assert ready(history, ConditionType.FAILED) == ("True", "UpdateInstanceCallFailed")
    history.delete()
    history.run()

    assert history.is_finished
    assert history.sent[-1].plan == SMALL


def test_an_update_that_must_not_be_repeated_is_sent_again_only_for_another_desired_state() -> None:
    history = live(201, (500, {"update_repeatable": False}), 200)

    history.run()
    history.change_spec(parameters={"colour": "red"})
    history.run()
    for _ in range(3):
        history.touch()
        history.run()
    assert purposes(history) == ["provision", "update"]
    history.change_spec(parameters={"colour": "blue"})
    history.run()

    assert purposes(history) == ["provision", "update", "update"]
    assert ready(history) == ("True", "InstanceUpdatedSuccessfully")


def test_a_failed_update_is_put_right_by_the_next_desired_state() -> None:
    history = live(201, 500, 500, 200)

    history.run()
    history.change_spec(plan="large")
    history.run(until=lambda: len(history.sent) == 3)
    history.change_spec(plan="small")
    history.run()

    assert ready(history) == ("True", "InstanceUpdatedSuccessfully")
    assert [request.plan for request in history.sent] == [SMALL, LARGE, LARGE, SMALL]
    assert history.memory.plan_id == SMALL


def test_a_newer_desired_state_follows_a_running_update() -> None:
    history = live(201, 202, IN_PROGRESS, SUCCEEDED, 200)

    history.run()
    history.change_spec(plan="large")
    history.run(until=lambda: len(history.sent) == 2)
    history.change_spec(parameters={"colour": "red"})
    history.run()

    assert purposes(history) == ["provision", "update", "poll", "poll", "update"]
    assert history.memory.plan_id == LARGE
    assert history.instance.status.observed_generation == 3


def test_a_worker_that_dies_has_its_request_repeated_to_the_letter() -> None:
    history = live(DIED, 200)

    history.run(until=lambda: len(history.sent) == 1)
    history.change_spec(plan="large", parameters={"colour": "red"})
    history.run(until=lambda: len(history.sent) == 2)

    assert history.sent[0] == history.sent[1]
    assert history.memory.plan_id == SMALL
    assert history.instance.status.observed_generation == 1
    assert history.due_at == history.now


def test_a_worker_that_dies_again_and_again_creates_one_instance() -> None:
    history = live(DIED, DIED, "unreachable", DIED, 201)

    history.run()

    assert len({(request.purpose, request.plan, request.body) for request in history.sent}) == 1
    assert ready(history) == ("True", "ProvisionedSuccessfully")


@pytest.mark.parametrize("status", [400, 401, 429])
def test_going_back_after_a_worker_died_in_an_update_is_said_in_full(status: int) -> None:
    history = live(201, DIED, status, 200)

    history.run()
    history.change_spec(plan="large", parameters={"colour": "red"})
    history.run(until=lambda: len(history.sent) == 3)
    history.change_spec(plan="small", parameters={})
    history.run()

    assert purposes(history) == ["provision", "update", "update", "update"]
    assert (history.sent[-1].plan, history.sent[-1].body) == (SMALL, f"{SMALL} {{}}")


def test_a_deletion_after_a_worker_died_in_a_creation_asks_first_what_came_of_it() -> None:
    history = live(DIED, 401, 410)

    history.run(until=lambda: len(history.sent) == 1)
    history.delete()
    history.run()

    assert history.is_finished
    assert purposes(history) == ["provision", "provision", "deprovision"]


def test_a_worker_that_dies_while_deleting_has_its_deletion_repeated() -> None:
    history = live(201, DIED, 410)

    history.run()
    history.delete()
    history.run()

    assert history.is_finished
    assert purposes(history) == ["provision", "deprovision", "deprovision"]


def test_a_worker_that_dies_while_mitigating_has_its_deletion_repeated_before_anything_is_created() -> None:
    history = live(500, DIED, 200, 201)

    history.run()

    assert purposes(history) == ["provision", "mitigate", "mitigate", "provision"]


def test_a_worker_that_dies_while_polling_is_followed_by_another_poll() -> None:
    history = live((202, {"operation": "a"}), DIED, SUCCEEDED)

    history.run()

    assert purposes(history) == ["provision", "poll", "poll"]
    assert history.sent[1] == history.sent[2]


def test_an_instance_waits_for_all_that_is_missing_one_after_the_other() -> None:
    history = live(201, offering=NO_CLASS, access=NO_SECRET, parameters=ParametersFault("the Secret is missing"))

    reasons = []
    history.round()
    reasons.append(ready(history)[1])
    history.offering = make_offering()
    history.touch()
    history.round()
    reasons.append(ready(history)[1])
    history.change_spec(parameters={})
    history.round()
    reasons.append(ready(history)[1])
    history.access = None
    history.touch()
    history.run()

    assert reasons == ["ReferencesNonexistentServiceClass", "ErrorWithParameters", "ErrorGettingAuthCredentials"]
    assert ready(history) == ("True", "ProvisionedSuccessfully")


def test_an_open_request_survives_the_loss_of_the_brokers_credentials() -> None:
    history = live(DIED, 201)

    history.run(until=lambda: len(history.sent) == 1)
    history.access = NO_SECRET
    history.round()
    assert ready(history) == ("False", "ErrorGettingAuthCredentials")
    history.access = None
    history.touch()
    history.run()

    assert history.sent[0] == history.sent[1]
    assert ready(history) == ("True", "ProvisionedSuccessfully")


def test_a_deletion_waits_for_bindings_and_then_goes_through() -> None:
    history = live(201, 200, bindings=2)

    history.run()
    history.delete()
    history.round()
    assert ready(history) == ("False", "DeprovisionBlockedByExistingCredentials")
    assert history.waiting_for == "bindings-of:ns/rope"
    history.bindings = 0
    history.touch()
    history.run()

    assert history.is_finished


def test_a_deletion_with_bindings_lets_a_running_update_come_to_its_end() -> None:
    history = live(201, 202, IN_PROGRESS, SUCCEEDED, 200, bindings=1)

    history.run()
    history.change_spec(plan="large")
    history.run(until=lambda: len(history.sent) == 2)
    history.delete()
    history.run(until=lambda: history.waiting_for is not None)
    assert purposes(history) == ["provision", "update", "poll", "poll"]
    history.bindings = 0
    history.touch()
    history.run()

    assert history.is_finished
    assert history.sent[-1].plan == LARGE


def test_a_deletion_needs_neither_class_nor_plan() -> None:
    history = live(201, 202, SUCCEEDED)

    history.run()
    history.offering = NO_CLASS
    history.delete()
    history.run()

    assert history.is_finished
    assert history.sent[1].plan == SMALL


def test_creations_are_told_apart_from_deletions() -> None:
    history = live(201, 200)
    history.run()
    history.delete()
    history.run()

    assert [is_creation(request) for request in history.sent] == [True, False]


def test_an_orphan_that_waits_for_a_person_is_deleted_on_request_and_created_anew() -> None:
    history = live(500, 503, 410, 201)
    history.annotate(orphan_mitigation="Manual")

    history.run()
    assert purposes(history) == ["provision"]
    assert history.due_at is None
    history.change_spec(parameters={"colour": "red"})
    history.run()
    assert purposes(history) == ["provision"]
    history.annotate(orphan_mitigation="Automatic")
    history.run()

    assert purposes(history) == ["provision", "mitigate", "mitigate", "provision"]
    assert ready(history) == ("True", "ProvisionedSuccessfully")


def test_a_waived_orphan_may_still_be_there_for_the_next_creation() -> None:
    history = live(500, 500, 200, 200)

    history.run(until=lambda: len(history.sent) == 2)
    history.annotate(orphan_mitigation="Waive")
    history.run()
    assert purposes(history) == ["provision", "mitigate", "provision"]
    history.delete()
    history.run()

    assert history.is_finished
    assert is_deletion(history.sent[-1])


def test_a_failed_update_is_tried_again_on_request() -> None:
    history = live(201, 400, 400, 200)

    history.run()
    history.change_spec(plan="large")
    history.run()
    for number in range(2):
        history.annotate(retry_requested_at=str(number))
        history.run()

    assert purposes(history) == ["provision", "update", "update", "update"]
    assert ready(history) == ("True", "InstanceUpdatedSuccessfully")
    assert history.memory.plan_id == LARGE


def test_an_update_of_unknown_fate_is_repeated_to_the_letter() -> None:
    history = live(201, "timeout", 503, BUSY, 200)

    history.run()
    history.change_spec(plan="large", parameters={"colour": "red"})
    history.run()

    updates = [request for request in history.sent if request.purpose == InstancePurpose.UPDATE]
    assert updates == [updates[0]] * 4
    assert ready(history) == ("True", "InstanceUpdatedSuccessfully")


def test_a_creation_of_a_dead_worker_is_repeated_to_the_letter_while_the_broker_is_busy() -> None:
    history = live(DIED, BUSY, BUSY, 201)

    history.run(until=lambda: len(history.sent) == 2)
    history.parameters = ParametersFault("the Secret is gone")
    history.run()

    assert len(history.sent) == 4
    assert len(set(history.sent)) == 1


def test_a_creation_of_unknown_fate_is_repeated_to_the_letter_although_a_secret_changes() -> None:
    history = live((200, b"<html>"), 201)

    history.run(until=lambda: len(history.sent) == 1)
    history.parameters = ParametersFault("the Secret is gone")
    history.run()

    assert history.sent[0] == history.sent[1]
    assert ready(history) == ("True", "ProvisionedSuccessfully")


def test_an_instance_is_forced_out_although_its_broker_is_busy() -> None:
    history = live(201, 202, BUSY, bindings=2, loose_bindings=2)

    history.run()
    history.change_spec(plan="large")
    history.run(until=lambda: len(history.sent) == 2)
    history.annotate(force_delete="true")
    history.delete()
    history.run()

    assert history.is_finished
    assert history.seen[-2:] == ["Cascade", "Deprovision"]
    assert history.facts[-1].reason == "ForceDeleted"


def test_going_back_to_what_the_broker_has_sends_nothing() -> None:
    history = live(201, 400)

    history.run()
    history.change_spec(plan="large")
    history.run()
    history.change_spec(plan="small")
    history.run()

    assert purposes(history) == ["provision", "update"]
    assert ready(history) == ("True", "InstanceUpdatedSuccessfully")
    assert find_condition(history.instance.status.conditions, ConditionType.FAILED) is None
    assert history.instance.status.reconciled_generation == 3


def test_a_creation_and_its_clean_up_have_a_back_off_each() -> None:
    history = live(*[step for _ in range(5) for step in (500, 500, 500, 410)], 201)

    history.run()

    assert ready(history) == ("True", "ProvisionedSuccessfully")
    assert purposes(history).count("provision") == 6
    # Five creations after 1, 2, 4, 8 and 16 s, and each time two deletions after 1 and 2 s.
    assert (31 + 5 * 3) * 0.85 < (history.now - NOW).total_seconds() < (31 + 5 * 3) * 1.15


def test_a_deletion_does_not_wait_as_long_as_the_creation_before_it() -> None:
    history = live(*[403] * 8, 500, 410)
    history.run(until=lambda: len(history.sent) == 8)
    before = history.now

    history.delete()
    history.run()

    assert history.is_finished
    assert history.now - before < timedelta(seconds=2)
