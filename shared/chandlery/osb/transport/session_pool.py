"""Connections to service brokers, kept warm per endpoint, bounded, and closed once nobody calls there any more."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

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
    TraceConfig,
)
from multidict import CIMultiDict

from chandlery.osb.endpoint import BrokerEndpoint, SessionKey, Tenancy
from chandlery.osb.faults import ClosedUnanswered, ConnectionLost
from chandlery.osb.transport.egress import Egress
from chandlery.osb.transport.egress_proxy import ProxyUse
from chandlery.osb.transport.guarded_connections import CheckedResolver, guarded_connector
from chandlery.osb.transport.http_call import Progress
from chandlery.osb.transport.name_lookups import LookupShare, NameLookups
from chandlery.osb.transport.tls_trust import bytes_of_trust, trust_for
from chandlery.reconcile.egress.host_spelling import Host

USER_AGENT = "chandlery"
_MOST_BYTES: Final = 64 << 20
"""What sessions may take together before idle ones are closed, the longest idle first."""
_BYTES_OF_SESSION: Final = 16_000
_TENANTS_LOOKUPS, _LOOKUPS_OF_ONE = 32, 4
"""Names of tenants' brokers that are looked up at a time, and how many of them for one namespace."""


@dataclass(kw_only=True)
class PooledSession:
    """A session, what its requests need besides, and who uses it."""

    session: ClientSession
    host: Host
    proxy: ProxyUse | None
    cost: int
    """Bytes, about."""
    calls: int = 0
    idle_since: float = 0.0

    def request_options(self) -> dict[str, Any]:
        """What aiohttp is told of the proxy with each request."""
        if self.proxy is None:
            return {}
        return {"proxy": self.proxy.url, "proxy_headers": CIMultiDict(self.proxy.for_tunnels)}

    def request_headers(self) -> Mapping[str, str]:
        """Headers for the proxy that go with the request itself."""
        return self.proxy.for_requests(self.host) if self.proxy is not None else {}


class SessionPool:
    """One aiohttp session per broker, trust setting, namespace and policy. Not shared between event loops."""

    def __init__(self, egress: Egress, *, connections: int, connect_seconds: float, idle_seconds: float) -> None:
        self._egress = egress
        self._connections = connections
        self._timeout = ClientTimeout(total=None, connect=None, sock_connect=connect_seconds)
        self._idle_seconds = idle_seconds
        self._sessions: dict[tuple[SessionKey, ProxyUse | None], PooledSession] = {}
        self._next_sweep = time.monotonic() + idle_seconds
        # Apart, so that names for which nobody answers, which tenants can make up, hold up their tenant alone.
        self._lookups = NameLookups()
        self._lookups_of_tenants = NameLookups(threads=_TENANTS_LOOKUPS, each=_LOOKUPS_OF_ONE)

    async def borrow(self, endpoint: BrokerEndpoint) -> PooledSession:
        """The endpoint's session; give it back.

        Raises:
            Misconfigured: URL, CA bundle or client certificate cannot be used, or the policy forbids the call.
        """
        host, proxy = self._egress.route(endpoint)
        key = endpoint.session_key, proxy
        pooled, made = self._sessions.get(key), None
        if pooled is None:
            made = await self._new_session(endpoint, host, proxy=proxy)
            # Another call may have made one meanwhile; this one has no connection yet.
            pooled = self._sessions.setdefault(key, made)
            if pooled is not made:
                await made.session.close()
        pooled.calls += 1
        if time.monotonic() >= self._next_sweep:
            await self._close_idle()
        elif pooled is made:
            await self._make_room()
        return pooled

    def seconds_to_connect(self, endpoint: BrokerEndpoint) -> float:
        """How long all tries to connect may take together, beside what bounds the whole call."""
        return self._egress.seconds_to_connect(endpoint.tenancy)

    def give_back(self, pooled: PooledSession) -> None:
        """End of one call."""
        pooled.calls -= 1
        pooled.idle_since = time.monotonic()

    async def unpooled(self, endpoint: BrokerEndpoint) -> PooledSession:
        """A session that opens a connection of its own for each request. The caller closes it. Raises as `borrow`."""
        host, proxy = self._egress.route(endpoint)
        return await self._new_session(endpoint, host, proxy=proxy, force_close=True)

    async def close(self) -> None:
        """Close every connection. Calls under way end as lost."""
        sessions, self._sessions = self._sessions, {}
        for pooled in sessions.values():
            await pooled.session.close()
        self._lookups.close()
        self._lookups_of_tenants.close()

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

    async def _make_room(self) -> None:
        """Whoever changes a broker again and again makes a session each time, with authorities of its own at times."""
        total = sum(pooled.cost for pooled in self._sessions.values())
        if total <= _MOST_BYTES:
            return
        idle = sorted(
            ((key, pooled) for key, pooled in self._sessions.items() if not pooled.calls),
            key=lambda each: each[1].idle_since,
        )
        gone = []
        for key, pooled in idle:
            if total <= _MOST_BYTES // 2:
                break
            total -= pooled.cost
            gone.append(self._sessions.pop(key).session)
        for session in gone:
            await session.close()

    async def _new_session(
        self,
        endpoint: BrokerEndpoint,
        host: Host,
        *,
        proxy: ProxyUse | None,
        force_close: bool = False,
    ) -> PooledSession:
        policy = self._egress.policy_at(endpoint, host, by_proxy=proxy is not None)
        key = endpoint.session_key
        cost = bytes_of_trust(key)
        trust = await asyncio.to_thread(trust_for, key) if cost else trust_for(key)
        # Of a proxy the operator has said where it is.
        tenancy, checked = (endpoint.tenancy, policy) if proxy is None else (None, None)
        connector = guarded_connector(
            # A tenant who has an address of theirs tried after another one sees whether something answered there.
            CheckedResolver(self._lookups_for(tenancy), checked, host, tries_others=self._egress.tells_all_to(tenancy)),
            checked,
            host,
            connections=self._connections,
            ssl=trust,
            force_close=force_close,
        )
        session = ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=DummyCookieJar(),
            headers={"Accept": "application/json", "User-Agent": USER_AGENT},
            skip_auto_headers=("Accept-Encoding", "Content-Type"),
            middlewares=(_name_lost_connections,),
            trace_configs=[_noting_connections()],
        )
        return PooledSession(session=session, host=host, proxy=proxy, cost=_BYTES_OF_SESSION + cost)

    def _lookups_for(self, tenancy: Tenancy | None) -> LookupShare:
        return self._lookups.share_of("") if tenancy is None else self._lookups_of_tenants.share_of(tenancy.namespace)


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
