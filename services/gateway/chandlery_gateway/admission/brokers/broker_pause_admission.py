"""No service broker may ask to be called more often than the operator lets any: its namespace is not the only one.

Unlike the other rules these depend on settings, so `object_writer` and `wish_transactions` call them beside the rest. What was
stored before the operator raised a value stays; the workers pause for as long all the same.
"""

from collections.abc import Iterator
from datetime import timedelta

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.brokers import ClusterServiceBroker, CommonBrokerSpec, ServiceBroker
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.text.durations import parse_duration
from chandlery.reconcile.policies.broker_policy import ShortestPauses
from chandlery_gateway.admission.field_checks import invalid

_MILLISECOND = timedelta(milliseconds=1)
_BROKERS = ClusterServiceBroker | ServiceBroker


def pause_problems(
    document: AnyObject, shortest: ShortestPauses, *, old: AnyObject | None = None
) -> Iterator[FieldProblem]:
    """Pauses that are too short; of a changed broker only those that are new."""
    if not isinstance(document, _BROKERS):
        return
    before = dict(_pauses(old.spec, shortest)) if isinstance(old, _BROKERS) else {}
    for (field, least), text in _pauses(document.spec, shortest):
        if text and before.get((field, least)) != text and _is_below(text, least):
            yield invalid(field, f"must be at least {least / _MILLISECOND:g}ms, the lowest that this platform allows")


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
