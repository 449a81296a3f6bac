"""Guides to PostgreSQL and RabbitMQ: each command is typed, on real servers, under names that nobody else uses."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.e2e.guides.typed_page import Line, Shell, lines_of
from tests.e2e.stacks.kubectl import kubectl_path
from tests.e2e.stacks.servers import ServerShare, server_share
from tests.e2e.stacks.stacks import SplitStack

pytestmark = pytest.mark.servers
_KEYS = f"first:{base64.b64encode(bytes(32)).decode()}"


@pytest.fixture
def share() -> Iterator[ServerShare]:
    with server_share() as share:
        yield share


def _shell(folder: Path, **environment: str) -> Shell:
    folder.mkdir(exist_ok=True)
    return Shell(folder, kubectl_path("any"), **environment)


def test_database_is_made_and_looked_at_as_the_page_says(share: ServerShare, tmp_path: Path) -> None:
    # The database of that name exists already, and goes with its roles at the end.
    name = share.role_prefix
    admin = make_url(share.database_url).set(drivername="postgresql")
    settings = {
        "CHANDLERY_DATABASE_ROLE_PREFIX": name,
        "CHANDLERY_AMQP_URL": share.amqp_url,
        "CHANDLERY_AMQP_PREFIX": share.amqp_prefix,
        "CHANDLERY_ENCRYPTION_KEYS": _KEYS,
        "CHANDLERY_TOKEN": "of-an-administrator",
    }

    def own(line: Line) -> Line:
        command, expected = (text.replace("shop", name) for text in (line.command, line.expected))
        return Line(command.replace(f"CREATE DATABASE {name} OWNER", f"ALTER DATABASE {name} OWNER TO"), expected)

    def url(role: str, password: str) -> str:
        return admin.set(username=f"{name}_{role}", password=password).render_as_string(hide_password=False)

    making = _shell(tmp_path / "admin", ADMIN=admin.render_as_string(hide_password=False), PGDATABASE="postgres")
    making.type(*map(own, lines_of("postgresql.md", "A database and its roles")))
    owner = _shell(tmp_path / "owner", **settings, CHANDLERY_DATABASE_URL=url("owner", "migrates"))
    owner.type(*map(own, lines_of("postgresql.md", "The schema")))
    gateway = _shell(tmp_path / "gateway", **settings, CHANDLERY_DATABASE_URL=url("gateway", "serves"))
    gateway.type(*map(own, lines_of("postgresql.md", "A look as a service")))


def test_bus_is_looked_at_as_the_page_says(split: SplitStack, tmp_path: Path) -> None:
    settings = {name: value for name, value in split.programs["gateway"].environment.items() if name not in os.environ}
    shell = _shell(tmp_path / "bus", **settings)
    shell.type(*lines_of("rabbitmq.md", "A look as a service"))
