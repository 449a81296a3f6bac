"""The Open Service Broker API client: one request in, one answer out, whatever the service broker does.

Comes in: a request of `operations/requests.py`, the endpoint (`endpoint.py`: address, credentials, version, limits),
and the user on whose behalf it is sent.
Goes out: an `Answer` (`reconcile/answers.py`). It never raises for what a service broker, or the way to it, does:
a lost connection and nonsense are answers, too, since the state machines decide what they mean.
Called by: the reconcilers of the provisioner and the binder, and the syncer for catalogs: between their two short
transactions, so that none is open meanwhile.

It keeps connections and nothing else. Calls are logged here, with all known secrets struck out of a broker's words.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog
from multidict import CIMultiDict, istr

from chandlery.osb.answers.answers_reading import read_answer
from chandlery.osb.answers.json_bodies import SMALL
from chandlery.osb.answers.tenant_answers import for_tenants
from chandlery.osb.call_counting import CallCounting, CountedCall
from chandlery.osb.call_span import note_answer, request_identity_of, started_call
from chandlery.osb.client_credentials import OAuth2Client
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.faults import AnswerLost, NothingSent, NotInVersion
from chandlery.osb.operations.originating_identity import OriginatingIdentity
from chandlery.osb.operations.requests import NO_IDS, OsbRequest, call_of, catalog_call, ids_of
from chandlery.osb.signing.context_signer import is_unsigned
from chandlery.osb.tokens.token_exchange import AccessToken
from chandlery.osb.tokens.token_source import TokenSource
from chandlery.osb.transport.egress import Egress
from chandlery.osb.transport.http_call import ANSWER_LIMIT, CATALOG_LIMIT, HttpCall, HttpReply
from chandlery.osb.transport.session_pool import SessionPool
from chandlery.osb.transport.transport import Transport
from chandlery.reconcile.answers import Answer, CatalogMark, Verdict
from chandlery.reconcile.operation.version_matrix import ORIGINATING_IDENTITY, REQUEST_IDENTITY, knows_header
from chandlery.reconcile.secrecy.known_secrets import NO_SECRETS, KnownSecrets
from chandlery.telemetry.metrics import NO_METRICS, Metrics
from chandlery.telemetry.tracing.spans import current
from chandlery.telemetry.tracing.tracing import IDS_ONLY, Tracing

log = structlog.get_logger(__name__)

_FAILED = frozenset({Verdict.BROKEN, Verdict.TIMED_OUT, Verdict.UNREACHABLE, Verdict.MALFORMED, Verdict.UNEXPECTED})
_WENT_WELL = frozenset({Verdict.SUCCEEDED, Verdict.ACCEPTED, Verdict.IN_PROGRESS, Verdict.UNCHANGED, Verdict.GONE})


def say_called(
    endpoint: BrokerEndpoint, answer: Answer, *, request_id: str, seconds: float, ids: Mapping[str, str] = NO_IDS
) -> None:
    """Tell of one call and what came of it: a warning where the broker, or the way to it, has failed.

    `ids` are those by which the broker knows what it was about: `chandlery reconcile` reads them after a loss.

    A poll of what goes on is only told to whoever looks closer: there may be a thousand in a second.
    """
    ms, whose = round(seconds * 1000, 3), structlog.contextvars.get_contextvars()
    name = "/".join(filter(None, (whose.get("namespace"), whose.get("name"))))
    came = answer.status if answer.status is not None else "no answer"
    facts = {
        "action": "call_broker",
        "operation": str(answer.verb),
        "status": answer.status,
        "verdict": str(answer.verdict),
        "outcome": "success" if answer.verdict in _WENT_WELL else "failure",
        "ms": ms,
        "request_identity": request_id,
        "server": endpoint.place,
        **ids,
    }
    why = "" if answer.verdict in _WENT_WELL else answer.error or answer.description or ""
    if why:
        facts["error"] = why
    say = log.warning if answer.verdict in _FAILED else log.info
    if answer.verdict == Verdict.IN_PROGRESS:
        if not log.is_enabled_for(logging.DEBUG):
            return
        say = log.debug
    say(f"{answer.verb} for {whose.get('kind', 'nobody')} {name}: {came} in {ms:.0f} ms", **facts)


_VERSION = istr("X-Broker-API-Version")
_REQUEST_IDENTITY = istr(REQUEST_IDENTITY)
_ORIGINATING_IDENTITY = istr(ORIGINATING_IDENTITY)
_AUTHORIZATION = istr("Authorization")
_CONTENT_TYPE = istr("Content-Type")
_UNAUTHORIZED = 401
_UNSIGNED = (
    "the request was not sent: spec.signedContext of the broker asks for a signature, and this platform has no key for "
    "it. Whoever runs it sets CHANDLERY_CONTEXT_SIGNING_KEY_FILE"
)


@dataclass(frozen=True)
class _Course:
    """What a call has come to so far."""

    counted: CountedCall
    tokens: list[AccessToken] = field(default_factory=list)


class OsbClient:
    """Calls any number of service brokers. Belongs to the event loop it is first used in; close it at the end."""

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        egress: Egress,
        *,
        connections_per_broker: int = 64,
        connect_timeout_seconds: float = 10.0,
        idle_seconds: float = 600.0,
        catalog_limit: int = CATALOG_LIMIT,
        metrics: Metrics = NO_METRICS,
        tracing: Tracing = IDS_ONLY,
    ) -> None:
        """`egress` says where brokers may be.

        `connect_timeout_seconds` bounds one attempt to connect; what bounds a call is the endpoint's timeout.

        `catalog_limit` is the most bytes that a catalog may have; the values in it are bounded accordingly.

        Connections to a broker that was not called for `idle_seconds` are closed at the next call to any other.
        """
        self._egress = egress
        self._counting = CallCounting(metrics)
        self._tracing = tracing
        self._pool = SessionPool(
            egress,
            connections=connections_per_broker,
            connect_seconds=connect_timeout_seconds,
            idle_seconds=idle_seconds,
        )
        self._transport = Transport(self._pool)
        self._tokens = TokenSource(self._transport)
        self._catalog_limit = catalog_limit
        # One at a time, so that their memory does not add up; small ones never wait for it.
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reads-large-answers")

    async def send(
        self,
        endpoint: BrokerEndpoint,
        request: OsbRequest,
        *,
        identity: OriginatingIdentity | None,
        secrets: KnownSecrets = NO_SECRETS,
    ) -> Answer:
        """Send one request and read its answer. Does not raise for anything that a broker or the network does.

        Args:
            endpoint: The broker, its credentials and the time it has.
            request: What to send; see `chandlery.osb.operations.requests`.
            identity: The user behind this very action; None for what the platform does on its own (OSB v2.17,
                "Originating Identity"), such as orphan mitigation.
            secrets: What the broker may know and nobody may see: struck out of its words, as its credentials are.
        """
        if is_unsigned(request):
            return Answer(verb=request.verb, verdict=Verdict.UNREACHABLE, description=_UNSIGNED)
        try:
            call = call_of(request, endpoint.api_version)
        except NotInVersion as fault:
            return Answer(verb=request.verb, verdict=Verdict.REJECTED, description=fault.message)
        return await self._told(endpoint, call, identity=identity, secrets=secrets, ids=ids_of(request))

    async def get_catalog(self, endpoint: BrokerEndpoint, *, known: CatalogMark | None) -> Answer:
        """Fetch the catalog, or learn that it is the known one. `body` is the object as it came."""
        call = catalog_call(known, endpoint.api_version, limit=self._catalog_limit)
        return await self._told(endpoint, call, identity=None, secrets=NO_SECRETS)

    async def close(self) -> None:
        """Close all connections."""
        await self._tokens.close()
        await self._pool.close()
        self._reading.shutdown(wait=False, cancel_futures=True)

    async def _told(
        self,
        endpoint: BrokerEndpoint,
        call: HttpCall,
        *,
        identity: OriginatingIdentity | None,
        secrets: KnownSecrets,
        ids: Mapping[str, str] = NO_IDS,
    ) -> Answer:
        """The answer with secrets struck out; the log has it whole, a tenant's broker only what a broker answers."""
        began = time.monotonic()
        with current(started_call(self._tracing.tracer, endpoint, call)) as span:
            request_id = request_identity_of(span)
            with self._counting.counted(endpoint.broker, call.verb) as counted:
                course = _Course(counted)
                answer = await self._exchange(endpoint, call, identity=identity, request_id=request_id, course=course)
                counted.answer = answer
            hidden = (*endpoint.secrets, *(secret for token in course.tokens for secret in token.secrets))
            told = await _struck(answer.knowing(secrets.and_those_of(*hidden)))
            ended = time.monotonic()
            note_answer(span, told)
            say_called(endpoint, told, request_id=request_id, seconds=ended - began, ids=ids)
        if self._egress.tells_all_to(endpoint.tenancy):
            return told
        shown = for_tenants(told)
        if shown is not told:
            least = min(self._egress.tenant_failure_seconds, endpoint.timeout_seconds)
            await asyncio.sleep(least - (ended - counted.sent_at))
        return shown

    async def _exchange(
        self,
        endpoint: BrokerEndpoint,
        call: HttpCall,
        *,
        identity: OriginatingIdentity | None,
        request_id: str,
        course: _Course,
    ) -> Answer:
        try:
            headers = _headers(endpoint, call, identity=identity, request_id=request_id)
            self._tracing.go_out(headers)
            client = endpoint.authorization
            if isinstance(client, OAuth2Client):
                reply = await self._with_token(endpoint, client, call, headers=headers, course=course)
            else:
                reply = await self._transport.exchange(endpoint, call, headers)
        except NothingSent as fault:
            course.counted.failed(fault)
            return Answer(verb=call.verb, verdict=Verdict.UNREACHABLE, description=fault.message)
        except AnswerLost as fault:
            course.counted.failed(fault)
            return Answer(verb=call.verb, verdict=Verdict.TIMED_OUT, description=fault.message)
        if not reply.body or len(reply.body) <= SMALL:
            return read_answer(call, reply)
        if len(reply.body) <= ANSWER_LIMIT:
            return await asyncio.to_thread(read_answer, call, reply)
        return await asyncio.get_running_loop().run_in_executor(self._reading, read_answer, call, reply)

    async def _with_token(
        self,
        endpoint: BrokerEndpoint,
        client: OAuth2Client,
        call: HttpCall,
        *,
        headers: CIMultiDict[str],
        course: _Course,
    ) -> HttpReply:
        """The reply; a token that the broker refuses is got anew once. A call that was answered 401 did nothing."""
        reply = await self._sent_with_token(endpoint, client, call, headers=headers, course=course)
        if reply.status != _UNAUTHORIZED:
            return reply
        self._tokens.refused(endpoint, client, course.tokens[-1])
        return await self._sent_with_token(endpoint, client, call, headers=headers, course=course)

    async def _sent_with_token(
        self,
        endpoint: BrokerEndpoint,
        client: OAuth2Client,
        call: HttpCall,
        *,
        headers: CIMultiDict[str],
        course: _Course,
    ) -> HttpReply:
        token = await self._tokens.token_for(endpoint, client)
        course.tokens.append(token)
        course.counted.sent_at = time.monotonic()
        headers[_AUTHORIZATION] = token.header
        return await self._transport.exchange(endpoint, call, headers)


async def _struck(answer: Answer) -> Answer:
    return answer.struck() if answer.secrets.are_few else await asyncio.to_thread(answer.struck)


def _headers(
    endpoint: BrokerEndpoint, call: HttpCall, *, identity: OriginatingIdentity | None, request_id: str
) -> CIMultiDict[str]:
    """OSB v2.17, "API Version Header", "Originating Identity", "Request Identity" and "Authentication"."""
    headers = CIMultiDict({_VERSION: endpoint.api_version})
    if knows_header(REQUEST_IDENTITY, endpoint.api_version):
        headers[_REQUEST_IDENTITY] = request_id
    if (authorization := endpoint.authorization_header) is not None:
        headers[_AUTHORIZATION] = authorization
    if identity is not None and knows_header(ORIGINATING_IDENTITY, endpoint.api_version):
        headers[_ORIGINATING_IDENTITY] = identity.header
    if call.body is not None:
        headers[_CONTENT_TYPE] = "application/json"
    headers.update(call.headers)
    return headers
