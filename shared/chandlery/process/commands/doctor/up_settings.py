"""The settings to check: those of the services, or those that `chandlery up` makes of its folder.

Of the folder nothing is made here, and what is missing in it is told by the check of that folder.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from chandlery.model.faults import ConfigurationFault
from chandlery.process.choices.bus_choice import IN_PROCESS_BUS
from chandlery.process.commands.private_files import read_private
from chandlery.reconcile.egress.egress_rules import LOOPBACK
from chandlery.settings.settings import Settings, load_settings

_DEFAULT: Final = ".chandlery"


def settings_to_check(data_dir: Path | None) -> Settings:
    """As a service would read them. Raises ConfigurationFault."""
    base = load_settings()
    folder = chosen_folder(data_dir, base)
    if folder is None:
        return base
    if not folder.is_dir():
        raise ConfigurationFault(
            f"there is no folder {folder}: name that of `chandlery up` with --data-dir, or set CHANDLERY_DATABASE_URL "
            "as for the services"
        )
    return load_settings(**_of_folder(folder.resolve(), base))


def chosen_folder(data_dir: Path | None, base: Settings | None = None) -> Path | None:
    """The folder of `chandlery up` that is meant, or None if it is services."""
    if data_dir is not None:
        return data_dir
    settings = base or load_settings()
    is_of_services = settings.database_url.get_secret_value() or settings.amqp_url.get_secret_value()
    return None if is_of_services else Path.home() / _DEFAULT


def _of_folder(folder: Path, base: Settings) -> dict[str, Any]:
    given: dict[str, Any] = {
        "database_url": f"sqlite:///{folder / 'chandlery.db'}",
        "amqp_url": IN_PROCESS_BUS,
        "host": "127.0.0.1",
        "accept_plain_http": True,
        "tls_cert_file": folder / "tls.crt",
        "tls_key_file": folder / "tls.key",
        "broker_trusted_networks": base.broker_trusted_networks or LOOPBACK,
    }
    for name, file in {"encryption_keys": "encryption-key", "token": "token"}.items():
        with suppress(OSError, ConfigurationFault):
            given[name] = read_private(folder / file).strip()
    return given
