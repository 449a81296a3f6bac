"""The gateway's wiring: its application on its socket, the change log followed beside it."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Final

from chandlery.contracts.messages import Message
from chandlery.engine.resources import Resources
from chandlery.process.commands.doctor.check import Check
from chandlery.process.http.http_server import listen, serve_http
from chandlery.process.service import Service
from chandlery.process.takeover import TakeoverRules
from chandlery.settings.settings import Settings
from chandlery.telemetry.catalog.processes import CERTIFICATE_EXPIRY
from chandlery_gateway.app import create_app
from chandlery_gateway.identity.audit.audit_log import AuditLog, check_audit
from chandlery_gateway.platforms.gateway_choice import check_platform, platform_of
from chandlery_gateway.platforms.gateway_platform import has_begun
from chandlery_gateway.watch.watch_hub import WatchHub

_LAST_SECONDS: Final = 5.0
"""How long requests that are cut off, and what runs beside them, may take to end."""


class Gateway:
    """The gateway in one process."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """See Running."""
        settings = self._resources.settings
        platform = platform_of(self._resources)
        if not await has_begun(platform, stop):
            return
        listening = platform.listening
        self._resources.metrics.collect(CERTIFICATE_EXPIRY, listening.certificate_ends)
        hub = WatchHub(self._resources.database, rules=platform.rules, metrics=self._resources.metrics)
        audit_log = AuditLog(settings, self._resources.database, self._resources.metrics)
        app = create_app(
            self._resources,
            hub,
            authenticator=platform.authenticator,
            authorizer=platform.authorizer,
            auditor=audit_log.auditor,
            is_ending=stop.is_set,
        )
        listener = listen(settings.host, settings.port)
        await hub.begin()

        async def wake(_message: Message) -> None:
            hub.wake()

        events = await self._resources.bus.subscribe("ObjectChanged.#", wake)
        following = asyncio.create_task(hub.run())
        auditing = asyncio.create_task(audit_log.run())
        beside = asyncio.create_task(platform.run())
        self._resources.readiness.add("watches", hub.check)
        for part, check in platform.readiness.items():
            self._resources.readiness.add(part, check)
        end = asyncio.Event()
        ending = asyncio.create_task(
            _end_after_pause(hub, stop, end, hurry=self._resources.hurry, seconds=settings.shutdown_delay_seconds)
        )
        serving = asyncio.create_task(
            serve_http(
                app,
                listener,
                end,
                manners=replace(listening.manners, on_untrusted=app.failed_logins.count_certificate),
                grace_seconds=settings.shutdown_seconds,
                hurry=self._resources.hurry,
            )
        )
        self._resources.addresses.append(listening.address(listener))
        try:
            ready()
            await serving
        finally:
            # At a forced end, too: what was done by then is on record.
            await _end_all((serving, following, ending, beside, auditing))
            await audit_log.close()
            listener.close()
        await events.close()


async def _end_after_pause(
    hub: WatchHub, stop: asyncio.Event, end: asyncio.Event, *, hurry: asyncio.Event, seconds: float
) -> None:
    """Close the listener only when those who ask for readiness have had the time to send their clients elsewhere."""
    await stop.wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await hurry.wait()
    end.set()
    # Watches would outlast the grace period otherwise.
    await hub.close()


async def _end_all(tasks: Collection["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=_LAST_SECONDS)


def _check(settings: Settings) -> None:
    """Read certificate, tokens and audit policy, and count what may be opened: all of it can be wrong."""
    check_platform(settings)
    check_audit(settings)


def _doctor_checks(settings: Settings) -> Sequence[Check]:
    from chandlery_gateway.doctor.gateway_checks import gateway_checks  # noqa: PLC0415 - for the doctor alone

    return gateway_checks(settings)


def _takeover(settings: Settings) -> TakeoverRules:
    from chandlery_gateway.admission.catalog.taken_objects import takeover_rules  # noqa: PLC0415 - for imports alone

    return takeover_rules(settings)


GATEWAY = Service(
    name="gateway",
    summary="Serve the API.",
    build=Gateway,
    check=_check,
    doctor_checks=_doctor_checks,
    takeover=_takeover,
    goes_on_without_bus="but the gateway works without it: pending work waits in the database",
)
