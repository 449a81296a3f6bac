"""The circuits of one process: what calls tell them, and what the database is to be told."""

from datetime import UTC, datetime, timedelta

from chandlery.engine.circuits.circuit_breakers import CircuitBreakers
from chandlery.reconcile.answers import Answer, Verb, Verdict
from chandlery.retry.circuit import CircuitPolicy, CircuitState, Permit

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
LANE, OTHER = "broker:/harbour", "broker:/other"
POLICY = CircuitPolicy(failures=3, revision="uid/1/")


def told(
    circuits: CircuitBreakers, verdict: Verdict | None, *, about: str = "a", at: datetime = NOW, **more: object
) -> None:
    """A call has ended like this; None for one that was cut off."""
    statuses = {Verdict.BROKEN: 500, Verdict.SUCCEEDED: 200, Verdict.REJECTED: 400}
    answer = verdict and Answer(verb=Verb.BIND, verdict=verdict, status=statuses.get(verdict))
    arguments: dict[str, object] = {"answer": answer, "is_probe": False, "now": at, "policy": POLICY, **more}
    circuits.ended(LANE, arguments.pop("policy"), about, **arguments)  # type: ignore[arg-type]


def opened() -> CircuitBreakers:
    circuits = CircuitBreakers()
    for about in "abc":
        told(circuits, Verdict.BROKEN, about=about)
    return circuits


def test_a_lane_whose_calls_fail_is_held_back_and_no_other() -> None:
    circuits = opened()

    assert circuits.begin(LANE, POLICY, NOW) == Permit.WAIT
    assert circuits.begin(OTHER, POLICY, NOW) == Permit.CALL
    assert circuits.states(NOW) == {LANE: CircuitState.OPEN}
    assert circuits.take_news() == {LANE}
    assert circuits.take_news() == set()


def test_lost_and_unsent_calls_count_like_5xx_and_4xx_says_that_the_broker_is_well() -> None:
    circuits = CircuitBreakers()
    told(circuits, Verdict.TIMED_OUT, about="a")
    told(circuits, Verdict.UNREACHABLE, about="b")
    told(circuits, Verdict.REJECTED, about="c")
    told(circuits, Verdict.BROKEN, about="d")
    told(circuits, Verdict.TIMED_OUT, about="e")
    assert circuits.begin(LANE, POLICY, NOW) == Permit.CALL
    told(circuits, Verdict.UNREACHABLE, about="f")
    assert circuits.begin(LANE, POLICY, NOW) == Permit.WAIT


def test_calls_that_were_cut_off_or_never_made_say_nothing() -> None:
    circuits = opened()
    later = NOW + timedelta(minutes=1)
    assert circuits.begin(LANE, POLICY, later) == Permit.PROBE
    told(circuits, None, at=later, is_probe=True)
    assert circuits.begin(LANE, POLICY, later) == Permit.PROBE
    # A request that the broker's version of the API has no word for is refused without having been sent.
    answer = Answer(verb=Verb.BIND, verdict=Verdict.REJECTED, description="no such request")
    circuits.ended(LANE, POLICY, "a", answer=answer, is_probe=True, now=later)
    assert circuits.begin(LANE, POLICY, later) == Permit.PROBE
    assert circuits.open_circuits().keys() == {LANE}


def test_one_answer_closes_the_circuit_and_is_news() -> None:
    circuits = opened()
    circuits.take_news()
    told(circuits, Verdict.SUCCEEDED)

    assert circuits.begin(LANE, POLICY, NOW) == Permit.CALL
    assert circuits.take_news() == {LANE}
    assert circuits.states(NOW) == {}


def test_a_probe_that_fails_is_news_because_it_is_later_that_the_next_one_is_made() -> None:
    circuits, later = opened(), NOW + timedelta(minutes=1)
    circuits.take_news()
    assert circuits.begin(LANE, POLICY, later) == Permit.PROBE
    assert circuits.begin(LANE, POLICY, later) == Permit.WAIT
    told(circuits, Verdict.TIMED_OUT, at=later, is_probe=True)

    assert circuits.take_news() == {LANE}
    assert circuits.open_circuits()[LANE].retry_at == later + POLICY.open_for


def test_a_broker_that_is_declared_anew_begins_with_a_closed_circuit() -> None:
    circuits = opened()
    circuits.take_news()
    renewed = CircuitPolicy(failures=3, revision="uid/2/")

    assert circuits.blocking(LANE, renewed, NOW) is None
    assert circuits.begin(LANE, renewed, NOW) == Permit.CALL
    assert circuits.take_news() == {LANE}


def test_a_broker_whose_circuit_is_switched_off_is_never_held_back() -> None:
    circuits, off = CircuitBreakers(), CircuitPolicy(failures=0)
    for about in "abcdefghijkl":
        told(circuits, Verdict.BROKEN, about=about, policy=off)

    assert circuits.begin(LANE, off, NOW) == Permit.CALL
    assert circuits.take_news() == set()


def test_news_that_could_not_be_told_are_told_later() -> None:
    circuits = opened()
    circuits.put_back(circuits.take_news())

    assert circuits.changed.is_set()
    assert circuits.take_news() == {LANE}
