"""How the gateway listens, from its settings: TLS, limits, what is said about both, and what is read again later.

`main` asks here, for the check before anything is waited for and when it starts to serve.
"""

import asyncio
import socket
from collections.abc import Iterator
from typing import Final

import structlog

from chandlery.model.faults import ConfigurationFault
from chandlery.process.followed_files import FollowedFiles
from chandlery.process.http.accepting import Manners
from chandlery.process.http.bounded_connections import ConnectionLimits
from chandlery.process.http.http_server import is_loopback
from chandlery.process.http.listener_tls import Judge, ListenerTls
from chandlery.process.http.open_files import affordable_connections, lift_open_file_limit
from chandlery.process.http.tls_files import TlsFiles
from chandlery.settings.settings import Settings
from chandlery.telemetry.metrics import Sample

_OTHER_FILES: Final = 200
"""Probes, RabbitMQ, what the interpreter has open, and some room."""

log = structlog.get_logger(__name__)


class Listening:
    """Who may come in and how they are spoken to. What comes from files follows them."""

    def __init__(self, settings: Settings, tls: ListenerTls | None, *, is_front_proxy: Judge = lambda _: False) -> None:
        """With what connections are encrypted, if they are, and whose certificates bring many users.

        Raises ConfigurationFault for limits that cannot be.
        """
        self._settings = settings
        self._tls = tls
        self.manners = Manners(
            limits=ConnectionLimits(
                connections=_affordable_connections(settings), slow_seconds=settings.slow_client_seconds
            ),
            tls=self._tls,
            plain_too=settings.accept_plain_http,
            is_front_proxy=is_front_proxy,
        )

    def certificate_ends(self) -> Iterator[Sample]:
        """For metrics: when the gateway's certificate ends, in Unix time."""
        if self._tls is not None:
            yield Sample(("gateway",), self._tls.ends_at.timestamp())

    def address(self, listener: socket.socket) -> str:
        """Where it listens, as a URL."""
        host, port = listener.getsockname()[:2]
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _affordable_connections(settings: Settings) -> int:
    reserved = settings.database_pool_size + _OTHER_FILES
    return affordable_connections(settings.max_connections, reserved=reserved, limit=lift_open_file_limit())


def configured_tls(settings: Settings) -> TlsFiles | None:
    """The files that the settings name, read; None for plain HTTP. Raises ConfigurationFault that names the file."""
    certificate, key = settings.tls_cert_file, settings.tls_key_file
    if certificate is not None and key is not None:
        return TlsFiles(certificate, key, client_authorities=settings.client_ca_file)
    if certificate is not None or key is not None:
        raise ConfigurationFault("CHANDLERY_TLS_CERT_FILE and CHANDLERY_TLS_KEY_FILE must be set together")
    if settings.client_ca_file is not None:
        raise ConfigurationFault(
            "CHANDLERY_CLIENT_CA_FILE needs CHANDLERY_TLS_CERT_FILE and CHANDLERY_TLS_KEY_FILE: client certificates "
            "are shown over TLS only"
        )
    return None


async def follow_tls_files(settings: Settings, tls: TlsFiles) -> None:
    """Read certificates again whenever they change; ends by cancellation."""
    certificate = FollowedFiles("the TLS certificate", tls.paths)
    async with asyncio.TaskGroup() as group:
        group.create_task(certificate.follow(tls.reload))
        if settings.client_ca_file is not None:
            authorities = FollowedFiles("the authorities of client certificates", [settings.client_ca_file])
            group.create_task(authorities.follow(tls.reload_authorities))


def warn_of_plain_http(settings: Settings) -> None:
    """Say so in the log if tokens can be read by others on their way here."""
    if problem := plain_http_problem(settings):
        message, remedy = problem
        log.warning(f"{message}. To use TLS, {remedy}", action="check_listener")


def plain_http_problem(settings: Settings) -> tuple[str, str] | None:
    """How tokens can be read by others on their way here, and what helps; None if they cannot."""
    if settings.platform == "kubernetes":
        # There is no such listener without TLS.
        return None
    if is_loopback(settings.host) or (settings.tls_cert_file and not settings.accept_plain_http):
        return None
    remedy = "set CHANDLERY_TLS_CERT_FILE and CHANDLERY_TLS_KEY_FILE"
    if settings.tls_cert_file:
        remedy = "unset CHANDLERY_ACCEPT_PLAIN_HTTP"
    message = f"the gateway speaks plain HTTP on {settings.host}: tokens and Secrets can be read on the network"
    return message, remedy
