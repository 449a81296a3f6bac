"""A RabbitMQ of its own with TLS, which asks every client for a certificate."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from yarl import URL

from machine.debian import install
from machine.places import account_for, remove_data, server_home
from machine.ports import LOOPBACK, free_ports
from machine.processes import end
from servers.rabbitmq import RabbitmqServer
from tests.support.authority import Authority
from tests.support.waiting import wait_for


@dataclass(frozen=True)
class PrivateRabbitmq:
    """Where it listens, and who says who is who."""

    authority: Authority
    url: str
    """With TLS, with user and password."""
    plain_url: str
    """Without."""

    @property
    def url_without_user(self) -> str:
        return str(URL(self.url).with_user(None))


@contextmanager
def private_rabbitmq(folder: Path, *more: str) -> Iterator[PrivateRabbitmq]:
    """Started for this block. A certificate of the authority is a login, if its name is a user's.

    `more` are further lines of its configuration.
    """
    pair, authority = f"private{uuid.uuid4().hex[:8]}", Authority(folder, "bus-authority")
    certificate, key = authority.issue("bus", LOOPBACK, "bus.example")
    account = account_for("rabbitmq", "nobody")
    home = server_home(pair, "rabbitmq", account=account)
    (port,) = free_ports(1)
    for source in (authority.certificate, certificate, key):
        copy = home / source.name
        copy.write_bytes(source.read_bytes())
        copy.chmod(0o600)
        if account:
            os.chown(copy, account.uid, account.gid)
    server = RabbitmqServer(
        settings=(
            f"listeners.ssl.1 = {LOOPBACK}:{port}",
            f"ssl_options.cacertfile = {home / authority.certificate.name}",
            f"ssl_options.certfile = {home / certificate.name}",
            f"ssl_options.keyfile = {home / key.name}",
            "ssl_options.verify = verify_peer",
            "ssl_options.fail_if_no_peer_cert = true",
            "ssl_cert_login_from = common_name",
            "auth_mechanisms.1 = EXTERNAL",
            "auth_mechanisms.2 = PLAIN",
            *more,
        ),
        plugins=("rabbitmq_auth_mechanism_ssl",),
    )
    if not server.is_installed():
        install([server.package], why="RabbitMQ is missing on this machine.")
    record = server.start(pair, folder / "rabbitmq.txt", previous=None)
    try:
        wait_for(lambda: server.answers(record), what="RabbitMQ")
        plain = URL(record.url)
        yield PrivateRabbitmq(authority, str(plain.with_scheme("amqps").with_port(port)), record.url)
    finally:
        for process in record.processes:
            end(process)
        remove_data(pair)
