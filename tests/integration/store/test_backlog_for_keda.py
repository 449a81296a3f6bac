"""The chart's queries by which KEDA scales workers, on PostgreSQL, with the rights that the chart's README gives."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from chandlery.store.connection.engine import open_engine
from chandlery.store.schema import WORK_QUEUE
from chandlery.store.work.work_counts import CountStore
from tests.unit.deploy.sets.value_sets import rendered

pytestmark = pytest.mark.servers

README: Final = Path(__file__).parents[3] / "deploy/chart/chandlery/README.md"
_MINUTE: Final = timedelta(minutes=1)


def queries() -> dict[str, str]:
    """Of each component, as the chart makes it."""
    scaled = {
        body["metadata"]["labels"]["app.kubernetes.io/component"]: body
        for body in rendered("scaled-by-postgresql").of("ScaledObject")
    }
    return {name: body["spec"]["triggers"][0]["metadata"]["query"] for name, body in scaled.items()}


async def _as_keda(connection: AsyncConnection) -> None:
    """A role of this transaction alone, made and allowed by the README's own statements."""
    database = await connection.scalar(text("SELECT current_database()"))
    statements = re.findall(r"^    ((?:CREATE ROLE|GRANT) .* ?keda.*);$", README.read_text(), re.MULTILINE)
    assert len(statements) == 3
    for statement in statements:
        mine = re.sub(r"\bkeda\b", '"keda of a test"', statement).replace(
            "DATABASE chandlery", f'DATABASE "{database}"'
        )
        await connection.execute(text(mine))
    await connection.execute(text('SET LOCAL ROLE "keda of a test"'))


def _rows(now: datetime) -> list[dict[str, Any]]:
    past, later = now - _MINUTE, now + _MINUTE
    due = {"due_at": past, "enqueue_after": later, "lease_until": None}
    kinds = ["ServiceInstance", *["ServiceBinding"] * 2, "ClusterServiceBroker", "ServiceBroker", "Namespace"]
    free = [{"kind": kind, **due} for kind in kinds]
    return [
        *free,
        {"kind": "ServiceInstance", **due, "lease_until": past},
        # Nobody has to be there for these: in hand, later, at rest.
        {"kind": "ServiceInstance", **due, "lease_until": later},
        {"kind": "ServiceBinding", **due, "due_at": later},
        {"kind": "ServiceBinding", "due_at": None, "enqueue_after": None, "lease_until": None},
    ]


async def test_keda_is_told_what_is_due_of_each_worker_and_may_read_nothing_else(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url, application_name="chandlery-test")
    now = datetime.now(UTC)
    try:
        async with engine.begin() as connection:
            for number, row in enumerate(_rows(now)):
                plain = {"uid": f"uid-{number}", "lane": "lane", "memory": {}}
                await connection.execute(insert(WORK_QUEUE).values({**plain, **row}))
            ours = await CountStore(connection, now).backlog()
        async with engine.connect() as connection:
            await _as_keda(connection)
            told = {name: await connection.scalar(text(query)) for name, query in queries().items()}
            with pytest.raises(DBAPIError, match="permission denied"):
                await connection.execute(text("SELECT memory FROM work_queue"))
            await connection.rollback()
    finally:
        await engine.dispose()
    assert told == {"provisioner": 2, "binder": 2, "syncer": 3}
    # As the metric has it, which all else goes by.
    assert sum(told.values()) == sum(work.number for work in ours)
