"""Puts a copy of a SQLite database in the place of the one that is lost. Called by `chandlery restore`.

The copy is made beside its place, checked there, brought to the schema of this release, and given its mark; only then
it takes the place, in one step. What was there before is kept beside it. Whatever fails before has changed nothing.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from chandlery.model.faults import ConfigurationFault
from chandlery.store.connection.backup import BackupFailed, Tell, check_whole, sync
from chandlery.store.database_errors import lasting_words
from chandlery.store.recovery.sole_use import sole_use

_PRIVATE: Final = 0o600
_BESIDE: Final = ("-wal", "-shm", "-journal")
_STEP: Final = 8 << 20
_TELL_EVERY: Final = 64 << 20
"""Bytes."""


class CopyInPlace:
    """One restore of one file."""

    def __init__(self, copy: Path, target: Path) -> None:
        self._copy = copy
        self.target = target
        self.draft = target.with_name(f".{target.name}.restoring")

    @contextmanager
    def fetched(self, *, replaces: bool, tell: Tell) -> Iterator[Path]:
        """The draft, whole, for the caller to prepare and then `put`; gone at the end.

        Raises ConfigurationFault if the copy is none or its place is taken, BackupFailed if the copy is damaged.
        """
        if self._is_taken() and not replaces:
            raise ConfigurationFault(
                f"{self.target} exists already, and a restore does not replace a database unasked: with --replace it "
                "is moved aside"
            )
        if self.target.exists() and self._copy.exists() and self._copy.samefile(self.target):
            raise ConfigurationFault(f"{self._copy} is the database itself, and not a copy of it")
        with self._cleared():
            if self._is_taken():
                with sole_use(self.target):
                    # Asked before the work, and again when it counts.
                    pass
            self._fetch(tell)
            check_whole(self.draft, f"{self._copy} is damaged, cut off, or no database; nothing was changed")
            yield self.draft

    def put(self) -> Path | None:
        """Let the draft take the place; returns where what was there before is now.

        Raises ConfigurationFault if somebody works on what is there.
        """
        self._close_draft()
        sync(self.draft)
        is_taken = self._is_taken()
        with sole_use(self.target) if is_taken else contextlib.nullcontext():
            kept = self._move_aside() if is_taken else None
            self.draft.replace(self.target)
        sync(self.target.parent)
        return kept

    def _is_taken(self) -> bool:
        return self.target.exists() and self.target.stat().st_size > 0

    @contextmanager
    def _cleared(self) -> Iterator[None]:
        try:
            self._remove_draft()
            yield
        except OSError as error:
            raise ConfigurationFault(f"{self.target} cannot be written: {error.strerror}") from error
        finally:
            with contextlib.suppress(OSError):
                self._remove_draft()

    def _remove_draft(self) -> None:
        for ending in ("", *_BESIDE):
            self.draft.with_name(f"{self.draft.name}{ending}").unlink(missing_ok=True)

    def _fetch(self, tell: Tell) -> None:
        try:
            source = os.open(self._copy, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ConfigurationFault(f"the backup {self._copy} cannot be read: {error.strerror}") from error
        made = os.open(self.draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _PRIVATE)
        with os.fdopen(source, "rb") as reading, os.fdopen(made, "wb") as writing:
            whole, done, told = os.fstat(reading.fileno()).st_size, 0, 0
            while part := reading.read(_STEP):
                writing.write(part)
                done += len(part)
                if done - told >= _TELL_EVERY:
                    told = done
                    tell(done, whole)

    def _close_draft(self) -> None:
        """All of it in one file."""
        try:
            with contextlib.closing(sqlite3.connect(self.draft)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error as error:
            raise BackupFailed(
                f"the copy cannot be finished: {lasting_words(error.sqlite_errorname) or error}"
            ) from error

    def _move_aside(self) -> Path:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        kept = self.target.with_name(f"{self.target.name}.before-restore-{stamp}")
        for ending in ("", *_BESIDE):
            with contextlib.suppress(FileNotFoundError):
                self.target.with_name(f"{self.target.name}{ending}").rename(kept.with_name(f"{kept.name}{ending}"))
        return kept
