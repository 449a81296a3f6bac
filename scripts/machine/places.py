"""Where the scripts keep what they make: `.cache` in this checkout, or a stand-in that a server's account can reach."""

import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from machine.console import MachineFault

REPOSITORY: Final = Path(__file__).resolve().parents[2]
CACHE: Final = REPOSITORY / ".cache"
_STAND_IN: Final = Path("/var/tmp")


@dataclass(frozen=True, kw_only=True)
class Account:
    """The user a server runs as, when that is not the one who typed the command."""

    name: str
    uid: int
    gid: int


def account_for(*names: str) -> Account | None:
    """The first of `names` that exists if we are root; None otherwise, meaning "run as we are"."""
    if os.geteuid() != 0:
        return None
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    return None


def checkout_key() -> str:
    """Ten hexadecimal digits that tell this checkout, and this user, from any other on the machine."""
    return hashlib.sha256(f"{REPOSITORY}:{os.geteuid()}".encode()).hexdigest()[:10]


def user_cache() -> Path:
    """What outlives checkouts: `$XDG_CACHE_HOME/chandlery` (XDG Base Directory Specification 0.8)."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    # The specification has relative paths ignored.
    top = Path(given) if given.startswith("/") else Path.home() / ".cache"
    return top / "chandlery"


def pair_folder(pair: str) -> Path:
    """Ledger, lock and logs of the pair of servers called `pair`; its data too, if the servers can reach it."""
    folder = CACHE / "services" / pair
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def server_home(pair: str, server: str, *, account: Account | None) -> Path:
    """A folder with mode 0700 that `account` owns and can reach.

    Raises:
        MachineFault: the stand-in in the system's folder for temporary files belongs to somebody else.
    """
    home = pair_folder(pair) / server
    if account is not None and not _can_enter(home.parent, account):
        home = _stand_in_folder(pair) / server
    home.mkdir(exist_ok=True)
    if account is not None:
        os.chown(home, account.uid, account.gid)
    home.chmod(0o700)
    return home


def remove_data(pair: str) -> None:
    """Forget everything about a pair whose servers have ended."""
    shutil.rmtree(CACHE / "services" / pair, ignore_errors=True)
    stand_in = _STAND_IN / f"chandlery-{checkout_key()}"
    with _stand_in_locked():
        shutil.rmtree(stand_in / pair, ignore_errors=True)
        # Another pair may be there, and some file systems say of a folder that it is busy: an empty folder may stay.
        with suppress(OSError):
            stand_in.rmdir()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; a second command waits here until the first has ended, however it ended."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _can_enter(folder: Path, account: Account) -> bool:
    probe = subprocess.run(
        ["test", "-x", str(folder)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        check=False,
    )
    return probe.returncode == 0


def _stand_in_locked() -> AbstractContextManager[None]:
    """Pairs come and go side by side, and the last one takes the folder along that the next one counts on."""
    return locked(CACHE / "services" / "stand-in.lock")


def _stand_in_folder(pair: str) -> Path:
    top = _STAND_IN / f"chandlery-{checkout_key()}"
    with _stand_in_locked():
        top.mkdir(mode=0o711, exist_ok=True)
        seen = top.lstat()
        # The name can be guessed and the folder above is writable for all, so somebody else's is refused.
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid():
            raise MachineFault(f"{top} is not ours; remove it and try again")
        top.chmod(0o711)
        folder = top / pair
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)
    return folder
