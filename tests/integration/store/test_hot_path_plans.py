"""What is done all the time reads no large table from end to end, as PostgreSQL tells of its own plans.

On a filling that is small, and large enough for an index to be the better way. `make bench-scale` asks the same of a
million instances.
"""

from collections.abc import AsyncIterator
from typing import Final

import pytest

from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.sealing.sealing import Keyring
from chandlery_gateway.read import object_reader
from tests.support.scale.filling import Filling, fill
from tests.support.scale.hot_paths import MEASURED, Done, Ground
from tests.support.scale.plans import PlanRecorder, large_tables

FILLING: Final = Filling(instances=10_000, brokers=100, changes=10_000)
STEP: Final = 200
MOST_COUNTED: Final = 1_000
MOST_ROWS: Final = 3_000
"""That one step of a plan may touch."""


@pytest.fixture
async def recorder(postgresql_url: str, keyring: Keyring) -> AsyncIterator[PlanRecorder]:
    engine = open_engine(postgresql_url, application_name="chandlery-test")
    recorder = PlanRecorder(engine)
    yield recorder
    await engine.dispose()


async def test_no_hot_path_reads_a_large_table_from_end_to_end(
    recorder: PlanRecorder, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_reader, "_MOST_COUNTED", MOST_COUNTED)
    database = Database(recorder.engine, keyring)
    await fill(database, recorder.engine, FILLING)
    large = await large_tables(recorder.engine, rows=FILLING.instances // 2)
    assert {"serviceinstances", "work_queue", "changes", "events", "operations", "interests"} <= large

    async def wrong(do: Done) -> list[str]:
        recorder.taken()
        await do(Ground(database, FILLING, 77, step=STEP))
        plans = recorder.taken()
        assert plans, "nothing was asked of the database"
        return [plan.text for plan in plans if plan.sequential_scans(large) or plan.rows_touched > MOST_ROWS]

    async def all_lanes(ground: Ground) -> object:
        return await ground.database.run(lambda unit: unit.inspection.lanes())

    assert await wrong(all_lanes), "what reads a large table has to be noticed"
    found = {name: texts for name, do in MEASURED.items() if (texts := await wrong(do))}
    assert found == {}
