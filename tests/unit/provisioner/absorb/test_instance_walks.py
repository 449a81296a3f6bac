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
from tests.unit.provisioner.instance_histories import Life, Request, WorkerDied, is_creation, is_deletion

SUCCEEDED = (200, {"state": "succeeded"})
IN_PROGRESS = (200, {"state": "in progress"})
OPERATION_FAILED = (200, {"state": "failed"})
BUSY = (422, {"error": "ConcurrencyError"})
DIED = "died"
Step = int | str | tuple[int, object]


def live(*script: Step, **fields: object) -> Life:
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

    return Life(broker=answer, **fields)  # type: ignore[arg-type]


def purposes(life: Life) -> list[str]:
    """What has been sent so far."""
    return [str(request.purpose) for request in life.sent]


def ready(life: Life, kind: ConditionType = ConditionType.READY) -> tuple[str, str]:
    """The Ready condition, or another one."""
    found = find_condition(life.instance.status.conditions, kind)
    assert found is not None
    return str(found.status), found.reason


def test_an_instance_is_created_used_and_deleted() -> None:
    life = live(201, 200)

    life.run()
    assert ready(life) == ("True", "ProvisionedSuccessfully")
    life.delete()
    life.run()

    assert life.is_finished
    assert purposes(life) == ["provision", "deprovision"]


def test_an_instance_is_created_changed_and_deleted_asynchronously() -> None:
    life = live(
        (202, {"operation": "a"}),
        IN_PROGRESS,
        SUCCEEDED,
        (202, {"operation": "b"}),
        SUCCEEDED,
        (202, {"operation": "c"}),
        410,
    )

    life.run()
    life.wish(plan="large")
    life.run()
    life.delete()
    life.run()

    assert life.is_finished
    assert purposes(life) == ["provision", "poll", "poll", "update", "poll", "deprovision", "poll"]
    assert [request.operation for request in life.sent if request.purpose == InstancePurpose.POLL] == [
        "a",
        "a",
        "b",
        "c",
    ]
    assert [request.plan for request in life.sent] == [SMALL, SMALL, SMALL, LARGE, SMALL, LARGE, LARGE]


def test_an_orphan_is_deleted_until_the_broker_confirms_and_then_created_anew() -> None:
    life = live(500, 500, 503, 410, 201)

    life.run()

    assert purposes(life) == ["provision", "mitigate", "mitigate", "mitigate", "provision"]
    assert ready(life) == ("True", "ProvisionedSuccessfully")
    assert life.instance.status.deprovision_status == "Required"
    assert life.attempt == 0
    assert timedelta(seconds=3.5) < life.now - NOW < timedelta(minutes=1)
    assert [fact.reason for fact in life.facts] == [
        "ProvisionCallFailed",
        "StartingInstanceOrphanMitigation",
        "DeprovisionCallFailed",
        "DeprovisionCallFailed",
        "OrphanMitigationSuccessful",
        "ProvisionedSuccessfully",
    ]


def test_an_orphan_is_deleted_through_a_failing_asynchronous_deletion() -> None:
    life = live(500, 500, 503, 202, OPERATION_FAILED, 410, 201)

    life.run()

    assert purposes(life) == ["provision", *["mitigate"] * 3, "poll", "mitigate", "provision"]


def test_a_creation_that_always_fails_pauses_longer_and_gives_up_after_a_week() -> None:
    script = [500, 410] * 2000
    life = live(*script)

    life.run(rounds=4000)

    assert ready(life) == ("False", "ErrorReconciliationRetryTimeout")
    assert timedelta(days=7) < life.now - NOW < timedelta(days=7, hours=1)
    assert 500 < len(life.sent) < 1400
    assert is_deletion(life.sent[-1])
    assert life.instance.status.deprovision_status == "Succeeded"


