"""Links of a page, pointed at the places that their targets have in the site; what is no page is shown as source."""

import os.path
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

_FENCE: Final = re.compile(r"^ *(`{3,}|~{3,})")
_TARGET: Final = re.compile(r"(?<=\]\()([^)\s]+)(?=\))|(?<=<img src=\")([^\"]+)(?=\")")
_IMAGES: Final = frozenset({".svg", ".png"})
OUTWARD: Final = ("http://", "https://", "mailto:")

FindPlace = Callable[[Path], str]
"""Where the site has a file of the checkout; whoever is asked sees to it that it gets there."""


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """The text with each line changed that belongs to no fenced block."""
    lines, fence = [], ""
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if fence:
            lines.append(line)
            closes = found and found[1].startswith(fence) and line.strip() == found[1]
            fence = "" if closes else fence
            continue
        fence = found[1] if found else ""
        lines.append(line if found else change(line))
    return "\n".join(lines)


def with_links_of_site(text: str, *, page: Path, place: str, pages: Mapping[Path, str], find: FindPlace) -> str:
    """The page with each relative link pointing at the site's place of its target.

    Args:
        text: the page in Markdown.
        page: its path in the checkout.
        place: its path in the site.
        pages: every page of the site.
        find: where an image, a file or a folder that is no page is in the site.
    """

    def replaced(match: re.Match[str]) -> str:
        target = match[0]
        if target.startswith((*OUTWARD, "#")):
            return target
        path, hash_mark, anchor = target.partition("#")
        found = Path(os.path.normpath(page.parent / unquote(path)))
        there = pages.get(found) or find(found)
        return os.path.relpath(there, Path(place).parent) + hash_mark + anchor

    return outside_fences(text, lambda line: _TARGET.sub(replaced, line))


def is_image(path: Path) -> bool:
    """Whether a page shows it instead of pointing at it."""
    return path.suffix in _IMAGES
