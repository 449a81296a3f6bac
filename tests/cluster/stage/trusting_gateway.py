"""A listener that trusts a real cluster as the gateway does, and answers who has come and whether they may.

It stands behind the cluster's aggregator, and is reached directly as well. What is not about trust is left out: no
database, no kinds.
"""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from chandlery.model.faults import Fault, Forbidden
from chandlery.model.json.json_text import read_json, write_json
from chandlery.platform.kubernetes.access.kubeconfig import read_kubeconfig
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.process.commands.doctor.check import Result, failed_with
from chandlery.process.http.accepting import Manners
from chandlery.process.http.http_server import listen, serve_http
from chandlery.process.http.presented_certificates import CLIENT_CERTIFICATE
from chandlery.settings.settings import load_settings
from chandlery_gateway.doctor.cluster_checks import cluster_trust, serving_certificate
from chandlery_gateway.identity.authentication import FAILED_LOGIN, forwarded_for
from chandlery_gateway.identity.authorization import Access, check_allowed
from chandlery_gateway.trust.ca_bundles import API_SERVICES
from chandlery_gateway.trust.cluster_trust import ClusterTrust
from tests.cluster.stage.real_cluster import RealCluster
from tests.support.client_authority import Shown
from tests.support.waiting import SOON

SERVICE: Final = "trusting"
SECRET: Final = "trusting-tls"
API_SERVICE: Final = API_SERVICES[1]
"""One that no other test installs for longer than it runs."""
ROOT: Final = "/apis/history.chandlery.io/v1"
_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
_OK: Final = 200


