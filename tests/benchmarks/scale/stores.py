"""Two databases to compare, a small one and a large one, each filled, and each asked with the store's own code."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.migrate import migrate
from chandlery.store.sealing.sealing import Keyring, new_key
from tests.support.scale.filling import Filling, Samples, fill
from tests.support.scale.plans import PlanRecorder

_PATIENCE_SECONDS = 1_800.0


@dataclass(frozen=True)
class FilledStore:
    """A database that is filled, as two engines see it: one to measure, one that tells plans."""

    url: str
    filling: Filling
    database: Database
    observed: Database
    recorder: PlanRecorder
    samples: Samples


@contextlib.asynccontextmanager
async def filled_store(url: str, filling: Filling) -> AsyncIterator[FilledStore]:
    """On an empty database."""
    filler = open_engine(url, application_name="bench-fill", statement_seconds=_PATIENCE_SECONDS)
    keyring = Keyring.parse(new_key("bench"))
    measured = Database(open_engine(url, application_name="bench"), keyring)
    engine = open_engine(url, application_name="bench-plans", statement_seconds=_PATIENCE_SECONDS)
    recorder = PlanRecorder(engine)
    observed = Database(engine, keyring)
    try:
        await migrate(filler)
        await measured.data_keys.start()
        samples = await fill(measured, filler, filling)
        yield FilledStore(url, filling, measured, observed, recorder, samples)
    finally:
        for database in (measured, observed):
            await database.close()
        await filler.dispose()
