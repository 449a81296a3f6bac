"""Chandlery in a cluster: gateways and workers as processes on loopback, reached by an APIService."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.cluster.stage.cluster_certificates import ClusterAuthority
from tests.cluster.stage.installation_manifests import (
    GROUP_VERSIONS,
    NAMESPACE,
    SERVICE,
    SERVING_SECRET,
    account,
    api_services,
    roles,
    service,
    user_of,
)
from tests.cluster.stage.real_cluster import RealCluster
from tests.e2e.stacks.api_client import JsonObject, condition
from tests.e2e.stacks.kubectl import Kubectl, KubectlChoice
from tests.e2e.stacks.programs import CHANDLERY, LOOPBACK, Program, free_port
from tests.e2e.stacks.servers import ServerShare, server_share
from tests.e2e.stacks.stacks import SERVICES, WORKERS, SplitStack, running
from tests.e2e.stacks.tcp_relay import TcpRelay
from tests.support.waiting import wait_for

_GATEWAY: Final = "gateway"
_SECOND: Final = "gateway-2"
_START_SECONDS: Final = 120.0
_API_SERVICES: Final = "/apis/apiregistration.k8s.io/v1/apiservices"


class InstalledChandlery(SplitStack):
    """The way in is the cluster's: `api` and `kubectl()` are the administrator's, through kube-apiserver.

    The cluster reaches the gateways through `relay`, each connection one of them; `relay.cut()` and `relay.open()` are
    a network between the two that fails and is mended.
    """

    def __init__(
        self,
        folder: Path,
        share: ServerShare,
        cluster: RealCluster,
        *,
        environment: Mapping[str, str] | None = None,
        has_two_gateways: bool = False,
        makes_certificate: bool = False,
    ) -> None:
        """`makes_certificate` lets gateways make their certificate; else an operator gives one, and the `caBundle`."""
        self.cluster = cluster
        self._authority = None if makes_certificate else ClusterAuthority(folder, "gateway-serving")
        settings = {
            "CHANDLERY_PLATFORM": "kubernetes",
            "CHANDLERY_KUBERNETES_NAMESPACE": NAMESPACE,
            "CHANDLERY_SERVING_SERVICE": SERVICE,
            # A right that a test gives or takes away counts at once.
            "CHANDLERY_ACCESS_REVIEW_SECONDS": "0",
        }
        self._prepare_cluster()
        super().__init__(folder, share, environment={**settings, **(environment or {})})
        self.gateways = [_GATEWAY]
        if has_two_gateways:
            self.gateways.append(_SECOND)
            self.add_gateway(_SECOND)
        self.relay = TcpRelay(*(f"tcp://{LOOPBACK}:{self._ports[name]}" for name in self.gateways))

    @property
    def kubeconfig(self) -> Path:
        return self.cluster.admin

    def kubectl(self, choice: KubectlChoice = "any") -> Kubectl:
        return self.cluster.kubectl(choice)

    def kubeconfig_of(self, service_name: str) -> Path:
        """The kubeconfig of a service's account: `gateway`, `provisioner`, `binder` or `syncer`."""
        return self.cluster.folder / f"account-{NAMESPACE}-{account(service_name)}.kubeconfig"

    def add_gateway(self, name: str) -> None:
        self._ports[name] = free_port()
        environment = {**self.environment, **self._own_settings(name)}
        log = self.folder / f"{name}.log"
        self.programs[name] = Program(name, [CHANDLERY, _GATEWAY], environment=environment, log=log)

    @contextmanager
    def without_new_connections(self, gateway: str) -> Iterator[None]:
        """As a Service does it with a pod that is ending: no new connection goes there until the end of the block."""
        port = self._ports[gateway]
        self.relay.left_out.add(port)
        try:
            yield
        finally:
            self.relay.left_out.discard(port)

    @contextmanager
    def reached_by_cluster(self) -> Iterator[None]:
        """Let the cluster know where we are, until the end of the block."""
        self.relay.open()
        self.register()
        try:
            yield
        finally:
            self.unregister()
            with self.relay:
                pass

    def await_ready(self, *names: str) -> None:
        for name in names:
            self.programs[name].await_log('"process_ready"', seconds=_START_SECONDS)
        if not set(names) <= set(WORKERS):
            self.await_available()

    def await_available(self) -> None:
        """Wait until the cluster takes us for the server of all our groups."""
        for group, version in GROUP_VERSIONS:
            name = f"{version}.{group}"
            wait_for(
                lambda name=name: self.available(name),  # type: ignore[misc]
                lambda seen: seen.get("status") == "True",
                what=f"APIService {name} to be available",
                seconds=_START_SECONDS,
            )

    def available(self, name: str = "v1beta1.servicecatalog.k8s.io") -> JsonObject:
        """What the cluster says of an APIService: the condition `Available`."""
        _, body = self.cluster.api().read(f"{_API_SERVICES}/{name}")
        return condition(body, "Available")

    def register(self) -> None:
        """Tell the cluster where we are."""
        for collection, document in (service(), *api_services(self.relay.port, ca_bundle=self._ca_bundle())):
            self.cluster.put(collection, document)

    def unregister(self) -> None:
        """Take all APIServices away; what is stored stays."""
        for group, version in GROUP_VERSIONS:
            self.cluster.api().send("DELETE", f"{_API_SERVICES}/{version}.{group}")

    def start(self, *names: str) -> None:
        super().start(*names)
        if not names:
            # Garbage collector and quota ask which kinds there are each half minute, and when they begin.
            self.cluster.restart_controllers()

    def _prepare_cluster(self) -> None:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        self.cluster.put("/api/v1/namespaces", namespace)
        for collection, document in roles():
            self.cluster.put(collection, document)
        for name in SERVICES:
            self.cluster.service_account(NAMESPACE, account(name))
        gateway = user_of(_GATEWAY)
        self.cluster.grant("chandlery:gateway", to=gateway)
        self.cluster.grant("system:auth-delegator", to=gateway)
        self.cluster.grant("chandlery-gateway", to=gateway, namespace=NAMESPACE, role_kind="Role")
        reader = "extension-apiserver-authentication-reader"
        self.cluster.grant(reader, to=gateway, namespace="kube-system", role_kind="Role")
        for name in WORKERS:
            self.cluster.grant("chandlery:worker", to=user_of(name))

    def _own_settings(self, name: str) -> dict[str, str]:
        kind, port = name.partition("-")[0], str(self._ports[name])
        own = {"CHANDLERY_KUBECONFIG": str(self.kubeconfig_of(kind))}
        if kind != _GATEWAY:
            return {**own, "CHANDLERY_PROBE_PORT": port}
        own["CHANDLERY_PORT"] = port
        if self._authority is None:
            return {**own, "CHANDLERY_SERVING_CERT_SECRET": SERVING_SECRET}
        tls = {"CHANDLERY_TLS_CERT_FILE": "serving.crt", "CHANDLERY_TLS_KEY_FILE": "serving.key"}
        return {**own, **{name: str(self.folder / file) for name, file in tls.items()}}

    def _write_gateway_files(self) -> None:
        if self._authority:
            self._authority.issue("serving", SERVICE, hosts=(f"{SERVICE}.{NAMESPACE}.svc", LOOPBACK))

    def _ca_bundle(self) -> str | None:
        return base64.b64encode(self._authority.bundle.read_bytes()).decode() if self._authority else None

    def log_tails(self) -> dict[str, str]:
        return {**super().log_tails(), **self.cluster.log_tails()}


@contextmanager
def installed_chandlery(
    folder: Path,
    cluster: RealCluster,
    *,
    environment: Mapping[str, str] | None = None,
    has_two_gateways: bool = False,
    makes_certificate: bool = False,
) -> Iterator[InstalledChandlery]:
    """Installed until the end of the block; a cluster can have one at a time, for there is one APIService of a name."""
    with server_share() as share:
        stack = InstalledChandlery(
            folder,
            share,
            cluster,
            environment=environment,
            has_two_gateways=has_two_gateways,
            makes_certificate=makes_certificate,
        )
        with running(stack, share, behind=stack.reached_by_cluster()):
            yield stack