class TrustingGateway:
    """One gateway of an installation in a namespace of its own."""

    def __init__(self, cluster: RealCluster, home: str, *, seconds: float = 0.0) -> None:
        """`seconds` is how long answers of the cluster count."""
        self.cluster, self.home = cluster, home
        kubeconfig = cluster.service_account(home, "gateway")
        self.client = ClusterClient(read_kubeconfig(kubeconfig))
        self.settings = load_settings(
            platform="kubernetes",
            kubeconfig=kubeconfig,
            kubernetes_namespace=home,
            serving_cert_secret=SECRET,
            serving_service=SERVICE,
            access_review_seconds=seconds,
            token_review_seconds=seconds,
        )
        self.trust = ClusterTrust(self.settings, self.client)
        self.port = 0

    def install(self) -> None:
        """The rights that the gateway needs, and no more; and its Service."""
        account = f"system:serviceaccount:{self.home}:gateway"
        grant = self.cluster.grant
        grant("system:auth-delegator", to=account)
        reader = "extension-apiserver-authentication-reader"
        grant(reader, to=account, namespace="kube-system", role_kind="Role")
        apis = [("apiregistration.k8s.io", "apiservices", ["get", "patch"], list(API_SERVICES))]
        self._role(f"{_RBAC}/clusterroles", "ClusterRole", f"apis-{self.home}", apis)
        grant(f"apis-{self.home}", to=account)
        secrets = [("", "secrets", ["get", "watch", "update"], [SECRET]), ("", "secrets", ["create"], [])]
        self._role(f"{_RBAC}/namespaces/{self.home}/roles", "Role", "certificate", secrets)
        grant("certificate", to=account, namespace=self.home, role_kind="Role")
        spec = {"type": "ExternalName", "externalName": "localhost"}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE}, "spec": spec}
        self.cluster.put(f"/api/v1/namespaces/{self.home}/services", service)

    def let_list(self, user: str) -> None:
        """Give somebody the right that the application asks for."""
        rule = ("history.chandlery.io", "operations", ["list"], list[str]())
        self._role(f"{_RBAC}/clusterroles", "ClusterRole", "history-reader", [rule])
        self.cluster.grant("history-reader", to=user)

    def register(self) -> None:
        """Let the aggregator lead there, without a `caBundle`: that is the gateway's to keep."""
        version, _, group = API_SERVICE.partition(".")
        spec = {
            "group": group,
            "version": version,
            "groupPriorityMinimum": 100,
            "versionPriority": 10,
            "service": {"namespace": self.home, "name": SERVICE, "port": self.port},
        }
        document = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": API_SERVICE}}
        self.cluster.put("/apis/apiregistration.k8s.io/v1/apiservices", {**document, "spec": spec})

    def unregister(self) -> None:
        self.cluster.api().send("DELETE", f"/apis/apiregistration.k8s.io/v1/apiservices/{API_SERVICE}")

    @property
    def bundle(self) -> str:
        """By which the aggregator knows the gateway."""
        _, found = self.cluster.api().read(f"/apis/apiregistration.k8s.io/v1/apiservices/{API_SERVICE}")
        return base64.b64decode(found["spec"].get("caBundle", "")).decode()

    def stored(self) -> dict[str, str]:
        """What the Secret of the certificate holds."""
        return self.cluster.secret(self.home, SECRET) or {}

    async def direct(self, headers: Mapping[str, str] | None = None, *, shown: Shown | None = None) -> dict[str, Any]:
        """What somebody is told who comes by another way than the aggregator."""
        context = ssl.create_default_context(cadata=self.stored()["ca.crt"])
        if shown is not None:
            context.load_cert_chain(shown.certificate, shown.key)
        connector = aiohttp.TCPConnector(ssl=context)
        url = f"https://localhost:{self.port}{ROOT}/namespaces/team/operations"
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(url, headers=headers) as response,
        ):
            told: dict[str, Any] = await response.json(content_type=None)
            return told

    async def diagnosed(self) -> dict[str, Result]:
        """What `chandlery doctor` says of it."""
        looks = {"trust": cluster_trust, "certificate": serving_certificate}
        found = {}
        for name, look in looks.items():
            try:
                found[name] = await look(self.settings)
            except Fault as fault:
                found[name] = failed_with(fault)
        return found

    async def through(
        self, kubeconfig: Path | None = None, *, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """What the aggregator passes on, or answers by itself."""
        api, path = self.cluster.api(kubeconfig), f"{ROOT}/namespaces/team/operations"
        # Beside the loop, on which the application is to answer.
        _, told = await asyncio.to_thread(api.send, "GET", path, headers=headers)
        return told if isinstance(told, dict) else {"said": told}

    async def through_with_trailers(self, trailers: Mapping[str, str]) -> dict[str, Any]:
        """What the aggregator passes on of a request of the user lou whose body is followed by these."""
        shown = self.cluster.plane.clients.issue("lou", "lou")
        self.let_list("lou")
        context = ssl.create_default_context(cafile=self.cluster.plane.serving.bundle)
        context.load_cert_chain(shown.certificate, shown.key)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.cluster.plane.port, ssl=context)
        head = (
            f"GET {ROOT}/namespaces/team/operations HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            f"Connection: close\r\nTrailer: {', '.join(trailers)}\r\n\r\n2\r\n{{}}\r\n0\r\n"
        )
        rest = "".join(f"{name}: {value}\r\n" for name, value in trailers.items())
        writer.write(f"{head}{rest}\r\n".encode())
        answer = await reader.read()
        writer.close()
        told: dict[str, Any] = read_json(answer.partition(b"\r\n\r\n")[2])
        return told

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        """The application."""
        try:
            told = await self._told(scope)
        except Fault as fault:
            told = {"fault": type(fault).__name__, "message": fault.message}
        body = write_json(told)
        head = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": _OK, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def _told(self, scope: Any) -> dict[str, Any]:
        if scope["path"] == ROOT:
            return {
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": "history.chandlery.io/v1",
                "resources": [],
            }
        user = await self.trust.authenticator.authenticate(scope)
        if user is None:
            return {"refused": scope.get(FAILED_LOGIN), "shown": CLIENT_CERTIFICATE in scope}
        access = Access(
            user=user, verb="list", group="history.chandlery.io", version="v1", resource="operations", namespace="team"
        )
        told: dict[str, Any] = {"user": user.to_wire(), "allowed": True, "message": ""}
        told["forwarded"] = list(forwarded_for(scope))
        try:
            check_allowed(access, await self.trust.authorizer.decide(access))
        except Forbidden as fault:
            told |= {"allowed": False, "message": fault.message}
        return told

    def _role(self, collection: str, kind: str, name: str, rules: list[tuple[str, str, list[str], list[str]]]) -> None:
        document = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": name},
            "rules": [
                {"apiGroups": [group], "resources": [resource], "verbs": verbs, "resourceNames": names}
                for group, resource, verbs, names in rules
            ],
        }
        self.cluster.put(collection, document)


@asynccontextmanager
async def serving(gateway: TrustingGateway) -> AsyncIterator[None]:
    """Let it serve until the end of the block."""
    await gateway.trust.start()
    socket, stop = listen("127.0.0.1", gateway.port), asyncio.Event()
    gateway.port = socket.getsockname()[1]
    following = asyncio.create_task(gateway.trust.follow())
    task = asyncio.create_task(serve_http(gateway, socket, stop, manners=Manners(tls=gateway.trust.tls)))
    try:
        yield
    finally:
        stop.set()
        following.cancel()
        async with asyncio.timeout(SOON):
            await task
        await gateway.client.close()
