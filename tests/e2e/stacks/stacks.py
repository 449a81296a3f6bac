"""Chandlery in its two forms: all in one process on SQLite, and four processes on PostgreSQL and RabbitMQ."""

import base64
import http.client
import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Final, TypeVar

import yaml

from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.process.http.tls_files import self_signed
from chandlery.store.sealing.sealing import new_key
from tests.e2e.stacks.api_client import ApiClient
from tests.e2e.stacks.kubectl import Kubectl, KubectlChoice, kubectl_path
from tests.e2e.stacks.programs import CHANDLERY, LOOPBACK, Program, clean_environment, free_port
from tests.e2e.stacks.servers import ServerShare, in_own_loop, remove_queues, server_share
from tests.support.database_roles import ARE_ASKED_FOR, role_logins
from tests.support.waiting import wait_for

SplitStackT = TypeVar("SplitStackT", bound="SplitStack")
WORKERS: Final = ("provisioner", "binder", "syncer")
SERVICES: Final = ("gateway", *WORKERS)
TOKEN: Final = "token-of-the-end-to-end-tests"
QUICK: Final = {"CHANDLERY_LEASE_SECONDS": "2", "CHANDLERY_SWEEP_SECONDS": "0.25"}
"""What a dead process held is free again after two seconds, so that no test waits ten."""
_START_SECONDS: Final = 120.0


