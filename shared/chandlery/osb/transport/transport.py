"""Carries one call to a service broker and its reply back: connections, deadline, limits. Knows nothing of OSB.

What it repeats, and why that is safe:
- A call that got no connection at all: nothing was sent.
- Once, on a connection of its own: a call on a kept-alive connection that closed before a byte of the answer came.
  Almost always the broker had closed it while it was idle. If the broker did see the request, it sees the same one
  twice, which OSB provides for (v2.17, "Provisioning" and "Binding": 200 and 202 to what exists or is under way; 410
  to what is gone), and callers would repeat it anyway. Not repeating would take an orphan mitigation for every
  restart of a broker.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

import structlog
from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ConnectionTimeoutError,
    InvalidURL,
)
from multidict import istr
from tenacity import RetryCallState
from yarl import URL

from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.faults import (
    AnswerLate,
    AnswerLost,
    ClosedUnanswered,
    ConnectionLost,
    Misconfigured,
    NothingSent,
    StaleConnection,
    Unreached,
)
from chandlery.osb.transport.connect_failures import no_http, nothing_sent
from chandlery.osb.transport.http_call import HttpCall, HttpReply, Progress
from chandlery.osb.transport.session_pool import PooledSession, SessionPool
from chandlery.retry.transient import BROKER_CONNECT

log = structlog.get_logger(__name__)

_RETRY_AFTER, _ETAG, _LAST_MODIFIED = istr("Retry-After"), istr("ETag"), istr("Last-Modified")
_CONTENT_TYPE = istr("Content-Type")


async def attempt_call(
    pooled: PooledSession,
    endpoint: BrokerEndpoint,
    call: HttpCall,
    *,
    headers: Mapping[str, str],
    progress: Progress,
) -> HttpReply:
    """Send the call on this session and read the whole reply.

    Raises:
        Misconfigured: the call cannot be made as it is.
        Unreached: no connection came about.
        StaleConnection: the connection had been used before and closed without a byte of the answer.
        ConnectionLost: it broke in any other way.
    """
    progress.on_used_connection = False
    try:
        async with pooled.session.request(
            call.method,
            URL(endpoint.base + call.target, encoded=True),
            data=call.body,
            headers={**headers, **pooled.request_headers()} if pooled.proxy is not None else headers,
            allow_redirects=False,
            trace_request_ctx=progress,
            **pooled.request_options(),
        ) as response:
            return await _read(response, call, progress)
    except ClosedUnanswered as lost:
        raise (StaleConnection if progress.on_used_connection else ConnectionLost)(lost.message) from lost
    except InvalidURL:
        raise Misconfigured("the broker's URL is not usable") from None
    except (ClientConnectorError, ConnectionTimeoutError) as failure:
        raise nothing_sent(endpoint, failure) from failure
    except ClientError as failure:
        if not progress.written:
            raise nothing_sent(endpoint, failure) from failure
        raise ConnectionLost(no_http(endpoint, failure)) from failure
    except UnicodeError:
        raise Misconfigured(f"the broker's host name is not valid: {endpoint.place}") from None
    except ValueError:
        # aiohttp refuses line breaks in headers, and tells the value, which is secret more often than not.
        raise Misconfigured("a header of the request holds characters that are not allowed in a header") from None


async def _read(response: ClientResponse, call: HttpCall, progress: Progress) -> HttpReply:
    headers = response.headers
    head = HttpReply(
        status=response.status,
        retry_after=headers.get(_RETRY_AFTER),
        etag=headers.get(_ETAG),
        last_modified=headers.get(_LAST_MODIFIED),
        length=response.content_length,
        content_type=headers.get(_CONTENT_TYPE),
    )
    progress.head = head
    body = await _bounded_body(response, call.answer_limit)
    return replace(head, body=body)


async def _bounded_body(response: ClientResponse, limit: int) -> bytes | None:
    """The whole body, or None if it is longer than the limit: then its connection is not used again."""
    if (response.content_length or 0) > limit:
        response.close()
        return None
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.content.readany():
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            response.close()
            return None
    return b"".join(chunks)


_CERTAIN_WITHOUT_BODY = 300
"""From here on the status alone says what happened."""


class Transport:
    """Stateless but for the connections it keeps."""

    def __init__(self, pool: SessionPool) -> None:
        self._pool = pool

    async def exchange(self, endpoint: BrokerEndpoint, call: HttpCall, headers: Mapping[str, str]) -> HttpReply:
        """Send the call and read the whole reply, within the endpoint's timeout.

        Raises:
            NothingSent: the broker has not seen the request.
            AnswerLost: it may have seen it, and there is no complete answer.
        """
        progress = Progress()
        until_connected = self._pool.seconds_to_connect(endpoint)
        try:
            async with asyncio.timeout(min(until_connected, endpoint.timeout_seconds)) as limit:
                if until_connected < endpoint.timeout_seconds:
                    at = asyncio.get_running_loop().time() + endpoint.timeout_seconds
                    progress.when_connected = lambda: limit.reschedule(at)
                return await self._repeated(endpoint, call, headers, progress=progress)
        except TimeoutError:
            if not progress.written:
                raise nothing_sent(endpoint, TimeoutError()) from None
            late = AnswerLate(f"no complete answer within {endpoint.timeout_seconds:g} seconds")
            return _reply_without_body(progress, late)
        except ConnectionLost as lost:
            return _reply_without_body(progress, AnswerLost(lost.message))
        except NothingSent as fault:
            if progress.written:
                raise AnswerLost("the connection broke, and the broker could not be reached again") from fault
            raise

    async def _repeated(
        self, endpoint: BrokerEndpoint, call: HttpCall, headers: Mapping[str, str], *, progress: Progress
    ) -> HttpReply:
        with suppress(Unreached, StaleConnection):
            # Outside of the controller, which would cost every call a sixth of its processor time.
            return await self._once(endpoint, call, headers, progress=progress)
        async for repetition in BROKER_CONNECT.around(Unreached, before_sleep=partial(_say_unreached, endpoint)):
            with repetition:
                return await self._once(endpoint, call, headers, progress=progress)
        raise AssertionError  # pragma: no cover - the controller returns or raises

    async def _once(
        self, endpoint: BrokerEndpoint, call: HttpCall, headers: Mapping[str, str], *, progress: Progress
    ) -> HttpReply:
        if progress.written:
            # Other kept connections may be as stale as the one that failed.
            fresh = await self._pool.unpooled(endpoint)
            async with fresh.session:
                return await attempt_call(fresh, endpoint, call, headers=headers, progress=progress)
        pooled = await self._pool.borrow(endpoint)
        try:
            return await attempt_call(pooled, endpoint, call, headers=headers, progress=progress)
        finally:
            self._pool.give_back(pooled)


def _say_unreached(endpoint: BrokerEndpoint, state: RetryCallState) -> None:
    fault = state.outcome.exception() if state.outcome else None
    log.debug(
        f"{endpoint.place} was not reached and is tried again",
        action="connect_broker",
        server=endpoint.place,
        attempt=state.attempt_number,
        error=str(fault),
    )


def _reply_without_body(progress: Progress, lost: AnswerLost) -> HttpReply:
    """Errors and redirects are certain as soon as their status is there; a success needs its body."""
    if progress.head is not None and progress.head.status >= _CERTAIN_WITHOUT_BODY:
        return progress.head
    raise lost
