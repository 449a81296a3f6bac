"""`chandlery token`: makes, lists and revokes tokens of service accounts, in the database itself.

It works while gateways run, and when nobody can get in any more. A gateway takes notice within a second.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click

from chandlery.model.faults import ConfigurationFault, NotFound
from chandlery.model.objects import kinds
from chandlery.model.text.durations import parse_duration
from chandlery.process.commands.chosen_settings import folder_of
from chandlery.process.commands.command_group import SuggestingGroup
from chandlery.process.commands.command_trail import token_entry
from chandlery.process.commands.tokens.token_views import as_json, as_table
from chandlery.process.event_loop import run as run_loop
from chandlery.process.logs.logs import configure_logs
from chandlery.process.schema_waits import engine_for
from chandlery.reconcile.policies.token_lifetimes import granted_lifetime, lifetime_problems
from chandlery.settings.settings import Settings, load_settings
from chandlery.store.access.account_tokens import new_token
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.sealing.sealing import Keyring, new_key

_ResultT = TypeVar("_ResultT")

_data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Folder of `chandlery up`.  [default: the database of CHANDLERY_DATABASE_URL, else ~/.chandlery]",
)
_namespace = click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of the account.")


@click.group(name="token", cls=SuggestingGroup)
def tokens() -> None:
    """Create, list or revoke tokens of service accounts.

    They are in the database of CHANDLERY_DATABASE_URL, as digests: a token is shown when it is created and never again.
    """


@tokens.command()
@click.argument("account")
@_namespace
@click.option("--duration", default="1h", show_default=True, help="How long it is valid, such as 30m or 24h.")
@_data_dir
def create(account: str, namespace: str, duration: str, data_dir: Path | None) -> None:
    """Create a token for a service account, which must exist, and print it."""
    settings = _settings(data_dir)
    seconds = _seconds(duration)
    lifetime = granted_lifetime(seconds, longest_hours=settings.service_account_max_token_hours)

    async def work(unit: UnitOfWork) -> tuple[str, datetime]:
        found = await unit.objects.get(kinds.SERVICE_ACCOUNT, namespace, account)
        if found is None or found.metadata.deletion_timestamp is not None:
            raise NotFound(
                f'There is no service account "{account}" in the namespace "{namespace}": '
                f"create it with `kubectl create serviceaccount {account} -n {namespace}`."
            )
        token, stored = new_token(
            account_uid=found.metadata.uid or "",
            namespace=namespace,
            account=account,
            now=unit.now,
            lifetime=lifetime,
        )
        await unit.account_tokens.add(stored)
        unit.audit.note(token_entry("create", stored))
        return token, stored.expires_at

    token, until = _run(settings, work)
    click.echo(token)
    shortened = " (CHANDLERY_SERVICE_ACCOUNT_MAX_TOKEN_HOURS)" if lifetime.total_seconds() < seconds else ""
    click.echo(f"It expires on {until:%Y-%m-%d at %H:%M:%S} UTC{shortened}.", err=True)


@tokens.command(name="list")
@click.option("-n", "--namespace", default="", help="Only those of this namespace.")
@click.option("--account", default="", help="Only those of accounts of this name.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="Form of the answer.")
@_data_dir
def list_tokens(namespace: str, account: str, output: str, data_dir: Path | None) -> None:
    """List tokens, by account. When one was used last is known to about ten minutes."""
    found = _run(_settings(data_dir), lambda unit: unit.account_tokens.all(namespace=namespace, account=account))
    now = datetime.now(UTC)
    if output == "json":
        click.echo(json.dumps([as_json(token, now=now) for token in found], indent=2))
    elif found:
        click.echo(as_table(found, now=now))
    else:
        click.echo("There are no tokens.", err=True)


@tokens.command()
@click.argument("ids", nargs=-1)
@click.option("--account", default="", help="All tokens of this account.")
@_namespace
@_data_dir
def revoke(ids: tuple[str, ...], account: str, namespace: str, data_dir: Path | None) -> None:
    """End tokens now, by their ids or all of one account. Gateways refuse them within a second."""
    if bool(ids) == bool(account):
        raise click.UsageError("Name the tokens by their ids, or an account with --account.")

    async def work(unit: UnitOfWork) -> int:
        if account:
            chosen = await unit.account_tokens.all(namespace=namespace, account=account)
        else:
            found = await unit.account_tokens.find(ids)
            if missing := sorted({*ids} - found.keys()):
                raise NotFound(f"There is no token {', '.join(missing)}; `chandlery token list` shows the ids.")
            chosen = list(found.values())
        unit.audit.note(*(token_entry("delete", token) for token in chosen))
        return await unit.account_tokens.revoke([token.id for token in chosen])

    click.echo(f"{_run(_settings(data_dir), work)} revoked")


def _seconds(duration: str) -> int:
    try:
        seconds = int(parse_duration(duration).total_seconds())
    except ValueError as error:
        raise click.UsageError(f"--duration {error}") from None
    for problem in lifetime_problems(seconds):
        raise click.UsageError(f"--duration {problem}")
    return seconds


def _settings(data_dir: Path | None) -> Settings:
    settings = load_settings()
    if data_dir is None and settings.database_url.get_secret_value():
        return settings
    path = folder_of(data_dir) / "chandlery.db"
    if not path.is_file():
        raise ConfigurationFault(
            f"there is no database {path}: set CHANDLERY_DATABASE_URL, or name the folder of `chandlery up` with "
            "--data-dir"
        )
    return load_settings(database_url=f"sqlite:///{path}")


def _run(settings: Settings, work: Callable[[UnitOfWork], Awaitable[_ResultT]]) -> _ResultT:
    # What concerns the processes is in their logs.
    configure_logs(level="error", form="console")

    async def run() -> _ResultT:
        engine = engine_for(settings, "token")
        # Nothing that is sealed is read or written here, so any key will do.
        database = Database(engine, Keyring.parse(new_key("none")), keeps_audit=settings.audit_table)
        try:
            return await database.run(work)
        finally:
            await database.close()

    return run_loop(run())
