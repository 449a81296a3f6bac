"""Counts the transactions of one process, and tells of its connections and of transactions that are begun again."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool
from tenacity import RetryCallState

from chandlery.model.faults import Unavailable
from chandlery.store.database_errors import LostConnection, LostRace
from chandlery.store.sealing.data_key_cache import DataKeyNeeded
from chandlery.telemetry.catalog.database_use import CONNECTIONS, CONNECTIONS_LIMIT, TRANSACTION_SECONDS, TRANSACTIONS
from chandlery.telemetry.current_trace import sampled_trace_id
from chandlery.telemetry.metrics import Metrics, Sample

log = structlog.get_logger(__name__)


def say_repeated(state: RetryCallState) -> None:
    """A transaction is begun again."""
    # Its name alone: texts of databases quote data.
    name = type(state.outcome.exception() if state.outcome else None).__name__
    why = "another one was first" if name == LostRace.__name__ else "its connection broke"
    what = f"a transaction is repeated, because {why}"
    log.debug(what, action="repeat_transaction", attempt=state.attempt_number, error_type=name)


class TransactionEnd(StrEnum):
    """What came of a transaction."""

    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    """For what it was begun for: a refusal, a dry run, a bug."""
    REPEATED = "repeated"
    """It has lost a race or its connection, or lacked a data key, and is begun again."""
    FAILED = "failed"
    """The database, or a key that is needed, was not to be had; or it has been repeated often enough."""


class TransactionCounting:
    """Stands around each transaction."""

    def __init__(self, engine: AsyncEngine, metrics: Metrics) -> None:
        self._metrics = metrics
        pool, in_use, idle = engine.pool, ("in use",), ("idle",)
        if isinstance(pool, QueuePool):
            # It has no overflow: see `engine.py`.
            metrics.collect(CONNECTIONS_LIMIT, lambda: [Sample((), pool.size())])
            metrics.collect(CONNECTIONS, lambda: [Sample(in_use, pool.checkedout()), Sample(idle, pool.checkedin())])

    @contextmanager
    def counted(self, *, is_dry_run: bool) -> Iterator[None]:
        """Around one transaction, from its wait for a connection to its end."""
        began, end = time.perf_counter(), TransactionEnd.ROLLED_BACK
        try:
            yield
            end = TransactionEnd.ROLLED_BACK if is_dry_run else TransactionEnd.COMMITTED
        except (LostRace, LostConnection, DataKeyNeeded):
            end = TransactionEnd.REPEATED
            raise
        except Unavailable:
            end = TransactionEnd.FAILED
            raise
        finally:
            seconds = time.perf_counter() - began
            self._metrics.count(TRANSACTIONS, end)
            self._metrics.observe(TRANSACTION_SECONDS, value=seconds, trace_id=sampled_trace_id())

    def given_up(self) -> None:
        """It has been repeated as often as it may."""
        self._metrics.count(TRANSACTIONS, TransactionEnd.FAILED)
