"""`chandlery move-database` with ten thousand instances: they need not fit into memory."""

import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from chandlery.store.connection.engine import open_engine
from chandlery.store.migrate import migrate
from chandlery.store.recovery.moving import move_all
from chandlery.store.schema import OBJECTS
from tests.e2e.stacks.servers import server_share

NOON = datetime(2026, 3, 14, 12, 0, 0, tzinfo=UTC)


async def test_ten_thousand_instances_do_not_have_to_fit_into_memory(tmp_path: Path) -> None:
    with server_share() as share:
        source = open_engine(f"sqlite:///{tmp_path / 'source.db'}", application_name="test")
        target = open_engine(share.database_url, application_name="test", statement_seconds=None)
        await migrate(source)
        await migrate(target)
        table = OBJECTS["ServiceInstance"]
        spec = {"parameters": {"text": "x" * 2_000}}
        async with source.begin() as connection:
            for start in range(0, 10_000, 500):
                rows = [
                    {
                        "uid": f"u-{each}",
                        "namespace": "ns",
                        "name": f"i-{each}",
                        "resource_version": each,
                        "created_at": NOON,
                    }
                    | {"spec": spec, "status": {"conditions": []}}
                    for each in range(start, start + 500)
                ]
                await connection.execute(insert(table), rows)
        tracemalloc.start()
        try:
            moved = await move_all(source, target, tell=lambda *_: None)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert moved[table.name] == 10_000
        assert peak < 12 << 20, "20 MB were moved"
        await source.dispose()
        await target.dispose()
