"""A short storm over `chandlery up`."""

from pathlib import Path

import pytest

from tests.chaos.platforms import of_one_process
from tests.chaos.run import run_chaos


@pytest.mark.timeout(600)
async def test_nothing_is_lost_doubled_or_orphaned_when_the_one_process_dies_and_halts(tmp_path: Path) -> None:
    platform = of_one_process(tmp_path, seed="one")
    outcome = await run_chaos(platform, tmp_path, seed="one", objects=20, most_faults=12, say=print)
    assert outcome.complaints == []
    assert {text.split()[1] for text in outcome.faults} >= {"kill", "stop"}
