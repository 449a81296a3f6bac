"""A real RabbitMQ cluster of three nodes on this machine, whose nodes are killed and come back.

Own ports, Erlang cookie, port mapper and data folders, on the loopback interface only. The nodes die with the process
that has started them. Run with `scripts/` on the path.
"""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from machine.places import account_for, checkout_key, server_home
from machine.ports import LOOPBACK, free_ports, is_reachable
from machine.processes import ProcessMark, end, is_alive, launch
from servers import rabbitmq as installed

NODES: Final = 3
_USER: Final = "chandlery"
_PATIENCE: Final = 180.0
_MAY_DIE: Final = ("setpriv", "--pdeathsig", "KILL", "--")
"""Before a command: it ends with us, however we end."""


@dataclass
class _Node:
    name: str
    home: Path
    amqp_port: int
    distribution_port: int
    process: ProcessMark | None = None


class RabbitmqCluster:
    """Started by `start`, ended by `close`."""

    def __init__(self, pair: str, folder: Path) -> None:
        self._account = account_for("rabbitmq", "nobody")
        self._password = secrets.token_hex(16)
        self._cookie = secrets.token_hex(16)
        self._log = folder / "rabbitmq-nodes.txt"
        ports = free_ports(2 * NODES + 1)
        self._mapper_port = ports[-1]
        self._mapper: ProcessMark | None = None
        self._nodes = [
            _Node(
                f"chaos{number}-{checkout_key()}@localhost",
                server_home(pair, f"rabbitmq-{number}", account=self._account),
                amqp_port=ports[number],
                distribution_port=ports[NODES + number],
            )
            for number in range(NODES)
        ]

    @property
    def urls(self) -> Sequence[str]:
        """One for each node."""
        return [f"amqp://{_USER}:{self._password}@{LOOPBACK}:{node.amqp_port}/" for node in self._nodes]

    async def start(self) -> None:
        """One node after the other, so that each finds a cluster to join."""
        mapper = installed._port_mapper()
        assert mapper is not None, "RabbitMQ is not installed"
        for node in self._nodes:
            self._prepare(node)
        first = self._nodes[0]
        self._mapper = self._launch(first, str(mapper), "-address", LOOPBACK, "-port", str(self._mapper_port))
        while not is_reachable(LOOPBACK, self._mapper_port):
            await asyncio.sleep(0.05)
        for node in self._nodes:
            await self.revive(node)

    def kill(self, *nodes: _Node) -> None:
        """All of them at once, by SIGKILL."""
        processes = [node.process for node in nodes if node.process is not None and is_alive(node.process)]
        for process in processes:
            os.kill(process.pid, signal.SIGKILL)

    async def revive(self, *nodes: _Node) -> None:
        """Start those that are dead, all at once, and wait until they serve."""
        for node in nodes:
            while node.process is not None and is_alive(node.process):
                if _answers(node):
                    break
                await asyncio.sleep(0.2)
            else:
                node.process = self._launch(node, str(installed._program()))
        await asyncio.gather(*(self._await(node) for node in nodes))

    @property
    def nodes(self) -> Sequence[_Node]:
        return self._nodes

    def close(self) -> None:
        self.kill(*self._nodes)
        if self._mapper is not None:
            end(self._mapper)
        for node in self._nodes:
            shutil.rmtree(node.home, ignore_errors=True)

    async def _await(self, node: _Node) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not await asyncio.to_thread(_answers, node):
            assert node.process is not None
            if not is_alive(node.process) or time.monotonic() > deadline:
                words = self._log.read_text(errors="replace").splitlines()[-30:]
                raise AssertionError(f"{node.name} did not come up:\n" + "\n".join(words))
            await asyncio.sleep(0.2)

    def _launch(self, node: _Node, *command: str) -> ProcessMark:
        return launch(
            [*_MAY_DIE, *command],
            halt=signal.SIGTERM,
            account=self._account,
            environment=self._environment(node),
            home=node.home,
            log=self._log,
        )

    def _prepare(self, node: _Node) -> None:
        peers = "".join(
            f"cluster_formation.classic_config.nodes.{number} = {each.name}\n"
            for number, each in enumerate(self._nodes, 1)
        )
        shutil.rmtree(node.home / "mnesia", ignore_errors=True)
        settings = {
            ".erlang.cookie": self._cookie,
            "rabbitmq.conf": f"default_user = {_USER}\ndefault_pass = {self._password}\nlog.console.level = warning\n"
            "cluster_partition_handling = pause_minority\n"
            "cluster_formation.peer_discovery_backend = classic_config\n"
            "cluster_formation.randomized_startup_delay_range.min = 0\n"
            "cluster_formation.randomized_startup_delay_range.max = 1\n" + peers,
            "advanced.config": "[].\n",
            "rabbitmq-env.conf": "",
            "enabled_plugins": "[].\n",
        }
        for name, content in settings.items():
            path = node.home / name
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            path.write_text(content)
            path.chmod(0o400)
            if self._account:
                os.chown(path, self._account.uid, self._account.gid)

    def _environment(self, node: _Node) -> Mapping[str, str]:
        ports = [node.amqp_port, node.distribution_port, self._mapper_port]
        return {
            **installed._environment("chaos", node.home, ports=ports),
            "RABBITMQ_NODENAME": node.name,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
        }


def _answers(node: _Node) -> bool:
    """As in `servers.rabbitmq`: a method frame for the protocol's header."""
    try:
        with socket.create_connection((LOOPBACK, node.amqp_port), timeout=2) as connection:
            connection.sendall(installed._PROTOCOL_HEADER)
            return connection.recv(1) == installed._METHOD_FRAME
    except OSError:
        return False
