"""Rules for what protects a service broker: how many calls at a time and in a second, and when it is left alone."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.brokers import CircuitBreaker, CommonBrokerSpec, RateLimit
from chandlery_gateway.admission.field_checks import duration_problems, invalid

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
        message = f"must be from 1 to {_MOST_FAILURES:,}, or 0 to have the broker never left alone"
        yield invalid(f"{field}.consecutiveFailures", message)
    yield from duration_problems(f"{field}.openDuration", breaker.open_duration, example="30s", longest=_LONGEST_OPEN)
