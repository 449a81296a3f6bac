"""What happens often is told seldom, and nothing of it is left out."""

import asyncio

from chandlery.process.logs import tally as tallies
from chandlery.process.logs.tally import OTHERS, Tally


async def test_first_is_told_at_once_and_the_others_together() -> None:
    said: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    tally = Tally(lambda key, count: said.put_nowait((key, count)), seconds=0.01)
    for _ in range(500):
        tally.add("192.0.2.1")
    tally.add("192.0.2.2")
    assert [said.get_nowait(), said.get_nowait()] == [("192.0.2.1", 1), ("192.0.2.2", 1)]
    assert said.empty()
    async with asyncio.timeout(10):
        assert await said.get() == ("192.0.2.1", 499)
        # Whoever was silent for as long is forgotten, and new again.
        while tally._untold:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
    tally.add("192.0.2.1")
    assert said.get_nowait() == ("192.0.2.1", 1)


async def test_many_who_happen_once_are_counted_together() -> None:
    said: list[tuple[str, int]] = []
    tally = Tally(lambda key, count: said.append((key, count)), seconds=60)
    for number in range(10 * tallies._MOST_KEYS):
        tally.add(f"192.0.2.{number}")
    assert len(tally._untold) == tallies._MOST_KEYS + 1
    assert len(said) == tallies._MOST_KEYS + 1
    assert said[-1] == (OTHERS, 1)
    assert tally._untold[OTHERS] == 9 * tallies._MOST_KEYS - 1
