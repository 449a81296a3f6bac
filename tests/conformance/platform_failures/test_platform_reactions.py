"""What follows each answer to each request and each poll: the tables of `reactions.py`, cell by cell."""

from collections.abc import Mapping

import pytest
import pytest_asyncio

from tests.conformance.platform import NewPlatform
from tests.conformance.scripted.reaction_scenarios import BRIEF, Episode, live_through, steps_of
from tests.conformance.scripted.reactions import CASES, LATE, Case, Reaction
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.conformance.scripted.scripted_catalog import simple_plan

# The first test of a backend waits for all cases to be lived through.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

Scenarios = Mapping[Case, Episode | BaseException]
FAILURES = (Reaction.FAILS, Reaction.CLEANS, Reaction.DELETES)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def scenarios(new_platform: NewPlatform) -> Scenarios:
    """What became of all cases on this backend: they are lived through once, many at a time."""
    late = [case for case in CASES if case.answer in LATE]
    return {
        **await _lived(new_platform, [case for case in CASES if case not in late]),
        **await _lived(new_platform, late, requestTimeout="300ms"),
    }


async def _lived(new_platform: NewPlatform, cases: list[Case], **broker: str) -> Scenarios:
    async with ScriptedBroker() as scripted, new_platform(scripted) as platform:
        brief = simple_plan(BRIEF, maximum_polling_duration=1)
        platform.offers("default", brief, bindings_retrievable=True)
        await platform.registers(**broker)
        return await live_through(platform, cases)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_answer_leads_to_what_the_table_says(scenarios: Scenarios, case: Case) -> None:
    episode = scenarios[case]
    if isinstance(episode, BaseException):
        raise episode
    assert episode.steps == steps_of(case)
    if case.reaction in FAILURES:
        assert episode.tells_why, episode.warnings
    if case.reaction == Reaction.REPEATS:
        first, second = episode.requests
        assert (first.raw_path, first.raw_body) == (second.raw_path, second.raw_body)
    if case.reaction in (Reaction.REPEATS, Reaction.DONE, Reaction.POLLS):
        assert episode.before_order is None, episode.warnings
