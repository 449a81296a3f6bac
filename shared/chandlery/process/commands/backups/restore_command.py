"""`chandlery restore`: puts a copy that `chandlery backup` has made in the place of the database."""

from contextlib import ExitStack
from pathlib import Path
from typing import IO

import click
from pydantic import SecretStr

from chandlery.model.faults import ConfigurationFault
from chandlery.process.choices.key_choice import make_database, require_keys
from chandlery.process.commands.backups.backup_command import tell_progress
from chandlery.process.commands.chosen_settings import file_data_dir_option, folder_of
from chandlery.process.commands.local_data_dir import open_data_directory
from chandlery.process.commands.private_files import read_private
from chandlery.process.commands.service_commands import run_to_the_end
from chandlery.process.logs.logs import configure_logs
from chandlery.process.schema_waits import engine_for
from chandlery.settings.settings import Settings, load_settings
from chandlery.store.connection.database_url import read_database_url
from chandlery.store.database import UnitOfWork
from chandlery.store.recovery.putting_back import CopyInPlace
from chandlery.store.revisions import current_revision, is_older

_HOW_TO_RESTORE_POSTGRESQL = (
    "PostgreSQL has its own tool: stop all processes, restore into an empty database with `pg_restore "
    "--dbname=postgresql://... --no-owner FILE`, then run `chandlery migrate`, which marks the database as restored"
)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@file_data_dir_option
@click.option("--replace", "replaces", is_flag=True, help="Move the database aside that is there.")
@click.option(
    "--no-hold",
    "goes_on",
    is_flag=True,
    help="Go on at once: nothing was done at any service broker since the backup, as on a move to another machine.",
)
def restore(file: Path, data_dir: Path | None, *, replaces: bool, goes_on: bool) -> None:
    """Put FILE, which `chandlery backup` has made, in the place of the database. Stop Chandlery before.

    The copy is checked before it takes its place: it is whole, it is Chandlery's, and the encryption keys are those
    that its Secrets are encrypted with. An older schema is brought up to that of this release.

    What was done since the backup is not in it. So nothing is done at service brokers until you say so: see what they
    have with `chandlery reconcile brokers`, and let work go on with `chandlery reconcile release`.
    """
    configure_logs(level="error", form="console", service="restore")
    with ExitStack() as stack:
        settings, lock = _settings(data_dir)
        if lock is not None:
            stack.callback(lock.close)
        target = Path(read_database_url(settings.database_url.get_secret_value()).place)
        copy = CopyInPlace(file, target)
        with copy.fetched(replaces=replaces, tell=tell_progress) as draft:
            run_to_the_end(_prepare(settings, f"sqlite:///{draft.resolve()}", goes_on=goes_on))
            kept = copy.put()
    click.echo(f"{file} was restored to {target}")
    if kept is not None:
        click.echo(f"What was there before is {kept}")
    if not goes_on:
        click.echo(
            "Nothing is done about instances and bindings until you let it go on. After the start: `chandlery "
            "reconcile brokers` shows what service brokers have and the backup does not know, or the other way round; "
            "`chandlery reconcile release` lets work go on."
        )


def _settings(data_dir: Path | None) -> tuple[Settings, IO[str] | None]:
    """Where it goes and with which keys; and the lock of a folder, so that no `chandlery up` begins meanwhile."""
    url = None if data_dir else load_settings().database_url.get_secret_value()
    if url:
        if read_database_url(url).backend != "sqlite":
            raise ConfigurationFault(_HOW_TO_RESTORE_POSTGRESQL)
        settings = load_settings()
        require_keys(settings)
        return settings, None
    folder = folder_of(data_dir)
    keys = folder / "encryption-key"
    try:
        key = read_private(keys).strip()
    except FileNotFoundError as error:
        raise ConfigurationFault(
            f"the encryption key of the backup is not there, and without it its Secrets are lost: put it back as "
            f"{keys}, with mode 0600, and restore then"
        ) from error
    directory = open_data_directory(folder)
    settings = load_settings(database_url=directory.database_url, encryption_keys=key)
    return settings, directory.lock


async def _prepare(settings: Settings, url: str, *, goes_on: bool) -> None:
    """Schema, keys, mark. Raises ConfigurationFault, Refused."""
    beside = settings.model_copy(update={"database_url": SecretStr(url)})
    engine = engine_for(beside, "restore")
    database = make_database(beside, engine).database
    try:
        revision = await current_revision(engine)
        if revision is None:
            raise ConfigurationFault("the backup is no database of Chandlery: it has none of its tables")
        if is_older(revision):
            from chandlery.store.migrate import migrate  # noqa: PLC0415 - with Alembic, which is seldom needed

            await migrate(engine)

        async def mark(unit: UnitOfWork) -> None:
            await unit.seals.verify()
            if not goes_on:
                await unit.restored.begin_anew()

        await database.run(mark)
    finally:
        await database.close()
