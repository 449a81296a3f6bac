"""Retry within one attempt: a few tries over a second or two, as a frozen value that tenacity acts on.

Nearly every first try succeeds, and there are several for each object. So the first one goes without tenacity, which
would make thirty objects for it that only the garbage collector gets rid of; it is told of a first try that has failed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from tenacity import (
    AsyncRetrying,
    AttemptManager,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_never,
    wait_exponential_jitter,
)


class FirstTry:
    """A block that keeps what it fails with, if that may pass."""

    __slots__ = ("_temporary", "_unless", "fault")

    def __init__(self, temporary: tuple[type[BaseException], ...], unless: tuple[type[BaseException], ...]) -> None:
        self._temporary = temporary
        self._unless = unless
        self.fault: BaseException | None = None

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        if error is None or not self.may_pass(error):
            return False
        self.fault = error
        return True

    def may_pass(self, error: BaseException) -> bool:
        """Whether another try may succeed."""
        return isinstance(error, self._temporary) and not isinstance(error, self._unless)


class Tries:
    """An asynchronous iterator of blocks: the next one, after a pause, if the one before has failed."""

    __slots__ = ("_attempts", "_begin", "_first", "_is_begun")

    def __init__(self, first: FirstTry, begin: Callable[[], AsyncRetrying]) -> None:
        self._first = first
        self._begin = begin
        self._is_begun = False
        self._attempts: AsyncRetrying | None = None

    def __aiter__(self) -> "Tries":
        return self

    async def __anext__(self) -> FirstTry | AttemptManager:
        if not self._is_begun:
            self._is_begun = True
            return self._first
        if self._attempts is not None:
            return await anext(self._attempts)
        fault, self._first.fault = self._first.fault, None
        if fault is None:
            raise StopAsyncIteration
        self._attempts = aiter(self._begin())
        with await anext(self._attempts):
            raise fault
        return await anext(self._attempts)


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
    ) -> Tries:
        """Blocks to try in: again on these exceptions, but `unless` on those; the last one is raised."""
        first = FirstTry(temporary, unless)

        def begin() -> AsyncRetrying:
            return AsyncRetrying(
                retry=retry_if_exception(first.may_pass),
                stop=stop_never if self.attempts is None else stop_after_attempt(self.attempts),
                wait=wait_exponential_jitter(multiplier=self.initial_seconds, max=self.maximum_seconds, jitter=0.05),
                before_sleep=before_sleep,
                reraise=True,
            )

        return Tries(first, begin)


BROKER_CONNECT = TransientRetry(attempts=3, initial_seconds=0.1, maximum_seconds=1.0)
"""A broker that could not be reached at all: nothing was sent, so repeating is harmless."""
STORE_CONFLICT = TransientRetry(attempts=8, initial_seconds=0.005, maximum_seconds=0.2)
"""A transaction that lost a race in the database."""
SERVER_START = TransientRetry(attempts=None, initial_seconds=0.5, maximum_seconds=10.0)
"""Database or message bus that is not there yet."""