def test_a_failed_asynchronous_creation_is_cleaned_up_once_and_not_tried_again_until_the_wish_changes() -> None:
    life = live(202, OPERATION_FAILED, 200, 201)

    life.run()
    assert purposes(life) == ["provision", "poll", "mitigate"]
    assert find_condition(life.instance.status.conditions, ConditionType.FAILED) is not None
    assert life.due_at is None
    life.wish(parameters={"colour": "red"})
    life.run()

    assert purposes(life)[3:] == ["provision"]
    assert ready(life) == ("True", "ProvisionedSuccessfully")
    assert find_condition(life.instance.status.conditions, ConditionType.FAILED) is None


def test_a_deletion_of_a_failed_creation_sends_nothing_when_the_orphan_is_gone() -> None:
    life = live(202, OPERATION_FAILED, 200)

    life.run()
    life.delete()
    life.run()

    assert life.is_finished
    assert purposes(life) == ["provision", "poll", "mitigate"]


def test_a_deletion_takes_over_the_mitigation_of_an_orphan() -> None:
    life = live(500, 500, 200)

    life.run(until=lambda: len(life.sent) == 2)
    life.delete()
    life.run()

    assert life.is_finished
    assert purposes(life) == ["provision", "mitigate", "deprovision"]


def test_a_deletion_halts_a_running_creation() -> None:
    life = live((202, {"operation": "create"}), IN_PROGRESS, (202, {"operation": "delete"}), IN_PROGRESS, SUCCEEDED)

    life.run(until=lambda: len(life.sent) == 2)
    life.delete()
    life.run()

    assert life.is_finished
    assert purposes(life) == ["provision", "poll", "deprovision", "poll", "poll"]
    assert [request.operation for request in life.sent[3:]] == ["delete", "delete"]


def test_a_deletion_waits_for_a_creation_that_the_broker_will_not_halt() -> None:
    life = live((202, {"operation": "create"}), BUSY, IN_PROGRESS, SUCCEEDED, 200)

    life.run(until=lambda: len(life.sent) == 1)
    life.delete()
    life.run()

    assert life.is_finished
    assert purposes(life) == ["provision", "deprovision", "poll", "poll", "deprovision"]
    assert life.sent[2].operation == "create"


def test_a_deletion_cleans_up_after_a_creation_that_could_not_be_halted_and_failed() -> None:
    life = live(202, BUSY, OPERATION_FAILED, 410)

    life.run(until=lambda: len(life.sent) == 1)
    life.delete()
    life.run()

    assert life.is_finished
    assert purposes(life) == ["provision", "deprovision", "poll", "deprovision"]


def test_a_creation_that_takes_too_long_is_cleaned_up() -> None:
    life = live(202, *[IN_PROGRESS] * 12, 200, offering=make_offering(maximum_polling_duration=60))

    life.run(until=lambda: is_deletion(life.sent[-1]) if life.sent else False)

    first_deletion = life.now - NOW
    assert timedelta(seconds=60) <= first_deletion < timedelta(seconds=61)
    life.run()
    assert find_condition(life.instance.status.conditions, ConditionType.FAILED) is not None


def test_polling_outlives_every_kind_of_nonsense() -> None:
    life = live(
        202, 500, 404, (200, b"{"), (200, {"state": "weird"}), (200, {}), "timeout", "unreachable", 410, 204, SUCCEEDED
    )

    life.run()

    assert ready(life) == ("True", "ProvisionedSuccessfully")
    assert purposes(life) == ["provision", *["poll"] * 10]


def test_a_rejected_creation_needs_no_deletion() -> None:
    life = live(403)

    life.run(until=lambda: len(life.sent) == 1)
    life.delete()
    life.run()

    assert life.is_finished
    assert purposes(life) == ["provision"]


def test_an_instance_whose_broker_was_never_reached_can_be_deleted_without_it() -> None:
    life = live("unreachable", "unreachable")

    life.run(until=lambda: len(life.sent) == 2)
    life.delete()
    life.run()

    assert life.is_finished
    assert not any(is_deletion(request) for request in life.sent)


def test_a_creation_with_an_unreadable_success_is_deleted_with_the_object() -> None:
    life = live((200, b"<html>"), 429, 410)

    life.run(until=lambda: len(life.sent) == 2)
    life.delete()
    life.run()

    assert life.is_finished
    assert purposes(life) == ["provision", "provision", "deprovision"]


