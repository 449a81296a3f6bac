"""How much room there is where this process writes files: its SQLite database, its audit log."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chandlery.model.faults import ConfigurationFault
from chandlery.settings.settings import Settings
from chandlery.store.connection.database_url import read_database_url
from chandlery.telemetry.catalog.database_use import DISK_BYTES, DISK_FREE_BYTES
from chandlery.telemetry.metrics import Metrics, Sample

_EVERY_SECONDS: Final = 15.0
_STANDARD_OUTPUT: Final = "-"


async def keep_disk_space(settings: Settings, metrics: Metrics) -> None:
    """Look for ever. A folder that cannot be looked at is not told: whoever writes there says what is wrong with it."""
    folders = written_folders(settings)
    while True:
        # Beside the loop: a volume may hang.
        found = await asyncio.to_thread(_look, folders)
        metrics.replace(DISK_FREE_BYTES, [Sample((folder,), free) for folder, _, free in found])
        metrics.replace(DISK_BYTES, [Sample((folder,), total) for folder, total, _ in found])
        await asyncio.sleep(_EVERY_SECONDS)


def written_folders(settings: Settings) -> Sequence[Path]:
    """Where files are written to."""
    files = []
    try:
        url = read_database_url(settings.database_url.get_secret_value())
        files += [url.database] if url.backend == "sqlite" else []
    except ConfigurationFault:
        # Whoever connects has said so.
        pass
    files += [settings.audit_log] if settings.audit_log != _STANDARD_OUTPUT else []
    return sorted({Path(each).absolute().parent for each in files if each})


def _look(folders: Sequence[Path]) -> Sequence[tuple[str, int, int]]:
    found = []
    for folder in folders:
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            continue
        found.append((str(folder), usage.total, usage.free))
    return found
