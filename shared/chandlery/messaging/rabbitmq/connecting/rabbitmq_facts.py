"""What each server of the URL tells of itself: whether it lets us in, its version, TLS. For `chandlery doctor`."""

import asyncio
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aio_pika.abc import AbstractConnection
from cryptography import x509
from yarl import URL

from chandlery.messaging.rabbitmq.connecting.rabbitmq_servers import RabbitServers, address_of, close_connection
from chandlery.messaging.rabbitmq.rabbitmq_errors import describe, is_login_refused
from chandlery.model.faults import Unavailable

NAME: Final = "chandlery doctor"
_OPEN_SECONDS: Final = 6.0
_HANDSHAKE_SECONDS: Final = 3.0


@dataclass(frozen=True, kw_only=True)
class RabbitFacts:
    """One server, as it is seen from here."""

    address: str
    fault: Unavailable | None = None
    """Why it does not let us in."""
    is_login_refused: bool = False
    """It is there, and lets this user not in, or not into this virtual host."""
    product: str = ""
    version: tuple[int, ...] = ()
    has_tls: bool = False
    certificate_until: datetime | None = None
    """When the server's own certificate expires."""


async def look_at(servers: RabbitServers, url: URL, *, keep: Callable[[URL, AbstractConnection], bool]) -> RabbitFacts:
    """Ask one server. Who has a use for the connection takes it (`keep`); else it is closed again."""
    address, until = address_of(url), await _certificate_until(url)
    try:
        async with asyncio.timeout(_OPEN_SECONDS):
            connection, _ = await servers.connect(url, name=NAME, prepare=nothing)
    except Unavailable as fault:
        return RabbitFacts(address=address, fault=fault, certificate_until=until)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is why
        is_login = is_login_refused(error)
        what = "does not let us in" if is_login else "cannot be reached"
        away = Unavailable(f"RabbitMQ at {address} {what}: {describe(error)}")
        return RabbitFacts(address=address, fault=away, is_login_refused=is_login, certificate_until=until)
    told = dict(getattr(getattr(connection.transport, "connection", None), "server_properties", {}))
    if not keep(url, connection):
        await close_connection(connection)
    return RabbitFacts(
        address=address,
        product=_text(told.get("product")),
        version=tuple(int(number) for number in re.findall(r"\d+", _text(told.get("version")))[:3]),
        has_tls=url.scheme == "amqps",
        certificate_until=until,
    )


async def nothing(_connection: AbstractConnection) -> None:
    """Nothing is declared."""


async def _certificate_until(url: URL) -> datetime | None:
    """By a handshake of its own: the client keeps the certificate to itself. What is wrong with it, the client says."""
    if url.scheme != "amqps":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError, TimeoutError, ValueError):
        async with asyncio.timeout(_HANDSHAKE_SECONDS):
            _, writer = await asyncio.open_connection(url.host, url.port, ssl=context)
        encoded = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return x509.load_der_x509_certificate(encoded).not_valid_after_utc if encoded else None
    return None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
