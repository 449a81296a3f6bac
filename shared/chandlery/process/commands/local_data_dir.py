"""The all-in-one's own folder: database, encryption key, token and kubeconfig, made at the first start."""

import base64
import fcntl
import os
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import yaml

from chandlery.model.faults import ConfigurationFault
from chandlery.process.commands.private_files import (
    ensure_private,
    make_private_folder,
    open_private,
    read_private,
    tighten_private,
    write_private,
)
from chandlery.process.http.tls_files import self_signed
from chandlery.store.sealing.sealing import new_key

_BESIDE_DATABASE: Final = ("-wal", "-shm", "-journal")
"""What SQLite leaves beside a database when its process is killed, and goes on with."""


@dataclass(frozen=True)
class DataDirectory:
    """A folder that belongs to one running `chandlery up`."""

    path: Path
    lock: IO[str]

    @property
    def database(self) -> Path:
        """SQLite's file; empty before the first start is through."""
        return self.path / "chandlery.db"

    @property
    def database_url(self) -> str:
        """SQLite in the folder."""
        return f"sqlite:///{self.database}"

    @property
    def kubeconfig(self) -> Path:
        """What `kubectl --kubeconfig` is given."""
        return self.path / "kubeconfig"

    def encryption_keys(self) -> str:
        """The key that was made at the first start; raises ConfigurationFault if a database is left without its own."""
        path = self.path / "encryption-key"
        if self.database.stat().st_size and not path.exists():
            raise ConfigurationFault(
                f"the database in {self.path} is encrypted with a key that is missing: put the file "
                f"{path} back, or choose another --data-dir to start with an empty database"
            )
        return _kept(path, lambda: new_key("laptop"))

    def token(self) -> str:
        """The token that was made at the first start."""
        return _kept(self.path / "token", lambda: secrets.token_urlsafe(32))

    def certificate(self) -> Path:
        """The gateway's certificate, made with its key at the first start. kubectl sends tokens only over TLS."""
        path = self.path / "tls.crt"
        if path.exists() and self.certificate_key.exists():
            # The server reads both by their names.
            for each in (path, self.certificate_key):
                read_private(each)
        else:
            certificate, key = self_signed("127.0.0.1", "::1", "localhost")
            write_private(self.certificate_key, key)
            write_private(path, certificate)
        return path

    @property
    def certificate_key(self) -> Path:
        """The certificate's private key."""
        return self.path / "tls.key"

    def write_kubeconfig(self, host: str, port: int) -> None:
        """Point kubectl at the gateway, with the token."""
        server = f"https://{host}:{port}"
        authority = base64.b64encode(self.certificate().read_bytes()).decode()
        name = "chandlery"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": authority}}],
            "users": [{"name": name, "user": {"token": self.token()}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
            "current-context": name,
        }
        write_private(self.kubeconfig, yaml.safe_dump(document, sort_keys=False))


def open_data_directory(path: Path) -> DataDirectory:
    """Make the folder if need be and lock it.

    Raises ConfigurationFault if it is in use, cannot be written, or if others may have had a hand in it.
    """
    try:
        make_private_folder(path)
        lock = os.fdopen(open_private(path / "lock", os.O_RDWR | os.O_CREAT), "r+")
        with ExitStack() as failing:
            failing.callback(lock.close)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            directory = DataDirectory(path.resolve(), lock)
            # SQLite makes a database as the umask says, and the files beside it as the database is.
            ensure_private(directory.database)
            for ending in _BESIDE_DATABASE:
                tighten_private(directory.database.with_name(f"{directory.database.name}{ending}"))
            failing.pop_all()
    except BlockingIOError as error:
        raise ConfigurationFault(f"{path} is in use by another `chandlery up`; choose another --data-dir") from error
    except OSError as error:
        raise ConfigurationFault(f"the folder {path} cannot be used: {error.strerror}") from error
    return directory


def kept_keys(path: Path) -> dict[str, str]:
    """The settings of database and keys of a folder that was made before, which may be in use.

    Raises ConfigurationFault if there is none.
    """
    database, keys = path.resolve() / "chandlery.db", path / "encryption-key"
    if not database.exists() or not keys.exists():
        raise ConfigurationFault(
            f"there is no database of `chandlery up` in {path}: name its folder with --data-dir, or set "
            "CHANDLERY_DATABASE_URL and CHANDLERY_ENCRYPTION_KEYS"
        )
    try:
        return {"database_url": f"sqlite:///{database}", "encryption_keys": read_private(keys).strip()}
    except OSError as error:
        raise ConfigurationFault(f"{keys} cannot be read: {error.strerror}") from error


def _kept(path: Path, make: Callable[[], str]) -> str:
    try:
        return read_private(path).strip()
    except FileNotFoundError:
        write_private(path, made := make())
        return made
    except OSError as error:
        raise ConfigurationFault(f"{path} cannot be read: {error.strerror}") from error
