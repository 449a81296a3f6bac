"""Access tokens for calls to service brokers: kept until shortly before they expire, got once for all who wait.

Comes in: an endpoint with client credentials. Goes out: the value of its `Authorization`.
Called by: the client, before each call, and after a 401 to be told that the broker refuses the token.

A token belongs to one broker and one client secret: another Secret gets another one, and no broker is ever sent the
token of another. The token endpoint is called like brokers are: by the same policy, through the same proxy, bounded.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from chandlery.osb.client_credentials import OAuth2Client
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.faults import AnswerLost, NothingSent, Unreached
from chandlery.osb.tokens.token_exchange import AccessToken, read_token, token_call
from chandlery.osb.transport.transport import Transport

log = structlog.get_logger(__name__)

MOST_TOKENS: Final = 10_000
LONGEST_WAIT: Final = 30.0
"""Seconds that a token endpoint has."""
_Key = tuple[str, str, str, object]


@dataclass(frozen=True)
class _Kept:
    token: AccessToken
    until: float


class TokenSource:
    """The tokens of one process."""

    def __init__(self, transport: Transport, *, now: Callable[[], float] = time.monotonic) -> None:
        self._transport = transport
        self._now = now
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._coming: dict[_Key, asyncio.Task[AccessToken]] = {}

    async def token_for(self, endpoint: BrokerEndpoint, client: OAuth2Client) -> AccessToken:
        """The token to call the endpoint with.

        Raises:
            NothingSent: there is none; the broker has not been called.
        """
        key = _key(endpoint, client)
        kept = self._kept.get(key)
        if kept is not None and self._now() < kept.until:
            self._kept.move_to_end(key)
            return kept.token
        task = self._coming.get(key)
        if task is None:
            task = self._coming[key] = asyncio.create_task(self._get(key, endpoint, client))
            task.add_done_callback(lambda done: self._came(key, done))
        # Whoever is given up meanwhile does not take it from the others.
        return await asyncio.shield(task)

    def refused(self, endpoint: BrokerEndpoint, client: OAuth2Client, token: AccessToken) -> None:
        """The broker does not take the token (401): the next call gets another, unless there is one already."""
        key = _key(endpoint, client)
        kept = self._kept.get(key)
        if kept is not None and kept.token is token:
            del self._kept[key]

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._coming.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _get(self, key: _Key, endpoint: BrokerEndpoint, client: OAuth2Client) -> AccessToken:
        call, headers = token_call(client)
        place = replace(
            endpoint,
            url=client.token_url,
            ca_bundle=client.ca_bundle or endpoint.ca_bundle,
            # Who impersonates the token endpoint gets the client's secret.
            skip_tls_verify=False,
            timeout_seconds=min(endpoint.timeout_seconds, LONGEST_WAIT),
        )
        try:
            reply = await self._transport.exchange(place, call, headers)
        except NothingSent as fault:
            raise type(fault)(_of_endpoint(fault.message)) from None
        except AnswerLost as fault:
            raise Unreached(f"cannot reach the broker: the token endpoint at {place.place}: {fault.message}") from None
        token = read_token(reply, place=place.place)
        what = f"the token endpoint at {place.place} has given a token for {token.seconds:g} s"
        log.debug(what, action="fetch_token", server=place.place)
        self._kept[key] = _Kept(token, self._now() + token.seconds)
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_TOKENS:
            self._kept.popitem(last=False)
        return token

    def _came(self, key: _Key, task: asyncio.Task[AccessToken]) -> None:
        del self._coming[key]
        if not task.cancelled():
            # Everybody who waited may have been given up.
            task.exception()


def _key(endpoint: BrokerEndpoint, client: OAuth2Client) -> _Key:
    certificate = endpoint.client_certificate
    return (endpoint.base, client.fingerprint, certificate.fingerprint if certificate else "", endpoint.tenancy)


def _of_endpoint(message: str) -> str:
    """Words about a broker, said of its token endpoint."""
    return message.replace("cannot reach the broker at", "cannot reach the broker's token endpoint at", 1)
