"""Copies a SQLite database while others write to it. Called by `chandlery backup`.

The copy is one moment of the database, whole and compact: `VACUUM INTO` reads in one transaction, and in WAL mode a
reader keeps no writer waiting. What is sealed stays sealed.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from chandlery.model.faults import ConfigurationFault, Fault
from chandlery.store.database_errors import lasting_words

_PRIVATE: Final = 0o600
_PATIENCE_SECONDS: Final = 30.0
TOLD_EVERY_SECONDS: Final = 2.0


Tell = Callable[[int, int], object]


def _ignore(_done: int, _whole: int) -> None:
    """Nobody is told."""


class BackupFailed(Fault):
    """The database could not be copied."""


def back_up(source: Path, target: Path, *, tell: Tell = _ignore) -> int:
    """Copy the database into a new file that only its owner may read, and check the copy; returns its size in bytes.

    `tell` hears how far a copy is that takes its time: bytes so far, and of about how many.

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
        with _told(draft, source.stat().st_size, tell):
            _copy(source, draft, target)
        check_whole(draft, "the copy is damaged, and so is what it was made of")
        sync(draft)
        _name(draft, target)
        sync(target.parent)
    except FileExistsError as error:
        raise ConfigurationFault(f"{target} exists already, and a backup does not replace files") from error
    except OSError as error:
        raise ConfigurationFault(f"{target} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return target.stat().st_size


@contextlib.contextmanager
def _told(draft: Path, whole: int, tell: Tell) -> Iterator[None]:
    """Around a copy that tells nothing itself: how large it has become."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(TOLD_EVERY_SECONDS):
            with contextlib.suppress(OSError):
                tell(draft.stat().st_size, whole)

    watching = threading.Thread(target=watch, name="tells-of-backup", daemon=True)
    watching.start()
    try:
        yield
    finally:
        is_over.set()
        watching.join()


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


def check_whole(draft: Path, otherwise: str) -> None:
    """Raises BackupFailed for a copy that is damaged; `otherwise` says what that means where it was made."""
    try:
        with contextlib.closing(_opened(draft)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    except sqlite3.Error as error:
        found = [str(error)]
    if found != ["ok"]:
        raise BackupFailed(f"{otherwise}: {'; '.join(found)[:300]}")


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


def sync(path: Path) -> None:
    """Have it on the disk, be it a file or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
