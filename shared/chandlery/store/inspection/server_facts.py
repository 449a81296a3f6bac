"""What a database server tells of itself: version, TLS, whether it takes writes, its clock, its connections.

Called by `chandlery doctor`, with an engine that only reads. Each host of a URL can be asked for itself.
"""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chandlery.store.connection.database_url import DatabaseUrl
from chandlery.store.database_errors import explained
from chandlery.store.revisions import place_of

_OWN: Final = "chandlery-%"
_ASK: Final = text(
    """
    SELECT current_setting('server_version') AS version,
        current_setting('server_version_num')::int AS number,
        current_user::text AS login,
        pg_is_in_recovery() AS is_standby,
        current_setting('default_transaction_read_only') = 'on' AS is_read_only,
        (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl) AS tls,
        current_setting('max_connections')::int AS most,
        current_setting('superuser_reserved_connections')::int
            + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
        (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS most_of_login,
        (SELECT sum(numbackends)::int FROM pg_stat_database) AS used,
        (SELECT rolsuper OR pg_has_role(oid, 'pg_read_all_stats', 'USAGE') FROM pg_roles WHERE rolname = current_user)
            AS sees_all
    """
)
_SESSIONS: Final = text(
    "SELECT application_name AS name, count(*)::int AS open FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name LIKE :own GROUP BY 1"
)
_TIME: Final = text("SELECT clock_timestamp()")
_OF_TEN: Final = 10_000
"""PostgreSQL numbers its versions so: 150006 is 15.6."""


@dataclass(frozen=True, kw_only=True)
class ConnectionFacts:
    """Connections of a PostgreSQL server."""

    most: int
    """What is open to a login that is no superuser, of all servers' clients together."""
    used: int
    sessions: dict[str, int]
    """Those of our processes, by service, as far as this login may see them."""
    sees_all: bool
    """Whether this login sees the sessions of others."""


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """One server, as it is seen from here."""

    is_postgresql: bool
    place: str
    version: tuple[int, ...]
    login: str = ""
    tls: str = ""
    """Version of TLS; empty without."""
    certificate_until: datetime | None = None
    """When the server's own certificate expires."""
    is_standby: bool = False
    is_read_only: bool = False
    seconds_ahead: float = 0.0
    """Of the server's clock before ours."""
    answer_seconds: float = 0.0
    connections: ConnectionFacts | None = None

    @property
    def shown_version(self) -> str:
        """As people write it."""
        return f"{'PostgreSQL' if self.is_postgresql else 'SQLite'} {'.'.join(map(str, self.version))}"


async def server_facts(engine: AsyncEngine) -> ServerFacts:
    """Ask the server of the engine. Raises Unavailable; Refused if waiting does not help."""
    place = place_of(engine)
    try:
        async with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                return await _of_postgresql(connection, place)
            await connection.execute(text("SELECT count(*) FROM sqlite_master"))
            return ServerFacts(is_postgresql=False, place=place, version=sqlite3.sqlite_version_info)
    except (DBAPIError, OSError) as error:
        raise explained(error, place=place) or error from error


def each_host(url: DatabaseUrl) -> Sequence[DatabaseUrl]:
    """The URL for each of its hosts alone, whatever that may be by now: a standby answers, too."""
    parameters = {name: value for name, value in url.parameters.items() if name != "target_session_attrs"}
    return [replace(url, hosts=(host,), parameters=parameters) for host in url.hosts]


async def _of_postgresql(connection: AsyncConnection, place: str) -> ServerFacts:
    found = (await connection.execute(_ASK)).mappings().one()
    sessions = await connection.execute(_SESSIONS, {"own": _OWN})
    ahead, seconds = await _clock(connection)
    number = found["number"]
    most = found["most"] - found["reserved"]
    of_login = found["most_of_login"]
    return ServerFacts(
        is_postgresql=True,
        place=place,
        version=(number // _OF_TEN, number % _OF_TEN),
        login=found["login"],
        tls=found["tls"] or "",
        certificate_until=await _certificate_until(connection),
        is_standby=found["is_standby"],
        is_read_only=found["is_read_only"],
        seconds_ahead=ahead,
        answer_seconds=seconds,
        connections=ConnectionFacts(
            most=most if of_login is None or of_login < 0 else min(most, of_login),
            used=found["used"] or 0,
            sessions={row.name.removeprefix(_OWN[:-1]): row.open for row in sessions},
            sees_all=bool(found["sees_all"]),
        ),
    )


async def _clock(connection: AsyncConnection) -> tuple[float, float]:
    """How far the server's clock is ahead of ours, and how long the answer took. The second one: the first compiles."""
    ahead = seconds = 0.0
    for _ in range(2):
        before, began = datetime.now(UTC), time.monotonic()
        told: datetime = (await connection.execute(_TIME)).scalar_one()
        seconds = time.monotonic() - began
        ahead = (told - before).total_seconds() - seconds / 2
    return ahead, seconds


async def _certificate_until(connection: AsyncConnection) -> datetime | None:
    raw: Any = (await connection.get_raw_connection()).driver_connection
    # asyncpg has no public way to it.
    spoken = raw._transport.get_extra_info("ssl_object")  # noqa: SLF001
    encoded = spoken.getpeercert(binary_form=True) if spoken is not None else None
    return x509.load_der_x509_certificate(encoded).not_valid_after_utc if encoded else None
