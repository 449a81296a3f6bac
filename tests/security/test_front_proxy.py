"""Whoever is not the front proxy of the cluster, and would like to be: on a real listener, byte for byte."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from chandlery.model.json.json_text import read_json, write_json
from chandlery.model.objects.wire import JsonObject
from chandlery.process.http.accepting import Manners
from chandlery.process.http.bounded_connections import ConnectionLimits
from chandlery.process.http.http_server import listen, serve_http
from chandlery.process.http.presented_certificates import CLIENT_CERTIFICATE
from chandlery.settings.settings import load_settings
from chandlery_gateway.identity.authentication import FAILED_LOGIN
from chandlery_gateway.trust.cluster_trust import ClusterTrust
from tests.support.client_authority import Authority, Shown
from tests.support.clusters.scripted_cluster import ScriptedCluster
from tests.support.waiting import SOON, eventually

CONFIG: Final = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
TOKENS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
PROXY_NAME: Final = "front-proxy-client"
MOST: Final = 10
"""Connections that the listener takes."""
ENDED: Final = {"connection": "ended"}
STRANGER: Final = {"refused": None}
REFUSED_HEADERS: Final = {"refused": "headers of the front proxy not accepted"}
REFUSED_CERTIFICATE: Final = {"refused": "client certificate not accepted"}


class Listener:
    """What a gateway in a cluster is to its clients: it answers as whom they count."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Of one name, and told apart by nothing that a certificate says of itself.
        self.proxies, self.users = Authority("kubernetes"), Authority("users")
        self.cluster = ScriptedCluster("ns")
        self.cluster.answers[TOKENS] = lambda _: {"status": {"authenticated": False}}
        self.configure()
        settings = load_settings(platform="kubernetes", serving_cert_secret="tls", kubernetes_namespace="ns")
        self.trust = ClusterTrust(settings, self.cluster)
        self.port = 0
        self.contexts: dict[Shown | None, ssl.SSLContext] = {}
        self.hold = asyncio.Event()
        """What is asked of `/watch` is answered when this is set."""
        self.waiting = set[bytes]()

    def configure(self, **other: str) -> None:
        """Say whom to trust, as the cluster does."""
        data = {
            "requestheader-client-ca-file": self.proxies.pem,
            "requestheader-allowed-names": f'["{PROXY_NAME}"]',
            "requestheader-username-headers": '["X-Remote-User"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
            "client-ca-file": self.users.pem,
        }
        self.cluster.put(CONFIG, data=data | other)

    @property
    def front_proxy(self) -> Shown:
        return self.proxies.issue(self.folder, PROXY_NAME)

    async def connected(self, shown: Shown | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = self.contexts.get(shown)
        if context is None:
            context = self.contexts[shown] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if shown is not None:
                context.load_cert_chain(shown.certificate, shown.key)
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=context)

    async def ask(self, lines: str, *, shown: Shown | None = None) -> JsonObject:
        """What is answered to a request with these lines of a head, or with all that they say after it."""
        async with asyncio.timeout(SOON):
            reader, writer = await self.connected(shown)
            end = "" if "\n\n" in lines else "\n\n"
            head = f"POST / HTTP/1.1\nHost: localhost\nConnection: close\n{lines}{end}"
            writer.write(head.replace("\n", "\r\n").encode())
            try:
                answer = await reader.read()
            except OSError:
                answer = b""
            finally:
                writer.close()
        told: JsonObject = read_json(answer.partition(b"\r\n\r\n")[2]) if answer else ENDED
        return told

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        if scope["path"] == "/watch":
            self.waiting.add(scope["query_string"])
            await self.hold.wait()
        user = await self.trust.authenticator.authenticate(scope)
        told = user.to_wire() if user else {"refused": scope.get(FAILED_LOGIN)}
        body = write_json({"has_certificate": CLIENT_CERTIFICATE in scope, **told})
        head = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def listener(tmp_path: Path) -> AsyncIterator[Listener]:
    made = Listener(tmp_path)
    await made.trust.start()
    socket, stop = listen("127.0.0.1", 0), asyncio.Event()
    made.port = socket.getsockname()[1]
    following = asyncio.create_task(made.trust.follow())
    manners = Manners(
        limits=ConnectionLimits(connections=MOST), tls=made.trust.tls, is_front_proxy=made.trust.is_front_proxy
    )
    task = asyncio.create_task(serve_http(made, socket, stop, manners=manners))
    yield made
    stop.set()
    following.cancel()
    async with asyncio.timeout(SOON):
        await task


