"""From the release before to this one while users go on: nothing is lost, doubled or orphaned."""

from pathlib import Path

import pytest

from chandlery.store.revisions import NEWEST_REVISION
from tests.e2e.stacks.servers import ServerShare
from tests.release.packages import Environment
from tests.release.upgrade.fleet import SERVICES, fleets, load, rollout


@pytest.mark.timeout(400)
async def test_new_processes_take_over_from_old_ones_one_by_one(
    share: ServerShare, previous: Environment, installed: Environment, tmp_path: Path
) -> None:
    old, new = fleets(share, tmp_path, previous.chandlery, installed.chandlery)
    assert (await old.migrate()).returncode == 0
    await old.start(*SERVICES)
    async with rollout(share, tmp_path, old, new, seed="forward") as scene:
        async with load(scene):
            await scene.progress()
            assert (await new.migrate("--check")).returncode == 1
            migrated = await new.migrate()
            assert (migrated.returncode, NEWEST_REVISION in migrated.stdout) == (0, True), migrated.stderr
            await scene.progress()
            for service in SERVICES:
                await new.start(service)
                await scene.progress()
                # What it had under way is found by the new release as it was left.
                old.kill(service)
            await scene.progress()
        assert await scene.verdict() == []
        await scene.workload.leave()
        assert await scene.verdict() == []
