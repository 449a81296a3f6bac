"""Lives through the rows of `reactions.py`, many at a time: an instance with a binding, answered oddly each time.

From the first request to the last deletion; every operation gets the answer of the row once, and is brought to its end.
"""

import asyncio
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.conformance.platform import BINDING, EVENT, INSTANCE, Platform, condition_of, is_ready, sequence
from tests.conformance.scripted.reactions import ACCEPTED, ENDLESS, WHY, Case, Operation, Reaction, reply_of
from tests.conformance.scripted.scripted_broker import Reply, SeenRequest
from tests.conformance.scripted.scripted_templates import (
    BIND,
    DEPROVISION,
    POLL_BINDING,
    POLL_INSTANCE,
    PROVISION,
    UNBIND,
    UPDATE,
)
from tests.integration.gateway.api_client import Document

BRIEF = "brief"
"""The plan whose operations may take no longer than a second."""
_AT_ONCE = 12
_ASKED = {
    Operation.PROVISION: PROVISION,
    Operation.UPDATE: UPDATE,
    Operation.DEPROVISION: DEPROVISION,
    Operation.BIND: BIND,
    Operation.UNBIND: UNBIND,
}
_MORE_THAN_ENOUGH_POLLS = 300


@dataclass(frozen=True)
class Episode:
    """What became of one case."""

    case: Case
    requests: Sequence[SeenRequest]
    """What the broker saw of it."""
    before_order: int | None
    """How many of them came before a person asked for another try; None if it went on without."""
    warnings: Sequence[str]
    """What people were told in the course of the whole life."""

    @property
    def steps(self) -> list[str]:
        """The requests, briefly; the polls that have no end, once; nothing is said of clean-up that a person caused."""
        steps = sequence(self.requests)
        if self.case.reaction == Reaction.FAILS and self.before_order is not None:
            before, after = steps[: self.before_order], steps[self.before_order :]
            steps = [*before, *(step for step in after if not step.startswith("DELETE"))]
        return [step for step, _ in itertools.groupby(steps)] if self.case.answer == ENDLESS else steps

    @property
    def tells_why(self) -> bool:
        """Whether people were told which request failed, and in the broker's words if it had any."""
        reply = reply_of(self.case)
        gives_words = isinstance(reply, Reply) and isinstance(reply.body, dict) and reply.body.get("description") == WHY
        words = WHY if gives_words and self.case.answer != ENDLESS else ""
        is_about_it = re.compile(rf"\b{self.case.operation}\b", re.IGNORECASE)
        return any(is_about_it.search(each) and words in each for each in self.warnings)


def steps_of(case: Case) -> list[str]:
    """What the broker should see."""
    subject = "binding" if case.operation.is_of_bindings else "instance"
    asked = f"{_ASKED[case.operation].partition(' ')[0]} {subject}"
    polled = f"GET {subject} operation"
    steps = [asked, polled] if case.is_poll else [asked]
    match case.reaction:
        case Reaction.POLLS:
            steps.append(polled)
        case Reaction.FAILS | Reaction.REPEATS | Reaction.DELETES:
            steps.append(asked)
        case Reaction.CLEANS:
            steps += [f"DELETE {subject}", asked]
    is_fetched = case.operation == Operation.BIND and steps[-1] == polled
    return [*steps, "GET binding"] if is_fetched else steps


async def live_through(platform: Platform, cases: Iterable[Case]) -> dict[Case, Episode | BaseException]:
    """All of them, some at a time, at a broker that is registered; what goes wrong is kept for its case."""
    turn = asyncio.Semaphore(_AT_ONCE)
    rows: dict[tuple[str, bool], dict[Operation, Case]] = {}
    for case in cases:
        rows.setdefault((case.answer, case.is_poll), {})[case.operation] = case
    scenarios = [_Scenario(platform, row, f"row-{number}") for number, row in enumerate(rows.values())]

    async def live(scenario: _Scenario) -> None:
        async with turn:
            await scenario.through()

    await asyncio.gather(*map(live, scenarios))
    told = await platform.lists(EVENT, fieldSelector="type=Warning")
    for scenario in scenarios:
        scenario.warnings += [each["message"] for each in told if each["involvedObject"]["name"] == scenario.name]
    return {case: episode for scenario in scenarios for case, episode in scenario.episodes.items()}


