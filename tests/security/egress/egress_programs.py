"""What stands on the way to a broker in these tests: programs of their own, a broker in TLS, and certificates."""

import asyncio
import datetime as dt
import ipaddress
import json
import ssl
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chandlery.osb.client import OsbClient
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.reconcile.answers import Answer
from tests.support.waiting import SOON

CATALOG = b'{"services": []}'
Respond = Callable[[str], Awaitable[bytes]]


@dataclass
class RunningProgram:
    """A process that says its port and then what it sees, one JSON object in a line."""

    port: int
    _process: asyncio.subprocess.Process
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def follow(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.seen.append(json.loads(line))


@asynccontextmanager
async def program(name: str, *arguments: str) -> AsyncIterator[RunningProgram]:
    """A script of this folder, running."""
    script = str(Path(__file__).with_name(name))
    process = await asyncio.create_subprocess_exec(sys.executable, script, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(SOON):
        running = RunningProgram(json.loads(await process.stdout.readline())["port"], process)
    following = asyncio.create_task(running.follow())
    try:
        yield running
    finally:
        process.terminate()
        await process.wait()
        await following


def answer(body: bytes = CATALOG, *, status: str = "200 OK", more: str = "") -> bytes:
    """A whole HTTP answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


async def catalog(client: OsbClient, url: str, **more: object) -> Answer:
    """What comes of the request for the catalog there."""
    endpoint = BrokerEndpoint(url=url, timeout_seconds=5.0, **more)  # type: ignore[arg-type]
    return await client.get_catalog(endpoint, known=None)


@asynccontextmanager
async def broker(respond: Respond, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that answers each request's head; connections are kept."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                writer.write(await respond(head))
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    # Making many of them is one step of the loop otherwise, which is watched.
    await asyncio.sleep(0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, as PEM."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def bundle(self) -> str:
        return b64encode(self.pem).decode()


def issue(name: str, *, by: Issued | None = None) -> Issued:
    """A certificate for a name and for this machine; its own issuer without `by`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    places = [x509.DNSName("tls.brokers.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(places), critical=False)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    return Issued(builder.sign(by.key if by else key, hashes.SHA256()), key)


def server_tls(folder: Path, issued: Issued, *, clients_of: Issued | None = None) -> ssl.SSLContext:
    """TLS of a server, which wants client certificates of that authority if one is given."""
    file = folder / f"{issued.certificate.serial_number}.pem"
    file.write_bytes(issued.key_pem + issued.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if clients_of is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients_of.pem.decode())
    return context
