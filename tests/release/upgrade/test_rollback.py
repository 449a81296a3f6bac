"""Back to the release before, on the schema of this one, while users go on: nothing is lost, doubled or orphaned."""

from pathlib import Path

import pytest

from chandlery.store.revisions import NEWEST_REVISION
from tests.e2e.stacks.servers import ServerShare
from tests.release.packages import Environment
from tests.release.upgrade.fleet import SERVICES, WORKERS, ReleaseFleet, fleets, load, rollout


async def _upgraded(old: ReleaseFleet, new: ReleaseFleet) -> None:
    """A platform that the release before has installed, with its gateway's mark; none of its processes is left."""
    assert (await old.migrate()).returncode == 0
    await old.start("gateway")
    await old.stop("gateway")
    migrated = await new.migrate()
    assert migrated.returncode == 0, migrated.stderr
    await new.start(*SERVICES)


@pytest.mark.timeout(400)
async def test_old_processes_take_over_again_on_the_new_schema(
    share: ServerShare, previous: Environment, installed: Environment, tmp_path: Path
) -> None:
    old, new = fleets(share, tmp_path, previous.chandlery, installed.chandlery)
    await _upgraded(old, new)
    async with rollout(share, tmp_path, old, new, seed="back") as scene:
        # 0.1.0 refuses a trace in a message, and leaves to its successor what one that died had not published yet. That
        # costs nothing but time: the work queue knows what is due.
        scene.read_by_all = False
        async with load(scene):
            await scene.progress()
            left = await old.migrate()
            assert (left.returncode, NEWEST_REVISION in left.stdout) == (0, True), left.stderr
            for service in (*WORKERS, "gateway"):
                await old.start(service)
                await scene.progress()
                # What it had under way is found by the old release as it was left.
                new.kill(service)
            await scene.progress()
        assert await scene.verdict() == []
        await scene.workload.leave()
        assert await scene.verdict() == []


async def test_old_processes_end_with_a_sentence_when_data_keys_have_been_made(
    share: ServerShare, previous: Environment, installed: Environment, tmp_path: Path
) -> None:
    old, new = fleets(share, tmp_path, previous.chandlery, installed.chandlery)
    assert (await new.migrate()).returncode == 0
    try:
        await new.start("gateway")
        program = old.programs["gateway"]
        program.start()
        assert program.wait() == 2
        assert "the encryption keys do not match the database" in program.log_text()
        assert "Traceback" not in program.log_text()
    finally:
        old.clear()
        new.clear()
