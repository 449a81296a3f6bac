"""What a broker's specification says of pauses and patience, and what counts where it says nothing."""

from datetime import timedelta
from typing import Any

import pytest

from chandlery.model.objects.annotations import RETRY
from chandlery.model.objects.brokers import (
    CircuitBreaker,
    ClusterServiceBroker,
    ClusterServiceBrokerSpec,
    PollPolicy,
    RateLimit,
    RetryPolicy,
)
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.reconcile.policies.broker_policy import (
    DEFAULT_CIRCUIT,
    DEFAULT_POLICY,
    BrokerPolicy,
    ShortestPauses,
    policy_of,
)
from chandlery.retry.rate_limit import CallRate

MIDDLE = 0.5


def policy(**spec: object) -> BrokerPolicy:
    broker = ClusterServiceBroker(spec=ClusterServiceBrokerSpec(**spec))  # type: ignore[arg-type]
    return policy_of(broker, give_up_after=timedelta(hours=5))


def test_a_broker_that_says_nothing_gets_the_defaults_and_the_platforms_patience() -> None:
    assert policy() == BrokerPolicy(give_up_after=timedelta(hours=5))
    assert policy_of(None) == DEFAULT_POLICY


def test_a_brokers_own_schedule_is_used() -> None:
    own = policy(retry_policy=RetryPolicy(initial_delay="10s", factor=3, maximum_delay="1m", give_up_after="2h"))

    assert [own.retries.delay(attempt, draw=MIDDLE).total_seconds() for attempt in (1, 2, 3, 9)] == [10, 30, 60, 60]
    assert own.give_up_after == timedelta(hours=2)


def test_part_of_a_schedule_leaves_the_rest_as_it_is() -> None:
    own = policy(retry_policy=RetryPolicy(initial_delay="10s"))

    assert [own.retries.delay(attempt, draw=MIDDLE).total_seconds() for attempt in (1, 2, 99)] == [10, 20, 1200]
    assert own.give_up_after == timedelta(hours=5)


def test_a_longest_poll_interval_counts_from_the_first_minute() -> None:
    own = policy(poll_policy=PollPolicy(initial_interval="2s", maximum_interval="30s"))
    waits = [own.polls.delay(poll, draw=MIDDLE).total_seconds() for poll in (1, 2, 50)]

    assert waits == [2, 3, 30]


def test_mitigation_waits_for_a_person_where_the_broker_is_set_so() -> None:
    assert policy(orphan_mitigation="Automatic").mitigates
    assert policy().names_unchanged_plan
    assert not policy(send_unchanged_plan=False).names_unchanged_plan
    assert not policy(orphan_mitigation="Manual").mitigates


@pytest.mark.parametrize(
    ("attempt", "asked", "least", "most"),
    [
        pytest.param(1, 90.0, 90, 90, id="the broker's spec is longer"),
        pytest.param(6, 1.0, 28, 36, id="the back-off is longer"),
        pytest.param(1, 86_400.0, 1200, 1200, id="a spec has its bound"),
        pytest.param(1, None, 0.9, 1.1, id="no spec"),
    ],
)
def test_a_retry_waits_for_the_longer_of_back_off_and_the_brokers_desired_state(
    attempt: int, asked: float | None, least: float, most: float
) -> None:
    assert timedelta(seconds=least) <= DEFAULT_POLICY.pause(attempt, asked) <= timedelta(seconds=most)


def test_no_desired_state_is_no_pause() -> None:
    assert DEFAULT_POLICY.asked_pause(None) == timedelta(0)


def test_a_broker_says_when_it_is_left_alone_and_how_many_calls_it_takes() -> None:
    own = policy(
        circuit_breaker=CircuitBreaker(consecutive_failures=3, open_duration="5s"),
        rate_limit=RateLimit(requests_per_second=2.5),
    )

    assert (own.circuit.failures, own.circuit.open_for) == (3, timedelta(seconds=5))
    assert own.rate == CallRate(per_second=2.5, burst=2)
    assert policy(rate_limit=RateLimit(requests_per_second=0.1)).rate == CallRate(per_second=0.1, burst=1)
    assert policy(rate_limit=RateLimit(requests_per_second=1, burst=7)).rate == CallRate(per_second=1, burst=7)
    assert policy(rate_limit=RateLimit(requests_per_second=0)).rate is None


def test_a_broker_that_wants_to_be_asked_again_soon_is_not_left_alone_for_longer() -> None:
    assert policy(retry_policy=RetryPolicy(maximum_delay="10ms")).circuit.open_for == timedelta(milliseconds=10)
    assert policy(retry_policy=RetryPolicy(maximum_delay="1h")).circuit.open_for == DEFAULT_CIRCUIT.open_for


def test_a_probe_is_waited_for_longer_than_a_call_may_take() -> None:
    assert policy(request_timeout="10m").circuit.probe_for == timedelta(minutes=20)


def test_a_new_specification_and_an_order_to_try_again_make_another_revision() -> None:
    def revision(generation: int, **annotations: str) -> str:
        metadata = ObjectMeta(name="b", uid="uid", generation=generation, annotations=annotations)
        return policy_of(ClusterServiceBroker(metadata=metadata)).circuit.revision

    assert len({revision(1), revision(2), revision(2, **{RETRY: "now"})}) == 3
    assert revision(2, **{RETRY: "now"}) == revision(2, **{RETRY: "now", "acme.com/team": "a"})


HASTY: dict[str, Any] = {
    "retry_policy": RetryPolicy(initial_delay="1us", factor=1, maximum_delay="1us"),
    "poll_policy": PollPolicy(initial_interval="1us", maximum_interval="1us"),
    "circuit_breaker": CircuitBreaker(consecutive_failures=0, open_duration="1us"),
}
SHORTEST = ShortestPauses(polls=timedelta(seconds=2), retries=timedelta(seconds=3))


def held(**spec: Any) -> BrokerPolicy:
    return policy_of(ClusterServiceBroker(spec=ClusterServiceBrokerSpec(**spec)), shortest=SHORTEST)


def test_a_broker_is_not_called_more_often_than_whoever_runs_the_platform_lets_any() -> None:
    hasty = held(**HASTY)

    assert {hasty.retries.delay(attempt, draw=MIDDLE) for attempt in (1, 2, 50)} == {timedelta(seconds=3)}
    assert {hasty.polls.delay(poll, draw=MIDDLE) for poll in (1, 2, 50)} == {timedelta(seconds=2)}
    assert hasty.circuit.open_for == timedelta(seconds=3)


@pytest.mark.parametrize(
    "spec",
    [
        {"retry_policy": RetryPolicy(maximum_delay="1us"), "poll_policy": PollPolicy(maximum_interval="1us")},
        {"retry_policy": RetryPolicy(initial_delay="1us"), "poll_policy": PollPolicy(initial_interval="1us")},
    ],
    ids=["longest", "first"],
)
def test_part_of_a_schedule_is_held_to_it_too(spec: dict[str, Any]) -> None:
    own = held(**spec)

    assert own.retries.delay(1, draw=MIDDLE) >= timedelta(seconds=3)
    assert own.polls.delay(1, draw=MIDDLE) >= timedelta(seconds=2)
    assert own.circuit.open_for >= timedelta(seconds=3)
