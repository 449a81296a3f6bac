"""Counts that are too large for one transaction, part by part: all objects, and the catalogs of all service brokers.

Called by: `counting`, which asks for the next part until there is none.
"""

from typing import Final

from chandlery.reconcile.reconcile_result import broker_label
from chandlery.store.database import Database
from chandlery.store.objects.broker_facts import FIRST
from chandlery.telemetry.catalog.work import CATALOG_SYNCED, OBJECTS
from chandlery.telemetry.metric import Gauge
from chandlery.telemetry.metrics import Sample

Counted = dict[Gauge, list[Sample]]

MOST_BROKERS: Final = 10_000
"""Of which catalogs are told apart; far more than a label has room for. Of all others the oldest is told."""
_OTHER: Final = "other"


class ObjectCounting:
    """Counts all objects, part by part."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.begin()

    def begin(self) -> None:
        """Begin anew with the next part."""
        self._numbers: dict[tuple[str, ...], float] = {}
        self._first = 0

    async def next_part(self) -> Counted | None:
        """All of them after the last part, None after the others. A part that fails begins anew."""
        first, numbers = self._first, self._numbers
        self.begin()
        part = await self._database.run(lambda unit: unit.counts.objects(first))
        for each in part.found:
            labels = (each.kind, broker_label(each.lane), each.ready)
            numbers[labels] = numbers.get(labels, 0) + each.number
        if part.following is None:
            return {OBJECTS: [Sample(labels, number) for labels, number in numbers.items()]}
        self._numbers, self._first = numbers, part.following
        return None


class CatalogCounting:
    """Looks up when the catalog of each service broker was last read, page by page."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.begin()

    def begin(self) -> None:
        """Begin anew with the next part."""
        self._moments: dict[str, float] = {}
        self._after = FIRST

    async def next_part(self) -> Counted | None:
        """All of them after the last part, None after the others. A part that fails begins anew."""
        after, moments = self._after, self._moments
        self.begin()
        page = await self._database.run(lambda unit: unit.broker_facts.catalogs(after))
        for lane, moment in page.found:
            label = broker_label(lane) if len(moments) < MOST_BROKERS else _OTHER
            moments[label] = min(moments.get(label, moment.timestamp()), moment.timestamp())
        if page.following is None:
            return {CATALOG_SYNCED: [Sample((label,), moment) for label, moment in moments.items()]}
        self._moments, self._after = moments, page.following
        return None
