"""TLS to a cluster: its own authority, our certificate, and both of them replaced while the process runs."""

import base64
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from chandlery.model.faults import Refused
from chandlery.platform.kubernetes.access.kubeconfig import read_kubeconfig
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from tests.support.authority import Authority

NAME = "kubernetes.default.svc"


class Cluster:
    """A server that says by which certificate it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.authority.certificate))
        self._context.verify_mode = ssl.CERT_OPTIONAL
        self._context.load_cert_chain(*self.authority.issue("server", NAME))
        self._application = web.Application()
        self._application.router.add_get("/who", self._who)
        self.server = TestServer(self._application, scheme="https")

    async def begin(self) -> None:
        await self.server.start_server(ssl=self._context)

    async def end(self) -> None:
        await self.server.close()

    def client(self, *, user: dict[str, Any], authority: Path | None = None) -> ClusterClient:
        cluster = {"server": f"https://127.0.0.1:{self.server.port}", "tls-server-name": NAME}
        data = encoded(self.authority.certificate)
        trust = {"certificate-authority": str(authority)} if authority else {"certificate-authority-data": data}
        document = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": cluster | trust}],
            "users": [{"name": "u", "user": user}],
        }
        path = self.folder / "config"
        path.write_text(yaml.safe_dump(document))
        return ClusterClient(read_kubeconfig(path))

    async def _who(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        shown = request.transport.get_extra_info("peercert") or {}
        names = [value for part in shown.get("subject", ()) for key, value in part if key == "commonName"]
        return web.json_response({"names": names})


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    made = Cluster(tmp_path)
    await made.begin()
    yield made
    await made.end()


@pytest.mark.parametrize("is_inline", [True, False], ids=["inline", "in files"])
async def test_client_certificate_is_shown(cluster: Cluster, is_inline: bool) -> None:
    certificate, key = cluster.authority.issue("ann")
    user = {"client-certificate": str(certificate), "client-key": str(key)}
    if is_inline:
        user = {f"{name}-data": encoded(Path(path)) for name, path in user.items()}
    client = cluster.client(user=user)
    assert await client.get("/who") == {"names": ["ann"]}
    await client.close()


async def test_server_of_another_authority_is_refused_until_that_is_trusted(cluster: Cluster, tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    shutil.copy(Authority(tmp_path, "other").certificate, trusted)
    client = cluster.client(user={"token": "sesame"}, authority=trusted)
    with pytest.raises(Refused, match="not trusted"):
        await client.get("/who")
    shutil.copy(cluster.authority.certificate, trusted)
    assert await client.get("/who") == {"names": []}
    await client.close()


async def test_certificate_that_was_replaced_in_its_files_is_shown_after_a_refusal(cluster: Cluster) -> None:
    files = cluster.folder / "shown.crt", cluster.folder / "shown.key"
    for made, shown in zip(cluster.authority.issue("ann"), files, strict=True):
        shutil.copy(made, shown)
    client = cluster.client(user={"client-certificate": str(files[0]), "client-key": str(files[1])})
    assert await client.get("/who") == {"names": ["ann"]}
    for made, shown in zip(cluster.authority.issue("bea"), files, strict=True):
        shutil.copy(made, shown)
    assert client._access.refused()
    assert await client.get("/who") == {"names": ["bea"]}
    await client.close()


async def test_key_that_is_not_the_certificates_is_told(cluster: Cluster) -> None:
    certificate, _ = cluster.authority.issue("ann")
    _, other = cluster.authority.issue("bea")
    client = cluster.client(user={"client-certificate": str(certificate), "client-key": str(other)})
    with pytest.raises(Refused, match="the certificate's own"):
        await client.get("/who")
    await client.close()


def encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
