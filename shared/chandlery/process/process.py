"""One operating-system process with one or more services in it, from start to clean shutdown.

Comes in: services (`service.py`) and settings. SIGTERM and SIGINT, of which a second one asks for haste (`ending.py`).
Goes out: running services, with what runs beside them in every process: relay, sweep, heartbeat, circuits, seals,
probes, what it measures of itself. It returns when all have ended, and raises what makes a service unable to go on.
Called by: `process/commands/service_commands.py`: `chandlery gateway`, … with one service, `chandlery up` with all.

The order at the end matters: no new work, then what is in hand, then the outbox, then the connections. None of the
tasks beside the services may ever end; if one does, the process stops, for a fresh one does no harm.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from chandlery.engine.circuits.circuit_sync import keep_circuits
from chandlery.engine.readiness import unless
from chandlery.engine.resources import Resources
from chandlery.engine.upkeep.heartbeat import keep_leases
from chandlery.engine.upkeep.seal_keeping import keep_seals
from chandlery.engine.upkeep.sweep import Sweep
from chandlery.process.collector import keep_from_collector
from chandlery.process.composition import open_resources
from chandlery.process.ending import Ending
from chandlery.process.http.accepting import Manners
from chandlery.process.http.bounded_connections import ConnectionLimits
from chandlery.process.http.http_server import listen, serve_http
from chandlery.process.http.metrics_page import MetricsApp
from chandlery.process.http.open_files import lift_open_file_limit
from chandlery.process.http.probes import ProbeApp
from chandlery.process.logs.logs import keep_logs
from chandlery.process.measuring.measuring import measuring
from chandlery.process.service import Service
from chandlery.process.service_manager import service_manager
from chandlery.settings.settings import Settings

_PROBE_CONNECTIONS = 100
_PROBE_SECONDS = 5.0
"""Nobody but the kubelet and Prometheus has anything to say on these ports, and they say it at once."""

_HURRY_SECONDS = 5.0
"""To give back what is unfinished, when somebody has asked twice."""

log = structlog.get_logger(__name__)


async def run_services(
    services: Sequence[Service],
    settings: Settings,
    *,
    migrates: bool = False,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Run the services until SIGTERM or SIGINT. Raises what makes a service unable to go on."""
    lift_open_file_limit()
    name = "+".join(service.name for service in services)
    manager = service_manager()

    def ready() -> None:
        keep_from_collector()
        on_ready()
        manager.ready(name)

    ending = Ending(name, seconds=settings.shutdown_seconds)
    ending.listen()
    # From now on: it may be waiting for a server that somebody wants to know more about.
    beside = [asyncio.create_task(keep_logs()), asyncio.create_task(manager.keep_alive())]
    running = asyncio.ensure_future(_run(services, settings, name, ending, migrates=migrates, on_ready=ready))
    await _first_of(running, ending.stop)
    manager.stopping(name)
    # While it still waits for a server there is nothing to finish.
    await _first_of(running, ending.hurry, seconds=settings.shutdown_delay_seconds + settings.shutdown_seconds + 5)
    if not running.done():
        await asyncio.wait({running}, timeout=_HURRY_SECONDS)
        running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        log.info(f"{name} has stopped before it was finished", action="stop_process", service=name)
    finally:
        for task in beside:
            task.cancel()


async def _first_of(running: "asyncio.Future[None]", event: asyncio.Event, *, seconds: float | None = None) -> None:
    waiting = asyncio.ensure_future(event.wait())
    both: set[asyncio.Future[Any]] = {running, waiting}
    await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _run(
    services: Sequence[Service],
    settings: Settings,
    name: str,
    ending: Ending,
    *,
    migrates: bool,
    on_ready: Callable[[], None],
) -> None:
    stop = ending.stop
    async with AsyncExitStack() as stack:
        opening = asyncio.ensure_future(
            stack.enter_async_context(
                open_resources(
                    settings,
                    service=name,
                    migrates=migrates,
                    without_bus=_without_bus(services),
                    checks=[service.check for service in services],
                )
            )
        )
        opened = await _unless_stopped(opening, stop)
        if opened is None:
            return
        resources = replace(opened, hurry=ending.hurry)
        ending.under_way = resources.under_way
        waiting = {service.name for service in services}

        def ready(service: Service) -> None:
            waiting.discard(service.name)
            if not waiting:
                where = f" at {', '.join(resources.addresses)}" if resources.addresses else ""
                log.info(f"{name} is ready{where}", action="process_ready", service=name)
                on_ready()

        resources.readiness.add("startup", unless(lambda: waiting, "it has not started yet"))
        resources.readiness.add("shutdown", unless(stop.is_set, "it is stopping and accepts no new work"))
        background = _start_background(resources, stop)
        try:
            async with (
                _pages(resources),
                asyncio.TaskGroup() as group,
            ):
                for service in services:
                    running = service.build(resources)
                    with structlog.contextvars.bound_contextvars(service=service.name):
                        group.create_task(running.serve(stop, lambda service=service: ready(service)))  # type: ignore[misc]
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await resources.relay.drain()
        log.info(f"{name} has stopped", action="stop_process", service=name)


@asynccontextmanager
async def _pages(resources: Resources) -> AsyncIterator[None]:
    """Answer probes and scrapes to the very end: a process that finishes its work is alive, and not ready."""
    settings = resources.settings
    pages = (
        (ProbeApp(resources.readiness), settings.probe_host, settings.probe_port),
        (MetricsApp(resources.metrics), settings.metrics_host, settings.metrics_port),
    )
    serving = [(page, listen(host, port)) for page, host, port in pages if port is not None]
    manners = Manners(limits=ConnectionLimits(connections=_PROBE_CONNECTIONS, slow_seconds=_PROBE_SECONDS))
    end = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for page, listener in serving:
            group.create_task(serve_http(page, listener, end, manners=manners))
        try:
            yield
        finally:
            end.set()


def _without_bus(services: Sequence[Service]) -> str:
    """What goes on without a bus, if that is true of all services in the process."""
    told = [service.goes_on_without_bus for service in services]
    return told[0] if all(told) else ""


def _start_background(resources: Resources, stop: asyncio.Event) -> list[asyncio.Task[None]]:
    sweep = Sweep(resources.database, resources.bus, resources.relay, resources.settings, owner=resources.owner)
    jobs: list[Coroutine[Any, Any, None]] = [
        resources.relay.run(),
        sweep.run(),
        keep_leases(resources),
        keep_circuits(resources),
        keep_seals(resources),
        resources.keep_data_keys(),
        *measuring(resources, is_holder=lambda: sweep.is_holder),
    ]
    tasks = [asyncio.create_task(job) for job in jobs]
    for task in tasks:
        task.add_done_callback(partial(_end_with, stop))
    return tasks


def _end_with(stop: asyncio.Event, task: "asyncio.Task[None]") -> None:
    """None of these may ever end: a process without one of them does harm, a fresh one does not."""
    if not task.cancelled():
        log.error("a background task ended; stopping the process", action="stop_process", task=task.get_name())
        stop.set()


async def _unless_stopped(opening: "asyncio.Future[Resources]", stop: asyncio.Event) -> Resources | None:
    stopping = asyncio.ensure_future(stop.wait())
    both: set[asyncio.Future[Any]] = {opening, stopping}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if opening.done():
        return opening.result()
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    return None
