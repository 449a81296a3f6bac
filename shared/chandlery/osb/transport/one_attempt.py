"""One attempt at one HTTP call on one session. What aiohttp raises is translated here and nowhere else."""

from collections.abc import Mapping
from dataclasses import replace

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ConnectionTimeoutError,
    InvalidURL,
)
from multidict import istr
from yarl import URL

from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.faults import ClosedUnanswered, ConnectionLost, Misconfigured, StaleConnection
from chandlery.osb.transport.connect_failures import no_http, nothing_sent
from chandlery.osb.transport.http_call import HttpCall, HttpReply, Progress

_RETRY_AFTER, _ETAG, _LAST_MODIFIED = istr("Retry-After"), istr("ETag"), istr("Last-Modified")
_CONTENT_TYPE = istr("Content-Type")


async def attempt_call(
    session: ClientSession,
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
        async with session.request(
            call.method,
            URL(endpoint.base + call.target, encoded=True),
            data=call.body,
            headers=headers,
            allow_redirects=False,
            trace_request_ctx=progress,
        ) as response:
            return await _read(response, call, progress)
    except ClosedUnanswered as lost:
        raise (StaleConnection if progress.on_used_connection else ConnectionLost)(lost.message) from lost
    except InvalidURL:
        raise Misconfigured("the broker's URL cannot be called") from None
    except (ClientConnectorError, ConnectionTimeoutError) as failure:
        raise nothing_sent(endpoint, failure) from failure
    except ClientError as failure:
        if not progress.written:
            raise nothing_sent(endpoint, failure) from failure
        raise ConnectionLost(no_http(endpoint, failure)) from failure
    except UnicodeError:
        raise Misconfigured(f"the broker's host is not a name that can be looked up: {endpoint.place}") from None
    except ValueError:
        # aiohttp refuses line breaks in headers, and tells the value, which is secret more often than not.
        raise Misconfigured("a header of the request holds characters that no header can carry") from None


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