def of(told: JsonObject) -> JsonObject:
    return {key: value for key, value in told.items() if key != "has_certificate"}


ROOT: Final = "X-Remote-User: root\nX-Remote-Group: system:masters"


async def test_front_proxy_is_believed(listener: Listener) -> None:
    told = await listener.ask("X-Remote-User: ann\nX-Remote-Group: dev", shown=listener.front_proxy)
    assert (told["username"], told["groups"]) == ("ann", ["dev", "system:authenticated"])


async def test_headers_without_a_certificate_are_nothing(listener: Listener) -> None:
    assert await listener.ask(ROOT) == {"has_certificate": False, **STRANGER}


async def test_headers_with_a_users_certificate_are_nothing_even_if_it_has_the_front_proxys_name(
    listener: Listener,
) -> None:
    for name in ("ann", PROXY_NAME):
        told = await listener.ask(ROOT, shown=listener.users.issue(listener.folder, name, "dev"))
        assert (told["username"], told["groups"]) == (name, ["dev", "system:authenticated"])


async def test_certificate_of_the_front_proxys_authority_with_another_name_is_nothing(listener: Listener) -> None:
    for name in ("ann", PROXY_NAME.upper(), f"{PROXY_NAME} ", "*"):
        told = await listener.ask(ROOT, shown=listener.proxies.issue(listener.folder, name))
        assert of(told) == REFUSED_CERTIFICATE


async def test_authority_that_only_has_the_front_proxys_name_ends_the_handshake(listener: Listener) -> None:
    impostor = Authority("kubernetes").issue(listener.folder, PROXY_NAME)
    assert await listener.ask(ROOT, shown=impostor) == ENDED


async def test_certificate_that_a_user_has_signed_ends_the_handshake(listener: Listener) -> None:
    """A user's certificate is no authority, whoever vouches for the user."""
    user = listener.users.issue(listener.folder, "ann")
    forged = listener.users.signed_by(user, listener.folder, PROXY_NAME)
    assert await listener.ask(ROOT, shown=forged) == ENDED


TWISTED = {
    "underscores": ("X_Remote_User: root\nX-Remote_Group: system:masters", STRANGER),
    "two users": ("X-Remote-User: ann\nX-Remote-User: root", REFUSED_HEADERS),
    "two users in other letters": ("X-Remote-User: ann\nX-REMOTE-USER: root", REFUSED_HEADERS),
    "an empty user": ("X-Remote-User:", REFUSED_HEADERS),
    "blanks for a user": ("X-Remote-User:   ", REFUSED_HEADERS),
    "an empty user and another": ("X-Remote-User:\nX-Remote-User: root", REFUSED_HEADERS),
    "a user that is no text": ("X-Remote-User: \x85", REFUSED_HEADERS),
    "a user of 20,000 letters": (f"X-Remote-User: {'a' * 20_000}", REFUSED_HEADERS),
    "a prefix": ("X-Remote-User-Name: root", STRANGER),
}


@pytest.mark.parametrize("case", TWISTED)
async def test_headers_that_are_twisted_make_nobody(listener: Listener, case: str) -> None:
    lines, answer = TWISTED[case]
    assert of(await listener.ask(lines, shown=listener.front_proxy)) == answer


@pytest.mark.parametrize(
    "lines",
    [
        "X-Remote-User : root",
        "X-Other: a\n X-Remote-User: root",
        "X-Remote-User\t: root",
        "X-Remote-User: ann\x00root",
    ],
)
async def test_head_that_could_be_read_in_two_ways_is_no_request(listener: Listener, lines: str) -> None:
    told = await listener.ask(lines, shown=listener.front_proxy)
    assert told.get("code") == 400 or "username" not in told


