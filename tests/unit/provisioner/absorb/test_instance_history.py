"""What the operation history is told of the lives of instances: each operation once, with its reason and its end."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chandlery.model.objects.instances import UserInfo
from chandlery.reconcile.answers import Answer
from chandlery.reconcile.parameters.parameters import merge_parameters
from chandlery_provisioner.facts.instance_notes import InstancePurpose
from tests.unit.provisioner.builders import make_instance, reply, timed_out, unreachable
from tests.unit.provisioner.instance_histories import InstanceHistory, Request, WorkerDied

BUSY = {"error": "ConcurrencyError", "description": "one at a time"}
PROVISION, UPDATE = InstancePurpose.PROVISION, InstancePurpose.UPDATE
DEPROVISION, MITIGATE, POLL = InstancePurpose.DEPROVISION, InstancePurpose.MITIGATE, InstancePurpose.POLL
Step = Callable[[InstanceHistory], Any]


def broker(*answers: tuple[InstancePurpose, int, Any]) -> Callable[[Request], Answer]:
    """Answers in this order, to what has to be these requests; a status of 0 is none."""
    left = list(answers)

    def answer(request: Request) -> Answer:
        purpose, status, body = left.pop(0)
        assert request.purpose == purpose, f"{request.purpose} instead of {purpose}"
        return reply(purpose, status, body) if status else (timed_out(purpose) if body else unreachable(purpose))

    return answer


def state(word: str, **more: Any) -> tuple[InstancePurpose, int, Any]:
    return POLL, 200, {"state": word, **more}


def life(*answers: tuple[InstancePurpose, int, Any], steps: tuple[Step, ...] = ()) -> InstanceHistory:
    """An instance of ann's with this broker, after these steps."""
    history = InstanceHistory(broker(*answers), make_instance(spec={"user_info": UserInfo(username="ann")}))
    for step in steps or (InstanceHistory.run,):
        step(history)
    return history


CREATED: tuple[InstancePurpose, int, Any] = (PROVISION, 201, {})
RUN = InstanceHistory.run
ROUND = InstanceHistory.round
DELETE = InstanceHistory.delete


def grow(history: InstanceHistory) -> None:
    history.change_spec(parameters={"size": len(history.sent)})


def force(history: InstanceHistory) -> None:
    history.annotate(force_delete="true")
    history.delete()