def test_a_refused_creation_rests_until_it_is_corrected() -> None:
    life = live(400, 201)

    life.run()
    assert ready(life) == ("False", "ProvisionCallFailed")
    assert life.due_at is None
    life.touch()
    life.run()
    assert purposes(life) == ["provision"]
    life.wish(parameters={"colour": "red"})
    life.run()

    assert ready(life) == ("True", "ProvisionedSuccessfully")


@pytest.mark.parametrize("answers", [[400], [202, OPERATION_FAILED], [(422, {"update_repeatable": False})]], ids=str)
def test_a_failed_plan_change_deletes_with_the_plan_that_the_broker_has(answers: list[Step]) -> None:
    life = live(201, *answers, 200)

    life.run()
    life.wish(plan="large")
    life.run()
    assert ready(life) == ("True", "ProvisionedSuccessfully")
    assert ready(life, ConditionType.FAILED) == ("True", "UpdateInstanceCallFailed")
    life.delete()
    life.run()

    assert life.is_finished
    assert life.sent[-1].plan == SMALL


def test_an_update_that_must_not_be_repeated_is_sent_again_only_for_another_wish() -> None:
    life = live(201, (500, {"update_repeatable": False}), 200)

    life.run()
    life.wish(parameters={"colour": "red"})
    life.run()
    for _ in range(3):
        life.touch()
        life.run()
    assert purposes(life) == ["provision", "update"]
    life.wish(parameters={"colour": "blue"})
    life.run()

    assert purposes(life) == ["provision", "update", "update"]
    assert ready(life) == ("True", "InstanceUpdatedSuccessfully")


def test_a_failed_update_is_put_right_by_the_next_wish() -> None:
    life = live(201, 500, 500, 200)

    life.run()
    life.wish(plan="large")
    life.run(until=lambda: len(life.sent) == 3)
    life.wish(plan="small")
    life.run()

    assert ready(life) == ("True", "InstanceUpdatedSuccessfully")
    assert [request.plan for request in life.sent] == [SMALL, LARGE, LARGE, SMALL]
    assert life.memory.plan_id == SMALL


def test_a_newer_wish_follows_a_running_update() -> None:
    life = live(201, 202, IN_PROGRESS, SUCCEEDED, 200)

    life.run()
    life.wish(plan="large")
    life.run(until=lambda: len(life.sent) == 2)
    life.wish(parameters={"colour": "red"})
    life.run()

    assert purposes(life) == ["provision", "update", "poll", "poll", "update"]
    assert life.memory.plan_id == LARGE
    assert life.instance.status.observed_generation == 3


def test_a_worker_that_dies_has_its_request_repeated_to_the_letter() -> None:
    life = live(DIED, 200)

    life.run(until=lambda: len(life.sent) == 1)
    life.wish(plan="large", parameters={"colour": "red"})
    life.run(until=lambda: len(life.sent) == 2)

    assert life.sent[0] == life.sent[1]
    assert life.memory.plan_id == SMALL
    assert life.instance.status.observed_generation == 1
    assert life.due_at == life.now


def test_a_worker_that_dies_again_and_again_creates_one_instance() -> None:
    life = live(DIED, DIED, "unreachable", DIED, 201)

    life.run()

    assert len({(request.purpose, request.plan, request.body) for request in life.sent}) == 1
    assert ready(life) == ("True", "ProvisionedSuccessfully")


@pytest.mark.parametrize("status", [400, 401, 429])
def test_going_back_after_a_worker_died_in_an_update_is_said_in_full(status: int) -> None:
    life = live(201, DIED, status, 200)

    life.run()
    life.wish(plan="large", parameters={"colour": "red"})
    life.run(until=lambda: len(life.sent) == 3)
    life.wish(plan="small", parameters={})
    life.run()

    assert purposes(life) == ["provision", "update", "update", "update"]
    assert (life.sent[-1].plan, life.sent[-1].body) == (SMALL, f"{SMALL} {{}}")


def test_a_deletion_after_a_worker_died_in_a_creation_asks_first_what_came_of_it() -> None:
    life = live(DIED, 401, 410)

    life.run(until=lambda: len(life.sent) == 1)
    life.delete()
    life.run()

    assert life.is_finished
    assert purposes(life) == ["provision", "provision", "deprovision"]


