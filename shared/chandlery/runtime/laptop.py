"""The all-in-one's own folder: database, encryption key, token and kubeconfig, made at the first start."""

import base64
import fcntl
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import yaml

from chandlery.model.faults import ConfigurationFault
from chandlery.runtime.certificates import self_signed
from chandlery.store.sealing import new_key

_PRIVATE = 0o600


@dataclass(frozen=True)
class DataDirectory:
    """A folder that belongs to one running `chandlery up`."""

    path: Path
    lock: IO[str]

    @property
    def database_url(self) -> str:
        """SQLite in the folder."""
        return f"sqlite:///{self.path / 'chandlery.db'}"

    @property
    def kubeconfig(self) -> Path:
        """What `kubectl --kubeconfig` is given."""
        return self.path / "kubeconfig"

    def encryption_keys(self) -> str:
        """The key that was made at the first start; raises ConfigurationFault if a database is left without its own."""
        path = self.path / "encryption-key"
        if (self.path / "chandlery.db").exists() and not path.exists():
            raise ConfigurationFault(
                f"the database in {self.path} is encrypted with a key that is gone: put the file {path} back, or "
                "choose another --data-dir to begin anew"
            )
        return _kept(path, lambda: new_key("laptop"))

    def token(self) -> str:
        """The token that was made at the first start."""
        return _kept(self.path / "token", lambda: secrets.token_urlsafe(32))

    def certificate(self) -> Path:
        """The gateway's certificate, made with its key at the first start. kubectl sends tokens only over TLS."""
        path = self.path / "tls.crt"
        if not path.exists() or not self.certificate_key.exists():
            certificate, key = self_signed("127.0.0.1", "::1", "localhost")
            _write_private(self.certificate_key, key)
            _write_private(path, certificate)
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
        _write_private(self.kubeconfig, yaml.safe_dump(document, sort_keys=False))


def open_data_directory(path: Path) -> DataDirectory:
    """Make the folder if need be and lock it; raises ConfigurationFault if it is in use or cannot be written."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (path / "lock").open("w")
        _take(lock)
    except BlockingIOError as error:
        raise ConfigurationFault(f"{path} is in use by another `chandlery up`; choose another --data-dir") from error
    except OSError as error:
        raise ConfigurationFault(f"the folder {path} cannot be used: {error.strerror}") from error
    return DataDirectory(path.resolve(), lock)


def _take(lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise


def _kept(path: Path, make: Callable[[], str]) -> str:
    if not path.exists():
        _write_private(path, make())
    return path.read_text().strip()


def _write_private(path: Path, text: str) -> None:
    # Written beside and renamed: whoever waits for the file never reads half of it.
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=_PRIVATE)
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        # The database is on the disk after a power cut, and worth nothing if its key is not.
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
