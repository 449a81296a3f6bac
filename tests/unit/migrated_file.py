"""A migrated SQLite file for each test that wants one: the migrations run once in a process."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from chandlery.store.connection.engine import open_engine
from chandlery.store.migrate import migrate

_FOLDERS: Final[list[TemporaryDirectory[str]]] = []


async def migrated_file(folder: Path) -> str:
    """The URL of a file in the folder, with the newest tables."""
    if not _FOLDERS:
        made = TemporaryDirectory()
        engine = open_engine(f"sqlite:///{made.name}/state.db", application_name="test")
        await migrate(engine)
        # Only then is its log written back.
        await engine.dispose()
        _FOLDERS.append(made)
    shutil.copy(Path(_FOLDERS[0].name, "state.db"), folder)
    return f"sqlite:///{folder}/state.db"
