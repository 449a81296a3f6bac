"""Archives that are the same, byte for byte, whoever makes them: sorted, without owners, all of one time."""

import gzip
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_FILE: Final = 0o644
_EXECUTABLE: Final = 0o755


def write_archive(target: Path, source: Path, names: Iterable[str], *, at: int) -> None:
    """`target`, a `.tar.gz`, has these files of the folder `source`; `at` is the time of all of them."""
    with (
        target.open("wb") as raw,
        # The name and the time of the archive would be in its head.
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=at, compresslevel=9) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(set(names)):
            _add(archive, source / name, name, at)


def _add(archive: tarfile.TarFile, path: Path, name: str, at: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.mtime = at
    if path.is_symlink():
        entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
        archive.addfile(entry)
        return
    content = path.read_bytes()
    entry.size = len(content)
    entry.mode = _EXECUTABLE if path.stat().st_mode & 0o100 else _FILE
    with path.open("rb") as file:
        archive.addfile(entry, file)
