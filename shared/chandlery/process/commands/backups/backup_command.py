"""`chandlery backup`: a copy of the SQLite database while it is at work; for PostgreSQL, the command that does it."""

import shlex
from pathlib import Path

import click

from chandlery.model.faults import ConfigurationFault
from chandlery.process.commands.chosen_settings import file_data_dir_option, folder_of
from chandlery.settings.settings import load_settings
from chandlery.store.connection.backup import back_up
from chandlery.store.connection.database_url import DatabaseUrl, read_database_url

_DATABASE = "chandlery.db"


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@file_data_dir_option
def backup(file: Path, data_dir: Path | None) -> None:
    """Copy the database to FILE, a new file with mode 0600, while it is in use.

    All of it is in the copy: objects, Secrets (encrypted), what is under way, the operation history, the audit log.
    The encryption keys are not in it: keep them too, apart from it. `chandlery restore FILE` puts it back.
    """
    source = source_of(data_dir, file)
    size = back_up(source, file, tell=tell_progress)
    click.echo(f"{source} was copied to {file} ({size:,} bytes, checked)")
    keys = source.with_name("encryption-key")
    where = f" ({keys})" if keys.exists() else ""
    click.echo(
        f"Back up the encryption keys too{where}, in another place: they are not in the copy, and without them its "
        "Secrets cannot be decrypted."
    )


def tell_progress(done: int, whole: int) -> None:
    """How far it is, to people, beside the answer."""
    click.echo(f"{done / 1e6:,.0f} of about {whole / 1e6:,.0f} MB", err=True)


def source_of(data_dir: Path | None, file: Path) -> Path:
    """The SQLite file that is meant. Raises ConfigurationFault for PostgreSQL, with the command that dumps it."""
    url = None if data_dir else load_settings().database_url.get_secret_value()
    if not url:
        return folder_of(data_dir) / _DATABASE
    address = read_database_url(url)
    if address.backend == "sqlite":
        return Path(address.place)
    raise ConfigurationFault(f"PostgreSQL has its own backup tool: {_dump_command(address, file)}")


def _dump_command(address: DatabaseUrl, file: Path) -> str:
    return shlex.join(["pg_dump", "--format=custom", f"--file={file}", address.shown])
