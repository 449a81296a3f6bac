"""The circuits of one process: what calls tell them, and what the database is to be told."""

from datetime import UTC, datetime, timedelta

from chandlery.engine.circuits.circuit_breakers import CircuitBreakers
from chandlery.reconcile.answers import Answer, Verb, Verdict
from chandlery.retry.circuit import Admission, CircuitPolicy, CircuitState

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
LANE, OTHER = "broker:/harbour", "broker:/other"
POLICY = CircuitPolicy(failures=3, revision="uid/1/")


def told(
    guards: CircuitBreakers, verdict: Verdict | None, *, about: str = "a", at: datetime = NOW, **more: object
) -> None:
    """A call has ended like this; None for one that was cut off."""
    statuses = {Verdict.BROKEN: 500, Verdict.SUCCEEDED: 200, Verdict.REJECTED: 400}
    answer = verdict and Answer(verb=Verb.BIND, verdict=verdict, status=statuses.get(verdict))
    arguments: dict[str, object] = {"answer": answer, "is_probe": False, "now": at, "policy": POLICY, **more}
    guards.ended(LANE, arguments.pop("policy"), about, **arguments)  # type: ignore[arg-type]


def opened() -> CircuitBreakers:
    guards = CircuitBreakers()
    for about in "abc":
        told(guards, Verdict.BROKEN, about=about)
    return guards


def test_a_lane_whose_calls_fail_is_held_back_and_no_other() -> None:
    guards = opened()

    assert guards.begin(LANE, POLICY, NOW) == Admission.HOLD
    assert guards.begin(OTHER, POLICY, NOW) == Admission.CALL
    assert guards.states(NOW) == {LANE: CircuitState.OPEN}
    assert guards.take_news() == {LANE}
    assert guards.take_news() == set()


def test_lost_and_unsent_calls_count_like_5xx_and_4xx_says_that_the_broker_is_well() -> None:
    guards = CircuitBreakers()
    told(guards, Verdict.TIMED_OUT, about="a")
    told(guards, Verdict.UNREACHABLE, about="b")
    told(guards, Verdict.REJECTED, about="c")
    told(guards, Verdict.BROKEN, about="d")
    told(guards, Verdict.TIMED_OUT, about="e")
    assert guards.begin(LANE, POLICY, NOW) == Admission.CALL
    told(guards, Verdict.UNREACHABLE, about="f")
    assert guards.begin(LANE, POLICY, NOW) == Admission.HOLD


def test_calls_that_were_cut_off_or_never_made_say_nothing() -> None:
    guards = opened()
    later = NOW + timedelta(minutes=1)
    assert guards.begin(LANE, POLICY, later) == Admission.PROBE
    told(guards, None, at=later, is_probe=True)
    assert guards.begin(LANE, POLICY, later) == Admission.PROBE
    # A request that the broker's version of the API has no word for is refused without having been sent.
    answer = Answer(verb=Verb.BIND, verdict=Verdict.REJECTED, description="no such request")
    guards.ended(LANE, POLICY, "a", answer=answer, is_probe=True, now=later)
    assert guards.begin(LANE, POLICY, later) == Admission.PROBE
    assert guards.open_circuits().keys() == {LANE}


def test_one_answer_closes_the_circuit_and_is_news() -> None:
    guards = opened()
    guards.take_news()
    told(guards, Verdict.SUCCEEDED)

    assert guards.begin(LANE, POLICY, NOW) == Admission.CALL
    assert guards.take_news() == {LANE}
    assert guards.states(NOW) == {}


def test_a_probe_that_fails_is_news_because_it_is_later_that_the_next_one_is_made() -> None:
    guards, later = opened(), NOW + timedelta(minutes=1)
    guards.take_news()
    assert guards.begin(LANE, POLICY, later) == Admission.PROBE
    assert guards.begin(LANE, POLICY, later) == Admission.HOLD
    told(guards, Verdict.TIMED_OUT, at=later, is_probe=True)

    assert guards.take_news() == {LANE}
    assert guards.open_circuits()[LANE].retry_at == later + POLICY.open_for


def test_a_broker_that_is_declared_anew_begins_with_a_closed_circuit() -> None:
    guards = opened()
    guards.take_news()
    renewed = CircuitPolicy(failures=3, revision="uid/2/")

    assert guards.blocking(LANE, renewed, NOW) is None
    assert guards.begin(LANE, renewed, NOW) == Admission.CALL
    assert guards.take_news() == {LANE}


def test_a_broker_whose_circuit_is_switched_off_is_never_held_back() -> None:
    guards, off = CircuitBreakers(), CircuitPolicy(failures=0)
    for about in "abcdefghijkl":
        told(guards, Verdict.BROKEN, about=about, policy=off)

    assert guards.begin(LANE, off, NOW) == Admission.CALL
    assert guards.take_news() == set()


def test_news_that_could_not_be_told_are_told_later() -> None:
    guards = opened()
    guards.put_back(guards.take_news())

    assert guards.changed.is_set()
    assert guards.take_news() == {LANE}
