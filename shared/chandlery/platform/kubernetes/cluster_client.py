"""Asks a cluster's kube-apiserver, and follows what it serves: one request in, a JSON object or a fault of ours out.

Comes in: a path as kube-apiserver has it, a body, a query. Goes out: what it answers, or what it refuses with, in its
own words but never with a piece of the body that was sent.
Called by: the platform and its reflectors in workers; the gateway for reviews and configuration. Never while a
transaction is open.

Nothing is repeated here but what was refused before it was looked at (401, 429), and questions (reviews). All else is
the caller's: he knows what may be done twice.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import structlog
from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
)

from chandlery.model.faults import Fault, Refused, Unavailable
from chandlery.model.json.json_text import NotJson, read_json, write_json
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.kubernetes.access.cluster_access import ClusterAccess
from chandlery.platform.kubernetes.cluster_watch import WatchEvent, watch_events
from chandlery.platform.kubernetes.faults import TooManyRequests, Unauthorized, fault_of

log = structlog.get_logger(__name__)

JSON: Final = "application/json"
METADATA: Final = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{JSON}"
"""`accept` of a get or a watch that needs no more than metadata: what is in a Secret is then never sent."""
METADATA_LIST: Final = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"
"""The same of a list."""
APPLY: Final = "application/apply-patch+yaml"
MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"

USER_AGENT: Final = "chandlery"
LARGEST_BYTES: Final = 16 << 20
"""Of one answer: lists are asked for in pages."""
_LARGE_BYTES: Final = 256 << 10
"""From here on an answer is read beside the event loop."""
_CONNECT_SECONDS: Final = 10.0
_WATCH_SECONDS: Final = (240, 480)
"""How long a watch is asked to go on, drawn anew each time, so that not all end at once."""
_IDLE_SECONDS: Final = 150.0
"""A watch hears a bookmark a minute. One that hears nothing for longer hangs on a connection that is gone."""
_KEEP_ALIVE_SECONDS: Final = 45.0
_ERRORS_FROM: Final = 300
_MOST_DELAYS: Final = 3
_LONGEST_DELAY_SECONDS: Final = 5.0
"""A cluster with too much to do says when it is to be asked again: usually in a second. More is the caller's matter."""


@dataclass(frozen=True, kw_only=True)
class _Request:
    method: str = field(kw_only=False)
    path: str = field(kw_only=False)
    query: Mapping[str, str]
    timeout: ClientTimeout
    data: bytes | None = field(default=None, repr=False)
    content_type: str = JSON
    accept: str = JSON
    session: Literal["call", "watch"] = "call"

    @property
    def is_question(self) -> bool:
        """Whether nothing is made by it, although it is a POST: access and token reviews."""
        return self.method == "POST" and self.path.endswith("reviews")


