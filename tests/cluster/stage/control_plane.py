"""The processes of a control plane: etcd, kube-apiserver, and those controllers that act on us."""

from pathlib import Path
from typing import Final

from kubernetes_build.cluster_cache import ClusterPrograms
from tests.cluster.stage.cluster_certificates import ClusterAuthority, account_keys
from tests.e2e.stacks.programs import LOOPBACK, Program, clean_environment, free_port

ADMINS: Final = "system:masters"
FRONT_PROXY: Final = "front-proxy-client"
"""The common name of the aggregator's certificate, as kubeadm has it."""
_CONTROLLERS: Final = (
    "clusterrole-aggregation",
    "garbagecollector",
    "namespace",
    "resourcequota",
    "root-ca-cert-publisher",
    "serviceaccount",
    "serviceaccount-token",
)


class ControlPlane:
    """Files and programs; who starts them when is `RealCluster`'s business.

    Three authorities: `serving` vouches for kube-apiserver, `clients` for users, `front_proxy` for the aggregator.
    """

    def __init__(self, folder: Path, programs: ClusterPrograms) -> None:
        self.folder = folder
        self.port = free_port()
        self.serving = ClusterAuthority(folder, "serving")
        self.clients = ClusterAuthority(folder, "clients")
        self.front_proxy = ClusterAuthority(folder, "front-proxy")
        self._accounts = account_keys(folder)
        self.issue_serving()
        self.issue_front_proxy()
        etcd_address = f"http://{LOOPBACK}:{free_port()}"
        self.etcd = self._program("etcd", programs.etcd, *_etcd_flags(folder, etcd_address))
        self.apiserver = self._program(
            "kube-apiserver", programs.apiserver, *self._apiserver_flags(), f"--etcd-servers={etcd_address}"
        )
        self.controllers = self._program(
            "kube-controller-manager", programs.controller_manager, *self._controller_flags()
        )

    @property
    def address(self) -> str:
        """Of kube-apiserver."""
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def controllers_kubeconfig(self) -> Path:
        """What kube-controller-manager reads."""
        return self.folder / "kube-controller-manager.kubeconfig"

    def issue_serving(self) -> None:
        """Give kube-apiserver a certificate of the serving authority; it is taken at its next start."""
        hosts = (LOOPBACK, "localhost", "kubernetes.default.svc")
        self.serving.issue("kube-apiserver", "kube-apiserver", hosts=hosts)

    def issue_front_proxy(self) -> None:
        """Give the aggregator a certificate of the front-proxy authority; taken at kube-apiserver's next start."""
        self.front_proxy.issue("front-proxy", FRONT_PROXY)

    def _program(self, name: str, binary: Path, *flags: str) -> Program:
        # Go's processes keep less memory for a little more work; the machine has other things to run.
        environment = clean_environment(GOGC="50")
        return Program(name, [str(binary), *flags], environment=environment, log=self.folder / f"{name}.log")

    def _apiserver_flags(self) -> list[str]:
        folder = self.folder
        return [
            f"--bind-address={LOOPBACK}",
            f"--secure-port={self.port}",
            f"--advertise-address={LOOPBACK}",
            # An address on loopback may not be an endpoint, and no pod asks for the Service `kubernetes`.
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--cert-dir={folder}",
            f"--tls-cert-file={folder}/kube-apiserver.crt",
            f"--tls-private-key-file={folder}/kube-apiserver.key",
            f"--client-ca-file={self.clients.bundle}",
            f"--requestheader-client-ca-file={self.front_proxy.bundle}",
            f"--requestheader-allowed-names={FRONT_PROXY}",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={folder}/front-proxy.crt",
            f"--proxy-client-key-file={folder}/front-proxy.key",
            "--authorization-mode=RBAC",
            # As some distributions have it: who sets blockOwnerDeletion has to have a right to the owner's finalizers.
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._accounts.certificate}",
            f"--service-account-signing-key-file={self._accounts.key}",
            "--profiling=false",
        ]

    def _controller_flags(self) -> list[str]:
        return [
            f"--kubeconfig={self.controllers_kubeconfig}",
            f"--controllers={','.join(_CONTROLLERS)}",
            # Each with the rights that it has in a cluster, and no more.
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--port=0",
            "--secure-port=0",
            f"--service-account-private-key-file={self._accounts.key}",
            f"--root-ca-file={self.serving.bundle}",
            "--profiling=false",
        ]


def _etcd_flags(folder: Path, address: str) -> list[str]:
    peers = f"http://{LOOPBACK}:{free_port()}"
    return [
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls={address}",
        f"--advertise-client-urls={address}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--log-level=warn",
    ]
