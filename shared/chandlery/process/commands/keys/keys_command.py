"""`chandlery keys`: which keys are used for what, a new data key, all encrypted anew. Beside running services."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import click

from chandlery.engine.upkeep.reseal_everything import Progress, remove_unused, reseal_everything
from chandlery.model.faults import ConfigurationFault
from chandlery.process.choices.key_choice import make_database, require_keys
from chandlery.process.commands.chosen_settings import chosen_settings, data_dir_option
from chandlery.process.commands.command_group import SuggestingGroup
from chandlery.process.commands.command_trail import keys_entry
from chandlery.process.commands.keys.key_views import advice, as_table
from chandlery.process.commands.service_commands import run_to_the_end
from chandlery.process.logs.logs import configure_logs
from chandlery.process.schema_waits import engine_for
from chandlery.settings.settings import Settings
from chandlery.store.audit.audit_entries import AuditEntry
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.sealing.key_usage import SPECS

_TELL_SECONDS: Final = 1.0
_SHOWN: Final = 10


@click.group(cls=SuggestingGroup)
def keys() -> None:
    """List the keys that data is encrypted with, make a new one, encrypt everything anew.

    Works beside running services, and needs their settings for database and keys.
    """


@keys.command(name="list")
@data_dir_option
def list_keys(data_dir: Path | None) -> None:
    """List all keys and what is encrypted with them, and say which may go."""
    _run(data_dir, _list)


@keys.command()
@data_dir_option
def rotate(data_dir: Path | None) -> None:
    """Make a new data key, and encrypt all data keys with the first key-encryption key.

    All processes encrypt with it within a minute. The first time, all of them must know data keys: finish an upgrade
    before.
    """
    _run(data_dir, _rotate)


@keys.command()
@click.option("--decrypt-specs", is_flag=True, help="Store in plain what CHANDLERY_SEAL_SPECS had encrypted.")
@data_dir_option
def reseal(data_dir: Path | None, *, decrypt_specs: bool) -> None:
    """Encrypt everything anew with the newest data key, as the settings say now.

    Tables, the work queue and the change log. It can be stopped at any moment, and begun again.
    """
    _run(data_dir, partial(_reseal, decrypt_specs=decrypt_specs))


async def _list(database: Database) -> None:
    rows, usage = await database.data_keys.rows(), await database.run(lambda unit: unit.key_usage.count())
    click.echo(as_table(rows, usage, listed=database.keyring.names, in_use=database.keyring.data_keys.sealing_id))
    for sentence in await advice(database, rows, usage):
        click.echo(sentence)


async def _rotate(database: Database) -> None:
    row = await database.data_keys.turn(noted=lambda key_id: keys_entry("rotate", key_id))
    done, left = await database.data_keys.rewrap()
    click.echo(f"the new data key is {row.id}; it is encrypted with {row.wrapped.kek}")
    if done:
        click.echo(f"{done} other data keys were encrypted with it anew")
    if left:
        click.echo(f"{left} data keys could not be decrypted, and stay as they are: see chandlery keys list", err=True)
    click.echo("to encrypt with it what is already stored: chandlery keys reseal")


async def _reseal(database: Database, *, decrypt_specs: bool) -> None:
    if not database.keyring.data_keys.is_in_use:
        raise ConfigurationFault("there is no data key yet; make one first: chandlery keys rotate")
    if not decrypt_specs:
        await _check_specs(database)
    await database.run(partial(_note, keys_entry("reseal", database.keyring.data_keys.sealing_id)))
    told = 0.0
    async for progress in reseal_everything(database):
        if progress.is_last or time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            click.echo(_told(progress))
        if progress.is_last:
            for namespace, name in progress.unreadable[:_SHOWN]:
                click.echo(f"cannot be decrypted, and stays as it is: {namespace}/{name} ({progress.what})", err=True)
    if removed := await remove_unused(database):
        click.echo(f"removed, because nothing is encrypted with them: {', '.join(removed)}")
    for sentence in await advice(
        database, await database.data_keys.rows(), await database.run(lambda unit: unit.key_usage.count())
    ):
        click.echo(sentence)


async def _check_specs(database: Database) -> None:
    """Raises ConfigurationFault if what is encrypted would be stored in plain, for want of a setting perhaps."""
    if database.keyring.seals_specs:
        return
    usage = await database.run(lambda unit: unit.key_usage.count())
    found = sum(count for counts in usage.values() for what, count in counts.items() if what in SPECS)
    if found:
        raise ConfigurationFault(
            f"{found:,} parts of objects are encrypted, and CHANDLERY_SEAL_SPECS is not set here: set it as for the "
            "services, or store them in plain with: chandlery keys reseal --decrypt-specs"
        )


async def _note(entry: AuditEntry, unit: UnitOfWork) -> None:
    unit.audit.note(entry)


def _told(progress: Progress) -> str:
    return (
        f"{progress.what}: {progress.looked:,} of {max(progress.total, progress.looked):,} looked at, "
        f"{progress.done:,} encrypted anew ({progress.rate:,.0f}/s)"
    )


def _run(data_dir: Path | None, work: Callable[[Database], Awaitable[None]]) -> None:
    settings = chosen_settings(data_dir)
    configure_logs(level="error", form="console", service="keys")

    async def run() -> None:
        async with _opened(settings) as database:
            await work(database)

    run_to_the_end(run())


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    require_keys(settings)
    sealed = make_database(settings, engine_for(settings, "keys"))
    try:
        await sealed.database.data_keys.start()
        await sealed.database.run(lambda unit: unit.seals.check())
        # Long work needs its keys looked after, as a service does.
        keeping = asyncio.create_task(sealed.keeping.run())
        yield sealed.database
        keeping.cancel()
    finally:
        await sealed.database.close()
