"""`chandlery move-database`: from SQLite to PostgreSQL in one command."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import click

from chandlery.model.faults import ConfigurationFault
from chandlery.process.commands.chosen_settings import file_data_dir_option, folder_of
from chandlery.process.commands.local_data_dir import open_data_directory
from chandlery.process.commands.service_commands import run_to_the_end
from chandlery.process.logs.logs import configure_logs
from chandlery.settings.settings import load_settings
from chandlery.store.connection.database_url import DatabaseUrl, read_database_url
from chandlery.store.connection.engine import open_engine
from chandlery.store.migrate import migrate
from chandlery.store.recovery.moving import move_all
from chandlery.store.recovery.sole_use import sole_use
from chandlery.store.revisions import NEWEST_REVISION, current_revision

_TELL_SECONDS: Final = 2.0
_NAME: Final = "chandlery-move"


class _Progress:
    """Tells of a table when it is through, and of a large one now and then."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, table: str, done: int, whole: int) -> None:
        now = time.monotonic()
        if now - self._told >= _TELL_SECONDS:
            self._told = now
            click.echo(f"{table}: {done:,} of {whole:,} rows", err=True)


@click.command(name="move-database")
@click.argument("url")
@file_data_dir_option
def move_database(url: str, data_dir: Path | None) -> None:
    """Copy the SQLite database into the empty PostgreSQL database at URL. Stop Chandlery before.

    All tables, in one transaction: it is there as a whole, counted and with the same checksums, or not at all. What is
    encrypted stays so, and needs the same keys. The password is better left out of URL and put into ~/.pgpass.

    The SQLite database stays as it is, but that nothing is done any more at service brokers from it.
    """
    configure_logs(level="error", form="console", service="move-database")
    target = read_database_url(url)
    if target.backend != "postgresql":
        raise ConfigurationFault("the target has to be PostgreSQL: postgresql://user@host/name")
    with ExitStack() as stack:
        source, keys = _source(stack, data_dir)
        with sole_use(source):
            pass
        moved = run_to_the_end(_move(source, target))
    total = sum(moved.values())
    click.echo(f"{total:,} rows of {len(moved)} tables were copied from {source} to {target.shown}, and compared")
    click.echo(
        f"Go on with CHANDLERY_DATABASE_URL={target.shown} and CHANDLERY_ENCRYPTION_KEYS as before{keys}. {source} is "
        "held from now on: two installations would undo each other's work."
    )


def _source(stack: ExitStack, data_dir: Path | None) -> tuple[Path, str]:
    url = None if data_dir else load_settings().database_url.get_secret_value()
    if url:
        address = read_database_url(url)
        if address.backend != "sqlite":
            raise ConfigurationFault("CHANDLERY_DATABASE_URL names PostgreSQL already: name a folder with --data-dir")
        source = Path(address.place)
        keys = ""
    else:
        folder = folder_of(data_dir)
        if not (folder / "chandlery.db").exists():
            raise ConfigurationFault(
                f"there is no database of `chandlery up` in {folder}: name its folder with --data-dir"
            )
        directory = open_data_directory(folder)
        stack.callback(directory.lock.close)
        source, keys = directory.database, f" (the content of {folder / 'encryption-key'})"
    if not source.is_file():
        raise ConfigurationFault(f"the database file does not exist: {source}")
    return source, keys


async def _move(source: Path, target: DatabaseUrl) -> dict[str, int]:
    old = open_engine(f"sqlite:///{source.resolve()}", application_name=_NAME)  # noqa: ASYNC240 - one look, before anything else
    new = open_engine(target, application_name=_NAME, statement_seconds=None, pool_size=1)
    try:
        found = await current_revision(old)
        if found != NEWEST_REVISION:
            raise ConfigurationFault(
                f"{source} is at schema {found or 'none'}, this release needs {NEWEST_REVISION}: start `chandlery up` "
                "of this release on it once, or run `chandlery migrate`, and move then"
            )
        await migrate(new)
        return await move_all(old, new, tell=_Progress())
    finally:
        await old.dispose()
        await new.dispose()
