"""Files of one user alone: mode 0600, never through a link, and not believed if others had a hand in them.

For `local_data_dir.py`, whose folder may lie where others can write, such as `/tmp`.
"""

import contextlib
import errno
import os
import shlex
import stat
from pathlib import Path
from typing import Final

from chandlery.model.faults import ConfigurationFault

PRIVATE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700
_OTHERS: Final = 0o077
_WRITABLE_BY_OTHERS: Final = 0o022
# With O_NONBLOCK a pipe that somebody has put there does not keep us waiting.
_SAFELY: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def make_private_folder(path: Path) -> None:
    """Make the folder if need be, for its owner alone.

    Raises:
        ConfigurationFault: it belongs to another user, or others may write into it.
        OSError: it cannot be made.
    """
    path.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    check_folder(path)


def check_folder(path: Path) -> None:
    """Raises as `make_private_folder`, and makes nothing."""
    seen = path.stat()
    _check_owner(path, seen)
    if seen.st_mode & _WRITABLE_BY_OTHERS:
        raise ConfigurationFault(
            f"other users may write to the folder {path}, which holds secrets. Check that all files in it "
            f"are yours, then: chmod 700 {shlex.quote(str(path))}"
        )


def open_private(path: Path, flags: int) -> int:
    """A descriptor of the file, made with mode 0600 if `flags` say that it may be made; its content stays as it is.

    Raises:
        ConfigurationFault: it is a link or no file at all, or belongs to another user.
        OSError: it cannot be opened.
    """
    try:
        descriptor = os.open(path, flags | _SAFELY, PRIVATE)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise ConfigurationFault(
            f"{path} is a symbolic link and is not followed. Check where it points to, then: rm "
            f"{shlex.quote(str(path))}"
        ) from error
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            raise ConfigurationFault(f"{path} is not a file; move it away")
        _check_owner(path, seen)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_private(path: Path) -> str:
    """The text of a file with a secret.

    Raises:
        FileNotFoundError: there is none.
        ConfigurationFault: it is empty, others may read or change it, or what `open_private` refuses.
    """
    quoted = shlex.quote(str(path))
    with os.fdopen(open_private(path, os.O_RDONLY)) as file:
        if os.fstat(file.fileno()).st_mode & _OTHERS:
            raise ConfigurationFault(
                f"other users may read or change {path}, which holds a secret. If you have not been "
                f"attacked: chmod 600 {quoted}; otherwise: rm {quoted}"
            )
        text = file.read()
    if not text.strip():
        raise ConfigurationFault(f"{path} is empty. Restore its content, or if that is lost: rm {quoted}")
    return text


def ensure_private(path: Path) -> None:
    """Make the file if there is none, empty; others may do nothing with it from now on. Raises as `open_private`."""
    _tighten(open_private(path, os.O_RDWR | os.O_CREAT))


def tighten_private(path: Path) -> None:
    """The same for a file that may be there or not."""
    with contextlib.suppress(FileNotFoundError):
        _tighten(open_private(path, os.O_RDWR))


def _tighten(descriptor: int) -> None:
    try:
        os.fchmod(descriptor, PRIVATE)
    finally:
        os.close(descriptor)


def write_private(path: Path, text: str) -> None:
    """Put a file with this text in the place of what is there, which may be a link: that goes, and its target stays."""
    # Written beside and renamed: whoever waits for the file never reads half of it.
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY, PRIVATE), "w") as file:
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


def _check_owner(path: Path, seen: os.stat_result) -> None:
    if seen.st_uid != os.geteuid():
        raise ConfigurationFault(
            f"{path} belongs to another user (uid {seen.st_uid}); choose another --data-dir, or if it is yours: "
            f"chown {os.geteuid()} {shlex.quote(str(path))}"
        )
