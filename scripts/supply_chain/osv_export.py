"""Reads an export of OSV: a zip as it is published for PyPI, a folder of JSON records, or one record."""

import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from machine.console import MachineFault

_MOST_BYTES: Final = 16 * 1024 * 1024
"""Of one record; the largest known have one."""
UNUSABLE: Final = 2
"""Exit status: nothing has been checked."""


def read_export(path: Path) -> Iterator[tuple[str, Any]]:
    """Where each record stands, and the record. Raises MachineFault for what is none, and for an export without any."""
    count = 0
    for place, content in _contents(path):
        count += 1
        try:
            yield place, json.loads(content)
        except (ValueError, RecursionError) as error:
            raise unusable(f"{place} is not valid JSON: {error}") from None
    if not count:
        raise unusable(f"{path} holds no JSON records, so nothing would be checked")


def unusable(text: str) -> MachineFault:
    """The check cannot be made."""
    return MachineFault(text, exit_code=UNUSABLE)


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        if path.is_dir():
            for file in sorted(path.rglob("*.json")):
                yield str(file), _bounded(str(file), file.stat().st_size, file.read_bytes)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    if entry.filename.endswith(".json"):
                        place = f"{path}:{entry.filename}"
                        yield place, _bounded(place, entry.file_size, lambda entry=entry: archive.read(entry))
        else:
            yield str(path), _bounded(str(path), path.stat().st_size, path.read_bytes)
    except OSError as error:
        raise unusable(f"{path} cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        # The last one: it is encrypted, or compressed in a way that nobody here knows.
        raise unusable(f"{path} is damaged: {error}") from None


def _bounded(place: str, size: int, read: Any) -> bytes:
    if size > _MOST_BYTES:
        raise unusable(f"{place} has {size} bytes, which no record of OSV has")
    content: bytes = read()
    return content