def test_a_worker_that_dies_while_deleting_has_its_deletion_repeated() -> None:
    life = live(201, DIED, 410)

    life.run()
    life.delete()
    life.run()

    assert life.is_finished
    assert purposes(life) == ["provision", "deprovision", "deprovision"]


def test_a_worker_that_dies_while_mitigating_has_its_deletion_repeated_before_anything_is_created() -> None:
    life = live(500, DIED, 200, 201)

    life.run()

    assert purposes(life) == ["provision", "mitigate", "mitigate", "provision"]


def test_a_worker_that_dies_while_polling_is_followed_by_another_poll() -> None:
    life = live((202, {"operation": "a"}), DIED, SUCCEEDED)

    life.run()

    assert purposes(life) == ["provision", "poll", "poll"]
    assert life.sent[1] == life.sent[2]


def test_an_instance_waits_for_all_that_is_missing_one_after_the_other() -> None:
    life = live(201, offering=NO_CLASS, access=NO_SECRET, parameters=ParametersFault("the Secret is missing"))

    reasons = []
    life.round()
    reasons.append(ready(life)[1])
    life.offering = make_offering()
    life.touch()
    life.round()
    reasons.append(ready(life)[1])
    life.wish(parameters={})
    life.round()
    reasons.append(ready(life)[1])
    life.access = None
    life.touch()
    life.run()

    assert reasons == ["ReferencesNonexistentServiceClass", "ErrorWithParameters", "ErrorGettingAuthCredentials"]
    assert ready(life) == ("True", "ProvisionedSuccessfully")


def test_an_open_request_survives_the_loss_of_the_brokers_credentials() -> None:
    life = live(DIED, 201)

    life.run(until=lambda: len(life.sent) == 1)
    life.access = NO_SECRET
    life.round()
    assert ready(life) == ("False", "ErrorGettingAuthCredentials")
    life.access = None
    life.touch()
    life.run()

    assert life.sent[0] == life.sent[1]
    assert ready(life) == ("True", "ProvisionedSuccessfully")


def test_a_deletion_waits_for_bindings_and_then_goes_through() -> None:
    life = live(201, 200, bindings=2)

    life.run()
    life.delete()
    life.round()
    assert ready(life) == ("False", "DeprovisionBlockedByExistingCredentials")
    assert life.waiting_for == "bindings-of:ns/rope"
    life.bindings = 0
    life.touch()
    life.run()

    assert life.is_finished


def test_a_deletion_with_bindings_lets_a_running_update_come_to_its_end() -> None:
    life = live(201, 202, IN_PROGRESS, SUCCEEDED, 200, bindings=1)

    life.run()
    life.wish(plan="large")
    life.run(until=lambda: len(life.sent) == 2)
    life.delete()
    life.run(until=lambda: life.waiting_for is not None)
    assert purposes(life) == ["provision", "update", "poll", "poll"]
    life.bindings = 0
    life.touch()
    life.run()

    assert life.is_finished
    assert life.sent[-1].plan == LARGE


def test_a_deletion_needs_neither_class_nor_plan() -> None:
    life = live(201, 202, SUCCEEDED)

    life.run()
    life.offering = NO_CLASS
    life.delete()
    life.run()

    assert life.is_finished
    assert life.sent[1].plan == SMALL


def test_creations_are_told_apart_from_deletions() -> None:
    life = live(201, 200)
    life.run()
    life.delete()
    life.run()

    assert [is_creation(request) for request in life.sent] == [True, False]


def test_an_orphan_that_waits_for_a_person_is_deleted_on_request_and_created_anew() -> None:
    life = live(500, 503, 410, 201)
    life.annotate(orphan_mitigation="Manual")

    life.run()
    assert purposes(life) == ["provision"]
    assert life.due_at is None
    life.wish(parameters={"colour": "red"})
    life.run()
    assert purposes(life) == ["provision"]
    life.annotate(orphan_mitigation="Automatic")
    life.run()

    assert purposes(life) == ["provision", "mitigate", "mitigate", "provision"]
    assert ready(life) == ("True", "ProvisionedSuccessfully")


