"""Rules for the part of a broker's specification that says how it wants to be dealt with. Called by broker_admission.

What is only checked as a word of several (`osbAPIVersion`, `orphanMitigation`) is refused when it is decoded.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.annotations import PREFIX
from chandlery.model.objects.brokers import (
    CircuitBreaker,
    CommonBrokerSpec,
    PollPolicy,
    RateLimit,
    RetryPolicy,
)
from chandlery.model.text.durations import parse_duration
from chandlery.model.text.names import subdomain_problem
from chandlery.reconcile.policies.broker_policy import ShortestPauses
from chandlery.retry.schedule import BROKER_CALLS, POLLS
from chandlery_gateway.admission.field_checks import duration_problems, forbidden, invalid, required

_MOST_CALLS: Final = 1_000
_HIGHEST_PRIORITY: Final = 1_000_000
_LOWEST_RATE, _HIGHEST_RATE = 0.001, 10_000.0
_MOST_FAILURES: Final = 1_000
_LONGEST_OPEN: Final = timedelta(hours=1)


def broker_limit_problems(spec: CommonBrokerSpec) -> Iterator[FieldProblem]:
    """What is no limit that could be kept to."""
    most = spec.max_concurrent_requests
    if most is not None and not 1 <= most <= _MOST_CALLS:
        yield invalid("spec.maxConcurrentRequests", f"must be from 1 to {_MOST_CALLS}, or left out")
    if spec.name_priority is not None and abs(spec.name_priority) > _HIGHEST_PRIORITY:
        yield invalid("spec.namePriority", f"must be from {-_HIGHEST_PRIORITY} to {_HIGHEST_PRIORITY}, or left out")
    if spec.rate_limit is not None:
        yield from _rate_problems("spec.rateLimit", spec.rate_limit)
    if spec.circuit_breaker is not None:
        yield from _circuit_problems("spec.circuitBreaker", spec.circuit_breaker)


def _rate_problems(field: str, limit: RateLimit) -> Iterator[FieldProblem]:
    # Written so that what is no number is refused as well.
    if not _LOWEST_RATE <= limit.requests_per_second <= _HIGHEST_RATE:
        message = f"must be from {_LOWEST_RATE:g} to {_HIGHEST_RATE:,.0f}, such as 5; for no limit leave rateLimit out"
        yield invalid(f"{field}.requestsPerSecond", message)
    if limit.burst is not None and not 1 <= limit.burst <= _HIGHEST_RATE:
        yield invalid(f"{field}.burst", f"must be from 1 to {_HIGHEST_RATE:,.0f}, or left out")


def _circuit_problems(field: str, breaker: CircuitBreaker) -> Iterator[FieldProblem]:
    failures = breaker.consecutive_failures
    if failures is not None and not 0 <= failures <= _MOST_FAILURES:
        message = f"must be from 1 to {_MOST_FAILURES:,}, or 0 to never pause calls to the broker"
        yield invalid(f"{field}.consecutiveFailures", message)
    yield from duration_problems(f"{field}.openDuration", breaker.open_duration, example="30s", longest=_LONGEST_OPEN)


_MILLISECOND = timedelta(milliseconds=1)


def pause_problems(
    spec: CommonBrokerSpec, shortest: ShortestPauses, *, old: CommonBrokerSpec | None = None
) -> Iterator[FieldProblem]:
    """Pauses that are too short; of a changed broker only those that are new."""
    before = dict(_pauses(old, shortest)) if old is not None else {}
    for (field, least), text in _pauses(spec, shortest):
        if text and before.get((field, least)) != text and _is_below(text, least):
            yield invalid(
                field, f"must be at least {least / _MILLISECOND:g}ms, the lowest value that this platform allows"
            )


def _pauses(spec: CommonBrokerSpec, shortest: ShortestPauses) -> Iterator[tuple[tuple[str, timedelta], str | None]]:
    polls, retries, breaker = spec.poll_policy, spec.retry_policy, spec.circuit_breaker
    if polls is not None:
        yield ("spec.pollPolicy.initialInterval", shortest.polls), polls.initial_interval
        yield ("spec.pollPolicy.maximumInterval", shortest.polls), polls.maximum_interval
    if retries is not None:
        yield ("spec.retryPolicy.initialDelay", shortest.retries), retries.initial_delay
        yield ("spec.retryPolicy.maximumDelay", shortest.retries), retries.maximum_delay
    if breaker is not None:
        yield ("spec.circuitBreaker.openDuration", shortest.retries), breaker.open_duration


def _is_below(text: str, least: timedelta) -> bool:
    try:
        return timedelta() < parse_duration(text) < least
    except ValueError:
        # Told by the rule for durations.
        return False


_LONGEST_REQUEST: Final = timedelta(minutes=10)
_LARGEST_FACTOR: Final = 100.0
_BEGINNING_OF_NAME: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]{0,62})?")
_NEVER_TOLD: Final = {
    "kubectl.kubernetes.io": "kubectl stores whole manifests there, with parameters and Secrets",
    PREFIX.removesuffix("/"): "these request actions of Chandlery, and do not concern service brokers",
}


def broker_policy_problems(spec: CommonBrokerSpec) -> Iterator[FieldProblem]:
    """What cannot be kept to: time limits, pauses, prefixes of annotations."""
    yield from duration_problems("spec.requestTimeout", spec.request_timeout, example="30s", longest=_LONGEST_REQUEST)
    if spec.retry_policy is not None:
        yield from _retry_problems("spec.retryPolicy", spec.retry_policy)
    if spec.poll_policy is not None:
        yield from _poll_problems("spec.pollPolicy", spec.poll_policy)
    yield from broker_limit_problems(spec)
    yield from _prefix_problems("spec.contextAnnotations", spec.context_annotations or ())


def _retry_problems(field: str, policy: RetryPolicy) -> Iterator[FieldProblem]:
    found = [
        *duration_problems(f"{field}.initialDelay", policy.initial_delay, example="1s"),
        *duration_problems(f"{field}.maximumDelay", policy.maximum_delay, example="20m"),
        *duration_problems(f"{field}.giveUpAfter", policy.give_up_after, example="24h"),
    ]
    yield from found
    # Written so that what is no number is refused as well.
    if policy.factor is not None and not 1 <= policy.factor <= _LARGEST_FACTOR:
        message = f"must be from 1 (constant pauses) to {_LARGEST_FACTOR:g}, such as 2"
        yield invalid(f"{field}.factor", message)
    if not found:
        pauses = ("initialDelay", policy.initial_delay), ("maximumDelay", policy.maximum_delay)
        yield from _order_problems(field, *pauses, default=BROKER_CALLS.maximum, default_text="20m")


def _poll_problems(field: str, policy: PollPolicy) -> Iterator[FieldProblem]:
    found = [
        *duration_problems(f"{field}.initialInterval", policy.initial_interval, example="1s"),
        *duration_problems(f"{field}.maximumInterval", policy.maximum_interval, example="10s"),
    ]
    yield from found
    if not found:
        pauses = ("initialInterval", policy.initial_interval), ("maximumInterval", policy.maximum_interval)
        yield from _order_problems(field, *pauses, default=POLLS.early_maximum, default_text="10s at first")


def _order_problems(
    field: str,
    first: tuple[str, str | None],
    longest: tuple[str, str | None],
    *,
    default: timedelta,
    default_text: str,
) -> Iterator[FieldProblem]:
    """The first pause must fit under the longest; either may be left to its default, the first is then short."""
    (first_name, first_pause), (longest_name, longest_pause) = first, longest
    if not first_pause:
        return
    if not longest_pause:
        if parse_duration(first_pause) > default:
            message = (
                f"must be given too, and be at least as long as {first_name} ({first_pause}): the default is "
                f"{default_text}"
            )
            yield required(f"{field}.{longest_name}", message)
    elif parse_duration(longest_pause) < parse_duration(first_pause):
        yield invalid(f"{field}.{longest_name}", f"must not be shorter than {first_name}, which is {first_pause}")


def _prefix_problems(field: str, prefixes: Sequence[str]) -> Iterator[FieldProblem]:
    for position, prefix in enumerate(prefixes):
        domain, slash, name = prefix.partition("/")
        if not slash or subdomain_problem(domain) or not _BEGINNING_OF_NAME.fullmatch(name):
            message = "must begin with a domain and a slash, such as acme.com/ or acme.com/cost-"
            yield invalid(f"{field}[{position}]", message)
        elif domain in _NEVER_TOLD:
            yield forbidden(f"{field}[{position}]", f"cannot be sent to service brokers: {_NEVER_TOLD[domain]}")
        elif prefix in prefixes[:position]:
            yield FieldProblem(f"{field}[{position}]", "FieldValueDuplicate", "is a duplicate; remove one of them")
