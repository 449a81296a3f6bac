"""The gateway's wiring: its application on its socket, the change log followed beside it."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from chandlery.contracts.messages import Message
from chandlery.engine.resources import Resources
from chandlery.model.faults import AlreadyExists, Conflict
from chandlery.model.objects import kinds
from chandlery.model.objects.core import Namespace
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.process.commands.doctor.check import Check
from chandlery.process.http.http_server import listen, serve_http
from chandlery.process.service import Service
from chandlery.settings.settings import Settings
from chandlery.store.database import UnitOfWork
from chandlery.telemetry.catalog.processes import CERTIFICATE_EXPIRY
from chandlery_gateway.admission.core_admission import namespace_with_defaults
from chandlery_gateway.app import create_app
from chandlery_gateway.http.listening import Listening, warn_of_plain_http
from chandlery_gateway.identity.audit.audit_log import AuditLog, check_audit
from chandlery_gateway.identity.authenticators.account_authenticator import AccountAuthenticator
from chandlery_gateway.identity.authenticators.configured_authenticators import warn_of_static_tokens
from chandlery_gateway.identity.default_roles.role_keeping import keep_default_roles
from chandlery_gateway.identity.rbac.rbac_authorizer import RbacAuthorizer
from chandlery_gateway.identity.rbac.rule_keeper import RuleKeeper
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
        listening = Listening(settings)
        warn_of_plain_http(settings)
        warn_of_static_tokens(settings)
        self._resources.metrics.collect(CERTIFICATE_EXPIRY, listening.certificate_ends)
        rules = RuleKeeper(self._resources.database)
        hub = WatchHub(self._resources.database, rules=rules, metrics=self._resources.metrics)
        audit_log = AuditLog(settings, self._resources.database, self._resources.metrics)
        accounts = AccountAuthenticator(self._resources.database)
        app = create_app(
            self._resources,
            hub,
            authenticator=listening.authenticators.union(accounts),
            authorizer=RbacAuthorizer(rules),
            auditor=audit_log.auditor,
            is_ending=stop.is_set,
        )
        listener = listen(settings.host, settings.port)
        with contextlib.suppress(AlreadyExists, Conflict):
            # Another gateway may start at the same moment.
            await self._resources.database.run(ensure_default_namespace)
        await keep_default_roles(self._resources.database)
        await hub.begin()

        async def wake(_message: Message) -> None:
            hub.wake()

        events = await self._resources.bus.subscribe("ObjectChanged.#", wake)
        following = asyncio.create_task(hub.run())
        auditing = asyncio.create_task(audit_log.run())
        reloading = asyncio.create_task(listening.follow_files())
        noting = asyncio.create_task(accounts.keep_rows(expired_hours=settings.expired_token_hours))
        self._resources.readiness.add("watches", hub.check)
        self._resources.readiness.add("access-rules", rules.check)
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
            await _end_all((serving, following, ending, reloading, noting, auditing))
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


async def ensure_default_namespace(unit: UnitOfWork) -> None:
    """Make the namespace that everybody begins in, unless it is there. Raises AlreadyExists, Conflict in a race."""
    found = await unit.objects.get(kinds.NAMESPACE, "", "default")
    if isinstance(found, Namespace):
        # An earlier release has made it without its label.
        await unit.objects.update(found, namespace_with_defaults(found))
        return
    metadata = ObjectMeta(name="default", uid=str(uuid4()), creation_timestamp=datetime.now(UTC))
    await unit.objects.insert(namespace_with_defaults(Namespace(metadata=metadata)))


def _check(settings: Settings) -> None:
    """Read certificate, tokens and audit policy, and count what may be opened: all of it can be wrong."""
    Listening(settings)
    check_audit(settings)


def _doctor_checks(settings: Settings) -> Sequence[Check]:
    from chandlery_gateway.doctor.gateway_checks import gateway_checks  # noqa: PLC0415 - for the doctor alone

    return gateway_checks(settings)


GATEWAY = Service(
    name="gateway",
    summary="Serve the API.",
    build=Gateway,
    check=_check,
    doctor_checks=_doctor_checks,
    goes_on_without_bus="but the gateway works without it: pending work waits in the database",
)
