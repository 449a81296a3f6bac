"""Writes `deploy/dashboards/*.json` from the data in `dashboards/`.

write_dashboards.py [--check]

Run by `make dashboards`; with --check it writes nothing, and exits with 1 if a file is stale.
"""

import argparse
from pathlib import Path
from typing import Final

from dashboards import messaging_and_store, one_broker, one_process, overview
from dashboards.frame import as_json
from machine.console import run_command, say
from machine.places import REPOSITORY

FOLDER: Final = REPOSITORY / "deploy/dashboards"
DASHBOARDS: Final = (overview.DASHBOARD, one_broker.DASHBOARD, one_process.DASHBOARD, messaging_and_store.DASHBOARD)


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or check them; the exit status."""
    parser = argparse.ArgumentParser(
        description="Writes deploy/dashboards/*.json from the data in scripts/dashboards/."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    wanted = files()
    if not parser.parse_args(arguments).check:
        FOLDER.mkdir(exist_ok=True)
        for path, text in wanted.items():
            path.write_text(text, encoding="utf-8")
        say(f"{len(wanted)} dashboards in {FOLDER.relative_to(REPOSITORY)}/")
        return 0
    there = {path: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    stale = sorted({path.name for path in wanted.keys() | there.keys() if wanted.get(path) != there.get(path)})
    if stale:
        say(f"{', '.join(stale)}: stale; run: make dashboards")
    return int(bool(stale))


def files() -> dict[Path, str]:
    """Each file and what is in it."""
    return {FOLDER / f"{made.uid}.json": as_json(made) for made in DASHBOARDS}


if __name__ == "__main__":
    run_command(main)
