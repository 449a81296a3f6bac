"""Users who are known by the certificate of their connection, on a real listener: whom it lets in, and whom not."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from structlog.testing import capture_logs

from chandlery.model.faults import ConfigurationFault, Forbidden
from chandlery.model.json.json_text import write_json
from chandlery.model.objects.instances import UserInfo
from chandlery.process.http.accepting import Manners
from chandlery.process.http.http_server import listen, serve_http
from chandlery.process.http.presented_certificates import CLIENT_CERTIFICATE, PresentedCertificate
from chandlery.process.http.tls_files import TlsFiles, self_signed
from chandlery_gateway.identity.authentication import FAILED_LOGIN
from chandlery_gateway.identity.authenticators.certificate_authenticator import CertificateAuthenticator
from chandlery_gateway.identity.authenticators.token_authenticator import TokenAuthenticator
from chandlery_gateway.identity.authenticators.union_authenticator import UnionAuthenticator
from tests.support.client_authority import Authority, Shown
from tests.support.waiting import SOON, eventually

TOKEN: Final = "token-of-bob-who-has-no-certificate"


class Listener:
    """A gateway's listener that answers who has come."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority()
        certificate, key = self_signed("127.0.0.1")
        (folder / "tls.crt").write_text(certificate)
        (folder / "tls.key").write_text(key)
        (folder / "clients.crt").write_text(self.authority.pem)
        self.tls = TlsFiles(folder / "tls.crt", folder / "tls.key", client_authorities=folder / "clients.crt")
        static = TokenAuthenticator({TOKEN: UserInfo(username="bob", groups=("dev",))})
        self.now = datetime.now(UTC)
        certificates = CertificateAuthenticator(now=lambda: self.now)
        self._union = UnionAuthenticator(certificates=certificates, verifiers=[static])
        self.port = 0
        self.refused = 0

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        """The application: it answers who has come."""
        if scope["path"] == "/watch":
            await self._watch(scope, send)
            return
        user = await self._union.authenticate(scope)
        told = user.to_wire() if user else {"refused": scope.get(FAILED_LOGIN)}
        body = write_json({**told, "shown": CLIENT_CERTIFICATE in scope})
        head = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def _watch(self, scope: Any, send: Any) -> None:
        """Tell that it has begun, and then when nobody is known by it any more."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun\n", "more_body": True})
        await eventually(lambda: self._union.authenticate({**scope}), lambda user: user is None, what="a stranger")
        await send({"type": "http.response.body", "body": b"over\n"})

    def count_refused(self) -> None:
        """One more whose handshake was ended."""
        self.refused += 1

    def session(self, shown: Shown | None = None) -> aiohttp.ClientSession:
        """Connections of a client with this certificate."""
        context = ssl.create_default_context(cafile=str(self.folder / "tls.crt"))
        if shown is not None:
            context.load_cert_chain(shown.certificate, shown.key)
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))

    async def whoami(self, session: aiohttp.ClientSession, *, scheme: str = "https", **headers: str) -> dict[str, Any]:
        async with session.get(f"{scheme}://127.0.0.1:{self.port}/", headers=headers) as response:
            told: dict[str, Any] = await response.json()
            return told


@pytest.fixture
async def listener(tmp_path: Path) -> AsyncIterator[Listener]:
    made = Listener(tmp_path)
    async with _serving(made):
        yield made


@asynccontextmanager
async def _serving(made: Listener) -> AsyncIterator[None]:
    manners = Manners(tls=made.tls, plain_too=True, on_untrusted=made.count_refused)
    socket, stop = listen("127.0.0.1", 0), asyncio.Event()
    made.port = socket.getsockname()[1]
    serving = asyncio.create_task(serve_http(made, socket, stop, manners=manners))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(SOON):
            await serving


async def test_common_name_is_the_user_and_organizations_are_groups(listener: Listener) -> None:
    shown = listener.authority.issue(listener.folder, "ann", "system:masters", "dev")
    async with listener.session(shown) as session:
        told = await listener.whoami(session)
        assert (told["username"], told["groups"]) == ("ann", ["system:masters", "dev", "system:authenticated"])
        assert told["uid"] == ""
        [[id_]] = told["extra"].values()
        assert id_.startswith("X509SHA256=")
        # The certificate settles it.
        assert (await listener.whoami(session, Authorization=f"Bearer {TOKEN}"))["username"] == "ann"


async def test_who_has_no_certificate_may_come_with_a_token(listener: Listener) -> None:
    async with listener.session() as session:
        assert (await listener.whoami(session, Authorization=f"Bearer {TOKEN}"))["username"] == "bob"
        assert await listener.whoami(session) == {"refused": None, "shown": False}


@pytest.mark.parametrize(
    ("name", "groups", "usages"),
    [
        ("ann", ("dev",), (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)),
        ("ann", (), (ExtendedKeyUsageOID.CLIENT_AUTH,)),
    ],
)
async def test_certificate_may_be_for_servers_too(
    listener: Listener, name: str, groups: tuple[str, ...], usages: Any
) -> None:
    async with listener.session(listener.authority.issue(listener.folder, name, *groups, usages=usages)) as session:
        assert (await listener.whoami(session))["username"] == name


@pytest.mark.parametrize(
    ("name", "groups", "usages"),
    [("ann", ("dev",), ()), ("", ("system:masters",), (ExtendedKeyUsageOID.CLIENT_AUTH,))],
    ids=["no usage", "no common name"],
)
async def test_certificate_that_names_no_user_is_not_accepted_and_a_token_still_is(
    listener: Listener, name: str, groups: tuple[str, ...], usages: Any
) -> None:
    async with listener.session(listener.authority.issue(listener.folder, name, *groups, usages=usages)) as session:
        assert await listener.whoami(session) == {"refused": "client certificate not accepted", "shown": True}
        assert (await listener.whoami(session, Authorization=f"Bearer {TOKEN}"))["username"] == "bob"


@pytest.mark.parametrize("wrong", ["foreign", "expired", "server"])
async def test_certificate_that_nobody_vouches_for_ends_the_handshake_and_is_told_of(
    listener: Listener, wrong: str
) -> None:
    authority = Authority() if wrong == "foreign" else listener.authority
    usage = ExtendedKeyUsageOID.SERVER_AUTH if wrong == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
    age = timedelta(hours=-1) if wrong == "expired" else timedelta(hours=1)
    shown = authority.issue(listener.folder, "ann", "system:masters", usages=(usage,), valid_for=age)
    with capture_logs() as logged:
        async with listener.session(shown) as session:
            with pytest.raises(aiohttp.ClientError):
                await listener.whoami(session, Authorization=f"Bearer {TOKEN}")
        await eventually(lambda: logged, what="a line in the log")
    assert logged[0]["action"] == "failed_authentication"
    assert "client certificates from 127.0.0.1 were refused" in logged[0]["event"]
    # The client tries a second time.
    assert 1 <= listener.refused <= 2


@pytest.mark.parametrize(
    ("method", "said", "is_let_in"),
    [
        ("POST", {}, True),
        ("POST", {"Sec-Fetch-Site": "same-origin", "Origin": "https://gateway.example"}, True),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, True),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, False),
        ("DELETE", {"Sec-Fetch-Site": "same-site"}, False),
        ("PUT", {"Sec-Fetch-Site": "none"}, False),
        ("PATCH", {"Origin": "null"}, False),
        ("POST", {"Origin": "https://gateway.example"}, False),
    ],
)
async def test_change_that_a_page_of_others_has_a_browser_make_is_refused(
    method: str, said: dict[str, str], is_let_in: bool
) -> None:
    now = datetime.now(UTC)
    shown = PresentedCertificate(
        common_name="ann",
        organizations=("dev",),
        is_for_clients=True,
        valid_from=now - timedelta(hours=1),
        valid_until=now + timedelta(hours=1),
        fingerprint="f",
    )
    headers = [(name.lower().encode(), value.encode()) for name, value in said.items()]
    scope = {"type": "http", "method": method, "headers": headers, CLIENT_CERTIFICATE: shown}
    knows = CertificateAuthenticator()
    if is_let_in:
        assert await knows.authenticate(scope) is not None
    else:
        with pytest.raises(Forbidden, match="page of another origin"):
            await knows.authenticate(scope)


async def test_header_does_not_pass_for_a_certificate(listener: Listener) -> None:
    async with listener.session() as session:
        for scheme in ("https", "http"):
            headers = {"X-Client-Cert": "ann", "X-Remote-User": "ann", "X-Remote-Group": "system:masters"}
            assert await listener.whoami(session, scheme=scheme, **headers) == {"refused": None, "shown": False}


async def test_new_authorities_count_at_once_for_connections_that_are_open_too(listener: Listener) -> None:
    shown = listener.authority.issue(listener.folder, "ann")
    successor = Authority()
    async with listener.session(shown) as ann, listener.session() as bob:
        assert (await listener.whoami(ann))["username"] == "ann"
        assert (await listener.whoami(bob, Authorization=f"Bearer {TOKEN}"))["username"] == "bob"
        (listener.folder / "clients.crt").write_text(listener.authority.pem + successor.pem)
        listener.tls.reload_authorities()
        assert (await listener.whoami(ann))["username"] == "ann"
        (listener.folder / "clients.crt").write_text(successor.pem)
        listener.tls.reload_authorities()
        with pytest.raises(aiohttp.ClientError):
            await listener.whoami(ann)
        assert (await listener.whoami(bob, Authorization=f"Bearer {TOKEN}"))["username"] == "bob"
    async with listener.session(successor.issue(listener.folder, "carol")) as session:
        assert (await listener.whoami(session))["username"] == "carol"


async def test_request_under_way_has_no_certificate_once_nobody_vouches_for_it(listener: Listener) -> None:
    async with (
        listener.session(listener.authority.issue(listener.folder, "ann")) as ann,
        ann.get(f"https://127.0.0.1:{listener.port}/watch") as response,
        asyncio.timeout(SOON),
    ):
        assert await response.content.readline() == b"begun\n"
        (listener.folder / "clients.crt").write_text(Authority().pem)
        listener.tls.reload_authorities()
        assert await response.content.readline() == b"over\n"


async def test_certificate_that_expires_while_its_connection_is_open_counts_no_more(listener: Listener) -> None:
    async with listener.session(listener.authority.issue(listener.folder, "ann")) as session:
        assert (await listener.whoami(session))["username"] == "ann"
        listener.now += timedelta(hours=2)
        assert await listener.whoami(session) == {"refused": "expired", "shown": True}


@pytest.mark.parametrize("text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_authorities_that_cannot_be_used_are_refused_and_the_old_ones_stay(tmp_path: Path, text: str) -> None:
    listener = Listener(tmp_path)
    before = listener.tls.context
    (tmp_path / "clients.crt").write_text(text)
    with pytest.raises(ConfigurationFault, match=r"CHANDLERY_CLIENT_CA_FILE .* contains no readable PEM certificate"):
        listener.tls.reload_authorities()
    assert listener.tls.context is before
    listener.tls.reload()
    assert listener.tls.context.verify_mode is ssl.CERT_OPTIONAL