@pytest.mark.parametrize(
    ("answers", "steps", "story"),
    [
        pytest.param([CREATED], (), ["Provision (Created) x1: Succeeded"], id="provision"),
        pytest.param(
            [(PROVISION, 429, {}), (PROVISION, 0, None), CREATED], (), ["Provision (Created) x3: Succeeded"], id="tries"
        ),
        pytest.param(
            [(PROVISION, 503, {}), (MITIGATE, 500, {}), (MITIGATE, 200, {}), CREATED],
            (),
            ["Provision (Created) x2: Succeeded", "OrphanMitigation (CreationFailed) x2: Succeeded"],
            id="a try that may have left something",
        ),
        pytest.param([(PROVISION, 400, {})], (), ["Provision (Created) x1: Failed"], id="refused"),
        pytest.param(
            [(PROVISION, 400, {}), CREATED],
            (RUN, lambda history: history.annotate(retry_requested_at="now"), RUN),
            ["Provision (Created) x1: Failed", "Provision (RetryRequested) x1: Succeeded"],
            id="a person wants it tried again",
        ),
        pytest.param(
            [(PROVISION, 429, {}), CREATED],
            (ROUND, grow, RUN),
            ["Provision (Created) x1: Superseded", "Provision (SpecChanged) x1: Succeeded"],
            id="another specification while the first fails",
        ),
        pytest.param(
            [(PROVISION, 429, {})], (ROUND, DELETE, RUN), ["Provision (Created) x1: Superseded"], id="deleted before"
        ),
        pytest.param(
            [(PROVISION, 202, {}), *[state("in progress")] * 3, state("failed"), (MITIGATE, 202, {}), (POLL, 410, {})],
            (),
            ["Provision (Created) x1: Failed", "OrphanMitigation (CreationFailed) x1: Succeeded"],
            id="the broker fails it",
        ),
        pytest.param(
            [CREATED, (UPDATE, 202, {}), state("in progress"), state("succeeded"), (DEPROVISION, 410, {})],
            (RUN, grow, RUN, DELETE, RUN),
            [
                "Provision (Created) x1: Succeeded",
                "Update (SpecChanged) x1: Succeeded",
                "Deprovision (Deleted) x1: Succeeded",
            ],
            id="a whole life",
        ),
        pytest.param(
            [CREATED, (UPDATE, 500, {}), (UPDATE, 200, {})],
            (RUN, grow, RUN),
            ["Provision (Created) x1: Succeeded", "Update (SpecChanged) x2: Succeeded"],
            id="an update that nobody knows what came of",
        ),
        pytest.param(
            [CREATED, (UPDATE, 400, {})],
            (RUN, grow, RUN),
            ["Provision (Created) x1: Succeeded", "Update (SpecChanged) x1: Failed"],
            id="an update that is refused",
        ),
        pytest.param(
            [(PROVISION, 202, {}), (DEPROVISION, 422, BUSY), state("succeeded"), (DEPROVISION, 200, {})],
            (ROUND, DELETE, RUN),
            [
                "Provision (Created) x1: Succeeded",
                "Deprovision (Deleted) x1: Failed",
                "Deprovision (Deleted) x1: Succeeded",
            ],
            id="a deletion that has to wait for the provision",
        ),
        pytest.param(
            [(PROVISION, 202, {}), (DEPROVISION, 200, {})],
            (ROUND, DELETE, RUN),
            ["Provision (Created) x1: Superseded", "Deprovision (Deleted) x1: Succeeded"],
            id="a deletion that interrupts the provision",
        ),
        pytest.param(
            [CREATED, (DEPROVISION, 500, {}), (DEPROVISION, 0, None), (DEPROVISION, 200, {})],
            (RUN, DELETE, RUN),
            ["Provision (Created) x1: Succeeded", "Deprovision (Deleted) x3: Succeeded"],
            id="a deletion that fails at first",
        ),
        pytest.param(
            [CREATED, (DEPROVISION, 500, {}), (DEPROVISION, 500, {})],
            (RUN, DELETE, ROUND, force, RUN),
            ["Provision (Created) x1: Succeeded", "Deprovision (Deleted) x2: GivenUp"],
            id="deleted by force",
        ),
        pytest.param(
            [(PROVISION, 503, {}), (MITIGATE, 500, {}), CREATED],
            (ROUND, ROUND, lambda history: history.annotate(orphan_mitigation="Waive"), RUN),
            ["Provision (Created) x2: Succeeded", "OrphanMitigation (CreationFailed) x1: GivenUp"],
            id="a person wants left what there may be",
        ),
        pytest.param(
            [(PROVISION, 503, {}), (MITIGATE, 500, {}), (DEPROVISION, 200, {})],
            (ROUND, ROUND, DELETE, RUN),
            [
                "Provision (Created) x1: Superseded",
                "OrphanMitigation (CreationFailed) x1: Superseded",
                "Deprovision (Deleted) x1: Succeeded",
            ],
            id="deleted while it is cleaned up",
        ),
    ],
)
def test_story_of_an_instance(
    answers: list[tuple[InstancePurpose, int, Any]], steps: tuple[Step, ...], story: list[str]
) -> None:
    history = life(*answers, steps=steps)
    assert history.told.story == story


def test_an_operation_that_takes_too_long_is_given_up() -> None:
    history = life((PROVISION, 202, {}), state("in progress"), (MITIGATE, 200, {}), steps=(ROUND,))
    history.now = history.due_at = history.now + timedelta(days=8)
    history.run()
    assert history.told.story[0] == "Provision (Created) x1: GivenUp"


def test_tries_that_go_on_for_too_long_are_given_up() -> None:
    history = life((PROVISION, 429, {}), (PROVISION, 429, {}), steps=(ROUND,))
    history.now = history.due_at = history.now + timedelta(days=8)
    history.run()
    assert history.told.story == ["Provision (Created) x2: GivenUp"]


def test_polls_are_not_written_unless_they_end_something() -> None:
    history = life((PROVISION, 202, {}), *[state("in progress")] * 20, (POLL, 500, {}), state("succeeded"))
    assert (history.told.story, history.told.writes) == (["Provision (Created) x1: Succeeded"], 2)


