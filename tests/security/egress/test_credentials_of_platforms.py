"""Client certificates and tokens: from whom they are got, to whom they are shown, and that nobody else sees them."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization

from chandlery.osb.client import OsbClient
from chandlery.osb.client_credentials import ClientCertificate, OAuth2Client
from chandlery.osb.endpoint import BasicAuth, BrokerEndpoint
from chandlery.osb.transport.egress import TRUSTING_LOOPBACK, Egress
from chandlery.reconcile.answers import Verdict
from chandlery.reconcile.egress.egress_policy import EgressPolicy
from chandlery.reconcile.egress.egress_rules import parse_rules
from tests.security.egress.egress_programs import (
    Issued,
    RunningProgram,
    answer,
    broker,
    catalog,
    issue,
    program,
    server_tls,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "cl1ent-s3cret"


@pytest_asyncio.fixture(loop_scope="session")
async def client() -> AsyncIterator[OsbClient]:
    client = OsbClient(TRUSTING_LOOPBACK)
    yield client
    await client.close()


def certificate(issued: Issued) -> ClientCertificate:
    return ClientCertificate(issued.pem, issued.key_pem)


async def test_client_certificate_is_shown_and_a_changed_one_counts_at_once(client: OsbClient, tmp_path: Path) -> None:
    authority, server = issue("ca"), issue("broker")
    heads = []

    async def respond(head: str) -> bytes:
        heads.append(head)
        return answer()

    async with broker(respond, tls=server_tls(tmp_path, server, clients_of=authority)) as port:
        url, trust = f"https://127.0.0.1:{port}", {"ca_bundle": server.bundle}
        known, stranger = certificate(issue("platform", by=authority)), certificate(issue("platform"))
        none = await catalog(client, url, **trust)
        wrong = await catalog(client, url, client_certificate=stranger, **trust)
        right = await catalog(client, url, client_certificate=known, authorization=BasicAuth("ann", "pw"), **trust)
        renewed = await catalog(client, url, client_certificate=certificate(issue("p", by=authority)), **trust)
        # A connection that was made with the good one is not for whoever has another.
        wrong_again = await catalog(client, url, client_certificate=stranger, **trust)
    assert none.verdict != Verdict.SUCCEEDED
    assert wrong.verdict != Verdict.SUCCEEDED
    assert (right.verdict, renewed.verdict) == (Verdict.SUCCEEDED, Verdict.SUCCEEDED)
    assert wrong_again.verdict != Verdict.SUCCEEDED
    assert "Authorization: Basic" in heads[0]
    assert "Authorization" not in heads[1]


@pytest.mark.parametrize("which", ["nonsense", "other key", "encrypted"])
async def test_client_certificate_that_cannot_be_used_is_told_without_its_text(client: OsbClient, which: str) -> None:
    issued = issue("platform")
    locked = issued.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hunter2"),
    )
    key = {"nonsense": b"n0nsense", "other key": issue("other").key_pem, "encrypted": locked}[which]
    told = await catalog(client, "https://127.0.0.1:1", client_certificate=ClientCertificate(issued.pem, key))
    assert told.verdict == Verdict.UNREACHABLE
    assert "the client certificate for the broker cannot be used" in str(told.description)
    assert key.decode().splitlines()[-2:][0] not in repr(told)


@pytest_asyncio.fixture(loop_scope="session")
async def tokens(tmp_path: Path) -> AsyncIterator[RunningProgram]:
    says(tmp_path)
    async with program("token_process.py", str(tmp_path / "behaviour")) as running:
        yield running


def says(folder: Path, status: int = 200, **document: object) -> None:
    given = document or {"access_token": "t0ken-NUMBER", "token_type": "Bearer", "expires_in": 3600}
    (folder / "behaviour").write_text(f"{status} {json.dumps(given)}")


def oauth2(tokens: RunningProgram, **more: object) -> OAuth2Client:
    url = f"http://127.0.0.1:{tokens.port}/token"
    return OAuth2Client(token_url=url, client_id="me:you", client_secret=SECRET, **more)  # type: ignore[arg-type]


class Bearers:
    """A broker that takes these tokens, and remembers what it was sent."""

    def __init__(self, *accepted: str) -> None:
        self.accepted = set(accepted)
        self.sent: list[str] = []

    async def __call__(self, head: str) -> bytes:
        lines = [line for line in head.split("\r\n") if line.startswith("Authorization: ")]
        token = lines[0].removeprefix("Authorization: Bearer ")
        self.sent.append(token)
        if token in self.accepted:
            return answer()
        return answer(json.dumps({"description": f"bad token {token} of {SECRET}"}).encode(), status="401 Unauthorized")


async def test_token_is_got_once_for_calls_that_wait_and_kept(client: OsbClient, tokens: RunningProgram) -> None:
    listening = Bearers("t0ken-1")
    async with broker(listening) as port:
        way = {
            "url": f"http://127.0.0.1:{port}",
            "authorization": oauth2(tokens, scopes=("a", "b"), audience="brokers"),
        }
        told = await asyncio.gather(*(catalog(client, **way) for _ in range(5)))  # type: ignore[arg-type]
        told.append(await catalog(client, **way))  # type: ignore[arg-type]
    assert {each.verdict for each in told} == {Verdict.SUCCEEDED}
    assert len(tokens.seen) == 1
    assert tokens.seen[0]["form"] == {"grant_type": "client_credentials", "scope": "a b", "audience": "brokers"}
    # Encoded as RFC 6749 says, before the two are put together.
    expected = base64.b64encode(f"me%3Ayou:{SECRET}".encode()).decode()
    assert tokens.seen[0]["authorization"] == f"Basic {expected}"


async def test_client_and_secret_go_in_the_body_on_request(client: OsbClient, tokens: RunningProgram) -> None:
    async with broker(Bearers("t0ken-1")) as port:
        await catalog(client, f"http://127.0.0.1:{port}", authorization=oauth2(tokens, in_body=True))
    assert tokens.seen[0]["authorization"] is None
    assert tokens.seen[0]["form"]["client_secret"] == SECRET


async def test_token_that_the_broker_refuses_is_got_anew_once(
    client: OsbClient, tokens: RunningProgram, tmp_path: Path
) -> None:
    listening = Bearers("t0ken-2")
    async with broker(listening) as port:
        way = {"url": f"http://127.0.0.1:{port}", "authorization": oauth2(tokens)}
        assert (await catalog(client, **way)).verdict == Verdict.SUCCEEDED  # type: ignore[arg-type]
        listening.accepted.clear()
        refused = await catalog(client, **way)  # type: ignore[arg-type]
    assert listening.sent == ["t0ken-1", "t0ken-2", "t0ken-2", "t0ken-3"]
    assert (refused.verdict, refused.status) == (Verdict.REJECTED, 401)
    assert "t0ken" not in repr(refused)
    assert SECRET not in repr(refused)


async def test_another_secret_gets_another_token_and_so_does_another_broker(
    client: OsbClient, tokens: RunningProgram
) -> None:
    listening = Bearers("t0ken-1", "t0ken-2", "t0ken-3")
    async with broker(listening) as port, broker(listening) as other:
        mine = oauth2(tokens)
        rotated = OAuth2Client(token_url=mine.token_url, client_id="me", client_secret="an0ther")
        for place, auth in ((port, mine), (other, mine), (port, rotated), (port, mine)):
            await catalog(client, f"http://127.0.0.1:{place}", authorization=auth)
    assert listening.sent == ["t0ken-1", "t0ken-2", "t0ken-3", "t0ken-1"]


async def test_token_is_got_anew_shortly_before_it_expires(
    client: OsbClient, tokens: RunningProgram, tmp_path: Path
) -> None:
    says(tmp_path, access_token="t0ken-NUMBER", expires_in=0.000001)
    listening = Bearers("t0ken-1", "t0ken-2")
    async with broker(listening) as port:
        for _ in range(2):
            await catalog(client, f"http://127.0.0.1:{port}", authorization=oauth2(tokens))
    assert listening.sent == ["t0ken-1", "t0ken-2"]


@pytest.mark.parametrize(
    ("status", "document", "words"),
    [
        (401, {"error": "invalid_client", "error_description": SECRET}, "answered 401 (invalid_client)"),
        (400, {"error": SECRET}, "answered 400"),
        (500, {"error": "server_error"}, "answered 500 (server_error)"),
        (302, {}, "answered 302"),
        (200, {"token": "x"}, "gave no access_token"),
        (200, {"access_token": "a b"}, "no header can carry"),
        (200, {"access_token": "x", "token_type": "mac"}, "not a bearer token"),
        (200, {"access_token": "x" * 70_000}, "gave no access_token"),
        (200, {"access_token": ["x"]}, "gave no access_token"),
    ],
)
async def test_failing_token_endpoint_is_told_without_a_word_of_it(
    client: OsbClient, tokens: RunningProgram, tmp_path: Path, status: int, document: dict[str, object], words: str
) -> None:
    says(tmp_path, status, **(document or {"x": 1}))
    listening = Bearers()
    async with broker(listening) as port:
        told = await catalog(client, f"http://127.0.0.1:{port}", authorization=oauth2(tokens))
    assert told.verdict == Verdict.UNREACHABLE
    assert words in str(told.description)
    assert SECRET not in repr(told)
    assert listening.sent == []


async def test_token_endpoint_is_held_to_the_policy_of_brokers(tokens: RunningProgram) -> None:
    trusted = EgressPolicy(trusted=parse_rules("127.0.0.1/32"))
    client = OsbClient(Egress(cluster=trusted.narrowed(deny=parse_rules("login.example"))))
    listening = Bearers()
    async with broker(listening) as port:
        for url in ("http://login.example/token", "http://127.0.0.2/token", "http://169.254.169.254/token"):
            auth = OAuth2Client(token_url=url, client_id="me", client_secret=SECRET)
            told = await catalog(client, f"http://127.0.0.1:{port}", authorization=auth)
            assert told.verdict == Verdict.UNREACHABLE
            assert "token endpoint" in str(told.description)
    await client.close()
    assert (tokens.seen, listening.sent) == ([], [])


async def test_nothing_secret_shows_in_a_repr() -> None:
    issued = issue("platform")
    auth = OAuth2Client(token_url="http://x/t", client_id="me", client_secret=SECRET)
    endpoint = BrokerEndpoint(url="http://x", authorization=auth, client_certificate=certificate(issued))
    shown = f"{endpoint!r} {auth!r} {endpoint.client_certificate!r} {endpoint.session_key!r}"
    assert SECRET not in shown
    assert "PRIVATE" not in shown
    assert SECRET in endpoint.secrets
