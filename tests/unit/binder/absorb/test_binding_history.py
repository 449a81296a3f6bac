"""What the operation history is told of the lives of bindings: each operation once, with its reason and its end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.metadata import to_timestamp
from chandlery.reconcile.answers import Answer, Verdict
from chandlery_binder.facts.binding_notes import BindingPurpose as Purpose
from tests.unit.binder.binding_builders import NOW, answered, make_binding, make_offering, unanswered
from tests.unit.binder.binding_histories import BindingHistory, Request

Scripted = tuple[Purpose, int, Any]
Step = Callable[[BindingHistory], Any]

READING = {Purpose.POLL_ROTATION: Purpose.POLL, Purpose.POLL_RETIREMENT: Purpose.POLL}
READING |= {Purpose.ROTATE: Purpose.BIND, Purpose.RETIRE: Purpose.UNBIND, Purpose.FETCH_ROTATION: Purpose.FETCH}
"""Purposes whose answers are read like those of others."""
KEYS = {"credentials": {"user": "u"}}
OTHER_KEYS = {"credentials": {"user": "v"}}
BOUND = (Purpose.BIND, 201, KEYS)


def broker(*answers: Scripted) -> Callable[[Request], Answer]:
    """Answers in this order, to what has to be these requests; a status of 0 is none."""
    left = list(answers)

    def answer(request: Request) -> Answer:
        purpose, status, body = left.pop(0)
        assert request.purpose == purpose, f"{request.purpose} instead of {purpose}"
        read_as = READING.get(purpose, purpose)
        return answered(read_as, status, body) if status else unanswered(read_as, Verdict.TIMED_OUT)

    return answer


def state(word: str, purpose: Purpose = Purpose.POLL) -> Scripted:
    return purpose, 200, {"state": word}


def life(*answers: Scripted, steps: tuple[Step, ...] = ()) -> BindingHistory:
    """A binding of ann's with this broker, after these steps."""
    history = BindingHistory(broker(*answers), make_binding(spec={"user_info": UserInfo(username="ann")}))
    history.offering = make_offering(retrievable=True, binding_rotatable=True)
    for step in steps or (RUN,):
        step(history)
    return history


RUN, ROUND, DELETE = BindingHistory.run, BindingHistory.round, BindingHistory.delete


def rotate(history: BindingHistory) -> None:
    history.annotate(rotate_requested_at="now")


def let_go(history: BindingHistory) -> None:
    metadata = history.binding.metadata.model_copy(update={"finalizers": None})
    history.binding = history.binding.model_copy(update={"metadata": metadata})
    history.touch()


def force(history: BindingHistory) -> None:
    history.annotate(force_delete="true")
    history.delete()


