"""What a broker's specification says of pauses and patience, and what counts where it says nothing."""

from datetime import timedelta

import pytest

from chandlery.model.brokers import ClusterServiceBroker, ClusterServiceBrokerSpec, PollPolicy, RetryPolicy
from chandlery.reconcile.broker_policy import DEFAULT_POLICY, BrokerPolicy, policy_of

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
    assert not policy(orphan_mitigation="Manual").mitigates


@pytest.mark.parametrize(
    ("attempt", "asked", "least", "most"),
    [
        pytest.param(1, 90.0, 90, 90, id="the broker's wish is longer"),
        pytest.param(6, 1.0, 28, 36, id="the back-off is longer"),
        pytest.param(1, 86_400.0, 1200, 1200, id="a wish has its bound"),
        pytest.param(1, None, 0.9, 1.1, id="no wish"),
    ],
)
def test_a_retry_waits_for_the_longer_of_back_off_and_the_brokers_wish(
    attempt: int, asked: float | None, least: float, most: float
) -> None:
    assert timedelta(seconds=least) <= DEFAULT_POLICY.pause(attempt, asked) <= timedelta(seconds=most)


def test_no_wish_is_no_pause() -> None:
    assert DEFAULT_POLICY.asked_pause(None) == timedelta(0)
