"""Opens one connection to PostgreSQL, as the parameters of the URL ask. Called by the pool of `engine.py`.

asyncpg does what it knows of libpq's parameters. Here is the rest: a time limit for each host and not for all together,
random order, keep-alive, and the machine's own authorities (`sslrootcert=system`).
"""

import asyncio
import configparser
import os
import random
import re
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import asyncpg
from asyncpg.exceptions import TargetServerAttributeNotMatched

from chandlery.model.faults import ConfigurationFault
from chandlery.settings.checks.client_certificates import time_problem
from chandlery.store.connection.database_url import DatabaseUrl, Host
from chandlery.store.connection.url_parameters import PASSED

_CONNECT_SECONDS: Final = 10
"""Where the URL says nothing. libpq would wait for ever."""
_FILES: Final = ("sslcert", "sslkey", "sslrootcert", "sslcrl", "passfile")
_KEEPALIVE: Final = {
    "keepalives_idle": socket.TCP_KEEPIDLE,
    "keepalives_interval": socket.TCP_KEEPINTVL,
    "keepalives_count": socket.TCP_KEEPCNT,
    "tcp_user_timeout": socket.TCP_USER_TIMEOUT,
}


class PostgresConnector:
    """Makes connections to the first of the hosts that is there and is what is asked for."""

    def __init__(self, url: DatabaseUrl, *, application_name: str, settings: Mapping[str, str], **options: Any) -> None:
        """`settings` hold for each session unless the URL says otherwise; `options` are asyncpg's.

        Raises ConfigurationFault for a file that cannot be read or used.
        """
        self._url = url
        told = url.parameters
        passed = {name: value for name, value in told.items() if name in PASSED}
        passed.setdefault("application_name", told.get("fallback_application_name", application_name))
        self._trust = _system_trust(told)
        if self._trust is not None:
            del passed["sslrootcert"]
        _check_files(told)
        # asyncpg lets an argument win over the DSN, so what the user has a say in goes into the DSN.
        self._options = options | {
            "dsn": f"postgresql://?{urlencode(passed, quote_via=quote)}",
            "server_settings": {name: value for name, value in settings.items() if not _is_told(name, told)},
            "timeout": self._seconds(),
        }

    async def __call__(self, **_shown: Any) -> asyncpg.Connection:
        """A connection. Raises what asyncpg raises for the last host; the pool hands over what the engine shows."""
        hosts = list(self._url.hosts)
        if self._url.parameters.get("load_balance_hosts") == "random":
            random.shuffle(hosts)
        wanted = self._url.parameters.get("target_session_attrs")
        if wanted != "prefer-standby":
            return await self._first(hosts)
        try:
            return await self._first(hosts, target_session_attrs="standby")
        except (OSError, TimeoutError, TargetServerAttributeNotMatched):
            return await self._first(hosts, target_session_attrs="any")

    async def _first(self, hosts: list[Host], **more: Any) -> asyncpg.Connection:
        for host in hosts[:-1]:
            try:
                return await self._connect(host, **more)
            except (OSError, TimeoutError, TargetServerAttributeNotMatched, asyncpg.CannotConnectNowError):
                # The next one may be there. A refused login ends it: that is libpq's rule too.
                continue
        return await self._connect(hosts[-1], **more)

    async def _connect(self, host: Host, **more: Any) -> asyncpg.Connection:
        if self._trust is not None:
            # Anew for each connection, as asyncpg reads the files of all others: they may have been renewed.
            more["ssl"] = await asyncio.to_thread(_system_trust, self._url.parameters)
        try:
            connection: asyncpg.Connection = await asyncpg.connect(
                host=host.name,
                port=host.port,
                user=self._url.user,
                password=self._url.password,
                database=self._url.database,
                **self._options,
                **more,
            )
        except ssl.SSLError as error:
            # For `database_errors`, which tells people.
            is_theirs = isinstance(error, ssl.SSLCertVerificationError)
            error.filename = self._url.parameters.get("sslrootcert" if is_theirs else "sslcert")
            raise
        except asyncpg.ConnectionDoesNotExistError as error:
            if "sslcert" not in self._url.parameters:
                raise
            # In TLS 1.3 a client hears of it after the handshake, and the event loop keeps the alert to itself.
            certificate = self._url.parameters["sslcert"]
            raise ConnectionResetError(
                f"the server closed the connection; it may refuse the certificate {certificate} (sslcert)"
            ) from error
        self._keep_alive(connection)
        return connection

    def _keep_alive(self, connection: asyncpg.Connection) -> None:
        told = self._url.parameters
        # asyncpg has no public way to it. A line that is cut without a word is noticed by this alone.
        line: socket.socket | None = connection._transport.get_extra_info("socket")  # noqa: SLF001
        if line is None or line.family == socket.AF_UNIX or told.get("keepalives") == "0":
            return
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, option in _KEEPALIVE.items():
            if (value := int(told.get(name, "0"))) > 0:
                line.setsockopt(socket.IPPROTO_TCP, option, value)

    def _seconds(self) -> float | None:
        asked = int(self._url.parameters.get("connect_timeout", _CONNECT_SECONDS))
        return asked if asked > 0 else None


def _is_told(name: str, told: Mapping[str, str]) -> bool:
    return re.search(rf"\b{name}\s*=", told.get("options", "")) is not None


def _system_trust(told: Mapping[str, str]) -> ssl.SSLContext | None:
    if told.get("sslrootcert") != "system":
        return None
    context = ssl.create_default_context()
    if "sslcert" in told:
        _use(context, told)
    return context


def _check_files(told: Mapping[str, str]) -> None:
    """What is wrong with a file is found before anything is waited for."""
    for name in _FILES:
        path = told.get(name)
        if path is None or (name == "sslrootcert" and path == "system"):
            continue
        try:
            Path(path).open("rb").close()
        except OSError as error:
            raise ConfigurationFault(f"the database URL's {name} {path} cannot be read: {error.strerror}") from error
    _check_service(told.get("service"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in ("sslrootcert", "sslcrl"):
        if name in told and told[name] != "system":
            try:
                context.load_verify_locations(cafile=told[name])
            except ssl.SSLError as error:
                raise ConfigurationFault(
                    f"the database URL's {name} {told[name]} contains no PEM certificates"
                ) from error
    if "sslcert" in told:
        _use(context, told)
        if problem := time_problem(Path(told["sslcert"])):
            raise ConfigurationFault(f"the database URL's sslcert {told['sslcert']} cannot be used: it {problem}")


def _check_service(name: str | None) -> None:
    """For a service that its file does not know asyncpg goes to the local server."""
    if name is None:
        return
    path = Path(os.environ.get("PGSERVICEFILE") or Path.home() / ".pg_service.conf")
    services = configparser.ConfigParser()
    try:
        services.read(path)
    except configparser.Error as error:
        raise ConfigurationFault(f"{path}, where the database URL's service is looked up, cannot be read") from error
    if not services.has_section(name):
        raise ConfigurationFault(f"the database URL names the service {name}, which {path} does not define")


def _use(context: ssl.SSLContext, told: Mapping[str, str]) -> None:
    try:
        context.load_cert_chain(told["sslcert"], told.get("sslkey"), password=lambda: told.get("sslpassword", ""))
    except (OSError, ValueError) as error:
        raise ConfigurationFault(
            f"the database URL's sslcert {told['sslcert']} and sslkey cannot be used together: {type(error).__name__}"
        ) from error
