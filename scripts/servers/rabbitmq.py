"""A private RabbitMQ: its own node name, folders, Erlang cookie and port mapper, on the loopback interface only."""

import os
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from machine.console import MachineFault
from machine.places import Account, account_for, checkout_key, server_home
from machine.ports import LOOPBACK, free_ports, is_reachable
from machine.processes import ProcessMark, end, is_alive, launch
from servers.ledger import Kind, ServerRecord

_USER: Final = "chandlery"
_EPMD_SECONDS: Final = 10
# AMQP 0-9-1 §4.2.2: the client opens with these eight octets; a live server answers with a method frame (type 1).
_PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME: Final = b"\x01"


class RabbitmqServer:
    """The installed RabbitMQ, started by its own script: Debian's wrapper on PATH insists on the system account."""

    kind: Kind = "amqp"
    title = "RabbitMQ"
    package = "rabbitmq-server"

    def __init__(self, *, settings: Sequence[str] = (), plugins: Sequence[str] = ()) -> None:
        """`settings` are further lines of rabbitmq.conf; `plugins` are names of those that are on."""
        self._settings = settings
        self._plugins = plugins

    def is_installed(self) -> bool:
        return _program() is not None and _port_mapper() is not None

    def start(self, pair: str, log: Path, *, previous: ServerRecord | None) -> ServerRecord:
        program, port_mapper = _program(), _port_mapper()
        if program is None or port_mapper is None:
            raise MachineFault("RabbitMQ vanished while it was being started")
        account = account_for("rabbitmq", "nobody")
        home = server_home(pair, "rabbitmq", account=account)
        password = previous.password if previous else secrets.token_hex(16)
        if previous is None:
            shutil.rmtree(home / "mnesia", ignore_errors=True)
        own = [f"default_user = {_USER}", f"default_pass = {password}", "log.console.level = info", *self._settings]
        _write_settings(home, own, self._plugins, account=account)
        ports = free_ports(3, preferred=previous.ports if previous else ())
        environment = _environment(pair, home, ports=ports)
        # Started by Erlang, the port mapper would outlive the server as a daemon nobody knows; this one is ours to end.
        mapper = launch(
            [str(port_mapper), "-address", LOOPBACK, "-port", str(ports[2])],
            halt=signal.SIGTERM, account=account, environment=environment, home=home, log=log,
        )  # fmt: skip
        try:
            _await_port_mapper(mapper, port=ports[2])
            server = launch(
                [str(program)], halt=signal.SIGTERM, account=account, environment=environment, home=home, log=log
            )
        except BaseException:
            end(mapper)
            raise
        return ServerRecord(
            url=f"amqp://{_USER}:{password}@{LOOPBACK}:{ports[0]}/",
            password=password,
            ports=tuple(ports),
            home=str(home),
            log=str(log),
            processes=(server, mapper),
        )

    def answers(self, record: ServerRecord) -> bool:
        try:
            with socket.create_connection((LOOPBACK, record.ports[0]), timeout=2) as connection:
                connection.sendall(_PROTOCOL_HEADER)
                return connection.recv(1) == _METHOD_FRAME
        except OSError:
            return False


def _environment(pair: str, home: Path, *, ports: list[int]) -> dict[str, str]:
    amqp_port, distribution_port, mapper_port = ports
    return {
        "PATH": f"{os.environ.get('PATH', '')}:/usr/bin:/bin:/usr/lib/erlang/bin",
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_EPMD_PORT": str(mapper_port),
        "RABBITMQ_NODENAME": f"chandlery-{pair}-{checkout_key()}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_NODE_PORT": str(amqp_port),
        "RABBITMQ_DIST_PORT": str(distribution_port),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(home / "rabbitmq-env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        # Makes the script replace itself by the server, so that the process we launched is the process we end.
        "RUNNING_UNDER_SYSTEMD": "true",
    }


def _write_settings(home: Path, lines: Sequence[str], plugins: Sequence[str], *, account: Account | None) -> None:
    settings = {
        "rabbitmq.conf": "".join(f"{line}\n" for line in lines),
        "advanced.config": "[].\n",
        "rabbitmq-env.conf": "",
        "enabled_plugins": f"[{','.join(plugins)}].\n",
    }
    for name, content in settings.items():
        path = home / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(content)
        if account:
            os.chown(path, account.uid, account.gid)


def _await_port_mapper(mapper: ProcessMark, *, port: int) -> None:
    deadline = time.monotonic() + _EPMD_SECONDS
    while is_alive(mapper) and time.monotonic() < deadline:
        if is_reachable(LOOPBACK, port):
            return
        time.sleep(0.05)
    raise MachineFault(f"Erlang's port mapper did not come up on port {port}")


def _program() -> Path | None:
    inside = Path("/usr/lib/rabbitmq")
    candidates = [inside / "bin" / "rabbitmq-server", *sorted(inside.glob("lib/*/sbin/rabbitmq-server"), reverse=True)]
    if on_path := shutil.which("rabbitmq-server"):
        candidates.append(Path(on_path))
    return next((path for path in candidates if path.exists()), None)


def _port_mapper() -> Path | None:
    if on_path := shutil.which("epmd"):
        return Path(on_path)
    return next(Path("/usr/lib/erlang").glob("erts-*/bin/epmd"), None)
