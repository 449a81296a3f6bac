"""Counts what syncs have come to, and what they have changed, once that is committed."""

from collections.abc import Mapping, Sized
from typing import Final

from chandlery.model.objects.brokers import AnyBroker
from chandlery.reconcile.reconcile_result import broker_key, broker_label
from chandlery.store.database import UnitOfWork
from chandlery.telemetry.catalog.work import CATALOG_CHANGES, CATALOG_SYNCS
from chandlery.telemetry.metrics import Metrics
from chandlery_syncer.catalog.catalog_news import CatalogNews

_DONE: Final = "done"
_FAILED: Final = "failed"


class CatalogCounting:
    """The syncs of one process."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def synced(self, unit: UnitOfWork, broker: AnyBroker, *, is_done: bool) -> None:
        """A catalog was fetched, and can be used or not."""
        outcome = _DONE if is_done else _FAILED
        unit.after_commit(lambda: self._metrics.count(CATALOG_SYNCS, _label(broker), outcome))

    def changed(self, unit: UnitOfWork, broker: AnyBroker, news: CatalogNews) -> None:
        """It was taken over."""
        unit.after_commit(lambda: self._count(_label(broker), _changes(news)))

    def _count(self, broker: str, changes: Mapping[str, Sized]) -> None:
        for change, offerings in changes.items():
            if offerings:
                self._metrics.count(CATALOG_CHANGES, broker, change, by=len(offerings))


def _changes(news: CatalogNews) -> Mapping[str, Sized]:
    """Classes and plans, by what has become of them."""
    return {
        "added": news.difference.creates,
        "changed": news.changed,
        "returned": news.returned,
        "retired": news.marked,
        "removed": news.retirement.removals,
    }


def _label(broker: AnyBroker) -> str:
    return broker_label(broker_key(broker.metadata.namespace, broker.metadata.name))
