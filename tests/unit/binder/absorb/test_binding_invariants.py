"""Random lives: whatever a broker answers, whatever users order and whenever workers die, certain things never happen.

The broker here plays by OSB's rules as far as they bind it: a rejection changes nothing, 200 or 410 to a deletion means
that nothing is left. What an unclear answer left behind is drawn at random.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chandlery.model.objects.metadata import to_timestamp
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.operation.mitigation import needs_mitigation
from chandlery.reconcile.policies.broker_policy import BrokerPolicy
from chandlery_binder.facts.binding_notes import BindingPurpose
from chandlery_binder.facts.sealed_binding_notes import NOTHING_SEALED
from tests.unit.binder.binding_builders import NO_CLASS, NO_SECRET, answered, make_offering, unanswered
from tests.unit.binder.binding_histories import BindingHistory, Request, WorkerDied

SOME_TIME = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    # Explaining a failure traces every line, which is slow where nothing fails too.
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
BINDS, UNBINDS = (
    (BindingPurpose.BIND, BindingPurpose.ROTATE),
    (BindingPurpose.UNBIND, BindingPurpose.MITIGATE, BindingPurpose.RETIRE),
)
POLLS = (BindingPurpose.POLL, BindingPurpose.POLL_ROTATION, BindingPurpose.POLL_RETIREMENT)
CLEAR: list[Any] = [302, 400, 401, 404, 409, 422, 429, "busy", "unreachable"]
UNCLEAR: list[Any] = [204, 500, 503, "timeout", "malformed 200", "malformed 201"]
BIND_ANSWERS: list[Any] = [201, 201, 201, 202, "short-lived", 410, *CLEAR, *UNCLEAR]
UNBIND_ANSWERS: list[Any] = [200, 200, 410, 202, *CLEAR, 204, 500, "timeout"]
POLL_ANSWERS: list[Any] = ["in progress", "succeeded", "succeeded", "failed", "weird", 410, 404, 500, "timeout"]
FETCH_ANSWERS: list[Any] = [200, 200, 200, 404, 500, "timeout"]
EVENTS = [
    *["round"] * 4,
    *["rounds"] * 4,
    *["rotate", "rotate", "retry", "delete secret", "change secret", "secret in the way", "secret out of the way"],
    *["lose access", "find access", "lose class", "Manual", "Automatic", "Waive", "unordered", "wait"],
]


@dataclass
class MoodyBroker:
    """Answers at random, within what OSB binds it to, and knows what it has."""

    data: st.DataObject
    is_good: bool = False
    """From now on everything succeeds at once."""
    has: set[str] = field(default_factory=set)
    working: dict[str, str] = field(default_factory=dict)
    """What it is doing with which binding: `bind` or `unbind`."""
    unclear: set[str] = field(default_factory=set)
    """Whose bind was answered so that a platform has to unbind before it binds again."""
    may_die: bool = True
    is_waived: bool = False
    """A user takes upon himself what a bind after an unclear answer may find."""
    ended: dict[str, str] = field(default_factory=dict)
    """How its last operation on a binding ended."""

    def __call__(self, request: Request) -> Answer:
        """One answer, or the death of the worker before or after the broker acted."""
        if self.is_waived:
            self.unclear.clear()
        if request.purpose in BINDS and not request.is_repeated:
            assert request.binding_id not in self.unclear, "bound again before it was known that nothing is left"
        dies = self.may_die and not self.is_good and self.data.draw(st.sampled_from([None] * 9 + ["before", "after"]))
        if dies == "before":
            raise WorkerDied
        answer = self._answer(request)
        if dies == "after":
            if request.purpose in BINDS and answer.verdict == Verdict.REJECTED:
                self.unclear.discard(request.binding_id)
            raise WorkerDied
        return answer

    def _answer(self, request: Request) -> Answer:
        if request.purpose in BINDS:
            return self._bind(request)
        if request.purpose in UNBINDS:
            return self._unbind(request)
        if request.purpose in POLLS:
            return self._poll(request)
        drawn = 200 if self.is_good else self.data.draw(st.sampled_from(FETCH_ANSWERS))
        if drawn == "timeout":
            return unanswered(BindingPurpose.FETCH, Verdict.TIMED_OUT)
        has_it = drawn == 200 and request.binding_id in self.has
        body = {"credentials": {"of": request.binding_id}} if has_it else {}
        return answered(BindingPurpose.FETCH, drawn if has_it or drawn != 200 else 404, body)

    def _bind(self, request: Request) -> Answer:
        drawn = 201 if self.is_good else self.data.draw(st.sampled_from(BIND_ANSWERS))
        credentials: dict[str, Any] = {"credentials": {"of": request.binding_id}}
        if drawn == "unreachable":
            return unanswered(BindingPurpose.BIND, Verdict.UNREACHABLE)
        if drawn in (201, "short-lived"):
            self.has.add(request.binding_id)
            if drawn == "short-lived":
                credentials["metadata"] = {"expires_at": to_timestamp(NOW_LATER)}
            return answered(BindingPurpose.BIND, 201, credentials)
        if drawn == 202:
            self._begin(request.binding_id, "bind")
            self._maybe(request.binding_id)
            return answered(BindingPurpose.BIND, 202, {"operation": "b"})
        answer = self._failure(BindingPurpose.BIND, drawn)
        if needs_mitigation(answer) or answer.verdict in (Verdict.MALFORMED, Verdict.TIMED_OUT):
            self._maybe(request.binding_id)
        if needs_mitigation(answer) and not self.is_waived:
            self.unclear.add(request.binding_id)
        return answer

    def _unbind(self, request: Request) -> Answer:
        drawn = 200 if self.is_good else self.data.draw(st.sampled_from(UNBIND_ANSWERS))
        if drawn == 202:
            self._begin(request.binding_id, "unbind")
            return answered(BindingPurpose.UNBIND, 202, {"operation": "u"})
        if drawn in (200, 410):
            self._gone(request.binding_id)
            return answered(BindingPurpose.UNBIND, drawn, {})
        return self._failure(BindingPurpose.UNBIND, drawn)

    def _poll(self, request: Request) -> Answer:
        drawn = "succeeded" if self.is_good else self.data.draw(st.sampled_from(POLL_ANSWERS))
        what, end = self.working.get(request.binding_id), self.ended.get(request.binding_id)
        if end is not None and drawn in ("succeeded", "failed", 410):
            return answered(BindingPurpose.POLL, 200, {"state": end})
        if drawn == "timeout":
            return unanswered(BindingPurpose.POLL, Verdict.TIMED_OUT)
        if drawn in ("succeeded", "failed") or (drawn == 410 and what == "unbind"):
            self.working.pop(request.binding_id, None)
            self.ended[request.binding_id] = "failed" if drawn == "failed" else "succeeded"
        if drawn == "succeeded" and what == "bind":
            self.has.add(request.binding_id)
        if drawn == "failed" and what == "bind":
            self._maybe(request.binding_id)
            if not self.is_waived:
                self.unclear.add(request.binding_id)
        if drawn in ("succeeded", 410) and what == "unbind":
            self._gone(request.binding_id)
        if isinstance(drawn, int):
            return answered(BindingPurpose.POLL, drawn, {})
        return answered(BindingPurpose.POLL, 200, {"state": drawn})

    def _failure(self, purpose: BindingPurpose, drawn: Any) -> Answer:
        match drawn:
            case "timeout":
                return unanswered(purpose, Verdict.TIMED_OUT)
            case "unreachable":
                return unanswered(purpose, Verdict.UNREACHABLE)
            case "busy":
                return answered(purpose, 422, {"error": "ConcurrencyError"})
            case "malformed 200" | "malformed 201":
                return answered(purpose, int(drawn[-3:]), b"[]")
        return answered(purpose, drawn, {})

    def _begin(self, binding_id: str, what: str) -> None:
        self.working[binding_id] = what
        self.ended.pop(binding_id, None)

    def _maybe(self, binding_id: str) -> None:
        if self.data.draw(st.booleans()):
            self.has.add(binding_id)

    def _gone(self, binding_id: str) -> None:
        self.has.discard(binding_id)
        self.unclear.discard(binding_id)
        self.working.pop(binding_id, None)


NOW_LATER = BindingHistory(broker=lambda _: None).now + timedelta(hours=2)  # type: ignore[arg-type,return-value]


def happen(history: BindingHistory, broker: MoodyBroker, event: str, number: int) -> None:
    """One of the things that people and machines do."""
    if event in ("Manual", "Automatic", "Waive", "unordered"):
        broker.is_waived = event == "Waive"
        if broker.is_waived:
            broker.unclear.clear()
        history.annotate(orphan_mitigation="" if event == "unordered" else event)
    elif event in ("rotate", "retry"):
        history.annotate(**{f"{event}_requested_at": str(number)})
    elif "secret" in event:
        _lay_hands_on_secret(history, event)
    else:
        _move_world(history, event)
    check(history, broker)


def _lay_hands_on_secret(history: BindingHistory, event: str) -> None:
    if "way" in event:
        history.is_secret_in_the_way = event == "secret in the way"
    is_changed = event == "change secret" and history.secret is not None
    history.secret = {"of": "nobody"} if is_changed else None
    history.touch()


def _move_world(history: BindingHistory, event: str) -> None:
    match event:
        case "round":
            history.round()
        case "rounds":
            history.run(rounds=6)
        case "lose access":
            history.access = NO_SECRET
        case "lose class":
            history.offering = NO_CLASS
        case "wait":
            history.now += timedelta(hours=1)
        case "find access":
            history.access = None
            history.offering = make_offering(retrievable=True, binding_rotatable=True)
            history.touch()


def check(history: BindingHistory, broker: MoodyBroker) -> None:
    """What holds between any two rounds."""
    if history.is_finished:
        return
    assert broker.has <= history.known_ids, "something at the broker that nobody knows of"
    if (
        history.secret is not None
        and "of" in history.secret
        and history.secret["of"] != "nobody"
        and not history.is_deleted
    ):
        assert history.secret["of"] in broker.has, "the Secret holds credentials that were revoked"
    is_busy = history.due_at is not None or history.sealed != NOTHING_SEALED
    if history.is_deleted:
        assert is_busy, "a deletion that nobody goes on with"


def live(data: st.DataObject, *, may_die: bool = True) -> tuple[BindingHistory, MoodyBroker]:
    """A life in which anything has happened, short of a deletion."""
    broker = MoodyBroker(data, may_die=may_die)
    policy = BrokerPolicy(mitigates=data.draw(st.booleans()))
    broker.is_good = data.draw(st.booleans())
    offering = make_offering(retrievable=True, binding_rotatable=data.draw(st.booleans()))
    history = BindingHistory(broker=broker, offering=offering, policy=policy)
    history.round()
    broker.is_good = False
    for number, event in enumerate(data.draw(st.lists(st.sampled_from(EVENTS), min_size=10, max_size=40))):
        happen(history, broker, event, number)
    return history, broker


@SOME_TIME
@given(st.data())
def test_deleted_binding_goes_and_leaves_nothing_at_a_broker_that_works(data: st.DataObject) -> None:
    history, broker = live(data)
    history.delete()
    for number, event in enumerate(data.draw(st.lists(st.sampled_from(EVENTS), max_size=8))):
        happen(history, broker, event, 100 + number)
    broker.is_good, history.access = True, None
    history.touch()
    history.run()
    assert history.is_finished
    assert (broker.has, history.secret) == (set(), None)


@SOME_TIME
@given(st.data())
def test_binding_becomes_ready_when_everything_works_and_a_user_asks_for_it(data: st.DataObject) -> None:
    history, broker = live(data)
    broker.is_good, history.access, history.is_secret_in_the_way = True, None, False
    history.offering = make_offering(retrievable=True, binding_rotatable=True)
    history.annotate(retry_requested_at="at last", orphan_mitigation="Automatic")
    horizon = history.now + timedelta(days=30)
    history.run(until=lambda: history.now > horizon)
    status = history.binding.status
    assert status.last_condition_state == "Ready"
    assert history.secret == {"of": status.external_id or "binding-1"}
    assert (status.retiring, broker.has) == (None, {status.external_id or "binding-1"})


@SOME_TIME
@given(st.data())
def test_binding_can_be_abandoned_from_every_state(data: st.DataObject) -> None:
    history, _ = live(data)
    history.annotate(abandon="true")
    history.delete()
    sent = len(history.sent)
    history.round()
    assert (history.is_finished, len(history.sent), history.secret) == (True, sent, None)


@SOME_TIME
@given(st.data())
def test_forced_deletion_ends_from_every_state_whatever_the_broker_says(data: st.DataObject) -> None:
    history, broker = live(data)
    broker.may_die = False
    history.annotate(force_delete="true")
    history.delete()
    ids = history.known_ids
    before = len(history.sent)
    history.run(rounds=300)
    deletions = [each.binding_id for each in history.sent[before:] if each.purpose in UNBINDS]
    assert history.is_finished
    assert (len(deletions) == len(set(deletions)), set(deletions) <= ids) == (True, True)


def test_simulated_secret_is_restored_like_a_real_one() -> None:
    history = BindingHistory(
        broker=lambda request: answered(BindingPurpose.BIND, 201, {"credentials": {"of": request.binding_id}})
    )
    history.run()
    delivered = history.secret
    assert delivered == {"of": "binding-1"}
    history.secret = None
    history.touch()
    history.run()
    assert [history.secret, len(history.sent)] == [delivered, 1]