@pytest.mark.parametrize(
    ("answers", "steps", "story"),
    [
        pytest.param([BOUND], (), ["Bind (Created) x1: Succeeded"], id="bind"),
        pytest.param([(Purpose.BIND, 429, {}), BOUND], (), ["Bind (Created) x2: Succeeded"], id="tries"),
        pytest.param([(Purpose.BIND, 400, {})], (), ["Bind (Created) x1: Failed"], id="refused"),
        pytest.param(
            [(Purpose.BIND, 500, {}), (Purpose.MITIGATE, 200, {}), BOUND],
            (),
            ["Bind (Created) x2: Succeeded", "OrphanMitigation (CreationFailed) x1: Succeeded"],
            id="a try that may have left something",
        ),
        pytest.param(
            [
                (Purpose.BIND, 202, {}),
                state("in progress"),
                state("succeeded"),
                (Purpose.FETCH, 404, {}),
                (Purpose.FETCH, 200, KEYS),
            ],
            (),
            ["Bind (Created) x1: Succeeded"],
            id="a broker that takes its time",
        ),
        pytest.param(
            [(Purpose.BIND, 202, {}), state("failed"), (Purpose.MITIGATE, 200, {})],
            (),
            ["Bind (Created) x1: Failed", "OrphanMitigation (CreationFailed) x1: Succeeded"],
            id="the broker fails it",
        ),
        pytest.param(
            [BOUND, (Purpose.UNBIND, 503, {}), (Purpose.UNBIND, 202, {}), state("succeeded")],
            (RUN, DELETE, RUN),
            ["Bind (Created) x1: Succeeded", "Unbind (Deleted) x2: Succeeded"],
            id="a whole life",
        ),
        pytest.param(
            [BOUND, (Purpose.UNBIND, 500, {})],
            (RUN, force, RUN),
            ["Bind (Created) x1: Succeeded", "Unbind (Deleted) x1: GivenUp"],
            id="deleted by force",
        ),
        pytest.param(
            [BOUND, (Purpose.ROTATE, 201, OTHER_KEYS), (Purpose.RETIRE, 500, {}), (Purpose.RETIRE, 200, {})],
            (RUN, rotate, RUN),
            [
                "Bind (Created) x1: Succeeded",
                "Rotate (RotationRequested) x1: Succeeded",
                "Unbind (CredentialsReplaced) x2: Succeeded",
            ],
            id="a rotation and what it replaces",
        ),
        pytest.param(
            [
                BOUND,
                (Purpose.ROTATE, 202, {}),
                state("in progress", Purpose.POLL_ROTATION),
                state("succeeded", Purpose.POLL_ROTATION),
                (Purpose.FETCH_ROTATION, 200, OTHER_KEYS),
                (Purpose.RETIRE, 202, {}),
                state("succeeded", Purpose.POLL_RETIREMENT),
            ],
            (RUN, rotate, RUN),
            [
                "Bind (Created) x1: Succeeded",
                "Rotate (RotationRequested) x1: Succeeded",
                "Unbind (CredentialsReplaced) x1: Succeeded",
            ],
            id="a rotation that takes its time",
        ),
        pytest.param(
            [
                BOUND,
                (Purpose.ROTATE, 500, {}),
                (Purpose.RETIRE, 200, {}),
                (Purpose.ROTATE, 201, OTHER_KEYS),
                (Purpose.RETIRE, 200, {}),
            ],
            (RUN, rotate, RUN),
            [
                "Bind (Created) x1: Succeeded",
                "Rotate (RotationRequested) x2: Succeeded",
                "OrphanMitigation (RotationFailed) x1: Succeeded",
                "Unbind (CredentialsReplaced) x1: Succeeded",
            ],
            id="a rotation whose first try may have left something",
        ),
        pytest.param(
            [BOUND, (Purpose.ROTATE, 400, {})],
            (RUN, rotate, RUN),
            ["Bind (Created) x1: Succeeded", "Rotate (RotationRequested) x1: Failed"],
            id="a rotation that is refused",
        ),
        pytest.param(
            [BOUND, (Purpose.ROTATE, 429, {})],
            (RUN, rotate, ROUND, lambda history: history.annotate(rotate_requested_at=""), RUN),
            ["Bind (Created) x1: Succeeded", "Rotate (RotationRequested) x1: Superseded"],
            id="a rotation that is wanted no more",
        ),
        pytest.param(
            [BOUND, (Purpose.ROTATE, 429, {})],
            (RUN, rotate, ROUND, let_go, ROUND),
            ["Bind (Created) x1: Succeeded", "Rotate (RotationRequested) x1: Unknown"],
            id="its finalizer is removed by hand",
        ),
        pytest.param(
            [BOUND, (Purpose.ROTATE, 202, {}), (Purpose.UNBIND, 200, {}), (Purpose.UNBIND, 200, {})],
            (RUN, rotate, ROUND, DELETE, RUN),
            [
                "Bind (Created) x1: Succeeded",
                "Rotate (RotationRequested) x1: Superseded",
                "Unbind (Deleted) x1: Succeeded",
                "Unbind (Deleted) x1: Succeeded",
            ],
            id="deleted in the middle of a rotation",
        ),
    ],
)
def test_story_of_a_binding(answers: list[Scripted], steps: tuple[Step, ...], story: list[str]) -> None:
    history = life(*answers, steps=steps)
    assert history.told.story == story


@pytest.mark.parametrize(("field", "reason"), [("renew_before", "RenewalDue"), ("expires_at", "CredentialsExpire")])
def test_credentials_that_are_replaced_by_themselves_say_why(field: str, reason: str) -> None:
    short = {**KEYS, "metadata": {field: to_timestamp(NOW + timedelta(hours=2))}}
    history = life((Purpose.BIND, 201, short), (Purpose.ROTATE, 201, OTHER_KEYS), (Purpose.RETIRE, 200, {}))
    by = {str(each.operation): (each.reason, each.requested_by) for each in history.told.rows.values()}
    binder = "system:chandlery:binder"
    assert by["Bind"] == ("Created", "ann")
    assert by["Rotate"] == (reason, binder)
    assert by["Unbind"] == ("CredentialsReplaced", binder)


def test_what_has_no_secret_to_go_to_is_in_progress_and_says_so() -> None:
    history = life(BOUND, steps=(lambda history: setattr(history, "is_secret_in_the_way", True), ROUND))
    [told] = history.told.rows.values()
    assert told.words is not None
    assert (told.outcome, told.attempts) == ("InProgress", 1)
    assert told.words.message == "Error injecting bind result: it belongs to somebody else"
    history.is_secret_in_the_way = False
    history.round()
    assert (history.told.story, history.told.writes) == (["Bind (Created) x1: Succeeded"], 2)


def test_ids_at_the_broker_are_told() -> None:
    history = life(BOUND, (Purpose.ROTATE, 201, OTHER_KEYS), (Purpose.RETIRE, 200, {}), steps=(RUN, rotate, RUN))
    ids = {each.operation: each.external_id for each in history.told.rows.values()}
    assert ids == {"Bind": "binding-1", "Rotate": history.memory.placement.binding_id, "Unbind": "binding-1"}
    assert {each.instance_name for each in history.told.rows.values()} == {"rope"}


def test_a_namespace_that_goes_takes_its_bindings_along() -> None:
    class OfANamespaceThatGoes(BindingHistory):
        def snapshot(self) -> Any:
            return replace(super().snapshot(), is_namespace_deleted=self.is_deleted)

    history = OfANamespaceThatGoes(broker(BOUND, (Purpose.UNBIND, 200, {})))
    history.run()
    history.delete()
    history.run()
    unbind = list(history.told.rows.values())[-1]
    assert (unbind.reason, unbind.requested_by) == ("NamespaceDeleted", "system:chandlery:syncer")
