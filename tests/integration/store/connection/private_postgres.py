"""A PostgreSQL of one module's own, whose TLS, logins and rules of access it may change; and a PgBouncer before it."""

import os
import shutil
import signal
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg

from chandlery.process.http.tls_files import self_signed
from machine.debian import install
from machine.places import account_for, remove_data, server_home
from machine.ports import LOOPBACK, free_ports, is_reachable
from machine.processes import end, launch
from servers.ledger import ServerRecord
from servers.postgres import PostgresServer
from tests.e2e.stacks.servers import in_own_loop
from tests.support.authority import Authority
from tests.support.waiting import wait_for

_PASSWORD: Final = "hunter2"
_NAMES: Final = (LOOPBACK, "database.example")
"""Of the certificate: not `localhost`, which leads to the same server."""


class PrivatePostgres:
    """Answers on loopback, with TLS and without; `authority` is the file that its certificate can be checked with."""

    def __init__(self, pair: str, record: ServerRecord, folder: Path) -> None:
        self.port = record.ports[0]
        self.authority = folder / "authority.pem"
        self.client_certificate = folder / "client.pem"
        self.client_key = folder / "client.key"
        self._pair = pair
        self._admin = record.url.replace("+asyncpg", "")
        self._data = Path(record.home) / "data"

    def url(self, user: str = "owner", *, database: str = "chandlery", host: str = LOOPBACK, query: str = "") -> str:
        return f"postgresql://{user}:{_PASSWORD}@{host}:{self.port}/{database}{'?' if query else ''}{query}"

    def tell(self, *statements: str) -> None:
        """As superuser, one after the other."""
        in_own_loop(self._tell(*statements))

    def serve_tls(self) -> None:
        certificate, key = self_signed(*_NAMES)
        client, client_key = self_signed("client")
        self.authority.write_text(certificate)
        self.client_certificate.write_text(client)
        self.client_key.write_text(client_key)
        self.client_key.chmod(0o600)
        for name, text in (("server.crt", certificate), ("server.key", key), ("clients.crt", client)):
            self._write(name, text)
        self._write("pg_ident.conf", "certificates chandlery client\n")
        self.tell("ALTER SYSTEM SET ssl_ca_file = 'clients.crt'", "ALTER SYSTEM SET ssl = on")

    def trust(self, authority: Authority, *hosts: str) -> None:
        """Believe its certificates of clients too, and show one of it for the hosts."""
        certificate, key = authority.issue("database", *hosts)
        clients = (self._data / "clients.crt").read_text() + authority.certificate.read_text()
        self._write("clients.crt", clients)
        self._write("server.crt", certificate.read_text() + authority.certificate.read_text())
        self._write("server.key", key.read_text())
        with self.authority.open("a") as trusted:
            trusted.write(authority.certificate.read_text())
        self.tell("SELECT pg_reload_conf()")

    def allow(self, *rules: str) -> None:
        """Put these rules of access before those that are there, and wait until they hold."""
        kept = self._data / "pg_hba.conf"
        self._write("pg_hba.conf", "\n".join((*rules, kept.read_text())))
        self.tell("SELECT pg_reload_conf()")
        question = f"SELECT count(*) FROM pg_hba_file_rules WHERE line_number <= {len(rules)} AND error IS NULL"
        wait_for(
            lambda: (in_own_loop(self._ask(question)), in_own_loop(self._ask("SHOW ssl"))),
            lambda seen: seen[0] >= len(rules) and seen[1] == "on",
            what="the new rules of PostgreSQL",
        )

    def pooler(self, folder: Path) -> "PgBouncer":
        return PgBouncer(self._pair, self.port, folder)

    def _write(self, name: str, text: str) -> None:
        path, owner = self._data / name, self._data.stat()
        path.write_text(text)
        os.chown(path, owner.st_uid, owner.st_gid)
        path.chmod(0o600)

    async def _tell(self, *statements: str) -> None:
        connection = await asyncpg.connect(self._admin)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def _ask(self, question: str) -> Any:
        connection = await asyncpg.connect(self._admin)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()


@contextmanager
def private_postgres(folder: Path) -> Iterator[PrivatePostgres]:
    """Started for this block; TLS is on, and the role `owner` owns the database `chandlery`."""
    pair, server = f"private{uuid.uuid4().hex[:8]}", PostgresServer()
    if not server.is_installed():
        install([server.package], why="PostgreSQL is missing on this machine.")
    record = server.start(pair, folder / "postgres.txt", previous=None)
    try:
        wait_for(lambda: server.answers(record), what="PostgreSQL")
        postgres = PrivatePostgres(pair, record, folder)
        postgres.serve_tls()
        postgres.tell(f"CREATE ROLE owner LOGIN PASSWORD '{_PASSWORD}'", "ALTER DATABASE chandlery OWNER TO owner")
        yield postgres
    finally:
        for process in record.processes:
            end(process)
        remove_data(pair)


class PgBouncer:
    """Hands a connection to each transaction, and has two of them."""

    def __init__(self, pair: str, server_port: int, folder: Path) -> None:
        if not shutil.which("pgbouncer", path=_path()):
            install(["pgbouncer"], why="PgBouncer is missing on this machine.")
        account = account_for("postgres", "nobody")
        home = server_home(pair, "pgbouncer", account=account)
        (self.port,) = free_ports(1)
        files = {
            "users.txt": f'"owner" "{_PASSWORD}"\n',
            "pgbouncer.ini": "\n".join(_settings(self.port, server_port, home)),
        }
        for name, text in files.items():
            path = home / name
            path.write_text(text)
            if account:
                os.chown(path, account.uid, account.gid)
        self._process = launch(
            [str(shutil.which("pgbouncer", path=_path())), str(home / "pgbouncer.ini")],
            halt=signal.SIGINT,
            account=account,
            environment={"PATH": _path()},
            home=home,
            log=folder / "pgbouncer.txt",
        )
        wait_for(lambda: is_reachable(LOOPBACK, self.port), what="PgBouncer")

    @property
    def url(self) -> str:
        return f"postgresql://owner:{_PASSWORD}@{LOOPBACK}:{self.port}/chandlery"

    def close(self) -> None:
        end(self._process)


def _settings(port: int, server_port: int, home: Path) -> Sequence[str]:
    return (
        "[databases]",
        f"chandlery = host={LOOPBACK} port={server_port} dbname=chandlery",
        "[pgbouncer]",
        f"listen_addr = {LOOPBACK}",
        f"listen_port = {port}",
        "unix_socket_dir =",
        "auth_type = scram-sha-256",
        f"auth_file = {home / 'users.txt'}",
        "pool_mode = transaction",
        "default_pool_size = 2",
        "max_client_conn = 100",
        "",
    )


def _path() -> str:
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
