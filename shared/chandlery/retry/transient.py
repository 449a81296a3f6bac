"""Retry within one attempt: a few tries over a second or two, as a frozen value that tenacity acts on."""

from collections.abc import Callable
from dataclasses import dataclass

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_never,
    wait_exponential_jitter,
)


@dataclass(frozen=True, kw_only=True)
class TransientRetry:
    """How often and how patiently a call is repeated. Seconds throughout."""

    attempts: int | None = 3
    """None tries for ever."""
    initial_seconds: float = 0.1
    maximum_seconds: float = 2.0

    def around(
        self,
        *temporary: type[BaseException],
        unless: tuple[type[BaseException], ...] = (),
        before_sleep: Callable[[RetryCallState], None] | None = None,
    ) -> AsyncRetrying:
        """A tenacity controller that repeats on these exceptions, but `unless` on those, and re-raises the last one."""
        return AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, temporary) and not isinstance(error, unless)),
            stop=stop_never if self.attempts is None else stop_after_attempt(self.attempts),
            wait=wait_exponential_jitter(multiplier=self.initial_seconds, max=self.maximum_seconds, jitter=0.05),
            before_sleep=before_sleep,
            reraise=True,
        )


BROKER_CONNECT = TransientRetry(attempts=3, initial_seconds=0.1, maximum_seconds=1.0)
"""A broker that could not be reached at all: nothing was sent, so repeating is harmless."""
STORE_CONFLICT = TransientRetry(attempts=8, initial_seconds=0.005, maximum_seconds=0.2)
"""A transaction that lost a race in the database."""
SERVER_START = TransientRetry(attempts=None, initial_seconds=0.5, maximum_seconds=10.0)
"""Database or message bus that is not there yet."""