async def test_trailers_are_no_headers(listener: Listener) -> None:
    """A proxy that passes on what its users send after a body does not speak for it."""
    chunks = "Transfer-Encoding: chunked\nTrailer: X-Remote-Group\n\n2\n{}\n0\n"
    for trailers in ("X-Remote-Group: system:masters", "X-Remote-Extra-Scopes: all", ROOT):
        told = await listener.ask(f"X-Remote-User: ann\n{chunks}{trailers}\n\n", shown=listener.front_proxy)
        assert (told["username"], told["groups"], told.get("extra")) == ("ann", ["system:authenticated"], None)
    assert of(await listener.ask(f"{chunks}{ROOT}\n\n", shown=listener.front_proxy)) == STRANGER


async def test_one_line_with_a_comma_is_one_group(listener: Listener) -> None:
    told = await listener.ask("X-Remote-User: ann\nX-Remote-Group: dev, system:masters", shown=listener.front_proxy)
    assert told["groups"] == ["dev, system:masters", "system:authenticated"]


async def test_thousands_of_headers_hold_nothing(listener: Listener) -> None:
    lines = "\n".join(f"X-Remote-Group: g{number}\nX-Remote-Extra-{number}: a" for number in range(1_000))
    told = await listener.ask(f"X-Remote-User: ann\n{lines}", shown=listener.front_proxy)
    assert (len(told["groups"]), len(told["extra"])) == (1_001, 1_000)


WATCH: Final = b"GET /watch?%s HTTP/1.1\r\nHost: localhost\r\nX-Remote-User: ann\r\n\r\n"


async def watching(listener: Listener, shown: Shown, number: int) -> list[JsonObject]:
    """What so many requests at once on connections of their own are answered, in the end."""
    ended = set[bytes]()

    async def begin(name: bytes) -> "asyncio.Task[JsonObject]":
        task = asyncio.create_task(watch(listener, shown, name, ended))
        await eventually(lambda: name in listener.waiting | ended)
        return task

    asking = [await begin(b"%d" % each) for each in range(number)]
    listener.hold.set()
    return await asyncio.gather(*asking)


async def watch(listener: Listener, shown: Shown, name: bytes, ended: set[bytes]) -> JsonObject:
    try:
        reader, writer = await listener.connected(shown)
        writer.write(WATCH % name)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        told: JsonObject = read_json(await reader.readexactly(length))
        writer.close()
    except (OSError, asyncio.IncompleteReadError):
        ended.add(name)
        return ENDED
    return told


async def test_front_proxy_holds_a_connection_for_each_watch_and_leaves_some_to_others(listener: Listener) -> None:
    async with asyncio.timeout(SOON):
        answers = await watching(listener, listener.front_proxy, MOST)
    assert len([told for told in answers if told.get("username") == "ann"]) == MOST - 1


async def test_user_with_a_certificate_gets_no_more_connections_than_anybody(listener: Listener) -> None:
    async with asyncio.timeout(SOON):
        answers = await watching(listener, listener.users.issue(listener.folder, "ann"), MOST)
    assert len([told for told in answers if told.get("username") == "ann"]) == MOST // 2


async def test_front_proxy_whose_authority_was_taken_away_is_nobody_on_open_connections_too(
    listener: Listener,
) -> None:
    shown, successor = listener.front_proxy, Authority("successor")
    async with asyncio.timeout(SOON):
        idle, busy = [await listener.connected(shown) for _ in range(2)]
        busy[1].write(WATCH % b"")
        assert (await listener.ask(ROOT, shown=shown))["username"] == "root"
        listener.configure(**{"requestheader-client-ca-file": successor.pem})
        await eventually(lambda: listener.trust.authenticator._trust.config.proxy.pem, lambda pem: pem == successor.pem)
        assert await idle[0].read() == b""
        listener.hold.set()
        # Of a watch it is asked again and again who that is, by the same scope.
        assert b'"has_certificate":false' in await busy[0].read()
        for _, writer in (idle, busy):
            writer.close()
    assert await listener.ask(ROOT, shown=shown) == ENDED
    told = await listener.ask(ROOT, shown=successor.issue(listener.folder, PROXY_NAME))
    assert told["username"] == "root"
