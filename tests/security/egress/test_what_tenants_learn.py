"""A broker of a namespace tells its users whether it is a service broker that answers, and nothing else."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from chandlery.osb.answers.tenant_answers import UNIFORM, for_tenants
from chandlery.osb.client import OsbClient
from chandlery.osb.client_credentials import OAuth2Client
from chandlery.osb.endpoint import BrokerEndpoint, Tenancy
from chandlery.osb.operations.instance_calls import DeprovisionRequest, PollInstanceRequest, ProvisionRequest
from chandlery.osb.operations.requests import OsbRequest
from chandlery.osb.transport import name_lookups
from chandlery.osb.transport.egress import TRUSTING_LOOPBACK, Egress
from chandlery.reconcile.answers import Answer, Verb, Verdict
from chandlery.reconcile.egress.egress_policy import EgressPolicy
from chandlery.reconcile.egress.egress_rules import LOOPBACK, parse_rules
from tests.security.egress.egress_programs import answer, broker, issue, server_tls

pytestmark = pytest.mark.asyncio(loop_scope="session")

IDS = {"instance_id": "i", "service_id": "s", "plan_id": "p"}
PUT = ProvisionRequest(**IDS, organization_guid="o", space_guid="s", context={}, parameters=None)
INSIDE = "internal-wiki"

PAGE = f"<html><title>{INSIDE}</title></html>".encode()
NOT_BROKERS = {
    "a page": answer(PAGE),
    "a page that is missing": answer(PAGE, status="404 Not Found"),
    "a login": answer(b"", status="401 Unauthorized", more=f"WWW-Authenticate: Basic realm={INSIDE}\r\n"),
    "an error in JSON": answer(json.dumps({"message": INSIDE, "code": 403}).encode(), status="403 Forbidden"),
    "an error of its own": answer(json.dumps({"error": INSIDE}).encode(), status="500 Internal Server Error"),
    "JSON": answer(json.dumps({"name": INSIDE}).encode()),
    "a list": answer(b"[]"),
    "a redirect": answer(b"", status="302 Found", more=f"Location: http://{INSIDE}/\r\n"),
    "no content": answer(b"", status="204 No Content"),
    "no HTTP": b"220 internal-wiki ESMTP\r\n",
    "an SSH server": b"SSH-2.0-OpenSSH_9.2 internal-wiki\r\n",
}


@pytest_asyncio.fixture(loop_scope="session")
async def client() -> AsyncIterator[OsbClient]:
    client = OsbClient(TRUSTING_LOOPBACK)
    yield client
    await client.close()


async def ask(
    client: OsbClient, url: str, request: OsbRequest | None = None, *, seconds: float = 5.0, tenancy: bool = True
) -> Answer:
    endpoint = BrokerEndpoint(url=url, timeout_seconds=seconds, tenancy=Tenancy() if tenancy else None)
    if request is None:
        return await client.get_catalog(endpoint, known=None)
    return await client.send(endpoint, request, identity=None)


@pytest.mark.parametrize("request_", [None, PUT, DeprovisionRequest(**IDS), PollInstanceRequest(**IDS, operation=None)])
async def test_all_that_is_no_brokers_answer_looks_alike(
    client: OsbClient, tmp_path: Path, request_: OsbRequest | None
) -> None:
    async with AsyncExitStack() as stack:

        async def place(text: bytes, **more: object) -> str:
            async def respond(_head: str) -> bytes:
                return text

            return f"127.0.0.1:{await stack.enter_async_context(broker(respond, **more))}"  # type: ignore[arg-type]

        closed = stack.enter_context(socket.socket())
        closed.bind(("127.0.0.1", 0))
        secure = await place(answer(), tls=await asyncio.to_thread(lambda: server_tls(tmp_path, issue("other"))))
        # An object of JSON is what a broker says after a change that went well.
        is_change = isinstance(request_, ProvisionRequest | DeprovisionRequest)
        texts = [text for name, text in NOT_BROKERS.items() if not (is_change and name == "JSON")]
        urls = [f"http://{await place(text)}" for text in texts]
        urls += [f"http://127.0.0.1:{closed.getsockname()[1]}", f"https://{secure}", f"http://{secure}"]
        urls += [
            f"https://{await place(PAGE)}",
            "http://no-such-name.invalid",
            "http://169.254.169.254",
            "http://0x7f.1",
        ]
        told = [await ask(client, url, request_, seconds=1.0) for url in urls]
    assert {(each.verdict, each.status, each.error, each.description, str(each.body)) for each in told} == {
        (Verdict.TIMED_OUT, None, None, UNIFORM, "{}")
    }
    assert {each.retry_after_seconds for each in told} == {None}


async def test_silence_looks_like_that_too(client: OsbClient) -> None:
    async def say_nothing(_head: str) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with broker(say_nothing) as port:
        told = await ask(client, f"http://127.0.0.1:{port}", seconds=0.2)
    assert (told.verdict, told.description) == (Verdict.TIMED_OUT, UNIFORM)


async def test_log_and_brokers_of_the_cluster_have_the_detail(client: OsbClient) -> None:
    async def respond(_head: str) -> bytes:
        return answer(PAGE, status="404 Not Found")

    async with broker(respond) as port:
        with capture_logs() as logs:
            assert INSIDE not in repr(await ask(client, f"http://127.0.0.1:{port}"))
        told = await ask(client, f"http://127.0.0.1:{port}", tenancy=False)
    assert [line["status"] for line in logs] == [404]
    assert INSIDE in str(logs)
    assert (told.status, INSIDE in str(told.description)) == (404, True)


async def test_an_operator_can_have_tenants_told_all() -> None:
    trusted = EgressPolicy(trusted=parse_rules(LOOPBACK))
    client = OsbClient(Egress(cluster=trusted, tenants=trusted, tells_tenants=True))

    async def respond(_head: str) -> bytes:
        return answer(PAGE, status="404 Not Found")

    async with broker(respond) as port:
        told = await ask(client, f"http://127.0.0.1:{port}")
    await client.close()
    assert told.status == 404


async def test_failure_is_not_told_before_its_time() -> None:
    trusted = EgressPolicy(trusted=parse_rules(LOOPBACK))
    client = OsbClient(Egress(cluster=trusted, tenants=trusted, tenant_failure_seconds=0.3))

    async def respond(head: str) -> bytes:
        return answer(PAGE if "instances" in head else b'{"services": []}')

    async with broker(respond) as port:
        began = time.monotonic()
        await ask(client, f"http://127.0.0.1:{port}", PUT)
        failed = time.monotonic()
        assert (await ask(client, f"http://127.0.0.1:{port}")).verdict == Verdict.SUCCEEDED
    await client.close()
    # A clock may be a little ahead of the other.
    assert failed - began > 0.25


async def test_what_never_connects_takes_no_longer_than_what_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # A port behind a firewall is silent, and so is this name; what refuses answers at once.
    over = threading.Event()
    monkeypatch.setattr(name_lookups, "_look_up", lambda *_: over.wait(5) and [])
    trusted = EgressPolicy(trusted=parse_rules(LOOPBACK))
    client = OsbClient(Egress(cluster=trusted, tenants=trusted, tenant_failure_seconds=0.3))
    async with asyncio.timeout(4):
        told = await ask(client, "http://silent.example", PUT, seconds=60.0)
    over.set()
    assert (told.verdict, told.description) == (Verdict.TIMED_OUT, UNIFORM)

    async def respond_late(_head: str) -> bytes:
        await asyncio.sleep(0.5)
        return answer()

    # Once there is a connection, a broker has all the time that its specification gives it.
    async with broker(respond_late) as port:
        assert (await ask(client, f"http://127.0.0.1:{port}")).verdict == Verdict.SUCCEEDED
    await client.close()


@pytest.mark.parametrize(
    ("given", "is_shown"),
    [
        (Answer(verb=Verb.PROVISION, verdict=Verdict.REJECTED, status=422, body={"error": "RequiresApp"}), True),
        (Answer(verb=Verb.PROVISION, verdict=Verdict.REJECTED, status=400, body={"description": "no such plan"}), True),
        (Answer(verb=Verb.PROVISION, verdict=Verdict.BROKEN, status=500, body={"description": "full"}), True),
        (Answer(verb=Verb.PROVISION, verdict=Verdict.BROKEN, status=500, body={"description": ["full"]}), False),
        (Answer(verb=Verb.PROVISION, verdict=Verdict.REJECTED, status=422, body={"error": "NoSuchThing"}), False),
        (Answer(verb=Verb.DEPROVISION, verdict=Verdict.GONE, status=410), True),
        (Answer(verb=Verb.PROVISION, verdict=Verdict.GONE, status=410), False),
        (Answer(verb=Verb.POLL_INSTANCE, verdict=Verdict.OPERATION_FAILED, status=200, body={"state": "failed"}), True),
        (Answer(verb=Verb.GET_CATALOG, verdict=Verdict.SUCCEEDED, status=200, body={"services": []}), True),
        (Answer(verb=Verb.GET_CATALOG, verdict=Verdict.SUCCEEDED, status=200, body={"services": {}}), False),
        (Answer(verb=Verb.GET_CATALOG, verdict=Verdict.UNCHANGED, status=304), True),
        (Answer(verb=Verb.PROVISION, verdict=Verdict.MALFORMED, status=200, body={}), False),
    ],
)
async def test_what_a_broker_says_is_shown(given: Answer, is_shown: bool) -> None:
    shown = for_tenants(given)
    assert (shown is given) == is_shown
    assert is_shown or (shown.verdict, shown.description) == (Verdict.TIMED_OUT, UNIFORM)


async def test_a_slow_token_endpoint_does_not_make_failures_differ() -> None:
    trusted = EgressPolicy(trusted=parse_rules(LOOPBACK))
    client = OsbClient(Egress(cluster=trusted, tenants=trusted, tenant_failure_seconds=0.3))

    async def give_token(_head: str) -> bytes:
        await asyncio.sleep(0.2)
        return answer(b'{"access_token": "t", "expires_in": 60}')

    async def respond(_head: str) -> bytes:
        return answer(PAGE)

    async with broker(give_token) as tokens, broker(respond) as port:
        began = time.monotonic()
        oauth2 = OAuth2Client(f"http://127.0.0.1:{tokens}/", "id", "secret")
        endpoint = BrokerEndpoint(url=f"http://127.0.0.1:{port}", authorization=oauth2, tenancy=Tenancy())
        told = await client.get_catalog(endpoint, known=None)
        took = time.monotonic() - began
    await client.close()
    # As long as where a connection never comes about: all of the time, counted from the token on.
    assert (told.description, took > 0.45) == (UNIFORM, True)
