"""`chandlery backup`: a copy of the SQLite database while it is at work; for PostgreSQL, the command that does it."""

import shlex
from pathlib import Path

import click

from chandlery.model.faults import ConfigurationFault
from chandlery.settings.settings import load_settings
from chandlery.store.connection.backup import back_up
from chandlery.store.connection.database_url import DatabaseUrl, read_database_url

_DATABASE = "chandlery.db"


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Folder of `chandlery up`.  [default: that of CHANDLERY_DATABASE_URL, else ~/.chandlery]",
)
def backup(file: Path, data_dir: Path | None) -> None:
    """Copy the database to FILE, a new file, while it is in use.

    The encryption keys are not in it: keep them too, apart from it.
    """
    source = _source(data_dir, file)
    size = back_up(source, file)
    click.echo(f"{source} was copied to {file} ({size:,} bytes, checked)")
    keys = source.with_name("encryption-key")
    where = f" ({keys})" if keys.exists() else ""
    click.echo(
        f"Back up the encryption keys too{where}, in another place: without them the Secrets in the copy "
        "cannot be decrypted."
    )


def _source(data_dir: Path | None, file: Path) -> Path:
    url = None if data_dir else load_settings().database_url.get_secret_value()
    if not url:
        return (data_dir or Path.home() / ".chandlery") / _DATABASE
    address = read_database_url(url)
    if address.backend == "sqlite":
        return Path(address.place)
    raise ConfigurationFault(f"PostgreSQL has its own backup tool: {_dump_command(address, file)}")


def _dump_command(address: DatabaseUrl, file: Path) -> str:
    return shlex.join(["pg_dump", "--format=custom", f"--file={file}", address.shown])
