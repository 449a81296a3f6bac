"""Runs checks: each as soon as what it needs is known, all others beside it, each within a time, all within another.

Comes in: checks, in any order. Goes out: a result for each of them, whatever happens.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from chandlery.model.faults import Fault
from chandlery.process.commands.doctor.check import Check, Result, State, fail, failed_with, skipped
from chandlery.process.commands.doctor.daemon_thread import in_daemon_thread

EACH_SECONDS: Final = 10.0
"""That one check may take."""
_LEAST_SECONDS: Final = 0.05
"""With less it need not begin."""
_LATE: Final = "no answer within {seconds:g} s"
_REMEDY: Final = "look at the load of this machine and of what it asks, or allow more time with --timeout"


@dataclass(frozen=True)
class Outcome:
    """A check, and what came of it."""

    check: Check
    result: Result


async def run_checks(
    checks: Sequence[Check], *, seconds: float, each_seconds: float = EACH_SECONDS
) -> Sequence[Outcome]:
    """All of them, in the order in which they were given; takes at most `seconds`, and little more."""
    run = _Run({each.id: each for each in checks}, seconds, each_seconds)
    results = await asyncio.gather(*(run.result(each.id) for each in checks))
    return [Outcome(check, result) for check, result in zip(checks, results, strict=True)]


def with_needed(checks: Sequence[Check], wanted: Collection[str]) -> Sequence[Check]:
    """The checks of these ids, and those that they need."""
    by_id = {each.id: each for each in checks}
    found: set[str] = set()
    left = list(wanted)
    while left:
        if (name := left.pop()) in by_id and name not in found:
            found.add(name)
            left += by_id[name].needs
    return [each for each in checks if each.id in found]


class _Run:
    def __init__(self, checks: Mapping[str, Check], seconds: float, each_seconds: float) -> None:
        self._checks = checks
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._seconds = seconds
        self._each_seconds = each_seconds
        self._tasks: dict[str, asyncio.Task[Result]] = {}

    async def result(self, name: str) -> Result:
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._find(self._checks[name]), name=name)
        return await self._tasks[name]

    async def _find(self, check: Check) -> Result:
        for name in check.needs:
            if name not in self._checks:
                return skipped(f"it needs the check {name}, which was left out")
            if why := (await self.result(name)).blocks:
                return skipped(why)
        left = self._deadline - asyncio.get_running_loop().time()
        if left < _LEAST_SECONDS:
            return skipped(f"the {self._seconds:g} s of --timeout were over before its turn")
        return await self._within(check, min(self._each_seconds, left))

    async def _within(self, check: Check, seconds: float) -> Result:
        try:
            async with asyncio.timeout(seconds):
                result = await _answer(check.look)
        except Fault as fault:
            return failed_with(fault, blocks=check.blocks)
        except TimeoutError:
            return replace(fail(_LATE.format(seconds=seconds), _REMEDY, blocks=check.blocks), is_late=True)
        except Exception as error:  # noqa: BLE001 - the others have to be told all the same; a text could quote data
            why = f"it could not be looked at ({type(error).__name__})"
            return fail(why, "report this as a bug of Chandlery", blocks=check.blocks)
        if result.state is State.FAIL and check.blocks and not result.blocks:
            return replace(result, blocks=check.blocks)
        return result


async def _answer(look: Callable[[], Result | Awaitable[Result]]) -> Result:
    answer = look() if inspect.iscoroutinefunction(look) else await in_daemon_thread(look)
    return await answer if inspect.isawaitable(answer) else answer
