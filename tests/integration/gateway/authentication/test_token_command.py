"""`chandlery token` as an operator runs it, on both databases."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr

from chandlery.model.faults import Fault
from chandlery.model.objects import kinds
from chandlery.model.objects.core import ServiceAccount
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.process.commands.tokens import token_command
from chandlery.process.schema_waits import engine_for
from chandlery.settings.settings import Settings
from chandlery.store.access.account_tokens import id_of
from chandlery.store.audit.audit_entries import AuditFilter
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.sealing.sealing import Keyring, new_key
from chandlery_gateway.identity.authentication import LoginRefused
from chandlery_gateway.identity.authenticators.account_authenticator import AccountAuthenticator

pytestmark = pytest.mark.both_backends

UID = "5f6c9c5e-8f0a-4d5e-9f0b-000000000001"


@pytest.fixture
def run(own_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("CHANDLERY_DATABASE_URL", own_url)
    # It is the process's, and this one has other tests to run.
    monkeypatch.setattr(token_command, "configure_logs", lambda **_levels: None)
    monkeypatch.setenv("CHANDLERY_SERVICE_ACCOUNT_MAX_TOKEN_HOURS", "48")

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(token_command.tokens, arguments)
        assert result.exception is None or isinstance(result.exception, Fault | SystemExit), result.exc_info
        return result

    return run


def in_database(url: str, work: Callable[[Database], Any]) -> Any:
    async def run() -> Any:
        engine = engine_for(Settings(database_url=SecretStr(url)), "test")
        database = Database(engine, Keyring.parse(new_key("test")))
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


async def with_account(database: Database) -> None:
    async def insert(unit: UnitOfWork) -> None:
        metadata = ObjectMeta(name="robot", namespace="team", uid=UID, creation_timestamp=unit.now)
        await unit.objects.insert(ServiceAccount(metadata=metadata))
        assert await unit.objects.get(kinds.SERVICE_ACCOUNT, "team", "robot") is not None

    await database.run(insert)


async def recorded_events(database: Database) -> list[str]:
    """The audit log, the newest first."""
    found = await database.run(lambda unit: unit.audit.find(AuditFilter(uid=UID), limit=10))
    return [text for _, text in found]


def lets_in(url: str, token: str) -> bool:
    async def verify(database: Database) -> bool:
        try:
            return await AccountAuthenticator(database).verify(token) is not None
        except LoginRefused:
            return False

    found: bool = in_database(url, verify)
    return found


def test_token_is_created_listed_and_revoked(run: Callable[..., Result], own_url: str) -> None:
    in_database(own_url, with_account)
    assert run("list").stderr == "There are no tokens.\n"
    created = run("create", "robot", "-n", "team", "--duration", "100h")
    token = created.stdout.strip()
    assert "UTC (CHANDLERY_SERVICE_ACCOUNT_MAX_TOKEN_HOURS)." in created.stderr
    other = run("create", "robot", "-n", "team").stdout.strip()
    assert lets_in(own_url, token)
    listed = run("list", "-n", "team", "-o", "json")
    entries = json.loads(listed.stdout)
    assert [entry["id"] for entry in entries] == [id_of(token), id_of(other)]
    assert {entry["state"] for entry in entries} == {"valid"}
    table = run("list").stdout
    assert table.splitlines()[0].split() == ["ID", "NAMESPACE", "ACCOUNT", "AGE", "EXPIRES", "LAST", "USED", "STATE"]
    assert token not in table + listed.stdout
    assert run("list", "--account", "another").stdout == ""
    assert run("revoke", id_of(token) or "").stdout == "1 revoked\n"
    assert not lets_in(own_url, token)
    assert lets_in(own_url, other)
    assert run("revoke", "--account", "robot", "-n", "team").stdout == "1 revoked\n"
    assert not lets_in(own_url, other)
    recorded = [json.loads(text) for text in reversed(in_database(own_url, recorded_events))]
    told = [(event["verb"], event["annotations"]["audit.chandlery.io/token-id"]) for event in recorded]
    first, second = id_of(token), id_of(other)
    assert told == [("create", first), ("create", second), ("delete", first), ("delete", second)]
    assert {event["user"]["username"] for event in recorded} == {"system:chandlery:command"}
    assert recorded[0]["objectRef"]["subresource"] == "token"
    assert not any(secret in str(recorded) for secret in (token, other))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "nobody", "-n", "team"), "create it with `kubectl create serviceaccount nobody -n team`"),
        (("create", "robot", "--duration", "5m"), "less than 10 minutes"),
        (("create", "robot", "--duration", "soon"), "must be a duration such as"),
        (("revoke",), "Name the tokens by their ids"),
        (("revoke", "a", "--account", "robot"), "Name the tokens by their ids"),
        (("revoke", "0123456789ab"), "There is no token 0123456789ab"),
        (("list", "--data-dir", "/nowhere"), "there is no database /nowhere/chandlery.db"),
    ],
    ids=" ".join,
)
def test_mistake_is_told_in_one_sentence(run: Callable[..., Result], arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code != 0
    assert words in (result.exception.message if isinstance(result.exception, Fault) else result.output)
