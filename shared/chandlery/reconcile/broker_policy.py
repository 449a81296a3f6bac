"""How one service broker wants to be dealt with, from its specification: pauses, patience, orphan mitigation. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from chandlery.model.brokers import AnyBroker, PollPolicy, RetryPolicy
from chandlery.model.durations import parse_duration
from chandlery.retry.schedule import BROKER_CALLS, POLLS, PollSchedule, Schedule

GIVE_UP_AFTER = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class BrokerPolicy:
    """What the drafts of all objects of one broker go by."""

    retries: Schedule = BROKER_CALLS
    polls: PollSchedule = POLLS
    give_up_after: timedelta = GIVE_UP_AFTER
    """How long an operation may fail, or be polled, before it is given up; a plan may say less."""
    mitigates: bool = True
    """Whether orphan mitigation begins by itself."""
    context_annotations: tuple[str, ...] = ()
    """Prefixes of the annotations that the broker is told."""

    def pause(self, attempt: int, asked_seconds: float | None = None) -> timedelta:
        """The back-off before a call is made again, or longer if the broker asks for that (`Retry-After`)."""
        return max(self.retries.delay(attempt), self.asked_pause(asked_seconds))

    def asked_pause(self, seconds: float | None) -> timedelta:
        """What a broker asks for in `Retry-After`, up to the longest back-off that any broker gets by default."""
        longest = max(self.retries.maximum, BROKER_CALLS.maximum)
        return timedelta(seconds=min(seconds or 0.0, longest.total_seconds()))


DEFAULT_POLICY = BrokerPolicy()


def policy_of(broker: AnyBroker | None, *, give_up_after: timedelta = GIVE_UP_AFTER) -> BrokerPolicy:
    """The policy of a broker; `give_up_after` is the platform's, for brokers that say nothing. None is no broker."""
    if broker is None:
        return BrokerPolicy(give_up_after=give_up_after)
    spec = broker.spec
    own = spec.retry_policy.give_up_after if spec.retry_policy else None
    return BrokerPolicy(
        retries=_retries(spec.retry_policy),
        polls=_polls(spec.poll_policy),
        give_up_after=parse_duration(own) if own else give_up_after,
        mitigates=spec.orphan_mitigation != "Manual",
        context_annotations=spec.context_annotations or (),
    )


def _retries(policy: RetryPolicy | None) -> Schedule:
    if policy is None:
        return BROKER_CALLS
    return Schedule(
        initial=_duration(policy.initial_delay, BROKER_CALLS.initial),
        coefficient=policy.factor or BROKER_CALLS.coefficient,
        maximum=_duration(policy.maximum_delay, BROKER_CALLS.maximum),
    )


def _polls(policy: PollPolicy | None) -> PollSchedule:
    if policy is None:
        return POLLS
    longest = _duration(policy.maximum_interval, POLLS.maximum)
    early = longest if policy.maximum_interval else POLLS.early_maximum
    return PollSchedule(initial=_duration(policy.initial_interval, POLLS.initial), early_maximum=early, maximum=longest)


def _duration(text: str | None, default: timedelta) -> timedelta:
    return parse_duration(text) if text else default
