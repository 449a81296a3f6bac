"""Which database and which keys: those of the settings, or of a folder of `chandlery up`."""

from pathlib import Path
from typing import Final

import click

from chandlery.process.commands.local_data_dir import kept_keys
from chandlery.process.logs.logs import configure_logs
from chandlery.settings.settings import Settings, load_settings

data_dir_option: Final = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Folder of `chandlery up`.  [default: none if CHANDLERY_DATABASE_URL is set, else ~/.chandlery]",
)


def settings_of(data_dir: Path | None) -> Settings:
    """The settings, with the logs of a command. Raises ConfigurationFault."""
    settings = load_settings()
    configure_logs(level="error", form="console", service="reconcile")
    if data_dir is None and settings.database_url.get_secret_value():
        return settings
    return load_settings(**kept_keys(data_dir or Path.home() / ".chandlery"))
