"""Checks of the machine and its files."""

import platform
import resource
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from chandlery.model.faults import ConfigurationFault, Fault
from chandlery.process.commands.doctor.check import MACHINE, Check, Result, checks_of, failed_with, ok, unused, worst
from chandlery.process.commands.doctor.surroundings import Surroundings
from chandlery.process.commands.doctor.verdicts import machine_verdicts
from chandlery.process.commands.doctor.verdicts.machine_verdicts import FileMode
from chandlery.process.commands.private_files import check_folder, read_private
from chandlery.process.http.open_files import lifted
from chandlery.settings.settings import PREFIX

_SECRET_FILES = (
    "config_file",
    "encryption_keys_file",
    "pkcs11_pin_file",
    "token_file",
    "tls_key_file",
    "amqp_key_file",
    "context_signing_key_file",
    "broker_proxy_credentials_file",
)
_OF_URL = ("sslkey", "passfile")

_check = checks_of(MACHINE)


def machine_checks(around: Surroundings) -> Sequence[Check]:
    """All of them."""
    settings = around.settings

    def open_files() -> Result:
        limit = lifted(*resource.getrlimit(resource.RLIMIT_NOFILE))
        pool = settings.database_pool_size
        return machine_verdicts.open_files(limit, connections=settings.max_connections, pool=pool)

    def disk() -> Result:
        found = [
            machine_verdicts.room(what, folder, free=shutil.disk_usage(folder).free)
            for what, folder in _folders(around)
        ]
        return worst(*found) if found else unused("nothing is written to a disk from here")

    def private_files() -> Result:
        found = list(_modes(around))
        return worst(*found) if found else unused("no file with secrets is set")

    return [
        _check(
            "versions",
            "Which Chandlery runs on which Python?",
            look=lambda: ok(f"Chandlery {version('chandlery')} on Python {platform.python_version()}"),
        ),
        _check(
            "data-directory",
            "Is the folder of `chandlery up` whole, and nobody else's business?",
            look=lambda: _data_folder(around.data_folder),
        ),
        _check("private-files", "Can any user of this machine read files with secrets?", look=private_files),
        _check("open-files", "May a process open enough files?", look=open_files),
        _check("disk", "Is there room where SQLite and the audit log write?", look=disk),
    ]


def _folders(around: Surroundings) -> Iterator[tuple[str, Path]]:
    with suppress(Fault):
        if around.database_url.backend == "sqlite":
            yield "the database", _existing(Path(around.database_url.place))
    audit_log = around.settings.audit_log
    if audit_log not in ("", "-"):
        yield "the audit log", _existing(Path(audit_log))


def _existing(file: Path) -> Path:
    return next(each for each in file.resolve().parents if each.exists())


def _modes(around: Surroundings) -> Iterator[Result]:
    named = {f"{PREFIX}{name.upper()}": getattr(around.settings, name) for name in _SECRET_FILES}
    with suppress(Fault):
        parameters = around.database_url.parameters
        named |= {f"{name} of {PREFIX}DATABASE_URL": Path(parameters[name]) for name in _OF_URL if name in parameters}
    for setting, path in named.items():
        if path is None:
            continue
        try:
            mode = path.stat().st_mode
            path.open("rb").close()
        except OSError as error:
            yield failed_with(ConfigurationFault(f"{setting} {path} cannot be read: {error.strerror}"))
        else:
            yield machine_verdicts.secrecy(FileMode(setting, path, mode))


def _data_folder(folder: Path | None) -> Result:
    if folder is None:
        return unused("this is no folder of `chandlery up`")
    check_folder(folder)
    for name in ("encryption-key", "token", "tls.key"):
        try:
            read_private(folder / name)
        except OSError as error:
            raise ConfigurationFault(f"{folder / name} cannot be read: {error.strerror}") from error
    return ok(f"{folder} is this user's alone, and whole")