def test_a_waived_orphan_may_still_be_there_for_the_next_creation() -> None:
    life = live(500, 500, 200, 200)

    life.run(until=lambda: len(life.sent) == 2)
    life.annotate(orphan_mitigation="Waive")
    life.run()
    assert purposes(life) == ["provision", "mitigate", "provision"]
    life.delete()
    life.run()

    assert life.is_finished
    assert is_deletion(life.sent[-1])


def test_a_failed_update_is_tried_again_on_request() -> None:
    life = live(201, 400, 400, 200)

    life.run()
    life.wish(plan="large")
    life.run()
    for number in range(2):
        life.annotate(retry_requested_at=str(number))
        life.run()

    assert purposes(life) == ["provision", "update", "update", "update"]
    assert ready(life) == ("True", "InstanceUpdatedSuccessfully")
    assert life.memory.plan_id == LARGE


def test_an_update_of_unknown_fate_is_repeated_to_the_letter() -> None:
    life = live(201, "timeout", 503, BUSY, 200)

    life.run()
    life.wish(plan="large", parameters={"colour": "red"})
    life.run()

    updates = [request for request in life.sent if request.purpose == InstancePurpose.UPDATE]
    assert updates == [updates[0]] * 4
    assert ready(life) == ("True", "InstanceUpdatedSuccessfully")


def test_a_creation_of_a_dead_worker_is_repeated_to_the_letter_while_the_broker_is_busy() -> None:
    life = live(DIED, BUSY, BUSY, 201)

    life.run(until=lambda: len(life.sent) == 2)
    life.parameters = ParametersFault("the Secret is gone")
    life.run()

    assert len(life.sent) == 4
    assert len(set(life.sent)) == 1


def test_a_creation_of_unknown_fate_is_repeated_to_the_letter_although_a_secret_changes() -> None:
    life = live((200, b"<html>"), 201)

    life.run(until=lambda: len(life.sent) == 1)
    life.parameters = ParametersFault("the Secret is gone")
    life.run()

    assert life.sent[0] == life.sent[1]
    assert ready(life) == ("True", "ProvisionedSuccessfully")


def test_an_instance_is_forced_out_although_its_broker_is_busy() -> None:
    life = live(201, 202, BUSY, bindings=2, loose_bindings=2)

    life.run()
    life.wish(plan="large")
    life.run(until=lambda: len(life.sent) == 2)
    life.annotate(force_delete="true")
    life.delete()
    life.run()

    assert life.is_finished
    assert life.seen[-2:] == ["Cascade", "Deprovision"]
    assert life.facts[-1].reason == "ForceDeleted"


def test_going_back_to_what_the_broker_has_sends_nothing() -> None:
    life = live(201, 400)

    life.run()
    life.wish(plan="large")
    life.run()
    life.wish(plan="small")
    life.run()

    assert purposes(life) == ["provision", "update"]
    assert ready(life) == ("True", "InstanceUpdatedSuccessfully")
    assert find_condition(life.instance.status.conditions, ConditionType.FAILED) is None
    assert life.instance.status.reconciled_generation == 3


def test_a_creation_and_its_clean_up_have_a_back_off_each() -> None:
    life = live(*[step for _ in range(5) for step in (500, 500, 500, 410)], 201)

    life.run()

    assert ready(life) == ("True", "ProvisionedSuccessfully")
    assert purposes(life).count("provision") == 6
    # Five creations after 1, 2, 4, 8 and 16 s, and each time two deletions after 1 and 2 s.
    assert (31 + 5 * 3) * 0.85 < (life.now - NOW).total_seconds() < (31 + 5 * 3) * 1.15


def test_a_deletion_does_not_wait_as_long_as_the_creation_before_it() -> None:
    life = live(*[403] * 8, 500, 410)
    life.run(until=lambda: len(life.sent) == 8)
    before = life.now

    life.delete()
    life.run()

    assert life.is_finished
    assert life.now - before < timedelta(seconds=2)
