"""What a user gets wrong around the programs: ports, folders, settings, servers that are not there.

A mistake is one sentence on standard error and an exit code; a server that is not there yet is waited for.
"""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import make_url

from chandlery.store.sealing.sealing import new_key
from tests.e2e.conftest import Launcher
from tests.e2e.stacks.programs import CHANDLERY, LOOPBACK, Program, free_port
from tests.e2e.stacks.servers import ServerShare, remove_queues, server_share
from tests.e2e.stacks.stacks import EmbeddedStack, SplitStack
from tests.e2e.stacks.tcp_relay import TcpRelay
from tests.support.selection import IS_BRIEF

BAD_CONFIGURATION: Final = 2
SERVICES: Final = ["gateway", "binder"] if IS_BRIEF else ["gateway", "provisioner", "binder", "syncer"]
"""What compares the key is of one piece; of several alike, a door and a worker are enough for every change."""
_REFUSAL_SECONDS: Final = 60.0
_KEYS: Final = new_key("test")
_PASSWORD: Final = "hunter2-never-shown"

_NOWHERE: Final = {
    "CHANDLERY_DATABASE_URL": f"postgresql://chandlery:{_PASSWORD}@{LOOPBACK}:{free_port()}/chandlery",
    "CHANDLERY_AMQP_URL": f"amqp://chandlery:{_PASSWORD}@{LOOPBACK}:{free_port()}/",
    "CHANDLERY_ENCRYPTION_KEYS": new_key("test"),
}


@pytest.fixture(scope="module")
def share(folder: Path) -> Iterator[ServerShare]:
    """A database with the schema, names on RabbitMQ."""
    with server_share() as found:
        stack = SplitStack(folder, found)
        stack.migrate()
        yield found
        remove_queues(found, stack.lanes())


def _refused(program: Program, *parts: str) -> str:
    """Wait for the exit code 2 of bad configuration; the one sentence it writes has all these parts."""
    assert program.wait(_REFUSAL_SECONDS) == BAD_CONFIGURATION, program.log_text()
    text = program.log_text()
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("chandlery: ")
    for part in parts:
        assert part in lines[0]
    assert _PASSWORD not in text
    return text


def test_up_names_the_port_that_is_in_use(launch: Launcher, tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        up = launch([CHANDLERY, "up", "--data-dir", str(tmp_path / "data"), "--port", str(port)])
        _refused(up, f"cannot listen on {LOOPBACK} port {port}", "in use", "choose another port")
    assert not (tmp_path / "data" / "kubeconfig").exists()


def test_up_names_the_folder_that_is_in_use(launch: Launcher, embedded: EmbeddedStack) -> None:
    before = embedded.kubeconfig.read_text()
    second = launch([CHANDLERY, "up", "--data-dir", str(embedded.data_dir), "--port", "0"])
    _refused(second, str(embedded.data_dir), "in use by another `chandlery up`", "--data-dir")
    assert embedded.kubeconfig.read_text() == before
    assert embedded.api.read("/readyz")[0] == 200


@pytest.mark.parametrize("key", ["", new_key("laptop")], ids=["the key is gone", "the key is another one"])
def test_up_does_not_start_on_a_database_that_another_key_has_encrypted(
    launch: Launcher, tmp_path: Path, key: str
) -> None:
    data = tmp_path / "data"
    command = [CHANDLERY, "up", "--data-dir", str(data), "--port", "0"]
    first = launch(command)
    first.await_log("Chandlery is ready")
    first.stop()
    kept = data / "encryption-key"
    mine = kept.read_text()
    if key:
        kept.write_text(key)
    else:
        kept.unlink()
    _refused(launch(command), "encrypt", "key", "put")
    assert kept.exists() == bool(key), "no fresh key beside an old database"
    kept.write_text(mine)
    kept.chmod(0o600)
    again = launch(command)
    again.await_log("Chandlery is ready")


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_does_not_start_with_another_key_than_the_database_was_begun_with(
    launch: Launcher, share: ServerShare, service: str
) -> None:
    right = {**_settings(share), "CHANDLERY_TOKEN": "x" * 32}
    first = launch([CHANDLERY, "syncer"], **right)
    first.await_log("syncer is ready")
    first.stop()
    wrong = {**right, "CHANDLERY_ENCRYPTION_KEYS": new_key("other")}
    _refused(launch([CHANDLERY, service], **wrong), "the encryption keys do not match the database", "named 'test'")


def test_up_names_the_folder_that_cannot_be_made(launch: Launcher, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    up = launch([CHANDLERY, "up", "--data-dir", str(tmp_path / "file" / "data"), "--port", "0"])
    _refused(up, str(tmp_path / "file" / "data"), "cannot be used")


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({}, ["not set", "CHANDLERY_DATABASE_URL", "CHANDLERY_AMQP_URL"]),
        ({"CHANDLERY_PORT": "eighty"}, ["CHANDLERY_PORT"]),
        ({"CHANDLERY_PORT": "70000"}, ["CHANDLERY_PORT"]),
        ({"CHANDLERY_LEASE_SECONDS": "-1"}, ["CHANDLERY_LEASE_SECONDS"]),
        ({"CHANDLERY_LOG_LEVEL": "loud"}, ["CHANDLERY_LOG_LEVEL"]),
        ({"CHANDLERY_LOG_LEVELS": "chandlery.osb=loud"}, ["CHANDLERY_LOG_LEVELS", "has an unknown level; write debug"]),
        ({"CHANDLERY_DATABASE_URL": f"mysql://u:{_PASSWORD}@h/d"}, ["mysql", "postgresql"]),
        ({"CHANDLERY_DATABASE_URL": f"u:{_PASSWORD}@h"}, ["database URL"]),
        ({"CHANDLERY_AMQP_URL": f"http://u:{_PASSWORD}@h/"}, ["amqp"]),
        ({"CHANDLERY_ENCRYPTION_KEYS": _PASSWORD}, ["key"]),
        ({"CHANDLERY_CONFIG_FILE": "/nowhere/chandlery.toml"}, ["CHANDLERY_CONFIG_FILE", "/nowhere/chandlery.toml"]),
    ],
    ids=[
        "none",
        "word",
        "port range",
        "negative",
        "choice",
        "level of a module",
        "mysql",
        "no url",
        "no amqp",
        "no key",
        "no file",
    ],
)
def test_bad_setting_is_named(launch: Launcher, settings: dict[str, str], parts: list[str]) -> None:
    """At once, although no server is there: waiting would not help."""
    _refused(launch([CHANDLERY, "binder"], **({**_NOWHERE, **settings} if settings else {})), *parts)


