"""Copies a SQLite database while others write to it. Called by `chandlery backup`.

The copy is one moment of the database, whole and compact: `VACUUM INTO` reads in one transaction, and in WAL mode a
reader keeps no writer waiting. What is sealed stays sealed.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final

from chandlery.model.faults import ConfigurationFault, Fault
from chandlery.store.database_errors import lasting_words

_PRIVATE: Final = 0o600
_PATIENCE_SECONDS: Final = 30.0


class BackupFailed(Fault):
    """The database could not be copied."""


def back_up(source: Path, target: Path) -> int:
    """Copy the database into a new file that only its owner may read, and check the copy; returns its size in bytes.

    Raises ConfigurationFault if one of the files cannot be used, BackupFailed if the copy is not whole.
    """
    if not source.is_file():
        raise ConfigurationFault(f"the database file does not exist: {source}")
    draft = target.with_name(f".{target.name}.unfinished")
    try:
        if target.exists():
            raise ConfigurationFault(f"{target} exists already, and a backup does not replace files")
        draft.unlink(missing_ok=True)
        # The empty file is made by us, for its mode; SQLite fills it.
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _PRIVATE))
        _copy(source, draft, target)
        _check(draft)
        _sync(draft)
        _name(draft, target)
        _sync(target.parent)
    except FileExistsError as error:
        raise ConfigurationFault(f"{target} exists already, and a backup does not replace files") from error
    except OSError as error:
        raise ConfigurationFault(f"{target} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(source: Path, draft: Path, target: Path) -> None:
    try:
        with contextlib.closing(_opened(source)) as connection:
            connection.execute("VACUUM INTO ?", (str(draft),))
    except sqlite3.Error as error:
        if error.sqlite_errorname.startswith("SQLITE_FULL"):
            raise BackupFailed(f"{target} cannot be written: its disk is full") from error
        # SQLite's own words may name the draft for what is wrong with the source.
        why = lasting_words(error.sqlite_errorname) or str(error)
        raise BackupFailed(f"{source} cannot be copied: {why}") from error


def _check(draft: Path) -> None:
    try:
        with contextlib.closing(_opened(draft)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    except sqlite3.Error as error:
        found = [str(error)]
    if found != ["ok"]:
        raise BackupFailed(f"the copy is damaged, and so is the database: {'; '.join(found)[:300]}")


def _name(draft: Path, target: Path) -> None:
    try:
        # Unlike a rename this never replaces a file that has come into being meanwhile.
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:
        # A disk whose files have one name each.
        draft.rename(target)


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=_PATIENCE_SECONDS)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
