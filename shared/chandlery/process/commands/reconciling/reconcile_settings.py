"""The settings of a reconciliation, with the logs of a command."""

from pathlib import Path

from chandlery.process.commands.chosen_settings import chosen_settings
from chandlery.process.logs.logs import configure_logs
from chandlery.settings.settings import Settings


def settings_of(data_dir: Path | None) -> Settings:
    """Raises ConfigurationFault."""
    settings = chosen_settings(data_dir)
    configure_logs(level="error", form="console", service="reconcile")
    return settings
