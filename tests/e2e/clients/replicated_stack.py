"""Chandlery as in production: every service a process of its own, and two gateways behind one address."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.e2e.clients.random_balancer import RandomBalancer
from tests.e2e.stacks.programs import free_port
from tests.e2e.stacks.servers import ServerShare, server_share
from tests.e2e.stacks.stacks import TOKEN, SplitStack, kubeconfig_text, running

_SECOND: Final = "gateway-2"


class ReplicatedStack(SplitStack):
    """The kubeconfig points to the balancer. The gateways are the programs `gateway` and `gateway-2`."""

    def __init__(self, folder: Path, share: ServerShare) -> None:
        super().__init__(folder, share)
        self.add_gateway(_SECOND)
        self.balancer = RandomBalancer(
            free_port(),
            [self._ports["gateway"], self._ports[_SECOND]],
            certificate=folder / "tls.crt",
            key=folder / "tls.key",
        )
        certificate = (folder / "tls.crt").read_text()
        self.kubeconfig.write_text(kubeconfig_text(self.balancer.port, certificate, TOKEN))


@contextmanager
def replicated_stack(folder: Path) -> Iterator[ReplicatedStack]:
    """Five processes on a fresh database and with names of their own on RabbitMQ, behind a balancer."""
    with server_share() as share:
        stack = ReplicatedStack(folder, share)
        with running(stack, share, behind=stack.balancer):
            yield stack