class Stack:
    """One running Chandlery and the ways to talk to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs: dict[str, Program] = {}

    @property
    def kubeconfig(self) -> Path:
        raise NotImplementedError

    def start(self, *names: str) -> None:
        """Start the named programs, or all, and wait until they are ready."""
        raise NotImplementedError

    @property
    def api(self) -> ApiClient:
        return ApiClient(self.kubeconfig)

    def kubectl(self, choice: KubectlChoice = "any") -> Kubectl:
        """A kubectl with its own home."""
        return Kubectl(kubectl_path(choice), self.kubeconfig, home=self.folder / f"home-{choice}")

    def kill(self, *names: str) -> None:
        """SIGKILL."""
        for name in names:
            self.programs[name].kill()

    def stop(self) -> None:
        """End everything in good order; insists on exit code 0 of whatever still runs."""
        running = {name: program for name, program in self.programs.items() if program.is_running}
        for program in running.values():
            program.signal()
        codes = {name: program.wait() for name, program in running.items()}
        assert set(codes.values()) <= {0}, codes

    def log_tails(self) -> dict[str, str]:
        return {name: program.log_tail() for name, program in self.programs.items()}


class EmbeddedStack(Stack):
    """`chandlery up`."""

    def __init__(
        self, folder: Path, *, port: int = 0, environment: Mapping[str, str] | None = None, chandlery: str = CHANDLERY
    ) -> None:
        """`chandlery` is the command, of this checkout or of another installation."""
        super().__init__(folder)
        self.data_dir = folder / "data"
        command = [chandlery, "up", "--data-dir", str(self.data_dir), "--port", str(port)]
        self.programs["up"] = Program(
            "up", command, environment=clean_environment(**{**QUICK, **(environment or {})}), log=folder / "up.log"
        )

    @property
    def kubeconfig(self) -> Path:
        return self.data_dir / "kubeconfig"

    def start(self, *names: str) -> None:
        self.programs["up"].start()
        self.programs["up"].await_log("Chandlery is ready at", seconds=_START_SECONDS)
        _await_readyz(self.api)


class SplitStack(Stack):
    """`chandlery migrate`, then the four services, each in its own process."""

    def __init__(
        self,
        folder: Path,
        share: ServerShare,
        *,
        environment: Mapping[str, str] | None = None,
        has_roles: bool = ARE_ASKED_FOR,
        chandlery: str = CHANDLERY,
    ) -> None:
        """`has_roles` lets each service connect as its own database role; `chandlery` is the command."""
        super().__init__(folder)
        self.share = share
        self.chandlery = chandlery
        self.has_roles = has_roles
        self._ports = {name: free_port() for name in SERVICES}
        self.environment = clean_environment(
            CHANDLERY_DATABASE_URL=share.database_url,
            CHANDLERY_AMQP_URL=share.amqp_url,
            CHANDLERY_AMQP_PREFIX=share.amqp_prefix,
            CHANDLERY_DATABASE_ROLE_PREFIX=share.role_prefix,
            **{"CHANDLERY_ENCRYPTION_KEYS": new_key("e2e"), **QUICK, **(environment or {})},
        )
        self._write_gateway_files()
        for name in SERVICES:
            self.programs[name] = Program(
                name,
                [chandlery, name],
                environment={**self.environment, **self._own_settings(name)},
                log=folder / f"{name}.log",
            )

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def migrate(self) -> str:
        """Run `chandlery migrate`; answers what it prints."""
        command = [self.chandlery, "migrate", *(["--roles"] if self.has_roles else [])]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        if self.has_roles:
            self._give_logins()
        return done.stdout

    def _give_logins(self) -> None:
        urls = in_own_loop(role_logins(self.environment["CHANDLERY_DATABASE_URL"], self.share.role_prefix))
        for name, program in self.programs.items():
            program.set(CHANDLERY_DATABASE_URL=urls[name.partition("-")[0]])

    def start(self, *names: str) -> None:
        for name in names or self.programs:
            self.programs[name].start()
        self.await_ready(*(names or self.programs))

    def await_ready(self, *names: str) -> None:
        """Wait until these have started."""
        for name in names:
            self.programs[name].await_log('"process_ready"', seconds=_START_SECONDS)
        for name in names:
            if name not in WORKERS:
                _await_readyz(self.api_of(name))

    def add_gateway(self, name: str) -> None:
        """One more gateway, on a port of its own and with a kubeconfig of its own."""
        port = self._ports[name] = free_port()
        environment = {**self.environment, **self._own_settings("gateway"), "CHANDLERY_PORT": str(port)}
        self.programs[name] = Program(
            name, [self.chandlery, "gateway"], environment=environment, log=self.folder / f"{name}.log"
        )
        text = kubeconfig_text(port, (self.folder / "tls.crt").read_text(), TOKEN)
        (self.folder / f"{name}.kubeconfig").write_text(text)

    def api_of(self, name: str) -> ApiClient:
        """The way to that gateway and no other."""
        return self.api if name == "gateway" else ApiClient(self.folder / f"{name}.kubeconfig")

    def probe(self, name: str, path: str) -> tuple[int, str]:
        """Status and text of a probe of one of the four."""
        if name == "gateway":
            status, said = self.api.read(path)
            return status, str(said)
        connection = http.client.HTTPConnection(LOOPBACK, self._ports[name], timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def check_grants(self) -> None:
        """No process may have missed a grant, not even in what it does beside its work."""
        for path in self.folder.glob("*.log"):
            missed = [line for line in path.read_text(errors="replace").splitlines() if "permission denied" in line]
            assert not missed, f"{path.name}: {missed[0]}"

    def lanes(self) -> set[str]:
        """The lanes that the workers have announced in their logs."""
        found = {UNRESOLVED_LANE}
        for path in self.folder.glob("*.log"):
            for line in path.read_text(errors="replace").splitlines():
                if '"open_lane"' in line and line.startswith("{"):
                    found.add(json.loads(line)["chandlery.lane"])
        return found

    def _own_settings(self, name: str) -> dict[str, str]:
        port = str(self._ports[name])
        if name != "gateway":
            return {"CHANDLERY_PROBE_PORT": port}
        return {
            "CHANDLERY_PORT": port,
            "CHANDLERY_TOKEN": TOKEN,
            "CHANDLERY_TLS_CERT_FILE": str(self.folder / "tls.crt"),
            "CHANDLERY_TLS_KEY_FILE": str(self.folder / "tls.key"),
        }

    def _write_gateway_files(self) -> None:
        certificate, key = self_signed(LOOPBACK)
        (self.folder / "tls.crt").write_text(certificate)
        (self.folder / "tls.key").write_text(key)
        self.kubeconfig.write_text(kubeconfig_text(self._ports["gateway"], certificate, TOKEN))
        self.kubeconfig.chmod(0o600)


@contextmanager
def embedded_stack(folder: Path) -> Iterator[EmbeddedStack]:
    """`chandlery up` on a fresh folder."""
    stack = EmbeddedStack(folder)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@contextmanager
def split_stack(
    folder: Path, *, environment: Mapping[str, str] | None = None, has_roles: bool = ARE_ASKED_FOR
) -> Iterator[SplitStack]:
    """The four processes on a fresh database and with names of their own on RabbitMQ."""
    with server_share() as share:
        stack = SplitStack(folder, share, environment=environment, has_roles=has_roles)
        with running(stack, share):
            yield stack


@contextmanager
def running(
    stack: SplitStackT, share: ServerShare, *, behind: AbstractContextManager[object] | None = None
) -> Iterator[SplitStackT]:
    """The stack with all its processes, started once there is what they are behind; at the end nothing is left."""
    try:
        stack.migrate()
        with behind or nullcontext():
            stack.start()
            yield stack
    finally:
        try:
            stack.stop()
        finally:
            remove_queues(share, stack.lanes())
        stack.check_grants()


def kubeconfig_text(port: int, certificate: str, token: str) -> str:
    """A kubeconfig for a gateway on loopback whose certificate is its own authority."""
    authority = base64.b64encode(certificate.encode()).decode()
    cluster = {"server": f"https://{LOOPBACK}:{port}", "certificate-authority-data": authority}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "e2e", "cluster": cluster}],
            "users": [{"name": "e2e", "user": {"token": token}}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e", "namespace": "default"}}],
            "current-context": "e2e",
        }
    )


def _await_readyz(api: ApiClient) -> None:
    wait_for(lambda: api.read("/readyz"), lambda seen: seen[0] == 200, what="/readyz", seconds=_START_SECONDS)
