"""Diagrams: pages have them as Mermaid's text, which forges draw; the site shows pictures that `make diagrams` drew.

So nobody who reads the site loads five megabytes of script, or asks somebody else's server for them.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

FOLDER: Final = "diagrams"
THEMES: Final = {"light": "default", "dark": "dark"}
"""Of the site, and what Mermaid calls them."""
_BLOCK: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def diagrams_of(page: str) -> list[str]:
    """The text of each diagram of a page."""
    return _BLOCK.findall(page)


def picture_name(diagram: str, theme: str) -> str:
    """The file of a diagram's picture, called after its text: another text is another file."""
    return f"{hashlib.sha256(diagram.encode()).hexdigest()[:12]}-{theme}.svg"


def with_pictures(page: str, *, find: Callable[[Path], str], docs: Path) -> str:
    """The page with pictures in the place of diagrams; `find` is told which file a place is wanted for."""

    def pictures(match: re.Match[str]) -> str:
        files = {theme: docs / FOLDER / picture_name(match[1], theme) for theme in THEMES}
        return "\n".join(f"![Diagram]({find(file)}#only-{theme})" for theme, file in files.items())

    return _BLOCK.sub(pictures, page)
