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
from chandlery.reconcile.operation.orphan_mitigation import needs_mitigation
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
from tests.unit.provisioner.instance_histories import Life, Request, WorkerDied, is_creation

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
    "wish",
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


def happen(life: Life, event: str) -> None:  # noqa: C901, PLR0912 - one branch for each event
    """One thing that a user, an operator or time does."""
    match event:
        case "round":
            if life.due_at is not None:
                life.round()
        case "wish":
            life.wish(parameters={"colour": len(life.sent) % 2})
        case "plan":
            if not life.is_deleted:
                life.wish(plan="small" if life.memory.plan_id == LARGE else "large")
        case "delete":
            life.delete()
        case "lose access":
            life.access = NO_SECRET
        case "find access":
            life.access = None
            life.touch()
        case "lose class":
            life.offering = NO_CLASS
        case "find class":
            life.offering = make_offering("small" if life.memory.plan_id == SMALL else "large")
            life.touch()
        case "bind":
            life.bindings = 1
        case "retry":
            life.annotate(retry_requested_at=str(len(life.seen)))
        case "mitigate by hand":
            life.annotate(orphan_mitigation="Manual")
        case "mitigate by itself":
            life.annotate(orphan_mitigation="Automatic")
        case _:
            life.bindings = 0
            life.touch()


def check(life: Life, broker: RandomBroker) -> None:
    """What holds after every round."""
    status = life.instance.status
    if life.is_finished:
        assert not broker.exists, "an orphan"
        assert broker.operation is None
        return
    settled = is_true(status.conditions, ConditionType.READY) or is_true(status.conditions, ConditionType.FAILED)
    orphan = find_condition(status.conditions, ConditionType.ORPHAN_MITIGATION)
    is_held = orphan is not None and orphan.reason == "OrphanMitigationRequired" and life.waiting_for is not None
    if life.due_at is None:
        assert settled or is_held, f"stuck: nothing is due and nothing is settled: {life.seen[-3:]}"
        assert not life.is_deleted
        assert is_held or status.observed_generation == life.instance.metadata.generation
        assert is_held or status.current_operation is None
        assert status.next_attempt_time is None
    if is_true(status.conditions, ConditionType.READY) and life.in_flight is None:
        assert broker.exists
        assert not status.async_op_in_progress
    if broker.exists and life.in_flight is None:
        assert status.deprovision_status == "Required", "the broker has something that nobody would delete"
    assert (status.operation_start_time is None) == (status.current_operation is None)
    assert status.current_operation is not None or not status.async_op_in_progress
    assert status.last_operation is None or status.async_op_in_progress


def wander(data: st.DataObject) -> tuple[Life, RandomBroker]:
    """A random life so far."""
    broker = RandomBroker(data)
    life = Life(broker=broker)
    for event in data.draw(st.lists(st.sampled_from(EVENTS), min_size=5, max_size=40), label="events"):
        happen(life, event)
        if event == "round":
            check(life, broker)
        if life.is_finished:
            break
    return life, broker


@SOME_TIME
@given(st.data())
def test_no_life_ever_leaves_an_orphan_or_creates_twice(data: st.DataObject) -> None:
    wander(data)


@SOME_TIME
@given(st.data())
def test_every_life_comes_to_its_end_when_the_broker_gives_in(data: st.DataObject) -> None:
    life, broker = wander(data)
    if life.is_finished:
        return

    broker.is_kind = True
    life.access, life.bindings = None, 0
    life.delete()
    life.run(rounds=12)

    assert life.is_finished
    assert not broker.exists


@SOME_TIME
@given(st.data())
def test_every_wish_is_granted_when_the_broker_gives_in(data: st.DataObject) -> None:
    life, broker = wander(data)
    if life.is_deleted:
        return

    broker.is_kind = True
    life.access, life.bindings, life.offering = None, 0, make_offering("large")
    life.annotate(orphan_mitigation="Automatic")
    life.wish(parameters={"colour": 0})
    life.run(rounds=12)

    assert is_true(life.instance.status.conditions, ConditionType.READY)
    assert life.instance.status.reconciled_generation == life.instance.metadata.generation
    assert broker.plans == {LARGE}
    assert broker.parameters == {"{'colour': 0}"}
    assert life.memory.plan_id == LARGE


@SOME_TIME
@given(st.data(), st.sampled_from(["abandon", "force_delete"]), st.booleans())
def test_every_life_comes_to_its_end_when_a_person_insists(data: st.DataObject, order: str, is_lost: bool) -> None:
    life, _ = wander(data)
    if life.is_finished:
        return

    life.access = NO_SECRET if is_lost else None
    life.annotate(**{order: "true"})
    life.delete()
    # A broker that has accepted the deletion is asked until the time is up.
    life.run(rounds=2 if order == "abandon" or is_lost else 20, until=lambda: _is_being_deleted(life))

    assert _has_ended(life) or _is_being_deleted(life)


def _has_ended(life: Life) -> bool:
    return life.is_finished


def _is_being_deleted(life: Life) -> bool:
    status, is_asked = life.instance.status, life.access is None and "abandon" not in str(life.instance.metadata)
    is_deletion = status.current_operation == "Deprovision" or status.orphan_mitigation_in_progress
    return is_asked and status.async_op_in_progress and is_deletion


@SOME_TIME
@given(st.data())
def test_a_deletion_is_never_taken_back(data: st.DataObject) -> None:
    life, _ = wander(data)
    if life.is_finished:
        return
    life.delete()

    for _ in range(15):
        if life.due_at is None:
            break
        before = len(life.sent)
        life.round()
        # The request of a dead worker is repeated first, whatever it was.
        assert life.seen[-1] == "Repeat" or not any(is_creation(request) for request in life.sent[before:])
        assert life.seen[-1] not in ("Idle", "Refuse", "Update")
