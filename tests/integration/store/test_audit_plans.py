"""What is selected from the audit log is found by an index, on both databases."""

from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.text.time_ordered_ids import time_ordered_id
from chandlery.store.audit.audit_entries import AuditEntry, AuditFilter
from chandlery.store.audit.audit_store import AuditStore


def entry(number: int) -> AuditEntry:
    uid, related = f"uid-{number % 500}", f"related-{number % 500}"
    return AuditEntry(name=time_ordered_id(10**18 + number), event="{}", object_uid=uid, related_uids=(related,))


async def test_events_are_found_by_a_uid_without_reading_all_of_them(engine: AsyncEngine) -> None:
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    async with engine.begin() as connection:
        await AuditStore(connection, is_kept=True).write([entry(number) for number in range(5_000)])
        await connection.execute(text("ANALYZE"))
        event.listen(engine.sync_engine, "before_cursor_execute", note)
        found = await AuditStore(connection, is_kept=True).find(AuditFilter(uid="related-7"), limit=501)
        event.remove(engine.sync_engine, "before_cursor_execute", note)
        assert len(found) == 10
        explain = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        plan = (await connection.exec_driver_sql(f"{explain} {seen[-1][0]}", seen[-1][1])).all()
    told = "\n".join(str(row[-1]) for row in plan)
    assert "ix_audit_events_object_uid" in told, told
    assert "Filter" not in told, told
    assert "SCAN" not in told, told
