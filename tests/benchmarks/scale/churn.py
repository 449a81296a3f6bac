"""Whether pruning keeps up with 400 objects a second, and whether tables stay as small as what is in them.

Rows come as the platform leaves them: of each object three changes, an event, an operation and an audit event, and its
row of work is claimed and released. They are kept for half a minute and not for hours, so that a few minutes are many
lifetimes of the log, and those of autovacuum count.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from chandlery.engine.upkeep.retention import Retention
from chandlery.settings.settings import Settings
from tests.benchmarks.scale.stores import FilledStore
from tests.benchmarks.scale.table_sizes import TableSize, table_sizes
from tests.benchmarks.stands.databases import connected
from tests.support.scale.filling import Values, copy_rows, values_of_changes, values_of_instances
from tests.support.scale.hot_paths import BATCH, MEASURED, Ground

OBJECTS_A_SECOND: Final = 400
KEPT_SECONDS: Final = 30
_CHANGES: Final = 3
_HISTORY: Final = ("events", "operations", "audit_events")
WATCHED: Final = ("changes", *_HISTORY, "work_queue")
_LOOKS: Final = 4
_STRIDE: Final = 12_347


@dataclass
class ChurnFigure:
    """What came of it."""

    objects: int = 0
    seconds: float = 0.0
    rounds_ms: list[float] = field(default_factory=list)
    """Of pruning."""
    behind_seconds: float = 0.0
    """By how much the oldest change was older than it may be, at the end."""
    sizes: list[dict[str, TableSize]] = field(default_factory=list)
    """By table, from the beginning to the end."""


async def measure_churn(store: FilledStore, seconds: float) -> ChurnFigure:
    """Write and prune for so long."""
    rounds: list[float] = []
    figure, pruning = ChurnFigure(rounds_ms=rounds), asyncio.create_task(_prune(store, rounds))
    working, started = asyncio.create_task(_work(store)), time.monotonic()
    async with connected(store.url) as plain:
        for number in itertools.count():
            passed = time.monotonic() - started
            if len(figure.sizes) < _LOOKS and passed >= seconds * (len(figure.sizes) + 1) / _LOOKS:
                figure.sizes.append({each.name: each for each in await table_sizes(store.url) if each.name in WATCHED})
            if passed >= seconds:
                break
            await _write(plain, store, number)
            await asyncio.sleep(max(0.0, started + number + 1 - time.monotonic()))
        figure.objects, figure.seconds = number * OBJECTS_A_SECOND, time.monotonic() - started
        oldest = await plain.fetchval("SELECT extract(epoch FROM now() - min(at)) FROM changes")
        figure.behind_seconds = max(0.0, float(oldest) - KEPT_SECONDS)
    for task in (pruning, working):
        task.cancel()
    await asyncio.gather(pruning, working, return_exceptions=True)
    return figure


async def _write(plain: Any, store: FilledStore, second: int) -> None:
    first = store.filling.instances + second * OBJECTS_A_SECOND
    now = datetime.now(UTC)
    begun = now - timedelta(seconds=first / store.filling.changes_a_second)
    of_instance = _at(now, values_of_instances(store.filling, begun))
    for table in _HISTORY:
        await copy_rows(plain, store.samples, table, range(first, first + OBJECTS_A_SECOND), of_instance)
    begin = store.filling.changes + second * OBJECTS_A_SECOND * _CHANGES
    of_change = _at(now, values_of_changes(store.filling, now))
    await copy_rows(plain, store.samples, "changes", range(begin, begin + OBJECTS_A_SECOND * _CHANGES), of_change)


def _at(now: datetime, values: Callable[[int], Values]) -> Callable[[int], Values]:
    moment = now.isoformat().encode()

    def at_once(number: int) -> Values:
        found = values(number)
        # Where no transaction of the store puts its own.
        return found | {b"at": moment, b"position": b"%d" % (int(found[b"position"]) + 7_777)}

    return at_once


async def _work(store: FilledStore) -> None:
    do, started = MEASURED["claim and release of 32"], time.monotonic()
    for number in itertools.count():
        await do(Ground(store.database, store.filling, number * _STRIDE))
        await asyncio.sleep(max(0.0, started + (number + 1) * BATCH / OBJECTS_A_SECOND - time.monotonic()))


async def _prune(store: FilledStore, rounds: list[float]) -> None:
    hours = KEPT_SECONDS / 3600
    kept = Settings(change_log_hours=hours, event_hours=hours, audit_hours=hours, operation_history_days=hours / 24)
    retention = Retention(store.database, kept)
    while True:
        started = time.monotonic()
        await retention.prune()
        rounds.append(1_000 * (time.monotonic() - started))
        # As the sweep does where there is more to prune; where there is not, it comes once a minute.
        await asyncio.sleep(1)