class ClusterClient:
    """One cluster, for one event loop. Close it at the end."""

    def __init__(
        self,
        access: ClusterAccess,
        *,
        timeout_seconds: float = 30.0,
        connections: int = 32,
        watches: int = 64,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        """`timeout_seconds` bounds each call, the wait for one of the `connections` included."""
        self._access = access
        self._timeout_seconds = timeout_seconds
        self._limits = {"call": connections, "watch": watches}
        self._idle_seconds = idle_seconds
        # Apart, so that watches take no call its connection.
        self._sessions: dict[str, ClientSession] = {}
        self._is_closed = False

    @property
    def namespace(self) -> str:
        """Where we are installed."""
        return self._access.namespace

    @property
    def server(self) -> str:
        """Its URL."""
        return self._access.server

    async def get(self, path: str, /, *, accept: str = JSON, **query: str) -> JsonObject:
        """One object, or a list. Raises NotFound, Forbidden, Expired, Unavailable."""
        return await self._call("GET", path, query=query, accept=accept)

    async def create(self, path: str, body: JsonObject, /, **query: str) -> JsonObject:
        """POST to a collection. Raises AlreadyExists, Forbidden, Invalid, NotFound, Unavailable."""
        return await self._call("POST", path, query=query, body=body)

    async def apply(
        self, path: str, body: JsonObject, /, *, field_manager: str, force: bool, **query: str
    ) -> JsonObject:
        """Server-side apply. Raises Conflict, Forbidden, Invalid, NotFound, Unavailable."""
        asked = {"fieldManager": field_manager, "force": "true" if force else "false", **query}
        return await self._call("PATCH", path, query=asked, body=body, content_type=APPLY)

    async def patch(self, path: str, body: Any, /, *, content_type: str, **query: str) -> JsonObject:
        """PATCH with a body of that type. Raises Conflict, Forbidden, Invalid, NotFound, Unavailable."""
        return await self._call("PATCH", path, query=query, body=body, content_type=content_type)

    async def replace(self, path: str, body: JsonObject, /, **query: str) -> JsonObject:
        """PUT. Raises Conflict, Forbidden, Invalid, NotFound, Unavailable."""
        return await self._call("PUT", path, query=query, body=body)

    async def delete(self, path: str, body: JsonObject | None = None, /, **query: str) -> JsonObject:
        """DELETE; `body` are DeleteOptions. Raises Conflict, Forbidden, NotFound, Unavailable."""
        return await self._call("DELETE", path, query=query, body=body)

    async def watch(self, path: str, /, *, accept: str = JSON, **query: str) -> AsyncIterator[WatchEvent]:
        """What happens to a collection, bookmarks among it, until the cluster ends it or falls silent.

        Raises:
            Expired: `resourceVersion` is too old: list anew.
            Forbidden, NotFound, Unavailable: it could not be begun, or broke off; go on from the last version seen.
        """
        low, high = _WATCH_SECONDS
        seconds = query.setdefault("timeoutSeconds", str(random.randint(low, high)))  # noqa: S311 - spread, not secrecy
        asked = {"allowWatchBookmarks": "true", **query, "watch": "true"}
        # The cluster ends it by itself; this is for one that does not.
        timeout = ClientTimeout(
            total=int(seconds) + self._timeout_seconds,
            connect=self._timeout_seconds,
            sock_connect=_CONNECT_SECONDS,
            sock_read=self._idle_seconds,
        )
        request = _Request("GET", path, query=asked, accept=accept, timeout=timeout, session="watch")
        response = await self._opened(request)
        try:
            async for event in watch_events(response.content.iter_any()):
                yield event
        except TimeoutError:
            # Silence. Whoever follows asks again from where he is, by another connection.
            log.debug(f"a watch of {path} has heard nothing for {self._idle_seconds:.0f} s", action="call_cluster")
        except ClientError as error:
            raise Unavailable(f"the cluster at {self.server} has broken off a watch of {path}") from error
        finally:
            response.close()

    async def close(self) -> None:
        """End all connections; calls under way fail as Unavailable."""
        self._is_closed = True
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def _call(self, method: str, path: str, /, *, query: dict[str, str], **parts: Any) -> JsonObject:
        body = parts.pop("body", None)
        data = None if body is None else write_json(body)
        timeout = ClientTimeout(total=self._timeout_seconds, sock_connect=_CONNECT_SECONDS)
        response = await self._opened(_Request(method, path, query=query, timeout=timeout, data=data, **parts))
        try:
            text = await self._body(response)
        except TimeoutError:
            raise self._late() from None
        except ClientError as error:
            raise self._unreachable(error) from error
        finally:
            response.release()
        return await self._document(text)

    async def _opened(self, request: _Request) -> ClientResponse:
        """An answer that is none of an error; its body is still to be read. Raises the fault of any other."""
        for _ in range(_MOST_DELAYS):
            try:
                return await self._answered(request)
            except TooManyRequests as fault:
                if request.session == "watch" or fault.retry_after_seconds > _LONGEST_DELAY_SECONDS:
                    raise
                # Longer by chance, so that not all of us are back at once.
                await asyncio.sleep(fault.retry_after_seconds * (1 + random.random() / 2))  # noqa: S311 - see above
        return await self._answered(request)

    async def _answered(self, request: _Request) -> ClientResponse:
        is_tried = False
        while True:
            begun = time.monotonic()
            try:
                response = await self._sent(request)
            except ServerDisconnectedError as error:
                if is_tried or not request.is_question:
                    raise self._unreachable(error) from error
                # The connection was closed for having been idle. Nothing is made by a review.
                is_tried = True
                continue
            except TimeoutError:
                raise self._late() from None
            except ClientError as error:
                raise self._unreachable(error) from error
            _tell(request, response, time.monotonic() - begun)
            if response.status < _ERRORS_FROM:
                return response
            fault = await self._fault(response)
            if is_tried or not isinstance(fault, Unauthorized) or not self._access.refused():
                raise fault
            # The token was replaced in its file meanwhile, perhaps. What was asked has not been looked at.
            is_tried = True

    async def _sent(self, request: _Request) -> ClientResponse:
        introduction = await self._access.introduction()
        headers = {"Accept": request.accept}
        if request.data is not None:
            headers["Content-Type"] = request.content_type
        if introduction.authorization:
            headers["Authorization"] = introduction.authorization
        return await self._session(request.session).request(
            request.method,
            f"{self.server}{request.path}",
            params=request.query,
            data=request.data,
            headers=headers,
            timeout=request.timeout,
            # What a redirect leads to is not the cluster that we trust.
            allow_redirects=False,
            ssl=introduction.tls if introduction.tls is not None else True,
            server_hostname=self._access.server_name,
        )

    def _session(self, purpose: str) -> ClientSession:
        if self._is_closed:
            raise Unavailable("this process is about to end, and asks the cluster nothing more")
        session = self._sessions.get(purpose)
        if session is None:
            session = self._sessions[purpose] = ClientSession(
                connector=TCPConnector(limit=self._limits[purpose], keepalive_timeout=_KEEP_ALIVE_SECONDS),
                cookie_jar=DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
                skip_auto_headers=("Accept-Encoding", "Content-Type"),
            )
        return session

    async def _body(self, response: ClientResponse) -> bytes:
        pieces, size = list[bytes](), 0
        async for piece in response.content.iter_any():
            size += len(piece)
            if size > LARGEST_BYTES:
                response.close()
                raise Unavailable(f"the cluster has answered with more than {LARGEST_BYTES >> 20} MiB")
            pieces.append(piece)
        return b"".join(pieces)

    async def _fault(self, response: ClientResponse) -> Fault:
        body = b""
        try:
            with suppress(ClientPayloadError):
                body = await self._body(response)
        except TimeoutError:
            response.close()
        finally:
            response.release()
        return fault_of(response.status, body, retry_after=response.headers.get("Retry-After"))

    async def _document(self, text: bytes) -> JsonObject:
        try:
            document = await asyncio.to_thread(read_json, text) if len(text) > _LARGE_BYTES else read_json(text)
        except NotJson:
            # Not chained: it quotes nothing, but what it stands for may be a Secret.
            raise Unavailable(f"what answers at {self.server} does not speak JSON: it is no kube-apiserver") from None
        if not isinstance(document, dict):
            raise Unavailable(f"what answers at {self.server} is no kube-apiserver")
        return document

    def _unreachable(self, error: ClientError) -> Unavailable:
        subject = f"the cluster at {self.server}"
        match error:
            case ClientConnectorCertificateError():
                self._access.refused()
                why = getattr(error.certificate_error, "verify_message", "") or type(error.certificate_error).__name__
                return Refused(f"{subject} shows a certificate that is not trusted: {why}")
            case ClientConnectorSSLError():
                return Refused(f"{subject} does not speak TLS as it should, or refuses our certificate")
            case ClientConnectorDNSError():
                return Unavailable(f"{subject} cannot be reached: its name is not known")
            case ClientConnectorError():
                return Unavailable(f"{subject} cannot be reached: {error.os_error.strerror or 'no connection'}")
            case _:
                return Unavailable(f"{subject} has broken off: {type(error).__name__}")

    def _late(self) -> Unavailable:
        return Unavailable(f"the cluster at {self.server} has not answered within {self._timeout_seconds:.0f} s")


def _tell(request: _Request, response: ClientResponse, seconds: float) -> None:
    ms = round(seconds * 1000, 3)
    log.debug(
        f"{request.method} {request.path}: {response.status} in {ms:.0f} ms",
        action="call_cluster",
        status=response.status,
        ms=ms,
        # What kube-apiserver's own audit log has of this request.
        audit_id=response.headers.get("Audit-Id", "")[:64],
    )
