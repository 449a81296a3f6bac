"""Draws the diagrams that pages have as Mermaid's text, for the site: `docs/diagrams`, in both palettes.

Run by `make diagrams`. Mermaid comes from npm, held by its hash, and runs in Chromium; nothing of it is in the site.
"""

import asyncio
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from browser.chromium import browsing
from browser.tab import Tab
from docs_site.diagrams import FOLDER, THEMES, diagrams_of, picture_name
from docs_site.site_pages import DOCS, site_pages
from machine.console import MachineFault, MissingSoftwareFault, run_command, say

_PACKAGE: Final = "mermaid@12.3.0"
_SHA256: Final = "be0684e8d20bfc874df12c0f04927a5c482f57f2200eec54cca52a4583fd4040"
_SCRIPT: Final = "package/dist/mermaid.min.js"
_SECONDS: Final = 120
# Labels as SVG's own text: in a picture that a page shows, browsers draw no HTML.
_SETTINGS: Final = {
    "startOnLoad": False,
    "htmlLabels": False,
    "flowchart": {"htmlLabels": False},
    "deterministicIds": True,
    "fontFamily": "system-ui, sans-serif",
}


def main() -> int:
    """Draw all of them anew, and remove what no page has any more."""
    wanted = {
        picture_name(diagram, theme): (diagram, theme)
        for page in site_pages()
        for diagram in diagrams_of(page.read_text())
        for theme in THEMES
    }
    drawn = asyncio.run(_draw(wanted))
    shutil.rmtree(DOCS / FOLDER, ignore_errors=True)
    (DOCS / FOLDER).mkdir()
    for name, picture in drawn.items():
        (DOCS / FOLDER / name).write_text(picture + "\n")
    say(f"{len(drawn)} pictures are in docs/{FOLDER}")
    return 0


async def _draw(wanted: dict[str, tuple[str, str]]) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="chandlery-mermaid-") as name:
        script = _mermaid(Path(name))
        page = Path(name) / "page.html"
        page.write_text(f"<!doctype html><meta charset='utf-8'><script src='{script.name}'></script>")
        async with browsing() as tab:
            await tab.open(page.as_uri())
            return {name: await _picture(tab, *each) for name, each in wanted.items()}


async def _picture(tab: Tab, diagram: str, theme: str) -> str:
    settings = json.dumps({**_SETTINGS, "theme": THEMES[theme]})
    await tab.evaluate(f"mermaid.initialize({settings})")
    return str(await tab.evaluate(f"mermaid.render('diagram', {json.dumps(diagram)}).then((drawn) => drawn.svg)"))


def _mermaid(folder: Path) -> Path:
    """Mermaid's script. Raises MachineFault if it is not the one that is expected, MissingSoftwareFault without npm."""
    if not shutil.which("npm"):
        raise MissingSoftwareFault("npm is missing, which fetches Mermaid. Install what Debian calls: npm.")
    command = ["npm", "pack", "--silent", _PACKAGE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode != 0:
        raise MachineFault(f"npm cannot fetch {_PACKAGE}: {done.stderr.strip()}")
    package = folder / done.stdout.split()[-1]
    if hashlib.sha256(package.read_bytes()).hexdigest() != _SHA256:
        raise MachineFault(f"{_PACKAGE} is not the package it was when its hash was written into {sys.argv[0]}")
    with tarfile.open(package) as archive:
        archive.extract(_SCRIPT, folder, filter="data")
    script = folder / "mermaid.js"
    shutil.move(folder / _SCRIPT, script)
    return script


if __name__ == "__main__":
    run_command(main)
