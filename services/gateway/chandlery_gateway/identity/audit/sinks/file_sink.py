"""Events go to a file, one JSON text a line, or to the standard output. The file is set aside when it is large.

The file is its owner's alone (mode 0600). One that somebody moves away, as `logrotate` does, is begun anew with the
next batch. Several gateways of one machine may share it: each batch is written under a lock of the file. What could be
written of a batch only in part is taken back, so that no line is torn or comes twice.
"""

import asyncio
import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from chandlery.model.faults import ConfigurationFault
from chandlery.store.audit.audit_entries import AuditEntry
from chandlery_gateway.identity.audit.sinks.audit_sink import SinkFailed

STDOUT: Final = "-"
_PRIVATE: Final = 0o600
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_STDOUT_DESCRIPTOR: Final = 1


class StdoutSink:
    """See AuditSink."""

    name: Final = "stdout"
    place: Final = "the standard output"

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        """See AuditSink. What was written in part before it failed comes twice."""
        try:
            await asyncio.to_thread(_write_all, _STDOUT_DESCRIPTOR, _lines(entries))
        except OSError as error:
            raise SinkFailed(os.strerror(error.errno or 0)) from error


class FileSink:
    """See AuditSink."""

    def __init__(self, path: Path, *, most_bytes: int, kept_files: int, syncs: bool) -> None:
        """`syncs` has each batch on the disk before it counts. Raises ConfigurationFault if it cannot be opened."""
        self.name: Final = "file"
        self.place = f"the file {path}"
        self._path = path
        self._most_bytes = most_bytes
        self._kept_files = kept_files
        self._syncs = syncs
        try:
            os.close(self._open())
        except OSError as error:
            raise ConfigurationFault(f"CHANDLERY_AUDIT_LOG {path} cannot be written: {error.strerror}") from error

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        """See AuditSink."""
        try:
            await asyncio.to_thread(self._write, _lines(entries))
        except OSError as error:
            raise SinkFailed(os.strerror(error.errno or 0)) from error

    def _write(self, lines: bytes) -> None:
        with self._locked() as descriptor:
            seen = os.fstat(descriptor)
            try:
                _write_all(descriptor, lines)
                if self._syncs and stat.S_ISREG(seen.st_mode):
                    os.fdatasync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, seen.st_size)
                raise
            if stat.S_ISREG(seen.st_mode) and seen.st_size + len(lines) >= self._most_bytes:
                self._set_aside()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """The file that has the name now, for us alone until we are done."""
        while True:
            descriptor = self._open()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if self._has_the_name(descriptor):
                    yield descriptor
                    return
            finally:
                os.close(descriptor)

    def _open(self) -> int:
        descriptor = os.open(self._path, _FLAGS, _PRIVATE)
        try:
            seen = os.fstat(descriptor)
            if stat.S_ISREG(seen.st_mode) and stat.S_IMODE(seen.st_mode) != _PRIVATE:
                os.fchmod(descriptor, _PRIVATE)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _has_the_name(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def _set_aside(self) -> None:
        """`audit.log` becomes `audit.log.1`, that `audit.log.2` and so on; the oldest goes. The lock is held."""
        for number in range(self._kept_files, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path.with_name(f"{self._path.name}.{number - 1}") if number > 1 else self._path
            with contextlib.suppress(FileNotFoundError):
                newer.replace(older)


def _lines(entries: Sequence[AuditEntry]) -> bytes:
    return "".join(f"{entry.event}\n" for entry in entries).encode()


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
