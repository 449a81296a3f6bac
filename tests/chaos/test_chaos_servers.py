"""A short storm over the four services; `make chaos` makes a long one, in which their servers die as well."""

from pathlib import Path

import pytest

from tests.chaos.counting.verdict import LANES
from tests.chaos.platforms import of_servers
from tests.chaos.run import run_chaos
from tests.e2e.stacks.servers import remove_queues, server_share


@pytest.mark.timeout(600)
async def test_nothing_is_lost_doubled_or_orphaned_when_processes_die_and_halt(tmp_path: Path) -> None:
    with server_share() as share:
        platform = of_servers(share, seed="short")
        try:
            outcome = await run_chaos(platform, tmp_path, seed="short", objects=20, most_faults=20, say=print)
        finally:
            remove_queues(share, LANES)
    assert outcome.complaints == []
    assert {text.split()[1] for text in outcome.faults} >= {"kill", "stop"}