def test_file_that_is_no_toml_is_named(launch: Launcher, tmp_path: Path) -> None:
    file = tmp_path / "chandlery.toml"
    file.write_text(f'database_url = "{_PASSWORD}')
    _refused(launch([CHANDLERY, "syncer"], CHANDLERY_CONFIG_FILE=str(file)), str(file), "TOML")


def test_gateway_without_any_token_does_not_open(launch: Launcher, share: ServerShare) -> None:
    gateway = launch([CHANDLERY, "gateway"], CHANDLERY_PORT="0", **_settings(share))
    assert gateway.wait() == BAD_CONFIGURATION, gateway.log_text()
    last = gateway.log_text().splitlines()[-1]
    assert last == (
        "chandlery: no way to authenticate users: set CHANDLERY_TOKEN, CHANDLERY_TOKEN_FILE, CHANDLERY_CLIENT_CA_FILE, "
        "CHANDLERY_OIDC_ISSUER_URL or CHANDLERY_AUTHENTICATION_CONFIG"
    )
    assert "Traceback" not in gateway.log_text()


def test_gateway_names_the_port_that_is_in_use(launch: Launcher, share: ServerShare) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        settings = {**_settings(share), "CHANDLERY_PORT": str(port), "CHANDLERY_TOKEN": "x" * 32}
        gateway = launch([CHANDLERY, "gateway"], **settings)
        assert gateway.wait() == BAD_CONFIGURATION, gateway.log_text()
    last = gateway.log_text().splitlines()[-1]
    assert last.startswith(f"chandlery: cannot listen on {LOOPBACK} port {port}: ")
    assert "Traceback" not in gateway.log_text()


@pytest.mark.parametrize(
    ("setting", "server"), [("CHANDLERY_DATABASE_URL", "database"), ("CHANDLERY_AMQP_URL", "RabbitMQ")]
)
def test_server_that_is_not_there_is_named_and_waited_for(
    launch: Launcher, share: ServerShare, setting: str, server: str
) -> None:
    settings = _settings(share)
    with TcpRelay(settings[setting]) as relay:
        program = launch([CHANDLERY, "provisioner"], **{**settings, setting: relay.url})
        text = program.await_log("trying again in")
        assert server in text
        assert f"{LOOPBACK}:{relay.port}" in text
        assert "provisioner is ready" not in text
        relay.open()
        text = program.await_log("provisioner is ready")
        assert "Traceback" not in text
        assert program.stop() == 0


