"""`chandlery reconcile status`, `hold` and `release`: whether anything is done about instances and bindings."""

from functools import partial
from pathlib import Path

import click

from chandlery.process.commands.chosen_settings import data_dir_option
from chandlery.process.commands.command_trail import restore_entry
from chandlery.process.commands.imports.import_run import opened_database
from chandlery.process.commands.reconciling.reconcile_settings import settings_of
from chandlery.process.commands.service_commands import run_to_the_end
from chandlery.settings.settings import Settings
from chandlery.store.database import Database, UnitOfWork


@click.command()
@data_dir_option
def status(data_dir: Path | None) -> None:
    """Tell whether work is held, and since when."""
    since = run_to_the_end(_since(settings_of(data_dir)))
    if since is None:
        click.echo("Nothing is held: workers do what is due.")
        return
    click.echo(
        f"The database was restored ({since}), and nothing is done about instances and bindings. See what service "
        "brokers have: chandlery reconcile brokers; then let work go on: chandlery reconcile release"
    )


@click.command()
@data_dir_option
def hold(data_dir: Path | None) -> None:
    """Mark the database as restored. Stop all processes before.

    For a PostgreSQL server that was taken back to an earlier moment from a base backup: nobody else knows of that. A
    dump that was restored is noticed by `chandlery migrate`.

    Nothing is done about instances and bindings from now on, and clients that have seen what is lost list again.
    """
    run_to_the_end(_hold(settings_of(data_dir)))
    click.echo("Nothing is done about instances and bindings until you let it go on: chandlery reconcile release")


@click.command()
@data_dir_option
def release(data_dir: Path | None) -> None:
    """Let workers do what is due. Look before: chandlery reconcile brokers."""
    due = run_to_the_end(_release(settings_of(data_dir)))
    if due is None:
        click.echo("Nothing was held.")
        return
    click.echo(f"Workers go on: {due:,} instances and bindings are due and looked at now.")


async def _since(settings: Settings) -> str | None:
    async with opened_database(settings) as database:
        return await database.run(lambda unit: unit.restored.hold.since())


async def _hold(settings: Settings) -> None:
    async def begin(unit: UnitOfWork) -> None:
        await unit.restored.require_nobody()
        await unit.restored.begin_anew()
        unit.audit.note(restore_entry("hold"))

    # The whole change log is forgotten, which may take its time.
    async with opened_database(settings, statement_seconds=None) as database:
        await database.run(begin)


async def _release(settings: Settings) -> int | None:
    async with opened_database(settings) as database:
        return await released(database)


async def released(database: Database) -> int | None:
    """Let workers go on, and wake what is due; returns how much that is, or None if nothing was held.

    One that was broken off is repeated by the same command: what it had not woken yet is woken then.
    """

    async def go_on(unit: UnitOfWork) -> bool:
        if await unit.restored.hold.since() is None:
            return False
        await unit.restored.go_on()
        unit.audit.note(restore_entry("release"))
        return True

    was_held = await database.run(go_on)
    count, after = 0, ""
    while True:
        woken, following = await database.run(partial(_wake, after=after))
        count += woken
        if following is None:
            return count if was_held else None
        after = following


async def _wake(unit: UnitOfWork, *, after: str) -> tuple[int, str | None]:
    return await unit.restored.hold.wake(after=after)
