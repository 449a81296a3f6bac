"""Connections to service brokers, kept warm per endpoint, bounded, and closed once nobody calls there any more."""

import base64
import ssl
import time
from dataclasses import dataclass
from types import SimpleNamespace

from aiohttp import (
    ClientConnectionResetError,
    ClientConnectorError,
    ClientHandlerType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
    TraceConfig,
)

from chandlery.osb.endpoint import BrokerEndpoint, SessionKey
from chandlery.osb.faults import ClosedUnanswered, ConnectionLost, Misconfigured
from chandlery.osb.transport.http_call import Progress


def trust(key: SessionKey) -> ssl.SSLContext | bool:
    """True for the system's roots, False for no verification, or a context that knows only the given bundle.

    Raises:
        Misconfigured: the bundle is not base64 of PEM certificates.
    """
    if key.skip_tls_verify:
        return False
    if not key.ca_bundle:
        return True
    try:
        pem = base64.b64decode("".join(key.ca_bundle.split()), validate=True).decode("ascii")
        return ssl.create_default_context(cadata=pem)
    except (ValueError, ssl.SSLError):
        raise Misconfigured("the broker's CA bundle is not base64 of PEM certificates") from None


USER_AGENT = "chandlery"


@dataclass(kw_only=True)
class PooledSession:
    """A session and who uses it."""

    session: ClientSession
    calls: int = 0
    idle_since: float = 0.0


class SessionPool:
    """One aiohttp session per broker and trust setting. Not shared between event loops."""

    def __init__(self, *, connections: int, connect_seconds: float, idle_seconds: float) -> None:
        self._connections = connections
        self._timeout = ClientTimeout(total=None, connect=None, sock_connect=connect_seconds)
        self._idle_seconds = idle_seconds
        self._sessions: dict[SessionKey, PooledSession] = {}
        self._next_sweep = time.monotonic() + idle_seconds

    async def borrow(self, endpoint: BrokerEndpoint) -> PooledSession:
        """The endpoint's session; give it back.

        Raises:
            Misconfigured: URL or CA bundle cannot be used.
        """
        key = endpoint.session_key
        pooled = self._sessions.get(key)
        if pooled is None:
            pooled = self._sessions[key] = PooledSession(session=self._new_session(key))
        pooled.calls += 1
        if time.monotonic() >= self._next_sweep:
            await self._close_idle()
        return pooled

    def give_back(self, pooled: PooledSession) -> None:
        """End of one call."""
        pooled.calls -= 1
        pooled.idle_since = time.monotonic()

    def unpooled(self, endpoint: BrokerEndpoint) -> ClientSession:
        """A session that opens a connection of its own for each request. The caller closes it."""
        return self._new_session(endpoint.session_key, force_close=True)

    async def close(self) -> None:
        """Close every connection. Calls under way end as lost."""
        sessions, self._sessions = self._sessions, {}
        for pooled in sessions.values():
            await pooled.session.close()

    async def _close_idle(self) -> None:
        now = time.monotonic()
        self._next_sweep = now + self._idle_seconds
        idle = [
            key
            for key, pooled in self._sessions.items()
            if not pooled.calls and now - pooled.idle_since >= self._idle_seconds
        ]
        for session in [self._sessions.pop(key).session for key in idle]:
            await session.close()

    def _new_session(self, key: SessionKey, *, force_close: bool = False) -> ClientSession:
        return ClientSession(
            connector=TCPConnector(limit=self._connections, ssl=trust(key), force_close=force_close),
            timeout=self._timeout,
            cookie_jar=DummyCookieJar(),
            headers={"Accept": "application/json", "User-Agent": USER_AGENT},
            skip_auto_headers=("Accept-Encoding", "Content-Type"),
            middlewares=(_name_lost_connections,),
            trace_configs=[_noting_connections()],
        )


async def _name_lost_connections(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Turn off aiohttp's own repetition, which does not ask whether the connection had been used before.

    It repeats PUT and DELETE on these exceptions and on no others.
    """
    try:
        return await handler(request)
    except ClientConnectorError:
        raise
    except ServerDisconnectedError as lost:
        # Part of a status line or of headers is the beginning of an answer.
        raise (ClosedUnanswered() if isinstance(lost.message, str) else ConnectionLost()) from lost
    except (ClientOSError, ClientConnectionResetError) as lost:
        raise ClosedUnanswered from lost


def _noting_connections() -> TraceConfig:
    """Tell each call's progress what kind of connection it got."""
    tracing = TraceConfig()
    tracing.on_connection_create_end.append(_created)
    tracing.on_connection_reuseconn.append(_reused)
    return tracing


async def _created(_session: ClientSession, context: SimpleNamespace, _parameters: object) -> None:
    if isinstance(context.trace_request_ctx, Progress):
        context.trace_request_ctx.connected(reused=False)


async def _reused(_session: ClientSession, context: SimpleNamespace, _parameters: object) -> None:
    if isinstance(context.trace_request_ctx, Progress):
        context.trace_request_ctx.connected(reused=True)
