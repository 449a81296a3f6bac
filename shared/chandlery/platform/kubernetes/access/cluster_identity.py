"""Who we are to a cluster: a token, a client certificate, or both; from memory, or from files that are read again.

A service account's token is good for an hour and replaced in its file meanwhile; so are certificates that an operator
rotates. Whoever is asked reads the files again when what was read is a few seconds old.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from chandlery.model.faults import Unavailable

FRESH_SECONDS: Final = 10.0
"""How long what was read from a file is used without another look."""
_LARGEST_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Identity:
    """What is shown with a request, and for the connection. Certificate and key are PEM."""

    token: str | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)

    @property
    def fingerprint(self) -> str:
        """Tells one pair from another: connections made with an older one are not used any more."""
        return hashlib.sha256((self.certificate or b"") + b"\0" + (self.key or b"")).hexdigest()


class IdentitySource(Protocol):
    """Where it comes from."""

    async def identity(self) -> Identity:
        """The one to use now. Raises Unavailable if it cannot be had."""

    def refused(self) -> bool:
        """The cluster has refused the last one; whether the next may be another."""


class Content:
    """Bytes that are known, or those of a small file, which is read again."""

    def __init__(
        self, known: bytes | None = None, *, path: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Of the two, what is known counts, as in a kubeconfig."""
        self._known = known
        self._path = path if known is None else None
        self._clock = clock
        self._read_at: float | None = None

    @property
    def is_file(self) -> bool:
        """Whether another look may find something else."""
        return self._path is not None

    def forget(self) -> None:
        """The next look goes to the file."""
        self._read_at = None

    async def look(self) -> bytes | None:
        """The bytes, None if there are none. Raises Unavailable if the file cannot be read and never was."""
        if self._path is None:
            return self._known
        now = self._clock()
        if self._read_at is None or now - self._read_at >= FRESH_SECONDS:
            try:
                # Beside the loop: a volume may hang.
                self._known = await asyncio.to_thread(_read, self._path)
            except OSError as error:
                if self._known is None:
                    raise Unavailable(f"the file {self._path} cannot be read: {error.strerror}") from error
            self._read_at = now
        return self._known


class KnownIdentity:
    """A token, a certificate, or both, of a service account's files or a kubeconfig."""

    def __init__(
        self, *, token: Content | None = None, certificate: Content | None = None, key: Content | None = None
    ) -> None:
        self._token, self._certificate, self._key = (each or Content() for each in (token, certificate, key))

    async def identity(self) -> Identity:
        """See IdentitySource."""
        token = await self._token.look()
        # A token is shown in a header: a line feed at the end of the file, or whatever else, may not get there.
        text = token.decode("ascii", errors="ignore").strip() if token else ""
        return Identity(text or None, await self._certificate.look(), await self._key.look())

    def refused(self) -> bool:
        """See IdentitySource."""
        files = [each for each in (self._token, self._certificate, self._key) if each.is_file]
        for each in files:
            each.forget()
        return bool(files)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST_BYTES)
