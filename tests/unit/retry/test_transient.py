"""Tries in a row: the first without ceremony, those after it as tenacity has them."""

import gc
import weakref

import pytest
from tenacity import RetryCallState

from chandlery.retry.transient import TransientRetry

SOON = TransientRetry(attempts=3, initial_seconds=0.0, maximum_seconds=0.0)


class Passing(Exception):
    pass


class Lasting(Passing):
    pass


async def tries_until(outcomes: list[BaseException | None], told: list[int] | None = None) -> int:
    """How many tries it takes when they end like this, one after the other."""

    def tell(state: RetryCallState) -> None:
        assert state.outcome is not None
        assert isinstance(state.outcome.exception(), Passing)
        if told is not None:
            told.append(state.attempt_number)

    tries = 0
    async for attempt in SOON.around(Passing, unless=(Lasting,), before_sleep=tell):
        with attempt:
            tries += 1
            if (outcome := outcomes[tries - 1]) is not None:
                raise outcome
    return tries


@pytest.mark.parametrize("failures", [0, 1, 2])
async def test_it_is_tried_until_it_succeeds(failures: int) -> None:
    told: list[int] = []

    assert await tries_until([*[Passing() for _ in range(failures)], None], told) == failures + 1
    assert told == list(range(1, failures + 1))


async def test_the_last_fault_is_raised_when_there_were_enough_tries() -> None:
    faults = [Passing("first"), Passing("second"), Passing("third"), Passing("never")]

    with pytest.raises(Passing) as raised:
        await tries_until([*faults])

    assert raised.value is faults[2]


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("fault", [Lasting(), LookupError()])
async def test_what_does_not_pass_is_raised_at_once(before: int, fault: Exception) -> None:
    with pytest.raises(type(fault)) as raised:
        await tries_until([*[Passing() for _ in range(before)], fault])

    assert raised.value is fault


async def test_a_first_try_that_succeeds_leaves_nothing_to_the_collector() -> None:
    class Held:
        pass

    gc.collect()
    gc.disable()
    try:
        held = Held()
        gone = weakref.ref(held)
        async for attempt in SOON.around(Passing):
            with attempt:
                kept = [held]
        del held, kept, attempt
        assert gone() is None
    finally:
        gc.enable()
