"""Which database and which keys a command works with: those of the settings, or of a folder of `chandlery up`."""

from pathlib import Path
from typing import Final

import click

from chandlery.process.commands.local_data_dir import kept_keys
from chandlery.settings.settings import Settings, load_settings

data_dir_option: Final = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Folder of `chandlery up`.  [default: none if CHANDLERY_DATABASE_URL is set, else ~/.chandlery]",
)

file_data_dir_option: Final = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Folder of `chandlery up`.  [default: that of CHANDLERY_DATABASE_URL, else ~/.chandlery]",
)
"""Of commands that work on the file of a SQLite database."""


def folder_of(data_dir: Path | None) -> Path:
    """The folder that is meant by `--data-dir`, or by its absence."""
    return data_dir or Path.home() / ".chandlery"


def chosen_settings(data_dir: Path | None) -> Settings:
    """With the database and the keys. Raises ConfigurationFault."""
    settings = load_settings()
    if data_dir is None and settings.database_url.get_secret_value():
        return settings
    return load_settings(**kept_keys(folder_of(data_dir)))