def test_a_success_at_once_is_written_once() -> None:
    assert life(CREATED).told.writes == 1


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        pytest.param((PROVISION, 503, {"description": "no room"}), 503, "no room", id="its words"),
        pytest.param((PROVISION, 422, BUSY), 422, "ConcurrencyError: one at a time", id="its code and words"),
        pytest.param((PROVISION, 0, None), None, "connection refused", id="nobody there"),
        pytest.param((PROVISION, 0, "late"), None, "no answer within 60 s", id="no answer"),
        pytest.param(
            (PROVISION, 503, {"description": "\x1b[31mred\n" * 500}), 503, "red red", id="made fit to be shown"
        ),
    ],
)
def test_the_last_try_says_what_the_broker_answered(
    answer: tuple[InstancePurpose, int, Any], status: int | None, message: str
) -> None:
    [told] = life(answer, steps=(ROUND,)).told.rows.values()
    assert told.words is not None
    assert (told.words.broker_status, told.words.is_failure, told.outcome) == (status, True, "InProgress")
    assert told.words.message.startswith(message)
    assert len(told.words.message) <= 1024
    assert told.words.message.isprintable()


@pytest.mark.parametrize(
    ("words", "message"),
    [({}, "state failed: the broker gave no reason"), ({"description": "no room"}, "no room")],
)
def test_an_operation_that_the_broker_fails_without_a_word_is_told_by_its_state(
    words: dict[str, str], message: str
) -> None:
    history = life((PROVISION, 202, {}), state("failed", **words), (MITIGATE, 200, {}))
    told = next(each for each in history.told.rows.values() if each.operation == "Provision")
    assert told.words is not None
    assert (told.words.broker_status, told.words.message) == (200, message)


def test_who_asked_for_it_is_told_and_what_nobody_asked_for_has_the_name_of_the_service() -> None:
    history = life((PROVISION, 503, {}), (MITIGATE, 200, {}), CREATED, (UPDATE, 200, {}))
    history.instance = history.instance.model_copy(
        update={"spec": history.instance.spec.model_copy(update={"watch_parameters_from": True})}
    )
    # Not by a new generation: it is the Secret that has changed.
    history.parameters = merge_parameters({"colour": "red"}, ())
    history.touch()
    history.run()
    by = {each.operation: (each.reason, each.requested_by) for each in history.told.rows.values()}
    assert by == {
        "Provision": ("Created", "ann"),
        "OrphanMitigation": ("CreationFailed", "system:chandlery:provisioner"),
        "Update": ("ParametersChanged", "system:chandlery:provisioner"),
    }


def test_operations_from_before_there_was_a_history_are_told_when_they_end() -> None:
    history = life((PROVISION, 202, {}), state("in progress"), state("succeeded"), steps=(ROUND,))
    began = history.instance.status.operation_start_time
    history.told.open, history.told.rows = (), {}
    history.run()
    [told] = history.told.rows.values()
    assert (told.operation, told.attempts, told.outcome) == ("Provision", 1, "Succeeded")
    assert told.started_at == began


def dies_with(history: InstanceHistory) -> None:
    """A worker makes a call that takes its time, tells of it, and dies."""

    def dead(_request: Request) -> Answer:
        raise WorkerDied

    alive, history.broker, history.tells_slow_calls = history.broker, dead, True
    history.round()
    history.broker, history.tells_slow_calls = alive, False


def abandon(history: InstanceHistory) -> None:
    history.annotate(abandon="true")
    history.delete()


def test_an_operation_that_a_dead_worker_has_told_of_ends_with_an_object_that_goes_without_a_call() -> None:
    history = life(steps=(dies_with, abandon))
    # Told of, though nobody has heard an answer.
    history.told.answered += 1
    history.run()
    assert history.told.story == ["Provision (Created) x1: Superseded"]


def test_an_operation_that_a_dead_worker_has_told_of_goes_on_when_its_request_is_repeated() -> None:
    history = life(CREATED, (UPDATE, 200, {}), steps=(dies_with, grow, RUN))
    assert history.told.story == ["Provision (Created) x1: Succeeded", "Update (SpecChanged) x1: Succeeded"]


def test_a_slow_deletion_ends_the_provision_while_it_is_asked_for() -> None:
    history = life((PROVISION, 202, {}), steps=(ROUND, DELETE, dies_with))
    assert history.told.story == ["Provision (Created) x1: Superseded", "Deprovision (Deleted) x1: InProgress"]
