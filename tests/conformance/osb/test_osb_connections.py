"""How connections come about, are kept, and end: against bare sockets, which no HTTP server tidies up."""

import asyncio
import base64
import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chandlery.osb.client import OsbClient
from chandlery.osb.endpoint import BearerAuth, BrokerEndpoint
from chandlery.osb.operations.instance_calls import (
    DeprovisionRequest,
    PollInstanceRequest,
    ProvisionRequest,
    UpdateRequest,
)
from chandlery.osb.operations.requests import OsbRequest
from chandlery.osb.transport.egress import TRUSTING_LOOPBACK
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.operation.mitigation import needs_mitigation

IDS = {"instance_id": "i", "service_id": "s", "plan_id": "p"}
POLL = PollInstanceRequest(**IDS, operation=None)
PUT = ProvisionRequest(**IDS, organization_guid="o", space_guid="s", context={}, parameters={"p": "x" * 100})
PATCH = UpdateRequest(instance_id="i", service_id="s", plan_id=None, parameters={}, context={}, previous_plan_id="p")
CHANGES: list[OsbRequest] = [PUT, PATCH, DeprovisionRequest(**IDS)]
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"state":"succeeded"}'

Handler = Callable[["Connection"], Awaitable[None]]


class Connection:
    """One accepted connection; `number` counts from 1."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number, self._reader, self.writer = number, reader, writer

    async def request(self) -> str:
        """Read a whole request; returns its first line."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        for line in head.split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                await self._reader.readexactly(int(value))
        return head.partition("\r\n")[0]

    async def answer(self, text: bytes = OK) -> None:
        """Read a request and answer it."""
        await self.request()
        self.writer.write(text)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.writer.transport.abort()


