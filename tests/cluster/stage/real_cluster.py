"""A cluster on loopback: started, killed, its certificates rotated; users, service accounts, both kubectls."""

import base64
import itertools
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from kubernetes_build.cluster_cache import ClusterPrograms
from tests.cluster.stage.control_plane import ADMINS, ControlPlane
from tests.cluster.stage.kubeconfigs import write_kubeconfig
from tests.e2e.stacks.api_client import ApiClient, JsonObject
from tests.e2e.stacks.kubectl import Kubectl, KubectlChoice, kubectl_path
from tests.support.waiting import wait_for

_START_SECONDS: Final = 120.0
_OK: Final = 200
_CREATED: Final = 201
_EXISTS: Final = 409


class RealCluster:
    """kube-apiserver, some controllers and etcd, all in `folder`; `admin` is the kubeconfig of an administrator."""

    def __init__(self, folder: Path, programs: ClusterPrograms) -> None:
        self.folder = folder
        self.plane = ControlPlane(folder, programs)
        self._numbers = itertools.count(1)
        self.admin = self.user("admin", ADMINS)
        self.controllers_kubeconfig = self.user("kube-controller-manager", "system:kube-controller-manager")

    # Processes.

    def start(self) -> None:
        """Start all, and wait until kube-apiserver is ready and the first service accounts are there."""
        self.plane.etcd.start()
        self.start_apiserver()
        self.plane.controllers.start()
        self.await_account("default", "default")

    def stop(self) -> None:
        """End all that still runs."""
        self.plane.controllers.stop()
        if self.plane.apiserver.is_running:
            self.kill_apiserver()
        self.plane.etcd.stop()

    def start_apiserver(self) -> None:
        """Start it and wait until it is ready."""
        self.plane.apiserver.start()
        wait_for(
            lambda: (self.api().read("/readyz")[0], self.plane.apiserver.is_running),
            lambda seen: seen[0] == _OK or not seen[1],
            what="kube-apiserver to be ready",
            seconds=_START_SECONDS,
        )
        assert self.plane.apiserver.is_running, self.plane.apiserver.log_tail()

    def kill_apiserver(self) -> None:
        """Let kube-apiserver die; etcd has what it has answered. `start_apiserver` brings it back at the same port."""
        self.plane.apiserver.kill()

    def restart_apiserver(self) -> None:
        """End it and start it again, by a kill: in good order it waits for the end of every watch, a minute long."""
        self.kill_apiserver()
        self.start_apiserver()

    def restart_controllers(self) -> None:
        """Have controllers ask at once which kinds there are: garbage collector and quota do so each half minute."""
        self.plane.controllers.stop()
        self.plane.controllers.start()

    # Trust.

    def rotate_serving(self, *, trust_old: bool = True) -> None:
        """Another authority and certificate for kube-apiserver, which is restarted; kubeconfigs name its file."""
        self.plane.serving.renew(trust_old=trust_old)
        self.plane.issue_serving()
        self.restart_apiserver()
        # client-go reads the bundle once.
        self.restart_controllers()

    def rotate_front_proxy(self, *, trust_old: bool = True) -> None:
        """Another authority and certificate for the aggregator; kube-apiserver is restarted.

        It adds the new authority to the ConfigMap `extension-apiserver-authentication`, and keeps the old one there.
        """
        self.plane.front_proxy.renew(trust_old=trust_old)
        self.plane.issue_front_proxy()
        self.restart_apiserver()

    def rotate_clients(self, *, trust_old: bool = True) -> None:
        """Another authority for users; kube-apiserver is restarted. Kubeconfigs of ours get new certificates."""
        self.plane.clients.renew(trust_old=trust_old)
        self.user("admin", ADMINS)
        self.user("kube-controller-manager", "system:kube-controller-manager")
        self.restart_apiserver()
        self.restart_controllers()

    # Who asks.

    def user(self, name: str, *groups: str, namespace: str = "default") -> Path:
        """The kubeconfig of a user with a client certificate in these groups; nothing is allowed to them by itself."""
        shown = self.plane.clients.issue(f"user-{name}", _common_name(name), groups=groups)
        path = self.folder / f"{name}.kubeconfig"
        bundle = self.plane.serving.bundle
        return write_kubeconfig(path, self.plane.address, authority=bundle, shown=shown, namespace=namespace)

    def service_account(self, namespace: str, name: str) -> Path:
        """The kubeconfig of a service account, which is created if it is missing, with a token for an hour in a file.

        The file is beside it, with the suffix `.token`, as a pod would have it; `renew_token` replaces it.
        """
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        self.put(f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
        path = self.folder / f"account-{namespace}-{name}.kubeconfig"
        token_file = path.with_suffix(".token")
        token_file.write_text(self.token(namespace, name))
        bundle = self.plane.serving.bundle
        return write_kubeconfig(path, self.plane.address, authority=bundle, token_file=token_file, namespace=namespace)

    def token(self, namespace: str, name: str, *, seconds: int = 3600, audiences: tuple[str, ...] = ()) -> str:
        """A token of a service account, by TokenRequest; kube-apiserver gives none for less than ten minutes."""
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds, "audiences": list(audiences)},
        }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        status, body = self.api().send("POST", path, request)
        assert status == _CREATED, body
        token: str = body["status"]["token"]
        return token

    def renew_token(self, kubeconfig: Path, namespace: str, name: str) -> None:
        """As kubelet does it: another token in the file of a service account's kubeconfig."""
        kubeconfig.with_suffix(".token").write_text(self.token(namespace, name))

    def grant(
        self, role: str, *, to: str, namespace: str = "", kind: str = "User", role_kind: str = "ClusterRole"
    ) -> str:
        """Bind a role to a user or a group: in one namespace, or in all where none is given. Returns its path.

        A service account is the user `system:serviceaccount:NAMESPACE:NAME`.
        """
        binding = "RoleBinding" if namespace else "ClusterRoleBinding"
        document: JsonObject = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": binding,
            "metadata": {"name": f"{role.replace(':', '-')}-{next(self._numbers)}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": to}],
        }
        scope = f"namespaces/{namespace}/rolebindings" if namespace else "clusterrolebindings"
        collection = f"/apis/rbac.authorization.k8s.io/v1/{scope}"
        self.put(collection, document)
        return f"{collection}/{document['metadata']['name']}"

    def await_allowed(self, *, user: str, verb: str, resource: str, namespace: str, groups: Sequence[str] = ()) -> None:
        """Wait until the cluster's roles allow it: those that gather others are written by a controller."""
        attributes = {"group": "servicecatalog.k8s.io", "resource": resource, "verb": verb, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": list(groups), "resourceAttributes": attributes},
        }
        wait_for(
            lambda: self.api().send("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)[1],
            lambda seen: bool(seen.get("status", {}).get("allowed")),
            what=f"{user} to be allowed to {verb} {resource}",
        )

    # Ways in.

    def api(self, kubeconfig: Path | None = None) -> ApiClient:
        """A plain client: of the administrator, or of whom the kubeconfig is for."""
        return ApiClient(kubeconfig or self.admin)

    def kubectl(self, choice: KubectlChoice = "any", *, kubeconfig: Path | None = None) -> Kubectl:
        """A kubectl, `any` (on PATH) or `debian` (1.20): of the administrator, or of whom the kubeconfig is for."""
        chosen = kubeconfig or self.admin
        return Kubectl(kubectl_path(choice), chosen, home=self.folder / f"home-{choice}-{chosen.stem}")

    def new_namespace(self, prefix: str = "test") -> str:
        """A namespace of a test's own, with its service account `default`."""
        name = f"{prefix}-{uuid.uuid4().hex[:6]}"
        self.put("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self.await_account(name, "default")
        return name

    def put(self, collection: str, document: JsonObject) -> None:
        """Create it unless there is one of the name."""
        status, body = self.api().send("POST", collection, document)
        assert status in (_CREATED, _EXISTS), body

    def await_account(self, namespace: str, name: str) -> None:
        """Wait until there is such a service account."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"
        wait_for(lambda: self.api().read(path)[0], lambda status: status == _OK, what=path)

    def secret(self, namespace: str, name: str) -> dict[str, str] | None:
        """What is in a Secret, decoded; None if there is none."""
        found: Any = self.api().find("secrets", name, namespace=namespace)
        if found is None:
            return None
        return {key: base64.b64decode(value).decode() for key, value in found.get("data", {}).items()}

    def log_tails(self) -> dict[str, str]:
        """For a test that fails."""
        return {
            program.name: program.log_tail()
            for program in (self.plane.apiserver, self.plane.controllers, self.plane.etcd)
        }


def _common_name(name: str) -> str:
    return f"system:{name}" if name.startswith("kube-") else name


@contextmanager
def real_cluster(folder: Path, programs: ClusterPrograms) -> Iterator[RealCluster]:
    """A cluster of its own until the end of the block."""
    cluster = RealCluster(folder, programs)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
