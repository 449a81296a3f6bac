"""How one service broker wants to be dealt with, from its specification: pauses, patience, limits. Pure."""

import math
from dataclasses import dataclass, replace
from datetime import timedelta

from chandlery.model.objects.annotations import requested_actions_of
from chandlery.model.objects.brokers import AnyBroker, PollPolicy, RateLimit, RetryPolicy
from chandlery.model.text.durations import parse_duration
from chandlery.retry.circuit import CircuitPolicy
from chandlery.retry.rate_limit import CallRate
from chandlery.retry.schedule import BROKER_CALLS, POLLS, PollSchedule, Schedule

GIVE_UP_AFTER = timedelta(days=7)
DEFAULT_CIRCUIT = CircuitPolicy()


@dataclass(frozen=True, kw_only=True)
class BrokerPolicy:
    """What the drafts of all objects of one broker go by."""

    retries: Schedule = BROKER_CALLS
    polls: PollSchedule = POLLS
    give_up_after: timedelta = GIVE_UP_AFTER
    """How long an operation may fail, or be polled, before it is given up; a plan may say less."""
    mitigates: bool = True
    """Whether orphan mitigation begins by itself."""
    names_unchanged_plan: bool = True
    """Whether an update of parameters names the plan that there is."""
    context_annotations: tuple[str, ...] = ()
    """Prefixes of the annotations that the broker is told."""
    name: str = ""
    """The broker's, for people."""
    circuit: CircuitPolicy = DEFAULT_CIRCUIT
    rate: CallRate | None = None
    """None sends as many calls as there are."""

    def pause(self, attempt: int, retry_after_seconds: float | None = None) -> timedelta:
        """The back-off before a call is made again, or longer if the broker asks for that (`Retry-After`)."""
        return max(self.retries.delay(attempt), self.asked_pause(retry_after_seconds))

    def asked_pause(self, seconds: float | None) -> timedelta:
        """What a broker asks for in `Retry-After`, up to the longest back-off that any broker gets by default."""
        longest = max(self.retries.maximum, BROKER_CALLS.maximum)
        return timedelta(seconds=min(seconds or 0.0, longest.total_seconds()))


DEFAULT_POLICY = BrokerPolicy()


@dataclass(frozen=True, kw_only=True)
class ShortestPauses:
    """How soon any service broker is called again at the earliest, whatever it asks for: others are served, too."""

    polls: timedelta = timedelta(0)
    retries: timedelta = timedelta(0)
    """Also how long one that is left alone is left alone at least."""


AS_SHORT_AS_ASKED = ShortestPauses()


def policy_of(
    broker: AnyBroker | None,
    *,
    give_up_after: timedelta = GIVE_UP_AFTER,
    circuit: CircuitPolicy = DEFAULT_CIRCUIT,
    shortest: ShortestPauses = AS_SHORT_AS_ASKED,
) -> BrokerPolicy:
    """The policy of a broker, None for no broker. The next two count where the broker says nothing, the last always."""
    if broker is None:
        return BrokerPolicy(give_up_after=give_up_after)
    spec = broker.spec
    own = spec.retry_policy.give_up_after if spec.retry_policy else None
    return BrokerPolicy(
        retries=_retries(spec.retry_policy, shortest.retries),
        polls=_polls(spec.poll_policy, shortest.polls),
        give_up_after=parse_duration(own) if own else give_up_after,
        mitigates=spec.orphan_mitigation != "Manual",
        names_unchanged_plan=spec.send_unchanged_plan is not False,
        context_annotations=spec.context_annotations or (),
        name=broker.metadata.name,
        circuit=_circuit(broker, circuit, shortest.retries),
        rate=_rate(spec.rate_limit),
    )


def _retries(policy: RetryPolicy | None, shortest: timedelta) -> Schedule:
    if policy is None:
        return BROKER_CALLS
    return Schedule(
        initial=max(_duration(policy.initial_delay, BROKER_CALLS.initial), shortest),
        coefficient=policy.factor or BROKER_CALLS.coefficient,
        maximum=max(_duration(policy.maximum_delay, BROKER_CALLS.maximum), shortest),
    )


def _polls(policy: PollPolicy | None, shortest: timedelta) -> PollSchedule:
    if policy is None:
        return POLLS
    longest = max(_duration(policy.maximum_interval, POLLS.maximum), shortest)
    early = longest if policy.maximum_interval else max(POLLS.early_maximum, shortest)
    first = max(_duration(policy.initial_interval, POLLS.initial), shortest)
    return PollSchedule(initial=first, early_maximum=early, maximum=longest)


def _circuit(broker: AnyBroker, default: CircuitPolicy, shortest: timedelta) -> CircuitPolicy:
    own, metadata = broker.spec.circuit_breaker, broker.metadata
    open_for = default.open_for
    if broker.spec.retry_policy and broker.spec.retry_policy.maximum_delay:
        # Who wants to be asked again so soon is not left alone for longer.
        open_for = min(open_for, parse_duration(broker.spec.retry_policy.maximum_delay))
    failures = own.consecutive_failures if own else None
    longest_call = _duration(broker.spec.request_timeout, timedelta(0))
    return replace(
        default,
        failures=default.failures if failures is None else failures,
        open_for=max(parse_duration(own.open_duration) if own and own.open_duration else open_for, shortest),
        probe_for=max(default.probe_for, 2 * longest_call),
        revision=f"{metadata.uid}/{metadata.generation}/{requested_actions_of(metadata).retry}" if metadata.uid else "",
    )


def _rate(limit: RateLimit | None) -> CallRate | None:
    # Admission refuses other rates; one that is stored all the same must not stop the workers.
    if limit is None or not limit.requests_per_second > 0:
        return None
    burst = limit.burst or max(1, math.floor(limit.requests_per_second))
    return CallRate(per_second=limit.requests_per_second, burst=burst)


def _duration(text: str | None, default: timedelta) -> timedelta:
    return parse_duration(text) if text else default