@pytest.mark.parametrize("setting", ["CHANDLERY_DATABASE_URL", "CHANDLERY_AMQP_URL"])
def test_waiting_program_ends_at_once_when_told(launch: Launcher, share: ServerShare, setting: str) -> None:
    settings = _settings(share)
    with TcpRelay(settings[setting]) as relay:
        program = launch([CHANDLERY, "binder"], **{**settings, setting: relay.url})
        program.await_log("trying again in")
        program.signal(signal.SIGTERM)
        assert program.wait(10) == 0
        assert "Traceback" not in program.log_text()


def test_program_waits_for_the_schema(tmp_path: Path) -> None:
    with server_share() as fresh:
        stack = SplitStack(tmp_path, fresh)
        program = stack.programs["syncer"]
        try:
            program.start()
            text = program.await_log("trying again in")
            assert "run `chandlery migrate`" in text
            assert "at revision" in stack.migrate()
            program.await_log("syncer is ready")
        finally:
            code = program.stop()
            remove_queues(fresh, stack.lanes())
    assert code == 0
    assert "Traceback" not in program.log_text()


def test_migrating_twice_is_harmless(launch: Launcher, share: ServerShare) -> None:
    program = launch([CHANDLERY, "migrate"], **_settings(share))
    assert program.wait() == 0, program.log_text()
    assert "the database is at revision" in program.log_text()
    assert "Traceback" not in program.log_text()


@pytest.mark.parametrize("command", ["binder"] if IS_BRIEF else ["migrate", "migrate --check", "binder"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": _PASSWORD}, "password authentication failed"),
        ({"database": "chandlery_missing"}, '"chandlery_missing" does not exist; create it'),
        ({"query": {"sslmode": "require"}}, "does not support TLS, but sslmode in CHANDLERY_DATABASE_URL requires it"),
        ({"query": {"sslmod": "require"}}, "unknown parameter 'sslmod'; did you mean \"sslmode\""),
    ],
    ids=["password", "database", "tls", "parameter"],
)
def test_database_that_refuses_is_named_and_not_waited_for(
    launch: Launcher, share: ServerShare, command: str, change: dict[str, Any], words: str
) -> None:
    settings = _settings(share)
    url = make_url(settings["CHANDLERY_DATABASE_URL"]).set(**change).render_as_string(hide_password=False)
    program = launch([CHANDLERY, *command.split()], **{**settings, "CHANDLERY_DATABASE_URL": url})
    assert program.wait(_REFUSAL_SECONDS) == BAD_CONFIGURATION, program.log_text()
    last = program.log_text().splitlines()[-1]
    assert last.startswith("chandlery: ")
    assert words in last
    assert "Traceback" not in program.log_text()
    assert _PASSWORD not in program.log_text()


def test_migrations_can_be_checked_before_and_after(launch: Launcher) -> None:
    with server_share() as fresh:
        settings = _settings(fresh)
        before = launch([CHANDLERY, "migrate", "--check"], **settings)
        assert before.wait() == 1
        assert before.log_text() == "the database is empty: run `chandlery migrate`\n"
        assert launch([CHANDLERY, "migrate"], **settings).wait() == 0
        after = launch([CHANDLERY, "migrate", "--check"], **settings)
        assert after.wait() == 0
        assert after.log_text().startswith("the database is at revision ")


def test_migrating_waits_no_longer_than_asked(launch: Launcher) -> None:
    program = launch([CHANDLERY, "migrate", "--timeout", "2"], **_NOWHERE)
    assert program.wait() == 1
    last = program.log_text().splitlines()[-1]
    assert last.startswith("chandlery: the migration was not done within 2 s: the database at ")
    assert _PASSWORD not in program.log_text()


def test_check_of_a_database_that_is_away_says_so_at_once(launch: Launcher) -> None:
    program = launch([CHANDLERY, "migrate", "--check"], **_NOWHERE)
    assert program.wait(_REFUSAL_SECONDS) == 1
    assert "cannot be reached: Connection refused" in program.log_text()


def test_sql_is_printed_without_any_setting(launch: Launcher) -> None:
    program = launch([CHANDLERY, "migrate", "--sql"])
    assert program.wait() == 0
    assert program.log_text().startswith("BEGIN;\n\nCREATE TABLE alembic_version")
    assert program.log_text().rstrip().endswith("COMMIT;")


def _settings(share: ServerShare) -> dict[str, str]:
    return {
        "CHANDLERY_DATABASE_URL": share.database_url,
        "CHANDLERY_AMQP_URL": share.amqp_url,
        "CHANDLERY_AMQP_PREFIX": share.amqp_prefix,
        "CHANDLERY_ENCRYPTION_KEYS": _KEYS,
    }