@asynccontextmanager
async def server(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """`host:port` of a server that hands each connection to the handler and closes it afterwards."""
    accepted = 0

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        try:
            await handler(Connection(accepted, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


@pytest.fixture
async def client() -> AsyncIterator[OsbClient]:
    client = OsbClient(TRUSTING_LOOPBACK, connect_timeout_seconds=2)
    yield client
    await client.close()


async def send(client: OsbClient, place: str, request: OsbRequest = PUT, *, timeout_seconds: float = 5.0) -> Answer:
    endpoint = BrokerEndpoint(url=f"http://{place}", timeout_seconds=timeout_seconds)
    return await client.send(endpoint, request, identity=None)


async def test_connection_is_kept_for_the_next_call(client: OsbClient) -> None:
    seen = []

    async def handler(connection: Connection) -> None:
        while True:
            await connection.answer()
            seen.append(connection.number)

    async with server(handler) as place:
        for _ in range(3):
            assert (await send(client, place, POLL)).verdict == Verdict.SUCCEEDED
    assert seen == [1, 1, 1]


@pytest.mark.parametrize("ending", ["fin", "rst"])
@pytest.mark.parametrize("request_", CHANGES, ids=lambda request: str(request.verb))
async def test_request_on_a_stale_connection_is_repeated_once_on_a_new_one(
    client: OsbClient, request_: OsbRequest, ending: str
) -> None:
    lines = []

    async def handler(connection: Connection) -> None:
        if connection.number == 1:
            await connection.answer()
        lines.append((connection.number, await connection.request()))
        if connection.number > 1:
            connection.writer.write(OK)
        elif ending == "rst":
            connection.reset()

    async with server(handler) as place:
        assert (await send(client, place, POLL)).verdict == Verdict.SUCCEEDED
        assert (await send(client, place, request_)).verdict == Verdict.SUCCEEDED
    assert [number for number, _ in lines] == [1, 2]
    assert lines[0][1] == lines[1][1]


@pytest.mark.parametrize("ending", ["fin", "rst"])
@pytest.mark.parametrize("request_", [*CHANGES, POLL], ids=lambda request: str(request.verb))
async def test_request_on_a_new_connection_is_not_repeated_when_it_breaks(
    client: OsbClient, request_: OsbRequest, ending: str
) -> None:
    seen = []

    async def handler(connection: Connection) -> None:
        seen.append(await connection.request())
        if ending == "rst":
            connection.reset()

    async with server(handler) as place:
        answer = await send(client, place, request_)
    assert answer.verdict == Verdict.TIMED_OUT
    assert needs_mitigation(answer) == (request_ is PUT)
    assert len(seen) == 1


async def test_request_is_sent_twice_at_most_when_a_broker_dies_of_it(client: OsbClient) -> None:
    seen = []

    async def handler(connection: Connection) -> None:
        if connection.number == 1:
            await connection.answer()
        seen.append(await connection.request())

    async with server(handler) as place:
        assert (await send(client, place, POLL)).verdict == Verdict.SUCCEEDED
        assert (await send(client, place)).verdict == Verdict.TIMED_OUT
    assert len(seen) == 2


async def test_broker_that_vanishes_after_the_request_was_written_is_not_called_unreachable(client: OsbClient) -> None:
    ended = asyncio.Event()

    async def handler(connection: Connection) -> None:
        await connection.answer()
        await connection.request()
        ended.set()

    async with server(handler) as place:
        assert (await send(client, place, POLL)).verdict == Verdict.SUCCEEDED
        listening = asyncio.create_task(send(client, place))
        await ended.wait()
        # Leaving the block closes the listening socket before the repetition connects.
    answer = await listening
    assert answer.verdict == Verdict.TIMED_OUT
    assert needs_mitigation(answer)


@pytest.mark.parametrize("text", [b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nContent-Le", OK[:-3], b"SSH-2.0-x\r\n\r\n"])
async def test_answer_that_begins_and_does_not_end_is_a_timeout_and_not_repeated(
    client: OsbClient, text: bytes
) -> None:
    served = []

    async def handler(connection: Connection) -> None:
        if connection.number == 1:
            await connection.answer()
        await connection.answer(text)
        served.append(connection.number)

    async with server(handler) as place:
        assert (await send(client, place, POLL)).verdict == Verdict.SUCCEEDED
        assert (await send(client, place)).verdict == Verdict.TIMED_OUT
    assert served == [1]


async def test_headers_without_end_are_a_timeout_and_not_a_crash(client: OsbClient) -> None:
    async def handler(connection: Connection) -> None:
        await connection.answer(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000)

    async with server(handler) as place:
        assert (await send(client, place)).verdict == Verdict.TIMED_OUT


async def test_streamed_answer_over_the_limit_is_malformed_and_its_connection_dropped(client: OsbClient) -> None:
    async def handler(connection: Connection) -> None:
        await connection.answer(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not connection.writer.is_closing():
            connection.writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            await connection.writer.drain()

    async with server(handler) as place:
        answer = await send(client, place)
        assert (answer.verdict, answer.status) == (Verdict.MALFORMED, 201)
        assert needs_mitigation(answer)


async def test_refused_connection_is_tried_again_and_then_told_with_host_and_cause(client: OsbClient) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        answer = await send(client, f"127.0.0.1:{port}")
    assert answer.verdict == Verdict.UNREACHABLE
    assert answer.status is None
    assert answer.description == f"cannot reach the broker at 127.0.0.1:{port}: connection refused"
    assert not needs_mitigation(answer)


async def test_broker_that_starts_within_the_retries_is_reached(client: OsbClient) -> None:
    async def handler(connection: Connection) -> None:
        await connection.answer()

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    call = asyncio.create_task(send(client, f"127.0.0.1:{port}"))
    # Long enough for the first attempt to fail, shorter than the first wait of the schedule.
    await asyncio.sleep(0.03)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await handler(Connection(1, reader, writer))
        writer.close()

    late = await asyncio.start_server(accept, "127.0.0.1", port)
    assert (await call).verdict == Verdict.SUCCEEDED
    late.close()


async def test_connecting_without_an_end_is_unreachable_and_no_timeout(client: OsbClient) -> None:
    with socket.socket() as full:
        # A listener that accepts nobody: once its backlog is full, the kernel answers no further SYN.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        answer = await send(client, f"127.0.0.1:{full.getsockname()[1]}", timeout_seconds=0.5)
        for filler in fillers:
            filler.close()
    assert answer.verdict == Verdict.UNREACHABLE
    assert "the connection timed out" in str(answer.description)


async def test_unknown_host_is_unreachable(client: OsbClient) -> None:
    answer = await send(client, "broker.invalid:80")
    assert answer.verdict == Verdict.UNREACHABLE
    assert answer.description == "cannot reach the broker at broker.invalid:80: its name cannot be resolved"


@pytest.mark.parametrize(
    "url", ["", "ftp://host/", "http://", "not a url", "http://u:s3cret@[bad", f"http://{'a' * 70}.x"]
)
async def test_bad_url_is_unreachable_without_repeating_it(client: OsbClient, url: str) -> None:
    answer = await client.send(BrokerEndpoint(url=url), PUT, identity=None)
    assert answer.verdict == Verdict.UNREACHABLE
    assert "s3cret" not in answer.sentence


async def test_token_with_a_line_break_is_refused_before_anything_is_sent(client: OsbClient) -> None:
    async with server(answer_for_ever) as place:
        endpoint = BrokerEndpoint(url=f"http://{place}", authorization=BearerAuth("s3\r\ncret"))
        answer = await client.send(endpoint, PUT, identity=None)
    assert answer.verdict == Verdict.UNREACHABLE
    assert answer.description == "the broker's token holds characters that are not allowed in a header"


async def test_idle_brokers_connections_are_closed_when_another_is_called() -> None:
    client = OsbClient(TRUSTING_LOOPBACK, idle_seconds=0.05)
    closed = asyncio.Event()

    async def watched(connection: Connection) -> None:
        await connection.answer()
        with pytest.raises(asyncio.IncompleteReadError):
            await connection.request()
        closed.set()

    async def other(connection: Connection) -> None:
        while True:
            await connection.answer()

    async with server(watched) as place, server(other) as busy:
        await send(client, place, POLL)
        async with asyncio.timeout(5):
            while not closed.is_set():
                await send(client, busy, POLL)
                await asyncio.sleep(0.01)
    await client.close()


async def test_closing_the_client_closes_its_connections() -> None:
    client = OsbClient(TRUSTING_LOOPBACK)
    closed = asyncio.Event()

    async def handler(connection: Connection) -> None:
        await connection.answer()
        with pytest.raises(asyncio.IncompleteReadError):
            await connection.request()
        closed.set()

    async with server(handler) as place:
        await send(client, place, POLL)
        await client.close()
        await asyncio.wait_for(closed.wait(), 5)


def issue(folder: Path, name: str) -> tuple[ssl.SSLContext, str]:
    """A self-signed certificate for an IP address: the server's context, and the bundle as a broker's spec has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(private + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context, base64.b64encode(pem).decode()


async def answer_for_ever(connection: Connection) -> None:
    while True:
        await connection.answer()


async def test_osb_003_private_certificate_is_trusted_only_with_its_bundle_or_on_demand(
    client: OsbClient, tmp_path: Path
) -> None:
    context, bundle = issue(tmp_path, "127.0.0.1")
    async with server(answer_for_ever, tls=context) as place:

        async def ask(**trust: object) -> Answer:
            endpoint = BrokerEndpoint(url=f"https://{place}", **trust)  # type: ignore[arg-type]
            return await client.send(endpoint, PUT, identity=None)

        refused = await ask()
        assert refused.verdict == Verdict.UNREACHABLE
        told = str(refused.description)
        assert told.startswith(f"cannot reach the broker at {place}: its certificate is refused (self-signed cert")
        assert "Put the certificate of the CA that has signed it, as base64 of PEM, into spec.caBundle" in told
        assert "spec.insecureSkipTLSVerify: true instead would reveal the broker's credentials" in told
        assert (await ask(ca_bundle=bundle)).verdict == Verdict.SUCCEEDED
        assert (await ask(ca_bundle="\n".join([bundle[:64], bundle[64:], ""]))).verdict == Verdict.SUCCEEDED
        assert (await ask(skip_tls_verify=True)).verdict == Verdict.SUCCEEDED
        assert (await ask()).verdict == Verdict.UNREACHABLE
        for nonsense in ("???", base64.b64encode(b"no certificate").decode(), "w6Q="):
            answer = await ask(ca_bundle=nonsense)
            assert (answer.verdict, "CA bundle" in str(answer.description)) == (Verdict.UNREACHABLE, True)


async def test_certificate_for_another_host_is_refused(client: OsbClient, tmp_path: Path) -> None:
    context, bundle = issue(tmp_path, "127.0.0.2")
    async with server(answer_for_ever, tls=context) as place:
        endpoint = BrokerEndpoint(url=f"https://{place}", ca_bundle=bundle)
        answer = await client.send(endpoint, PUT, identity=None)
    assert answer.verdict == Verdict.UNREACHABLE
    assert "certificate is refused (IP address mismatch" in str(answer.description)
    assert str(answer.description).endswith("Use a host name in spec.url that the certificate is valid for")


async def test_https_to_a_plain_port_says_to_write_http(client: OsbClient) -> None:
    async def handler(connection: Connection) -> None:
        connection.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with server(handler) as place:
        endpoint = BrokerEndpoint(url=f"https://{place}")
        answer = await client.send(endpoint, PUT, identity=None)
    assert answer.verdict == Verdict.UNREACHABLE
    assert str(answer.description) == (
        f"cannot reach the broker at {place}: it does not use TLS on this port. If it uses plain HTTP "
        "there, write http:// in spec.url"
    )


async def test_http_to_a_tls_port_says_to_write_https(client: OsbClient) -> None:
    async def handler(connection: Connection) -> None:
        await connection.request()
        connection.writer.write(b"\x15\x03\x01\x00\x02\x02\x0a")
        connection.writer.close()

    async with server(handler) as place:
        answer = await client.send(BrokerEndpoint(url=f"http://{place}"), PUT, identity=None)
    assert answer.verdict == Verdict.TIMED_OUT
    assert answer.description == "the broker uses TLS on this port: write https:// in spec.url"