@dataclass
class _Scenario:
    platform: Platform
    row: Mapping[Operation, Case]
    name: str
    """Of the instance and of the binding."""
    warnings: list[str] = field(default_factory=list)
    episodes: dict[Case, Episode | BaseException] = field(default_factory=dict)

    async def through(self) -> None:
        try:
            for operation in Operation:
                await self._bring_to_its_end(operation)
        except Exception as problem:  # noqa: BLE001 - it is raised by the tests of these cases
            for case in self.row.values():
                self.episodes.setdefault(case, problem)

    async def _bring_to_its_end(self, operation: Operation) -> None:
        case, seen = self.row.get(operation), len(self._requests(operation))
        if case is not None:
            self._script(case)
        ordered_at = await self._carry_out(operation)
        if case is not None:
            before = ordered_at - seen if ordered_at else None
            self.episodes[case] = Episode(case, self._requests(operation)[seen:], before, self.warnings)

    async def _carry_out(self, operation: Operation) -> int | None:
        """Wait until it is done; how many requests there were when a person had to ask again for that, if so."""
        platform, name = self.platform, self.name
        match operation:
            case Operation.PROVISION:
                is_endless = any(case.answer == ENDLESS for case in self.row.values())
                plan = BRIEF if is_endless else "default"
                await platform.creates_instance(name, plan=plan, externalID=self._id(operation))
                return await self._instance_comes_good()
            case Operation.UPDATE:
                await platform.changes(INSTANCE, name, {"spec": {"parameters": {"size": 2}}})
                return await self._instance_comes_good()
            case Operation.BIND:
                await platform.creates_binding(name, to=name, externalID=self._id(operation))
                return await self._binding_comes_good()
            case Operation.UNBIND:
                await platform.unbinds(name)
            case Operation.DEPROVISION:
                await platform.deprovisions(name)
        return None

    async def _instance_comes_good(self) -> int | None:
        def is_over(found: Document) -> bool:
            return _is_as_wanted(found) or _has_failed(found)

        found = await self.platform.until(INSTANCE, self.name, is_over, "come to an end")
        if not _has_failed(found):
            return None
        before = len(self._requests(Operation.PROVISION))
        generation = found["metadata"]["generation"]
        await self.platform.annotates(INSTANCE, self.name, retry_requested_at=f"generation-{generation}")
        await self.platform.until(INSTANCE, self.name, _is_as_wanted, "be as wanted")
        return before

    async def _binding_comes_good(self) -> int | None:
        def is_over(found: Document) -> bool:
            return is_ready(found) or _has_failed(found)

        found = await self.platform.until(BINDING, self.name, is_over, "come to an end")
        if not _has_failed(found):
            return None
        before = len(self._requests(Operation.BIND))
        await self.platform.annotates(BINDING, self.name, retry_requested_at="now")
        await self.platform.until_ready(BINDING, self.name)
        return before

    def _id(self, operation: Operation) -> str:
        return f"{self.name}-of-{self.platform.number}" + ("-binding" if operation.is_of_bindings else "")

    def _script(self, case: Case) -> None:
        script, asked, only = self.platform.broker.script, _ASKED[case.operation], self._id(case.operation)
        if not case.is_poll:
            script(asked, reply_of(case), only=only)
            return
        script(asked, ACCEPTED, only=only)
        polled = POLL_BINDING if case.operation.is_of_bindings else POLL_INSTANCE
        script(polled, *[reply_of(case)] * (_MORE_THAN_ENOUGH_POLLS if case.answer == ENDLESS else 1), only=only)

    def _requests(self, operation: Operation) -> list[SeenRequest]:
        subject = self._id(operation)
        if operation.is_of_bindings:
            return [each for each in self.platform.broker.seen if each.ids.get("binding_id") == subject]
        return [each for each in self.platform.broker.seen if each.ids == {"instance_id": subject}]


def _is_as_wanted(found: Document) -> bool:
    is_current = found["status"].get("reconciledGeneration") == found["metadata"]["generation"]
    return is_ready(found) and is_current and not condition_of(found, "Failed")


def _has_failed(found: Document) -> bool:
    status = found["status"]
    is_busy = status.get("orphanMitigationInProgress") or status.get("asyncOpInProgress")
    return condition_of(found, "Failed").get("status") == "True" and not is_busy
