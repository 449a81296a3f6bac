"""Which page of the checkout stands where in the site. Whatever is in `docs/` keeps its place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from machine.places import REPOSITORY

DOCS: Final = REPOSITORY / "docs"
_ELSEWHERE: Final[Mapping[str, str]] = {
    "README.md": "index.md",
    "docs/index.md": "pages.md",
    "docs/adr/README.md": "adr/index.md",
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
}
_SOURCE: Final = "source"


def site_pages() -> Mapping[Path, str]:
    """Each page, by its path in the checkout, and its place in the site."""
    found = [*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md")]
    found += [path for top in ("deploy", "examples") for path in (REPOSITORY / top).rglob("*.md")]
    return {path: _place(path.relative_to(REPOSITORY)) for path in sorted(found)}


def source_place(path: Path) -> str:
    """Where the site shows a file or a folder of the source that a page points at."""
    return f"{_SOURCE}/{path.relative_to(REPOSITORY).as_posix().replace('.', '-')}.md"


def _place(path: Path) -> str:
    known = _ELSEWHERE.get(path.as_posix())
    if known:
        return known
    if path.is_relative_to("docs"):
        return path.relative_to("docs").as_posix()
    # deploy/chart/chandlery/README.md and its like: called after their folder.
    return f"{path.parent.as_posix()}.md" if path.name == "README.md" else path.as_posix()
