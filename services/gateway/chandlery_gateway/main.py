"""The gateway's wiring: its application on its socket, the change log followed beside it."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import structlog

from chandlery.contracts.messages import Message
from chandlery.model import kinds
from chandlery.model.core import Namespace, NamespaceSpec
from chandlery.model.faults import AlreadyExists, ConfigurationFault
from chandlery.model.metadata import ObjectMeta
from chandlery.runtime.accepting import Manners
from chandlery.runtime.bounded_connections import ConnectionLimits
from chandlery.runtime.http_server import is_loopback, listen, serve_http
from chandlery.runtime.open_files import affordable_connections, lift_open_file_limit
from chandlery.runtime.resources import Resources
from chandlery.runtime.service import Service
from chandlery.runtime.settings import Settings
from chandlery.runtime.tls_files import TlsFiles
from chandlery.store.database import UnitOfWork
from chandlery_gateway.app import create_app
from chandlery_gateway.authentication import Authenticator
from chandlery_gateway.token_users import read_users
from chandlery_gateway.watch_hub import WatchHub

_OTHER_FILES: Final = 200
"""Probes, RabbitMQ, what the interpreter has open, and some room."""


log = structlog.get_logger()


class Gateway:
    """The gateway in one process."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """See Running."""
        settings = self._resources.settings
        tls = _tls_files(settings)
        _warn_of_plain_http(settings)
        manners = Manners(
            limits=ConnectionLimits(
                connections=_affordable_connections(settings), slow_seconds=settings.slow_client_seconds
            ),
            tls=tls,
            plain_too=settings.accept_plain_http,
        )
        hub = WatchHub(self._resources.database)
        app = create_app(self._resources, hub, is_ending=stop.is_set)
        listener = listen(settings.host, settings.port)
        with contextlib.suppress(AlreadyExists):
            # Another gateway may start at the same moment.
            await self._resources.database.run(_ensure_default_namespace)

        async def wake(_message: Message) -> None:
            hub.wake()

        events = await self._resources.bus.subscribe("ObjectChanged.#", wake)
        following = asyncio.create_task(hub.run())
        self._resources.readiness.add("watches", hub.check)
        end = asyncio.Event()
        ending = asyncio.create_task(
            _end_after_pause(hub, stop, end, hurry=self._resources.hurry, seconds=settings.shutdown_delay_seconds)
        )
        serving = asyncio.create_task(
            serve_http(
                app,
                listener,
                end,
                manners=manners,
                grace_seconds=settings.shutdown_seconds,
                hurry=self._resources.hurry,
            )
        )
        ready()
        await serving
        for task in (following, ending):
            task.cancel()
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


async def _ensure_default_namespace(unit: UnitOfWork) -> None:
    if await unit.objects.get(kinds.NAMESPACE, "", "default") is not None:
        return
    metadata = ObjectMeta(name="default", uid=str(uuid4()), creation_timestamp=datetime.now(UTC))
    namespace = Namespace(metadata=metadata, spec=NamespaceSpec(finalizers=("kubernetes",)))
    await unit.objects.insert(namespace)


def _affordable_connections(settings: Settings) -> int:
    reserved = settings.database_pool_size + _OTHER_FILES
    return affordable_connections(settings.max_connections, reserved=reserved, limit=lift_open_file_limit())


def _tls_files(settings: Settings) -> TlsFiles | None:
    certificate, key = settings.tls_cert_file, settings.tls_key_file
    if certificate is not None and key is not None:
        return TlsFiles(certificate, key)
    if certificate is not None or key is not None:
        raise ConfigurationFault("CHANDLERY_TLS_CERT_FILE and CHANDLERY_TLS_KEY_FILE go together")
    return None


def _warn_of_plain_http(settings: Settings) -> None:
    if is_loopback(settings.host) or (settings.tls_cert_file and not settings.accept_plain_http):
        return
    remedy = "set CHANDLERY_TLS_CERT_FILE and CHANDLERY_TLS_KEY_FILE"
    if settings.tls_cert_file:
        remedy = "unset CHANDLERY_ACCEPT_PLAIN_HTTP"
    log.warning(
        f"the gateway speaks plain HTTP on {settings.host}: tokens and Secrets can be read on their way; {remedy}",
        action="check_listener",
    )


def _check(settings: Settings) -> None:
    """The API is never open: somebody has to be able to log in."""
    Authenticator(read_users(settings.token, settings.token_file))
    _tls_files(settings)
    _affordable_connections(settings)


GATEWAY = Service(
    name="gateway",
    summary="Serve the API.",
    build=Gateway,
    check=_check,
    goes_on_without_bus="which the gateway works without: what is to be done waits in the database",
)
