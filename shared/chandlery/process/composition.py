"""Builds the adapters of one process from its settings. Besides `main.py` files the only place that does.

Comes in: `Settings`, and which services the process runs.
Goes out: `Resources` (`engine/resources.py`), open and ready to use; they are closed again when the process ends, in
the opposite order.
Called by: `process.py` for services, `process/commands/` for what operators do by hand.

A service asks for what is in `Resources` and never builds an adapter itself; tests hand over others. Whatever is
wrong with the settings or with the servers shows here, before a service starts.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog

from chandlery.engine.circuits.circuit_breakers import CircuitBreakers
from chandlery.engine.readiness import Readiness
from chandlery.engine.relay import Relay
from chandlery.engine.requeue_timers import RequeueTimers
from chandlery.engine.resources import Resources, process_name
from chandlery.lookup.broker_egress import context_signer_of, egress_of
from chandlery.messaging.bus import Bus
from chandlery.messaging.inprocess.inprocess_bus import InProcessBus
from chandlery.model.faults import Unavailable
from chandlery.osb.client import OsbClient
from chandlery.osb.transport.egress import Egress
from chandlery.process.choices.bus_choice import make_bus
from chandlery.process.choices.key_choice import SealedDatabase, make_database, require_keys
from chandlery.process.choices.platform_choice import ChosenPlatform, check_database, make_platform
from chandlery.process.choices.tracing_choice import make_tracing
from chandlery.process.http.metrics_page import make_metrics
from chandlery.process.logs.line_counts import count_lines
from chandlery.process.schema_waits import engine_for, patiently, prepare_schema
from chandlery.settings.settings import Settings, require
from chandlery.store.database import Database
from chandlery.telemetry.metrics import Metrics
from chandlery.telemetry.tracing.tracing import Tracing

log = structlog.get_logger(__name__)
_WITHOUT_PROVIDER = "stored data is encrypted and decrypted with the data keys in memory"
_HELD = (
    "the database was restored, so nothing is done about instances and bindings until somebody has run "
    "`chandlery reconcile brokers` and then `chandlery reconcile release`"
)
_WHILE_HELD = "what is asked for is stored and waits"
_WITHOUT_CLUSTER = "what is stored is served, and what has to be written to the cluster waits"


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
    require(settings, "database_url", "amqp_url")
    require_keys(settings)
    owner = process_name(service)
    metrics = make_metrics(settings, services=service)
    count_lines(metrics)
    async with AsyncExitStack() as stack:
        tracing = make_tracing(settings, service=service, owner=owner, at_end=stack.push_async_callback)
        # All is built and checked before anything is waited for: a bad setting is told at once.
        engine = engine_for(settings, service)
        sealed = make_database(settings, engine, metrics=metrics)
        database = sealed.database
        stack.push_async_callback(database.close)
        bus = make_bus(settings, owner, metrics=metrics, tracing=tracing)
        stack.push_async_callback(bus.close)
        chosen = make_platform(settings, at_end=stack.push_async_callback)
        for check in checks:
            check(settings)
        egress = egress_of(settings)
        # For its complaints: whose id is signed with is known later.
        context_signer_of(settings, cluster_id="")
        await prepare_schema(engine, migrates=migrates)
        await _begin(database, bus, platform=settings.platform)
        osb = _broker_client(settings, egress, metrics, tracing)
        stack.push_async_callback(osb.close)
        requeue_timers = RequeueTimers(bus)
        stack.push_async_callback(requeue_timers.close)
        cluster_id = await patiently(lambda: database.run(lambda unit: unit.leases.cluster_id(settings.cluster_id)))
        yield Resources(
            settings=settings,
            database=database,
            bus=bus,
            relay=Relay(database, bus),
            platform=chosen.platform,
            cluster=chosen.cluster,
            namespaces=chosen.namespaces,
            osb=osb,
            circuits=CircuitBreakers(metrics),
            context_signer=context_signer_of(settings, cluster_id=cluster_id),
            cluster_id=cluster_id,
            owner=owner,
            requeue_timers=requeue_timers,
            metrics=metrics,
            tracing=tracing,
            readiness=_readiness(sealed, bus, chosen, without_bus=without_bus),
            keep_data_keys=sealed.keeping.run,
        )


async def _begin(database: Database, bus: Bus, *, platform: str) -> None:
    await patiently(lambda: database.run(lambda unit: check_database(unit, platform)))
    await patiently(database.data_keys.start)
    await patiently(lambda: database.run(lambda unit: unit.seals.check()))
    if since := await patiently(lambda: database.run(lambda unit: unit.restored.look())):
        log.warning(f"{_HELD} (restored at {since})", action="hold_work")
    await bus.start()
    if isinstance(bus, InProcessBus):
        await patiently(lambda: database.run(lambda unit: unit.work_queue.start_over()))


def _broker_client(settings: Settings, egress: Egress, metrics: Metrics, tracing: Tracing) -> OsbClient:
    return OsbClient(
        egress,
        # Never the narrowest place: a call that waits for a connection would use up its time.
        connections_per_broker=max(1_000, 2 * settings.broker_concurrency),
        catalog_limit=settings.catalog_mebibytes << 20,
        metrics=metrics,
        tracing=tracing,
    )


async def _require_release(database: Database) -> None:
    """Raises Unavailable while work is held."""
    if since := await database.run(lambda unit: unit.restored.hold.since()):
        raise Unavailable(f"{_HELD} (restored at {since})")


def _readiness(sealed: SealedDatabase, bus: Bus, chosen: ChosenPlatform, *, without_bus: str) -> Readiness:
    readiness = Readiness()
    readiness.add("database", sealed.database.ping)
    readiness.add("restored-work", partial(_require_release, sealed.database), without=_WHILE_HELD)
    if sealed.may_lose_keys:
        readiness.add("key-provider", sealed.keeping.check_provider, without=_WITHOUT_PROVIDER)
        readiness.add("data-keys", sealed.keeping.check_keys)
    readiness.add("bus" if isinstance(bus, InProcessBus) else "rabbitmq", bus.ping, without=without_bus)
    if (cluster := chosen.cluster) is not None:

        async def answers() -> None:
            await cluster.get("/version")

        readiness.add("kubernetes", answers, without=_WITHOUT_CLUSTER)
    return readiness
