"""Builds the adapters of one process from its settings. Besides `main.py` files the only place that does."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from tenacity import RetryCallState

from chandlery.messaging.bus import Bus
from chandlery.messaging.inprocess_bus import InProcessBus
from chandlery.model.faults import Unavailable
from chandlery.osb.client import OsbClient
from chandlery.retry.transient import SERVER_START
from chandlery.runtime.bus_choice import make_bus
from chandlery.runtime.readiness import Readiness
from chandlery.runtime.relay import Relay
from chandlery.runtime.reminders import Reminders
from chandlery.runtime.resources import Resources, process_name
from chandlery.runtime.settings import Settings, require
from chandlery.runtime.standalone_cluster import StandaloneCluster
from chandlery.store.database import Database
from chandlery.store.database_url import read_database_url
from chandlery.store.engine import open_engine
from chandlery.store.migrate import current_revision, is_older, migrate, newest_revision
from chandlery.store.sealing import Keyring

log = structlog.get_logger()


class SchemaNotReady(Unavailable):
    """The database has not been migrated yet: run `chandlery migrate`."""


@asynccontextmanager
async def open_resources(
    settings: Settings,
    *,
    service: str,
    migrates: bool = False,
    without_bus: str = "",
    checks: Sequence[Callable[[Settings], object]] = (),
) -> AsyncIterator[Resources]:
    """Connect to everything, waiting with back-off for servers that are not there yet; close it all at the end.

    `migrates` brings the schema up first instead of waiting for somebody else to do so. `without_bus` is what goes on
    while the bus is away, if that makes nothing unready (see Service). `checks` look at the settings
    before anything is waited for; they and this raise ConfigurationFault.
    """
    require(settings, "database_url", "amqp_url", "encryption_keys")
    owner = process_name(service)
    keyring = Keyring.parse(settings.encryption_keys.get_secret_value())
    async with AsyncExitStack() as stack:
        # All is built and checked before anything is waited for: a bad setting is told at once.
        engine = _engine(settings, service)
        database = Database(engine, keyring)
        stack.push_async_callback(database.close)
        bus = make_bus(settings, owner)
        stack.push_async_callback(bus.close)
        for check in checks:
            check(settings)
        await _prepare_schema(engine, migrates=migrates)
        await _check_keys(database)
        await bus.start()
        if isinstance(bus, InProcessBus):
            await database.run(lambda unit: unit.reconciliations.start_over())
        # Never the narrowest place: a call that waits for a connection would use up its time.
        osb = OsbClient(
            connections_per_broker=max(1_000, 2 * settings.broker_concurrency),
            catalog_limit=settings.catalog_mebibytes << 20,
        )
        stack.push_async_callback(osb.close)
        reminders = Reminders(bus)
        stack.push_async_callback(reminders.close)
        cluster_id = await database.run(lambda unit: unit.leases.cluster_id(settings.cluster_id))
        yield Resources(
            settings=settings,
            database=database,
            bus=bus,
            relay=Relay(database, bus),
            cluster=StandaloneCluster(),
            osb=osb,
            cluster_id=cluster_id,
            owner=owner,
            reminders=reminders,
            readiness=_readiness(database, bus, without_bus=without_bus),
        )


def _readiness(database: Database, bus: Bus, *, without_bus: str) -> Readiness:
    readiness = Readiness()
    readiness.add("database", database.ping)
    readiness.add("bus" if isinstance(bus, InProcessBus) else "rabbitmq", bus.ping, without=without_bus)
    return readiness


async def run_migrations(settings: Settings) -> str:
    """Bring the database to the newest schema, waiting for its server; returns the revision."""
    require(settings, "database_url")
    engine = _engine(settings, "migrate", statement_seconds=None)
    try:
        async for attempt in SERVER_START.around(Unavailable, before_sleep=_say_what_is_awaited):
            with attempt:
                return await migrate(engine)
    finally:
        await engine.dispose()
    raise AssertionError("SERVER_START never gives up")


def _engine(settings: Settings, service: str, *, statement_seconds: float | None = 15.0) -> AsyncEngine:
    return open_engine(
        settings.database_url.get_secret_value(),
        application_name=f"chandlery-{service}",
        pool_size=settings.database_pool_size,
        statement_seconds=statement_seconds,
        prepares=settings.database_prepared_statements,
    )


async def _prepare_schema(engine: AsyncEngine, *, migrates: bool) -> None:
    async for attempt in SERVER_START.around(Unavailable, before_sleep=_say_what_is_awaited):
        with attempt:
            if migrates:
                await migrate(engine)
            # A newer schema is fine: migrations expand first, and this release was the previous one when that was made.
            elif await current_revision(engine) is None:
                raise SchemaNotReady
    found = await current_revision(engine)
    if found is not None and is_older(found):
        log.warning(
            f"the database is at schema {found}, this release expects {newest_revision()}: run `chandlery migrate`",
            action="check_schema",
        )


async def _check_keys(database: Database) -> None:
    async for attempt in SERVER_START.around(Unavailable, before_sleep=_say_what_is_awaited):
        with attempt:
            await database.run(lambda unit: unit.seals.check())


def _say_what_is_awaited(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0
    log.warning(f"{error}; trying again in {pause:.1f} s", action="await_server", attempt=state.attempt_number)


def describe_database(settings: Settings) -> str:
    """The database's address without its password, for people."""
    return read_database_url(settings.database_url.get_secret_value()).shown
