"""Random lives: whatever a broker answers and whenever workers die, certain things never happen.

The broker here plays by OSB's rules as far as they bind it: a rejection changes nothing, 200 or 410 to a deletion means
that nothing is left. What an unclear answer left behind is drawn at random.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chandlery.model.objects.conditions import ConditionType, find_condition, is_true
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.operation.mitigation import needs_mitigation
from chandlery_provisioner.facts.instance_notes import InstancePurpose
from tests.unit.provisioner.builders import (
    LARGE,
    NO_CLASS,
    NO_SECRET,
    SMALL,
    make_offering,
    reply,
    timed_out,
    unreachable,
)
from tests.unit.provisioner.instance_histories import InstanceHistory, Request, WorkerDied, is_creation

SOME_TIME = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
CLEAR_FAILURES: list[Any] = [302, 400, 401, 404, 409, 422, 429, "busy", "unreachable"]
UNCLEAR: list[Any] = [204, 500, 503, "timeout"]
CREATION_ANSWERS: list[Any] = [
    200,
    201,
    202,
    "malformed 201",
    "malformed 202",
    "malformed 200",
    410,
    *CLEAR_FAILURES,
    *UNCLEAR,
]
UPDATE_ANSWERS: list[Any] = [200, 202, "malformed 200", 410, *CLEAR_FAILURES, *UNCLEAR]
DELETION_ANSWERS: list[Any] = [200, 410, 202, *CLEAR_FAILURES, *UNCLEAR]
POLL_ANSWERS: list[Any] = ["in progress", "succeeded", "failed", "weird", 410, *CLEAR_FAILURES, *UNCLEAR]
EVENTS = [
    "round",
    "round",
    "round",
    "round",
    "desired",
    "plan",
    "delete",
    "lose access",
    "find access",
    "lose class",
    "find class",
    "bind",
    "unbind",
    "retry",
    "mitigate by hand",
    "mitigate by itself",
]


@dataclass
class RandomBroker:
    """A broker, and the truth about what it has."""

    data: st.DataObject
    plans: set[str] = field(default_factory=set)
    """The plans that the instance may be on; empty if nothing exists."""
    parameters: set[str] = field(default_factory=set)
    """The parameters that it may have."""
    operation: str | None = None
    """What it works on: create, update or delete."""
    key: str | None = None
    target: tuple[str | None, str | None] = (None, None)
    """What it works towards."""
    in_doubt: Request | None = None
    """A creation that may have left an orphan, not yet confirmed as deleted."""
    open_creation: Request | None = None
    """A creation whose answer was lost with its worker."""
    is_kind: bool = False
    counter: int = 0

    @property
    def exists(self) -> bool:
        return bool(self.plans)

    def __call__(self, request: Request) -> Answer:
        self._check(request)
        dies = not self.is_kind and self.data.draw(st.integers(0, 7), label="dies") == 7
        if dies and request.purpose == InstancePurpose.POLL:
            raise WorkerDied
        before = (self.plans, self.parameters)
        answer = self._answer(request)
        if dies and request.purpose == InstancePurpose.UPDATE:
            self.plans, self.parameters = self.plans | before[0], self.parameters | before[1]
        if dies:
            self.open_creation = request if is_creation(request) else self.open_creation
            raise WorkerDied
        if is_creation(request) and answer.verdict != Verdict.UNREACHABLE:
            self.open_creation = None
            self.in_doubt = request if needs_mitigation(answer) else None
        return answer

    def _check(self, request: Request) -> None:
        if not is_creation(request):
            return
        assert self.in_doubt is None, "a second creation before the first was confirmed as deleted"
        if self.open_creation is not None:
            assert request == self.open_creation, "a creation of unknown fate was followed by another one"

    def _answer(self, request: Request) -> Answer:
        match request.purpose:
            case InstancePurpose.PROVISION:
                return self._create(request)
            case InstancePurpose.UPDATE:
                return self._update(request)
            case InstancePurpose.POLL:
                return self._poll(request)
            case _:
                return self._delete(request)

    def _draw(self, answers: list[Any], kind: Any) -> Any:
        return kind if self.is_kind else self.data.draw(st.sampled_from(answers), label="answer")

    def _perhaps(self) -> bool:
        return bool(self.data.draw(st.booleans(), label="done all the same"))

    def _create(self, request: Request) -> Answer:
        name = self._draw(CREATION_ANSWERS, 201)
        if name in (200, 201):
            self._become(request.plan, request.body)
        elif name == 202:
            self._become(request.plan, request.body)
            self._begin("create", (request.plan, request.body))
        elif (name in UNCLEAR or str(name).startswith("malformed")) and (self.exists or self._perhaps()):
            self._perhaps_become(request.plan, request.body)
        return self._reply(request, name)

    def _update(self, request: Request) -> Answer:
        name = self._draw(UPDATE_ANSWERS, 200)
        plan, parameters = request.plan, request.body.split(" ", 1)[1]
        said = None if parameters == "None" else parameters
        if name == 200:
            self._become(plan, said)
        elif name == 202:
            self._begin("update", (plan, said))
        elif name in UNCLEAR or name == "malformed 200":
            self._perhaps_become(plan, said)
        return self._reply(request, name)

    def _delete(self, request: Request) -> Answer:
        name = self._draw(DELETION_ANSWERS, 410)
        if len(self.plans) == 1 and self.operation != "update":
            assert request.plan in self.plans, "a deletion with a plan that the broker does not have"
        if name in (200, 410):
            self._end(exists=False)
        elif name == 202:
            self._begin("delete", (None, None))
        elif name in UNCLEAR and self._perhaps():
            self.plans = set()
        return self._reply(request, name)

    def _poll(self, request: Request) -> Answer:
        assert self.operation is not None, "a poll although nothing is under way"
        assert request.operation == self.key, "a poll of another operation"
        name = self._draw(POLL_ANSWERS, "succeeded")
        deleting = self.operation == "delete"
        if name == "succeeded" or (name == 410 and deleting):
            if deleting:
                self._end(exists=False)
            else:
                self._become(*self.target)
        elif name == "failed":
            if self.operation == "create":
                self.in_doubt = request
            if self.operation in ("create", "delete") and self._perhaps():
                self.plans = set()
            self.operation = None
        # A platform that stops polling an update never learns how it ends.
        if self.operation == "update":
            self._perhaps_become(*self.target)
        return self._reply(request, name)

    def _become(self, plan: str | None, parameters: str | None) -> None:
        self.plans = {plan} if plan else self.plans
        self.parameters = {parameters} if parameters else self.parameters
        self.operation = None

    def _perhaps_become(self, plan: str | None, parameters: str | None) -> None:
        self.plans = self.plans | {plan} if plan else self.plans
        self.parameters = self.parameters | {parameters} if parameters else self.parameters

    def _begin(self, operation: str, target: tuple[str | None, str | None]) -> None:
        self.counter += 1
        self.operation, self.target, self.key = operation, target, f"{operation}-{self.counter}"

    def _end(self, *, exists: bool) -> None:
        if not exists:
            self.plans, self.in_doubt, self.open_creation = set(), None, None
        self.operation = None

    def _reply(self, request: Request, name: Any) -> Answer:
        if name == "unreachable":
            return unreachable(request.purpose)
        if name == "timeout":
            return timed_out(request.purpose)
        if name == "busy":
            return reply(request.purpose, 422, {"error": "ConcurrencyError"})
        if isinstance(name, int):
            return reply(request.purpose, name, {"operation": self.key} if name == 202 else {})
        if name.startswith("malformed"):
            return reply(request.purpose, int(name.split()[1]), b"<html>")
        return reply(request.purpose, 200, {"state": name})


def happen(history: InstanceHistory, event: str) -> None:  # noqa: C901, PLR0912 - one branch for each event
    """One thing that a user, an operator or time does."""
    match event:
        case "round":
            if history.due_at is not None:
                history.round()
        case "desired":
            history.change_spec(parameters={"colour": len(history.sent) % 2})
        case "plan":
            if not history.is_deleted:
                history.change_spec(plan="small" if history.memory.plan_id == LARGE else "large")
        case "delete":
            history.delete()
        case "lose access":
            history.access = NO_SECRET
        case "find access":
            history.access = None
            history.touch()
        case "lose class":
            history.offering = NO_CLASS
        case "find class":
            history.offering = make_offering("small" if history.memory.plan_id == SMALL else "large")
            history.touch()
        case "bind":
            history.bindings = 1
        case "retry":
            history.annotate(retry_requested_at=str(len(history.seen)))
        case "mitigate by hand":
            history.annotate(orphan_mitigation="Manual")
        case "mitigate by itself":
            history.annotate(orphan_mitigation="Automatic")
        case _:
            history.bindings = 0
            history.touch()


def check(history: InstanceHistory, broker: RandomBroker) -> None:
    """What holds after every round."""
    status = history.instance.status
    if history.is_finished:
        assert not broker.exists, "an orphan"
        assert broker.operation is None
        return
    settled = is_true(status.conditions, ConditionType.READY) or is_true(status.conditions, ConditionType.FAILED)
    orphan = find_condition(status.conditions, ConditionType.ORPHAN_MITIGATION)
    is_held = orphan is not None and orphan.reason == "OrphanMitigationRequired" and history.waiting_for is not None
    if history.due_at is None:
        assert settled or is_held, f"stuck: nothing is due and nothing is settled: {history.seen[-3:]}"
        assert not history.is_deleted
        assert is_held or status.observed_generation == history.instance.metadata.generation
        assert is_held or status.current_operation is None
        assert status.next_attempt_time is None
    if is_true(status.conditions, ConditionType.READY) and history.request is None:
        assert broker.exists
        # Ready speaks of what serves; an update that the broker works on is told by Reconciling.
        assert not status.async_op_in_progress or is_true(status.conditions, ConditionType.RECONCILING)
    if broker.exists and history.request is None:
        assert status.deprovision_status == "Required", "the broker has something that nobody would delete"
    assert (status.operation_start_time is None) == (status.current_operation is None)
    assert status.current_operation is not None or not status.async_op_in_progress
    assert status.last_operation is None or status.async_op_in_progress


def wander(data: st.DataObject) -> tuple[InstanceHistory, RandomBroker]:
    """A random life so far."""
    broker = RandomBroker(data)
    history = InstanceHistory(broker=broker)
    for event in data.draw(st.lists(st.sampled_from(EVENTS), min_size=5, max_size=40), label="events"):
        happen(history, event)
        if event == "round":
            check(history, broker)
        if history.is_finished:
            break
    return history, broker


@SOME_TIME
@given(st.data())
def test_no_life_ever_leaves_an_orphan_or_creates_twice(data: st.DataObject) -> None:
    wander(data)


@SOME_TIME
@given(st.data())
def test_every_life_comes_to_its_end_when_the_broker_gives_in(data: st.DataObject) -> None:
    history, broker = wander(data)
    if history.is_finished:
        return

    broker.is_kind = True
    history.access, history.bindings = None, 0
    history.delete()
    history.run(rounds=12)

    assert history.is_finished
    assert not broker.exists


@SOME_TIME
@given(st.data())
def test_everything_desired_is_there_when_the_broker_gives_in(data: st.DataObject) -> None:
    history, broker = wander(data)
    if history.is_deleted:
        return

    broker.is_kind = True
    history.access, history.bindings, history.offering = None, 0, make_offering("large")
    history.annotate(orphan_mitigation="Automatic")
    history.change_spec(parameters={"colour": 0})
    history.run(rounds=12)

    assert is_true(history.instance.status.conditions, ConditionType.READY)
    assert history.instance.status.reconciled_generation == history.instance.metadata.generation
    assert broker.plans == {LARGE}
    assert broker.parameters == {"{'colour': 0}"}
    assert history.memory.plan_id == LARGE


@SOME_TIME
@given(st.data(), st.sampled_from(["abandon", "force_delete"]), st.booleans())
def test_every_life_comes_to_its_end_when_a_person_insists(data: st.DataObject, order: str, is_lost: bool) -> None:
    history, _ = wander(data)
    if history.is_finished:
        return

    history.access = NO_SECRET if is_lost else None
    history.annotate(**{order: "true"})
    history.delete()
    # A broker that has accepted the deletion is asked until the time is up.
    history.run(rounds=2 if order == "abandon" or is_lost else 20, until=lambda: _is_being_deleted(history))

    assert _has_ended(history) or _is_being_deleted(history)


def _has_ended(history: InstanceHistory) -> bool:
    return history.is_finished


def _is_being_deleted(history: InstanceHistory) -> bool:
    status, is_asked = (
        history.instance.status,
        history.access is None and "abandon" not in str(history.instance.metadata),
    )
    is_deletion = status.current_operation == "Deprovision" or status.orphan_mitigation_in_progress
    return is_asked and status.async_op_in_progress and is_deletion


@SOME_TIME
@given(st.data())
def test_a_deletion_is_never_taken_back(data: st.DataObject) -> None:
    history, _ = wander(data)
    if history.is_finished:
        return
    history.delete()

    for _ in range(15):
        if history.due_at is None:
            break
        before = len(history.sent)
        history.round()
        # The request of a dead worker is repeated first, whatever it was.
        assert history.seen[-1] == "Repeat" or not any(is_creation(request) for request in history.sent[before:])
        assert history.seen[-1] not in ("Idle", "Refuse", "Update")
